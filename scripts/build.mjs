/** `npm run build`: compiles src, test, bench and examples into dist/, whether or not it looks current. */

import { build, ensureInstalled } from "./lib/ensure.mjs";
import { fail } from "./lib/project.mjs";

try {
  await ensureInstalled();
  await build();
} catch (error) {
  fail(error);
}
