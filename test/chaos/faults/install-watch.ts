/** What is seen of a cluster while a new member takes over a large state: do writes go on, and how much memory it takes. */

import type { TestNode } from "../../support/cluster/index.ts";
import { anonymousBytes } from "./memory.ts";
import type { FaultContext } from "./types.ts";

const SAMPLE_MS = 200;
const BYTES_PER_MIB = 1024 * 1024;

export interface InstallReport {
  readonly acks: number;
  /** Longest time between two acknowledged writes, the beginning and the end included. */
  readonly longestPauseMs: number;
  /** Largest memory of one process, without the pages of mapped files: those are the system's to take back. 0: not known. */
  readonly memoryMiB: number;
}

export class InstallWatch {
  readonly #nodes: readonly TestNode[];
  readonly #forget: () => void;
  readonly #timer: NodeJS.Timeout;
  #lastAckAtMs = performance.now();
  #acks = 0;
  #longestPauseMs = 0;
  #memoryBytes = 0;

  constructor({ load, cluster }: FaultContext) {
    this.#nodes = [...cluster.nodes];
    this.#forget = load.onAck(() => {
      this.#acks += 1;
      this.#endPause();
    });
    this.#timer = setInterval(() => this.#sample(), SAMPLE_MS);
  }

  end(): InstallReport {
    clearInterval(this.#timer);
    this.#forget();
    this.#endPause();
    return {
      acks: this.#acks,
      longestPauseMs: this.#longestPauseMs,
      memoryMiB: Math.round(this.#memoryBytes / BYTES_PER_MIB),
    };
  }

  #endPause(): void {
    const nowMs = performance.now();
    this.#longestPauseMs = Math.max(this.#longestPauseMs, nowMs - this.#lastAckAtMs);
    this.#lastAckAtMs = nowMs;
  }

  #sample(): void {
    for (const { pid } of this.#nodes) {
      if (pid !== null) this.#memoryBytes = Math.max(this.#memoryBytes, anonymousBytes(pid));
    }
  }
}
