/**
 * `npm start`: one node with embedded storage under ./data, from whatever state the clone is in.
 * Arguments after `--` go to the server: `npm start -- -server.http-listen-port=4050`.
 */

import { ensureReady } from "./lib/ensure.mjs";
import { fail, handOver, inRoot } from "./lib/project.mjs";

/**
 * The blocks of examples/ are years old: retention, on by default, would take them away after fifteen minutes. Whoever
 * says otherwise behind `--` has the last word.
 */
const DEFAULTS = ["-retention-period=0", "-storage.filesystem.dir=./data/bucket"];

try {
  await ensureReady();
  handOver([inRoot("bin", "hearth.js"), "server", ...DEFAULTS, ...process.argv.slice(2)]);
} catch (error) {
  fail(error);
}
