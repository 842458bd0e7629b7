#!/usr/bin/env node
// Starts the built program. Kept free of anything to build, so that it can say what is missing.
import { existsSync } from "node:fs";

const entry = new URL("../dist/app/main.js", import.meta.url);
if (existsSync(entry)) {
  const { main } = await import(entry.href);
  await main();
} else {
  process.stderr.write(
    "hearth: this checkout is not built yet\n  next   npm install && npm run build\n",
  );
  process.exitCode = 1;
}
