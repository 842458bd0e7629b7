/**
 * The connection of a reader thread to the leader, simulated: a question and its answer take the ways of the network, are
 * late, lost or cut off with them, and a question without an answer fails in time. What is asked and answered is real.
 */

import { HearthError, type Prng } from "../../src/base/index.ts";
import type { AnswerPeer, LineTarget, PeerCall } from "../../src/cluster/index.ts";
import type { NodeId } from "../../src/raft/index.ts";
import { tryDecodeReadGrant } from "../../src/service/cluster/read-question.ts";
import type { Coverage } from "./coverage.ts";
import type { Life, MachineScheduler } from "./event-loop.ts";
import type { History } from "./history.ts";
import type { SimNetwork } from "./network.ts";

/** Share of questions that find no connection. */
const UNCONNECTED_SHARE = 0.1;

export interface LineModules {
  readonly network: SimNetwork;
  readonly nodeId: NodeId;
  readonly life: Life;
  readonly scheduler: MachineScheduler;
  readonly prng: Prng;
  readonly history: History;
  readonly coverage: Coverage;
}

export class SimLine {
  readonly #modules: LineModules;
  #leader: NodeId = "";
  /** Raised with every new target: what an older one was asked has failed. */
  #connection = 0;

  constructor(modules: LineModules) {
    this.#modules = modules;
  }

  setTarget(target: LineTarget | null): void {
    const leader = target?.nodeId ?? "";
    if (leader === this.#leader) return;
    this.#leader = leader;
    this.#connection += 1;
  }

  tryAsk(_call: PeerCall, body: Uint8Array, timeoutMs: number, done: AnswerPeer): boolean {
    const { network, nodeId, life, scheduler, prng, history, coverage } = this.#modules;
    const leader = this.#leader;
    if (leader === "" || leader === nodeId || prng.nextChance(UNCONNECTED_SHARE)) return false;
    const connection = this.#connection;
    const floorIndex = history.finishedIndex;
    let isOver = false;
    const finish: AnswerPeer = (answer) => {
      if (isOver || !life.isAlive) return;
      isOver = true;
      cancel();
      coverage.hit(answer.ok ? "readOverLine" : "readLineFailed");
      if (answer.ok) history.granted(tryDecodeReadGrant(answer.body)?.index ?? -1, floorIndex);
      // An answer of a leader that is not asked any more goes nowhere; the connection told who waited.
      done(connection === this.#connection ? answer : GONE);
    };
    const cancel = scheduler.after(timeoutMs, () => finish(GONE));
    const question = body.slice();
    network.carry(nodeId, leader, (endpoint) => {
      let isLate = false;
      endpoint.onQuestion(nodeId, question, (answer) => {
        if (answer.ok && isLate) coverage.hit("readOverLineRound");
        network.carry(leader, nodeId, () => finish(answer));
      });
      isLate = true;
    });
    return true;
  }
}

const GONE = { ok: false, error: new HearthError("unavailable", "No answer came") } as const;
