/**
 * `hearth server` over a disk that breaks on a signal: SIGUSR2 stalls it and lets it go on, SIGHUP makes every further
 * write fail, SIGWINCH fills it and makes room again. Everything else is the program's own.
 */

import { run } from "../../../src/cli/commands/run/server.ts";
import { processTerminal } from "../../../src/cli/terminal.ts";
import { WriterFiles } from "../../../src/files/index.ts";
import { FaultyDisk } from "./faulty-disk.ts";

const disk = new FaultyDisk(new WriterFiles());
process.on("SIGUSR2", () => disk.stall(!disk.isStalled));
process.on("SIGHUP", () => disk.fail());
process.on("SIGWINCH", () => disk.fill(!disk.isFull));
const [, , command = "", ...serverArguments] = process.argv;
if (command !== "server") throw new Error(`Expected "server", not "${command}"`);
const code = await run(
  {
    environment: process.env,
    serverArguments,
    terminal: processTerminal(true),
    nowMs: () => Date.now(),
  },
  disk,
);
process.exit(code);
