/**
 * Installs an image into an index, for a parent that kills it at any moment: `node install-child <index directory>
 * <image file> <log index> <term>`. Says "opened <applied index>", then "installed".
 */

import { readFileSync } from "node:fs";
import { SILENT_LOGGER } from "../../../src/base/index.ts";
import { IndexDatabase } from "../../../src/db/index.ts";
import {
  IMAGE_DEFAULTS,
  STATE_DEFAULTS,
  StateMachine,
  StateSnapshots,
} from "../../../src/state/index.ts";
import { TaskThreads } from "../../../src/tasks/index.ts";
import { MAP_SIZE_BYTES, sourceOf } from "./support.ts";

const [directory = "", imageFile = "", index = "", term = ""] = process.argv.slice(2);
const db = IndexDatabase.open({ directory, mapSizeBytes: MAP_SIZE_BYTES, role: "writer" });
const stateMachine = new StateMachine(STATE_DEFAULTS, { db, logger: SILENT_LOGGER });
process.stdout.write(`opened ${stateMachine.appliedIndex}\n`);
const snapshots = new StateSnapshots(IMAGE_DEFAULTS, {
  ...{ db, stateMachine, mapSizeBytes: MAP_SIZE_BYTES },
  threads: new TaskThreads(),
  logger: SILENT_LOGGER,
  onGeneration: () => Promise.resolve(),
});
const image = readFileSync(imageFile);
await snapshots.install({ index: Number(index), term: Number(term) }, sourceOf(image, 4_096));
process.stdout.write("installed\n");
// Alive until it is killed.
setInterval(() => {}, 60_000);
