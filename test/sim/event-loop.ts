/**
 * Virtual time: one thread, one heap keyed (time, sequence). Everything that happens in a simulated cluster is an event
 * of this heap, so one seed decides the order of everything.
 *
 * Times are whole microseconds: no rounding can differ between machines. The trace is a rolling hash over
 * (time, kind, place, detail) of every event that ran; two runs of one seed must agree on it.
 */

import type { Clock, Scheduler } from "../../src/base/index.ts";
import { HearthSimError } from "./failure.ts";

/** What an event is: part of the trace and of the printed history. */
export const EVENT = {
  deliver: 1,
  tick: 2,
  disk: 3,
  timer: 4,
  turn: 5,
  client: 6,
  fault: 7,
  worker: 8,
  unreachable: 9,
  control: 10,
} as const;
export type EventKind = (typeof EVENT)[keyof typeof EVENT];

export const EVENT_NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(EVENT).map(([name, kind]) => [kind, name]),
);

interface SimEvent {
  readonly atUs: number;
  readonly sequence: number;
  readonly kind: EventKind;
  /** Number of the machine it happens on; -1: nowhere. */
  readonly place: number;
  readonly life: Life | null;
  /** Null: cancelled. */
  run: (() => void) | null;
}

/** One incarnation of a process: its events die with it and wait while it is stopped. */
export class Life {
  isAlive = true;
  isPaused = false;
  readonly waiting: SimEvent[] = [];
}

/** The last events, for the report of a failure. */
const RECENT_EVENTS = 64;

export class EventLoop {
  nowUs = 0;
  events = 0;
  traceHash = 0x811c9dc5 | 0;
  /** Something was resolved that promises may wait for: the runner lets them go on before the next event. */
  hasResolved = false;
  /** Machine that the event under way happens on; -1: nowhere. Invariants look at it. */
  place = -1;
  readonly #heap: SimEvent[] = [];
  #sequence = 0;
  readonly #recent = new Array<string>(RECENT_EVENTS).fill("");

  get nowMs(): number {
    return this.nowUs / 1000;
  }

  /** Runs `run` at `atUs` (never in the past) as an event of `life`; returns its cancellation. */
  at(atUs: number, where: EventPlace, run: () => void): () => void {
    const time = Math.max(this.nowUs, Math.ceil(atUs));
    if (!Number.isSafeInteger(time)) throw new HearthSimError(`Event at ${atUs} us`);
    const event: SimEvent = {
      atUs: time,
      sequence: ++this.#sequence,
      kind: where.kind,
      place: where.place,
      life: where.life,
      run,
    };
    this.#push(event);
    return () => {
      event.run = null;
    };
  }

  /** Adds to what the trace knows of the event under way. */
  note(value: number): void {
    this.traceHash = mix(this.traceHash, value);
  }

  /** Runs the next event. False when there is none. */
  step(): boolean {
    for (;;) {
      const event = this.#pop();
      if (event === null) return false;
      const { life, run } = event;
      if (run === null || (life !== null && !life.isAlive)) continue;
      this.nowUs = event.atUs;
      if (life?.isPaused === true) {
        life.waiting.push(event);
        continue;
      }
      this.events += 1;
      this.place = event.place;
      this.#trace(event);
      run();
      this.#remember(event);
      return true;
    }
  }

  /** What a stopped process missed happens now, in order. */
  resume(life: Life): void {
    life.isPaused = false;
    for (const event of life.waiting.splice(0)) {
      if (event.run === null) continue;
      this.at(this.nowUs, event, event.run);
    }
  }

  recentEvents(): string[] {
    const start = this.events % RECENT_EVENTS;
    return [...this.#recent.slice(start), ...this.#recent.slice(0, start)].filter(
      (line) => line !== "",
    );
  }

