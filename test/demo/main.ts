/** `npm run demo:compaction`: one JSON line on stdout, progress on stderr; exit 1 when something was lost or done twice. */

import { readCommandLine } from "../support/command-line.ts";
import { runDemo } from "./demo.ts";
import { parseOptions, USAGE } from "./options.ts";

const verdict = await runDemo(readCommandLine(USAGE, parseOptions));
process.stdout.write(`${JSON.stringify(verdict)}\n`, () => {
  process.exit(verdict.verdict === "pass" ? 0 : 1);
});
