/** The process's own streams behind the Terminal interface: the only place of the command line that writes. */
import type { Terminal } from "./command.ts";

export function processTerminal(isColorForbidden: boolean): Terminal {
  const isTalkTty = process.stderr.isTTY === true;
  const isPlain =
    isColorForbidden || (process.env.NO_COLOR ?? "") !== "" || process.env.TERM === "dumb";
  // A reader that closes early (`| head`) is not a failure of ours.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(0);
    throw error;
  });
  return {
    out: (text) => void process.stdout.write(`${text}\n`),
    talk: (text) => void process.stderr.write(`${text}\n`),
    redraw: (text) => void process.stderr.write(`\r\u001b[K${text}`),
    isTalkTty,
    hasColor: process.stdout.isTTY === true && !isPlain,
    flush: () => new Promise((resolve) => process.stdout.write("", () => resolve())),
  };
}