  #trace(event: SimEvent): void {
    let hash = mix(this.traceHash, event.atUs % 0x1_0000_0000);
    hash = mix(hash, event.kind * 64 + event.place + 1);
    this.traceHash = mix(hash, event.sequence % 0x1_0000_0000);
  }

  #remember(event: SimEvent): void {
    const name = EVENT_NAMES.get(event.kind) ?? "?";
    this.#recent[(this.events - 1) % RECENT_EVENTS] = `${event.atUs} us n${event.place} ${name}`;
  }

  #push(event: SimEvent): void {
    const heap = this.#heap;
    let i = heap.length;
    heap.push(event);
    while (i > 0) {
      const parent = (i - 1) >> 1;
      const above = heap[parent] as SimEvent;
      if (isBefore(above, event)) break;
      heap[i] = above;
      i = parent;
    }
    heap[i] = event;
  }

  #pop(): SimEvent | null {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined) return null;
    if (heap.length === 0) return first;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      const right = heap[child + 1];
      if (right !== undefined && isBefore(right, heap[child] as SimEvent)) child += 1;
      const smaller = heap[child] as SimEvent;
      if (isBefore(last, smaller)) break;
      heap[i] = smaller;
      i = child;
    }
    heap[i] = last;
    return first;
  }
}

export interface EventPlace {
  readonly kind: EventKind;
  readonly place: number;
  readonly life: Life | null;
}

function isBefore(a: SimEvent, b: SimEvent): boolean {
  return a.atUs < b.atUs || (a.atUs === b.atUs && a.sequence < b.sequence);
}

export function mix(hash: number, value: number): number {
  let h = Math.imul(hash ^ (value | 0), 0x85ebca6b);
  h = (h << 13) | (h >>> 19);
  return (Math.imul(h, 5) + 0x52dce729) | 0;
}

/** The clocks of one machine: monotonic time runs at its own rate, wall time also jumps. */
export class MachineClock implements Clock {
  readonly #loop: EventLoop;
  /** Own ms per true ms. */
  #rate = 1;
  #sinceUs = 0;
  #monotonicMs = 0;
  #wallOffsetMs: number;

  constructor(loop: EventLoop, startAtMs: number) {
    this.#loop = loop;
    this.#wallOffsetMs = startAtMs;
  }

  get rate(): number {
    return this.#rate;
  }

  setRate(rate: number): void {
    this.#monotonicMs = this.monotonicMs();
    this.#sinceUs = this.#loop.nowUs;
    this.#rate = rate;
  }

  jump(byMs: number): void {
    this.#wallOffsetMs += byMs;
  }

  monotonicMs(): number {
    return this.#monotonicMs + ((this.#loop.nowUs - this.#sinceUs) / 1000) * this.#rate;
  }

  nowMs(): number {
    return Math.floor(this.#wallOffsetMs + this.monotonicMs());
  }
}

/**
 * Whether a promise waits for this very turn (`nextTurn` hands over what resolves it, a function of one argument; all
 * other tasks take none). Giving promises their turn after every task would halve the speed.
 */
function isPromiseResolver(task: () => void): boolean {
  return task.length > 0;
}

/** Turns and timers of one incarnation. */
export class MachineScheduler implements Scheduler {
  readonly #loop: EventLoop;
  readonly #clock: MachineClock;
  readonly #turn: EventPlace;
  readonly #timer: EventPlace;

  constructor(loop: EventLoop, clock: MachineClock, where: { place: number; life: Life }) {
    this.#loop = loop;
    this.#clock = clock;
    this.#turn = { ...where, kind: EVENT.turn };
    this.#timer = { ...where, kind: EVENT.timer };
  }

  monotonicMs(): number {
    return this.#clock.monotonicMs();
  }

  defer(task: () => void): void {
    this.#loop.at(this.#loop.nowUs, this.#turn, () => {
      this.#loop.hasResolved ||= isPromiseResolver(task);
      task();
    });
  }

  after(delayMs: number, task: () => void): () => void {
    const delayUs = (Math.max(0, delayMs) * 1000) / this.#clock.rate;
    return this.#loop.at(this.#loop.nowUs + delayUs, this.#timer, () => {
      this.#loop.hasResolved ||= isPromiseResolver(task);
      task();
    });
  }
}
