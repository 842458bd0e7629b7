/** `npm run chaos`: one JSON line on stdout, progress on stderr; exit 1 on a violation or when nothing was tested. */

import { readCommandLine } from "../support/command-line.ts";
import { parseOptions, USAGE } from "./options.ts";
import { runChaos } from "./run.ts";

const verdict = await runChaos(readCommandLine(USAGE, parseOptions));
process.stdout.write(`${JSON.stringify(verdict)}\n`, () => {
  process.exit(verdict.verdict === "pass" ? 0 : 1);
});
