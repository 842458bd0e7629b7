/**
 * Progress of long work, on stderr: a bar where a person watches, else a line per tenth or ten seconds, or JSON lines
 * for a program. `CI` means text. The rate is an average over the last seconds, so that a stall shows.
 */
import { formatCount, formatDuration } from "../base/index.ts";
import type { CommandContext, ProgressMode } from "./command.ts";

const BAR_WIDTH = 20;
/** A person sees no more than ten changes per second; a terminal does not like more either. */
const REDRAW_INTERVAL_MS = 100;
const LINE_INTERVAL_MS = 10_000;
/** Work that is done by then needs no lines about its progress. */
const QUIET_START_MS = 2_000;
/** Long enough to be calm, short enough to show a stall. */
const RATE_WINDOW_MS = 3_000;

interface Sample {
  readonly atMs: number;
  readonly done: number;
}

export interface ProgressOptions {
  /** What is being done, in a few words: "adding blocks". */
  readonly title: string;
  /** Word for one unit: "blocks". */
  readonly unit: string;
  readonly total: number;
  /** Monotonic, ms. */
  readonly clock?: () => number;
}

export class Progress {
  readonly #options: ProgressOptions;
  readonly #mode: Exclude<ProgressMode, "auto">;
  readonly #context: Pick<CommandContext, "terminal">;
  readonly #clock: () => number;
  readonly #startedAtMs: number;
  readonly #samples: Sample[] = [];
  #done = 0;
  #shownAtMs = Number.NEGATIVE_INFINITY;
  #shownTenth = 0;

  constructor(
    options: ProgressOptions,
    context: Pick<CommandContext, "terminal" | "globals" | "environment">,
  ) {
    this.#options = options;
    this.#context = context;
    this.#mode = chooseMode(context);
    this.#clock = options.clock ?? (() => performance.now());
    this.#startedAtMs = this.#clock();
    this.#samples.push({ atMs: this.#startedAtMs, done: 0 });
  }

  /** Reports how much is done in all; cheap enough to be called for every unit. */
  update(done: number): void {
    this.#done = done;
    const nowMs = this.#clock();
    if (!this.#isDue(nowMs)) return;
    this.#shownAtMs = nowMs;
    this.#shownTenth = this.#tenth();
    this.#samples.push({ atMs: nowMs, done });
    // One sample before the window stays: a rate needs two, however far apart they are.
    while ((this.#samples[1]?.atMs ?? nowMs) < nowMs - RATE_WINDOW_MS) this.#samples.shift();
    this.#show(nowMs);
  }

  /** A line of its own, where work shows itself at all; for a program an object with a note instead of progress. */
  say(text: string): void {
    const { terminal } = this.#context;
    if (this.#mode === "none") return;
    if (this.#mode === "bar") terminal.redraw("");
    terminal.talk(this.#mode === "json" ? JSON.stringify({ note: text }) : text);
  }

  /** Leaves the terminal clean; the command says the result in its own words. */
  end(): void {
    if (this.#mode === "bar") this.#context.terminal.redraw("");
    if (this.#mode === "json") this.#show(this.#clock());
  }

  #isDue(nowMs: number): boolean {
    const sinceMs = nowMs - this.#shownAtMs;
    switch (this.#mode) {
      case "none":
        return false;
      case "bar":
        return sinceMs >= REDRAW_INTERVAL_MS;
      case "json":
        return sinceMs >= 1_000;
      case "text":
        if (nowMs - this.#startedAtMs < QUIET_START_MS) return false;
        return this.#tenth() > this.#shownTenth || sinceMs >= LINE_INTERVAL_MS;
    }
  }

  #tenth(): number {
    const { total } = this.#options;
    return total === 0 ? 10 : Math.floor((this.#done * 10) / total);
  }

  #show(nowMs: number): void {
    const { terminal } = this.#context;
    const { title, unit, total } = this.#options;
    const perSec = this.#rate(nowMs);
    const leftMs = perSec > 0 ? ((total - this.#done) / perSec) * 1_000 : null;
    if (this.#mode === "json") {
      const fields = {
        title,
        unit,
        done: this.#done,
        total,
        perSec: Math.round(perSec),
        leftMs: leftMs === null ? null : Math.round(leftMs),
      };
      terminal.talk(JSON.stringify({ progress: fields }));
      return;
    }
    const percent = total === 0 ? 100 : Math.floor((this.#done * 100) / total);
    const left =
      leftMs === null || leftMs <= 0
        ? ""
        : `  ${formatDuration(Math.round(leftMs / 100) * 100)} left`;
    const amounts = `${percent} %  ${formatCount(this.#done)} of ${formatCount(total)} ${unit}  ${formatCount(perSec)}/s${left}`;
    if (this.#mode === "text") terminal.talk(`${title}  ${amounts}`);
    else terminal.redraw(`${title}  ${bar(this.#done, total)}  ${amounts}`);
  }

  #rate(nowMs: number): number {
    const first = this.#samples[0] as Sample;
    const spanMs = nowMs - first.atMs;
    return spanMs <= 0 ? 0 : ((this.#done - first.done) / spanMs) * 1_000;
  }
}

function chooseMode({
  globals,
  terminal,
  environment,
}: Pick<CommandContext, "terminal" | "globals" | "environment">): Exclude<ProgressMode, "auto"> {
  if (globals.progress !== "auto") return globals.progress;
  if (globals.isQuiet) return "none";
  const isWatched = terminal.isTalkTty && (environment.CI ?? "") === "";
  if (isWatched) return "bar";
  return globals.isJson ? "none" : "text";
}

function bar(done: number, total: number): string {
  const filled = total === 0 ? BAR_WIDTH : Math.round((done / total) * BAR_WIDTH);
  return "█".repeat(filled) + "░".repeat(BAR_WIDTH - filled);
}
