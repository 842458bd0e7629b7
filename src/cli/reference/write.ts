/** `node dist/src/cli/reference/write.js <directory>`: writes the generated pages. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { referencePages } from "./markdown.ts";

const directory = process.argv[2];
if (directory === undefined) {
  process.stderr.write("usage: write.js <directory>\n");
  process.exitCode = 2;
} else {
  mkdirSync(directory, { recursive: true });
  for (const [file, content] of referencePages()) writeFileSync(join(directory, file), content);
}
