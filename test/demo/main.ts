/** `npm run demo:compaction`: one JSON line on stdout, progress on stderr; exit 1 when something was lost or done twice. */

import { runDemo } from "./demo.ts";
import { type DemoOptions, parseOptions, USAGE } from "./options.ts";

function read(): DemoOptions | null {
  try {
    return parseOptions(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`demo: ${(error as Error).message}\n${USAGE}\n`);
    process.exit(2);
  }
}

const options = read();
if (options === null) {
  process.stdout.write(`${USAGE}\n`);
} else {
  const verdict = await runDemo(options);
  process.stdout.write(`${JSON.stringify(verdict)}\n`, () => {
    process.exit(verdict.verdict === "pass" ? 0 : 1);
  });
}
