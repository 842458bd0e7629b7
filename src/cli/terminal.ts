/** The process's own streams behind the Terminal interface: the only place of the command line that writes. */
import { createInterface } from "node:readline/promises";
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
    out: (text) => void process.stdout.write(`${printable(text)}\n`),
    talk: (text) => void process.stderr.write(`${printable(text)}\n`),
    redraw: (text) =>
      void process.stderr.write(`\r\u001b[K${fitLine(text, process.stderr.columns)}`),
    clear: () => void process.stdout.write("\u001b[H\u001b[2J\u001b[3J"),
    ask,
    isOutTty: process.stdout.isTTY === true,
    isTalkTty,
    hasColor: process.stdout.isTTY === true && !isPlain,
    flush: () => new Promise((resolve) => process.stdout.write("", () => resolve())),
  };
}

/** A line that wraps could not be drawn over: each redraw would leave one behind. */
export function fitLine(text: string, columns: number | undefined): string {
  if (columns === undefined || columns < 2 || text.length < columns) return text;
  return `${text.slice(0, columns - 2)}…`;
}

/**
 * Names and messages come from nodes, and through them from anybody who can reach a peer port: what would move a cursor,
 * ring, or turn text around is shown as what it is.
 */
export function printable(text: string): string {
  return text.replaceAll(UNPRINTABLE, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return `\\u${code.toString(16).padStart(4, "0")}`;
  });
}

/** Control characters but line end and tab, and the marks that turn the direction of text. */
const UNPRINTABLE = /(?![\n\t])[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/** Without a terminal on both sides nobody is asked: a script would hang, or answer what it did not read. */
async function ask(question: string, signal: AbortSignal): Promise<string | null> {
  if (process.stdin.isTTY !== true || process.stderr.isTTY !== true) return null;
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  const closed = new Promise<null>((resolve) => lines.once("close", () => resolve(null)));
  // In raw mode a Ctrl-C reaches readline, not the process.
  lines.on("SIGINT", () => process.kill(process.pid, "SIGINT"));
  try {
    return await Promise.race([lines.question(question, { signal }), closed]);
  } finally {
    lines.close();
  }
}
