/** The durable log as a subject: everything that Raft does to it, in a seeded order. */

import type { LogOptions } from "../../src/log/index.ts";
import { BATCH_KIND } from "../../src/raft/index.ts";
import { LogUnderTest, seededRandom } from "../log/support/log-harness.ts";
import type { MemoryDisk } from "../log/support/memory-disk.ts";
import { difference, EMPTY_STATE, type ModelEntry, type ModelState } from "./log-model.ts";
import type { CrashHistory, CrashSubject } from "./subject.ts";

/** Small, so that a short run crosses many segments. */
export const CRASH_LOG: LogOptions = {
  directory: "/log",
  segmentBytes: 8192,
  groupMaxBytes: 2048,
  reuseMaxBytes: 2 * 8192,
  queueMinBytes: 0,
  spaceRetryMs: 1,
};

export const LOG_SUBJECT: CrashSubject = {
  name: "log",
  kinds: [
    "append",
    "membership",
    "suffixCut",
    "vote",
    "abstain",
    "reset",
    "prefixCut",
    "roll",
    "reuse",
    "reopen",
  ],
  kindOfWrite: ({ position, bytes, inode }) => {
    if (position !== 0 || bytes.every((byte) => byte === 0)) return null;
    return inode.bytes.some((byte) => byte !== 0) ? "reuse" : "roll";
  },
  record: async (disk, { seed, operations }) => {
    const run = new LogRun(disk, seed);
    await run.open();
    for (let step = 1; step <= operations; step++) await run.step(step);
    await run.finish();
    return new LogHistory(run.states);
  },
};

/** How often, out of 1. What is left over are appends. */
const SHARE = {
  vote: 0.1,
  abstain: 0.03,
  suffixCut: 0.1,
  membership: 0.05,
  reset: 0.02,
  prefixCut: 0.05,
  reopen: 0.06,
} as const;

export class LogRun {
  /** By promise number; [0] is the empty log. */
  readonly states: ModelState[] = [EMPTY_STATE];
  readonly #disk: MemoryDisk;
  readonly #random: () => number;
  readonly #options: LogOptions;
  #under: LogUnderTest | null = null;
  #last: Promise<void> = Promise.resolve();
  #promisedNumber = 0;

  constructor(disk: MemoryDisk, seed: number, options: LogOptions = CRASH_LOG) {
    this.#disk = disk;
    this.#random = seededRandom(seed);
    this.#options = options;
  }

