import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Terminal } from "../../src/cli/command.ts";
import { runCommandLine } from "../../src/cli/main.ts";
import { assertMatchesItsSchemas } from "../support/json-schema.ts";

/** What a command said. */
export interface Said {
  readonly code: number;
  readonly out: string;
  readonly talk: string;
}

export interface RunOptions {
  readonly environment?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  /** Default: always NOW_MS. */
  readonly nowMs?: () => number;
}

/** An instant on which relative times rest. */
export const NOW_MS = Date.parse("2026-11-22T10:24:55Z");

/** Runs a command line in this process, without a terminal. JSON that has a schema is held against it. */
export async function hearth(argv: readonly string[], options: RunOptions = {}): Promise<Said> {
  const { terminal, said } = recordingTerminal();
  const code = await runCommandLine({
    argv,
    environment: options.environment ?? {},
    terminal,
    signal: options.signal ?? new AbortController().signal,
    nowMs: options.nowMs ?? (() => NOW_MS),
  });
  const { out, talk } = said();
  if (argv.includes("--json")) assertMatchesItsSchemas(out);
  return { code, out, talk };
}

/** Runs a command line against a real node, which a busy machine lets wait. */
export function hearthAt(endpoint: string, ...argv: readonly string[]): Promise<Said> {
  return hearth([...argv, "--endpoint", endpoint], { environment: { HEARTH_TIMEOUT: "2m" } });
}

export function recordingTerminal(isTalkTty = false): {
  terminal: Terminal;
  said: () => { out: string; talk: string; redrawn: string[] };
} {
  const out: string[] = [];
  const talk: string[] = [];
  const redrawn: string[] = [];
  const terminal: Terminal = {
    out: (text) => out.push(text),
    talk: (text) => talk.push(text),
    redraw: (text) => redrawn.push(text),
    clear: () => {},
    ask: async () => null,
    isOutTty: false,
    isTalkTty,
    hasColor: false,
    flush: async () => {},
  };
  return { terminal, said: () => ({ out: out.join("\n"), talk: talk.join("\n"), redrawn }) };
}

export interface Received {
  readonly method: string;
  readonly url: string;
  readonly body: string;
}

export interface FakeNode {
  readonly endpoint: string;
  readonly received: readonly Received[];
  close(): Promise<void>;
}

/** An HTTP server that answers as told, with null never, and remembers what it was asked. */
export async function fakeNode(
  answer: (request: Received) => { readonly status?: number; readonly body: unknown } | null,
): Promise<FakeNode> {
  const received: Received[] = [];
  const server: Server = createServer((incoming, outgoing) => {
    const parts: Buffer[] = [];
    incoming.on("data", (part: Buffer) => parts.push(part));
    incoming.on("end", () => {
      const request = {
        method: incoming.method ?? "",
        url: incoming.url ?? "",
        body: Buffer.concat(parts).toString(),
      };
      received.push(request);
      const said = answer(request);
      if (said === null) return;
      const { status, body } = said;
      outgoing.writeHead(status ?? 200).end(typeof body === "string" ? body : JSON.stringify(body));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

/** Runs a body with a fake node and closes it whatever happens. */
export async function withNode<T>(
  answer: Parameters<typeof fakeNode>[0],
  body: (node: FakeNode) => Promise<T>,
): Promise<T> {
  const node = await fakeNode(answer);
  try {
    return await body(node);
  } finally {
    await node.close();
  }
}
