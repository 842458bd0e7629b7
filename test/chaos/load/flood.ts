/**
 * More than a cluster can do: requests at a fixed rate, whatever comes back, over many connections. Runs in a process of
 * its own (flood-process.ts), so that what it costs is not what the checked clients measure.
 */

import { fork } from "node:child_process";
import { join } from "node:path";

/** Requests of one kind to one node. */
export interface FloodStream {
  readonly port: number;
  /** Blocks of so many datasets to add, or strong reads. */
  readonly kind: { readonly datasets: number } | "reads";
  readonly connections: number;
  readonly perSec: number;
}

export interface FloodPlan {
  readonly streams: readonly FloodStream[];
  readonly durationMs: number;
  /** Time that the server is given for each request. */
  readonly timeoutMs: number;
  /** Of the first block; the others follow. */
  readonly firstSerial: number;
}

/** What came of one request, as a number, since there are hundreds of thousands. */
export const FATE = { open: 0, acked: 1, refused: 2, unknown: 3, answered: 4 } as const;

export interface FloodReport {
  /** Of the blocks, from the first serial number on. */
  readonly fates: Uint8Array;
  readonly sent: number;
  readonly acked: number;
  readonly answeredReads: number;
  /** Failures by code and reason. */
  readonly failures: ReadonlyMap<string, number>;
  /** Requests that stayed without any answer. */
  readonly unanswered: number;
  /** Why connections ended that should not have. */
  readonly closed: readonly string[];
  /** Requests that were not sent because the server took no more bytes at that moment. */
  readonly heldBack: number;
  /** 99th percentiles of the time to the answer, ms. */
  readonly ackedP99Ms: number;
  readonly failedP99Ms: number;
}

/** What the process of the flood says: nothing more is sent, and, when all is answered, what came of it. */
export type FloodMessage = "sent" | FloodReport;

/** `onSent` is called when nothing more is sent. Errors: rejects when the process of the flood ends without a report. */
export function flood(plan: FloodPlan, onSent: () => void): Promise<FloodReport> {
  const child = fork(join(import.meta.dirname, "flood-process.js"), {
    serialization: "advanced",
    execArgv: [],
  });
  const end = (): boolean => child.kill("SIGKILL");
  process.once("exit", end);
  return new Promise<FloodReport>((resolve, reject) => {
    child.on("message", (message) => {
      const said = message as FloodMessage;
      if (said === "sent") onSent();
      else resolve(said);
    });
    child.once("exit", (code) => reject(new Error(`The flood ended with ${code}`)));
    child.send(plan);
  }).finally(() => {
    process.off("exit", end);
    child.kill();
  });
}
