/**
 * `npm start`: one node with embedded storage under ./data, from whatever state the clone is in.
 * Arguments after `--` go to the server: `npm start -- -server.http-listen-port=4050`.
 */

import { ensureReady } from "./lib/ensure.mjs";
import { fail, handOver, inRoot } from "./lib/project.mjs";

try {
  await ensureReady();
  handOver([inRoot("bin", "hearth.js"), "server", ...process.argv.slice(2)]);
} catch (error) {
  fail(error);
}