  get under(): LogUnderTest {
    if (this.#under === null) throw new Error("The log is opened first");
    return this.#under;
  }

  async open(): Promise<void> {
    this.#disk.queuesWrites = true;
    this.#under = await LogUnderTest.open(this.#disk, this.#options);
  }

  /** Everything is promised then, and the log is not closed. */
  async finish(): Promise<void> {
    await this.#vote(this.#state.hardState.abstains);
    await this.#last;
  }

  async step(step: number): Promise<void> {
    const kind = this.#pick();
    if (kind === "reopen") return this.#reopen();
    if (kind === "prefixCut") return this.#cutPrefix();
    this.#disk.begin(kind);
    const promised = this.#promised(kind, this.#do(kind, step));
    if (this.#random() < 0.5) await promised;
    // After the operation was handed over, as the log asks for.
    if (this.#random() < 0.2) this.#commit();
  }

  get #state(): ModelState {
    return this.states.at(-1) as ModelState;
  }

  #pick(): string {
    let point = this.#random();
    for (const [kind, share] of Object.entries(SHARE)) {
      if (point < share) return kind;
      point -= share;
    }
    return "append";
  }

  #do(kind: string, step: number): Promise<void> {
    if (kind === "vote") return this.#vote(this.#state.hardState.abstains);
    if (kind === "abstain") return this.#vote(!this.#state.hardState.abstains);
    if (kind === "reset") return this.#reset();
    const settings = { count: 1 + this.#below(3), isMembership: kind === "membership", step };
    const kept = kind === "suffixCut" ? this.#cutSuffix() : null;
    return this.#append(settings, kept ?? this.#state.entries);
  }

  #promised(what: string, done: Promise<void>): Promise<void> {
    const number = this.states.length - 1;
    this.#last = done.then(() => {
      this.#disk.promise(number);
      this.#promisedNumber = number;
      this.#disk.end(what);
    });
    return this.#last;
  }

  #vote(abstains: boolean): Promise<void> {
    const { term } = this.#state.hardState;
    const next = { term: term + this.#below(2), vote: `node-${this.states.length}`, abstains };
    this.states.push({ ...this.#state, hardState: next });
    return this.under.durable(this.under.log.setHardState(next));
  }

  #append(
    settings: { count: number; isMembership: boolean; step: number },
    kept: readonly ModelEntry[],
  ): Promise<void> {
    const { step, isMembership } = settings;
    const { log } = this.under;
    const count = isMembership ? 1 : settings.count;
    const first = log.lastIndex + 1;
    const term = Math.max(1, this.#state.hardState.term, log.lastTerm);
    const tag = step % 1000;
    const added: ModelEntry[] = Array.from({ length: count }, (_, i) => ({
      value: (first + i) * 1000 + tag,
      term,
      isMembership,
    }));
    this.states.push({ ...this.#state, entries: [...kept, ...added] });
    const kind = isMembership ? BATCH_KIND.membership : BATCH_KIND.entries;
    const payloadBytes = 8 + this.#below(600);
    return this.under.append(count, { term, tag, payloadBytes, appendedAtMs: step, kind });
  }

  /** Returns what is left: only with the append that follows is a cut durable. Null: nothing may be cut. */
  #cutSuffix(): readonly ModelEntry[] | null {
    const { log } = this.under;
    const lowest = Math.max(log.commitIndex + 1, log.firstIndex);
    if (lowest > log.lastIndex) return null;
    const fromIndex = Math.max(lowest, log.lastIndex - this.#below(20));
    const { base, entries } = this.#state;
    const kept = entries.slice(0, fromIndex - base.index - 1);
    log.truncateSuffix({ fromIndex, previousTerm: kept.at(-1)?.term ?? base.term });
    return kept;
  }

  #reset(): Promise<void> {
    const { log } = this.under;
    const index =
      this.#random() < 0.5
        ? log.lastIndex + 1 + this.#below(50)
        : log.commitIndex + this.#below(log.lastIndex - log.commitIndex + 1);
    const term = Math.max(1, this.#state.hardState.term);
    const { hardState } = this.#state;
    this.states.push({
      hardState,
      base: { index, term },
      entries: [],
      droppedThrough: index,
      commitIndex: Math.max(index, this.#state.commitIndex),
    });
    return this.under.resetTo(index, term);
  }

  #commit(): void {
    const { log } = this.under;
    if (log.durableIndex <= log.commitIndex) return;
    log.commitIndex += this.#below(log.durableIndex - log.commitIndex + 1);
    this.#note({ commitIndex: log.commitIndex });
  }

  #cutPrefix(): void {
    const { log } = this.under;
    const throughIndex = Math.min(log.commitIndex, log.durableIndex);
    if (throughIndex < log.firstIndex) return;
    this.#disk.begin("prefixCut");
    this.#note({ droppedThrough: throughIndex });
    log.truncatePrefix(throughIndex);
    let turns = 30;
    const wait = (): void => {
      turns -= 1;
      if (turns > 0) setImmediate(wait);
      else this.#disk.end("prefixCut");
    };
    wait();
  }

  /** Not an operation of its own: it may be found with every state that a crash may leave from now on. */
  #note(change: Partial<ModelState>): void {
    for (let i = this.#promisedNumber; i < this.states.length; i++)
      this.states[i] = { ...(this.states[i] as ModelState), ...change };
  }

  async #reopen(): Promise<void> {
    await this.#last;
    this.#disk.begin("reopen");
    await this.under.log.close();
    await this.open();
    this.#disk.end("reopen");
  }

  #below(bound: number): number {
    return Math.floor(this.#random() * bound);
  }
}

class LogHistory implements CrashHistory {
  readonly #states: readonly ModelState[];

  constructor(states: readonly ModelState[]) {
    this.#states = states;
  }

  async check(disk: MemoryDisk, promised: number): Promise<string | null> {
    let under = await LogUnderTest.open(disk, CRASH_LOG);
    const entries = await under.entries();
    const problem = this.#problem(under, entries, promised);
    if (problem !== null) return problem;
    const { lastIndex, firstIndex, hardState } = under.log;
    const term = hardState.term + 1;
    await under.append(2, { term, tag: 999, payloadBytes: 300 });
    await under.setHardState(term, "after");
    await under.log.close();
    if (disk.openFiles !== 0) return `${disk.openFiles} files are left open`;
    under = await LogUnderTest.open(disk, CRASH_LOG);
    const again = await under.entries();
    const isWhole =
      under.log.lastIndex === lastIndex + 2 &&
      under.log.hardState.vote === "after" &&
      under.log.firstIndex === firstIndex &&
      entries.every(({ value }, i) => value === again[i]?.value);
    await under.log.close();
    return isWhole ? null : `the second start found ${JSON.stringify(again.map((e) => e.value))}`;
  }

  /** The states that may be found: the promised one, and what was on its way behind it. */
  #problem(
    under: LogUnderTest,
    entries: Awaited<ReturnType<LogUnderTest["entries"]>>,
    promised: number,
  ): string | null {
    let first: string | null = null;
    for (let number = promised; number < this.#states.length; number++) {
      const problem = difference(this.#states[number] as ModelState, under.log, entries);
      if (problem === null) return null;
      first ??= `promise ${number}: ${problem}`;
      // More than this is never under way at once.
      if (number > promised + 200) break;
    }
    return first ?? "nothing was promised";
  }
}
