/** `npm run chaos`: one JSON line on stdout, progress on stderr; exit 1 on a violation or when nothing was tested. */

import { type ChaosOptions, parseOptions, USAGE } from "./options.ts";
import { runChaos } from "./run.ts";

function read(): ChaosOptions | null {
  try {
    return parseOptions(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`chaos: ${(error as Error).message}\n${USAGE}\n`);
    process.exit(2);
  }
}

const options = read();
if (options === null) {
  process.stdout.write(`${USAGE}\n`);
} else {
  const verdict = await runChaos(options);
  process.stdout.write(`${JSON.stringify(verdict)}\n`, () => {
    process.exit(verdict.verdict === "pass" ? 0 : 1);
  });
}
