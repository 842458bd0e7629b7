/** What floods do to the nodes: how much memory they take, and whether the leader stays the leader. */

import { readFileSync } from "node:fs";
import { anonymousBytes } from "./memory.ts";
import type { FaultContext } from "./types.ts";

const SAMPLE_MS = 100;
const BYTES_PER_MIB = 1024 * 1024;
/**
 * Above what the process had before the first flood: 64 for answers that a connection does not take, 32 for writes that are not
 * committed and 32 for the newest entries, the young generations of three heaps, what waits on its way, and what the allocator
 * has not given back. Measured over four rounds on two cores: 217 to 263; src/server/DESIGN.md says of what. The goal is 200.
 */
const GROWTH_MAX_MIB = 300;
/**
 * A leader whose deciding thread stood in line for a processor for more of its time than it ran was not busy but held up: on
 * a machine with less processors than nodes have threads, that it gives way says nothing about it.
 */
const HELD_UP_SHARE = 0.5;

interface Times {
  readonly runNs: number;
  readonly waitNs: number;
}

export class OverloadWatch {
  readonly #context: FaultContext;
  /** By server id. */
  readonly #memoryBefore = new Map<string, number>();
  readonly #memoryMost = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  #before: Awaited<ReturnType<FaultContext["cluster"]["leaderAndTerm"]>> = null;
  #timesBefore: Times | null = null;

  constructor(context: FaultContext) {
    this.#context = context;
    this.#eachNode((serverId, bytes) => this.#memoryBefore.set(serverId, bytes));
  }

  async begin(): Promise<void> {
    this.#memoryMost.clear();
    this.#before = await this.#context.cluster.leaderAndTerm();
    this.#timesBefore = timesOf(this.#before?.node.pid ?? null);
    this.#timer = setInterval(() => this.#sample(), SAMPLE_MS);
  }

  async end(): Promise<void> {
    clearInterval(this.#timer);
    this.#sample();
    this.#judgeMemory();
    await this.#judgeLeader();
  }

  #sample(): void {
    this.#eachNode((serverId, bytes) => {
      this.#memoryMost.set(serverId, Math.max(bytes, this.#memoryMost.get(serverId) ?? 0));
    });
  }

  #eachNode(visit: (serverId: string, bytes: number) => void): void {
    for (const { serverId, pid } of this.#context.cluster.nodes) {
      if (pid !== null) visit(serverId, anonymousBytes(pid));
    }
  }

  #judgeMemory(): void {
    const { noteMost, noteViolation } = this.#context;
    for (const [serverId, most] of this.#memoryMost) {
      const grownMiB = Math.round((most - (this.#memoryBefore.get(serverId) ?? 0)) / BYTES_PER_MIB);
      noteMost("memoryGrowthMiB", grownMiB);
      if (grownMiB <= GROWTH_MAX_MIB) continue;
      const text = `${serverId} has grown by ${grownMiB} MiB, ${GROWTH_MAX_MIB} are allowed`;
      noteViolation({ check: "memory", text });
    }
  }

  async #judgeLeader(): Promise<void> {
    const { cluster, count, noteMost, noteViolation, say } = this.#context;
    const share = heldUpShare(this.#timesBefore, timesOf(this.#before?.node.pid ?? null));
    noteMost("leaderHeldUpPercent", Math.round(share * 100));
    await cluster.waitForLeader();
    const [before, after] = [this.#before, await cluster.leaderAndTerm()];
    if (before === null || after === null || before.term === after.term) return;
    count("leaderChanges", after.term - before.term);
    const text = `${before.node.serverId} lost the leadership under load, held up ${Math.round(share * 100)} % of its time`;
    if (share < HELD_UP_SHARE) noteViolation({ check: "leader", text });
    else say(text);
  }
}

/** Of the main thread. Linux only; null elsewhere, and for a process that has ended. */
function timesOf(pid: number | null): Times | null {
  if (pid === null) return null;
  try {
    const [runNs, waitNs] = readFileSync(`/proc/${pid}/schedstat`, "latin1").split(" ").map(Number);
    return { runNs: runNs as number, waitNs: waitNs as number };
  } catch {
    return null;
  }
}

/** Of the time in which it wanted to run; 0: not known. */
function heldUpShare(before: Times | null, after: Times | null): number {
  if (before === null || after === null) return 0;
  const waitNs = after.waitNs - before.waitNs;
  return waitNs / Math.max(1, waitNs + after.runNs - before.runNs);
}
