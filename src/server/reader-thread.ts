/** Entry of a reader thread that serves the binary protocol alone: run-reader.ts. */

import { runReader } from "./run-reader.ts";

await runReader();
