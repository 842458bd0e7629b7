/** Bugs of exactly-once writes. */

import type { Mutant } from "../types.ts";
import { SAFETY, sim } from "./killers.ts";

export const SESSION_MUTANTS: readonly Mutant[] = [
  {
    id: "sessions-not-in-snapshot",
    reference: "R4: the table of executed writes is not part of the snapshot (dissertation 6.3)",
    does: "leaves the rows of the session table out of the image of the state",
    edits: [
      {
        // Images of the index database are made where the state machine is: here, the simulator's.
        file: "test/sim/state-machine.ts",
        find: "      sessions: this.#rows.encode(),",
        replace: "      sessions: [],",
      },
    ],
    killers: [sim(SAFETY, ["--profile", "snapshot"])],
  },
  {
    id: "sessions-evicted-by-local-clock",
    reference: "R4: each member evicts sessions by its own clock (dissertation 6.3)",
    does: "tells the state machine the time of its own clock instead of the one in the log",
    edits: [
      {
        file: "src/replica/applier.ts",
        find: "      result = stateMachine.stage?.(batches) ?? stateMachine.apply(batches);",
        replace:
          "      const appendedAtMs = Math.round(scheduler.monotonicMs());\n" +
          "      const local = batches.map((batch) => ({ ...batch, appendedAtMs }));\n" +
          "      result = stateMachine.stage?.(local) ?? stateMachine.apply(local);",
      },
    ],
    killers: [sim(SAFETY)],
  },
];
