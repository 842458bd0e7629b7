/** Questions about compaction as they arrive, JSON from anybody: every field is checked, and none is passed over. */

import { HearthError } from "../base/index.ts";
import {
  CONTROL_ACTION,
  type ControlAction,
  type ControlWish,
  JOB_VIEW_STATUSES,
  type JobFilter,
  type JobViewStatus,
  LIMITS,
  type PauseWish,
  type PolicyWish,
  type QueueFilter,
} from "../protocol/index.ts";

/** Rows of one answer: a few hundred kilobytes of JSON. */
const ROWS_MAX = 1_000;
const ROWS_DEFAULT = 100;
/** Jobs that a preview makes at most: their source ids are part of the answer. */
const CAPACITY_MAX = 256;
const CAPACITY_DEFAULT = 32;
/** Jobs that one change names. */
const NAMES_MAX = 1_000;
const LEVEL_MAX = 63;

type Question = Readonly<Record<string, unknown>>;

export class QuestionReader {
  readonly #question: Question;

  /** Errors: `invalid_argument` for text that is no JSON object. */
  constructor(json: string) {
    this.#question = parse(json);
  }

  jobFilter(): JobFilter {
    this.#known(["level", "tenant", "status", "limit", "after"]);
    return {
      level: this.#level(),
      tenant: this.#tenant(),
      status: this.#status(),
      limit: this.#whole("limit", ROWS_DEFAULT, 1, ROWS_MAX),
      after: this.#text("after", "", LIMITS.jobNameMaxBytes),
    };
  }

  queueFilter(): QueueFilter {
    this.#known(["level", "tenant", "byTenant", "limit"]);
    return {
      level: this.#level(),
      tenant: this.#tenant(),
      byTenant: this.#boolean("byTenant"),
      limit: this.#whole("limit", ROWS_DEFAULT, 1, ROWS_MAX),
    };
  }

  jobName(): string {
    this.#known(["name"]);
    const name = this.#text("name", "", LIMITS.jobNameMaxBytes);
    if (name === "") throw refuse('"name" is missing');
    return name;
  }

  capacity(): number {
    this.#known(["capacity"]);
    return this.#whole("capacity", CAPACITY_DEFAULT, 1, CAPACITY_MAX);
  }

  nothing(): void {
    this.#known([]);
  }

  controlWish(): ControlWish {
    this.#known(["action", "names", "reason", "dryRun"]);
    const action = this.#question.action;
    if (typeof action !== "string" || !Object.hasOwn(CONTROL_ACTION, action)) {
      throw refuse(`"action" must be one of ${Object.keys(CONTROL_ACTION).join(", ")}`);
    }
    const names = textsOf(this.#question, "names", NAMES_MAX, LIMITS.jobNameMaxBytes);
    if (names.length === 0) throw refuse('"names" is empty: name the jobs');
    const reason = this.#text("reason", "", LIMITS.jobReasonMaxBytes);
    if (/\p{Cc}/u.test(reason)) throw refuse('"reason" must not hold control characters');
    return {
      action: action as ControlAction,
      names: [...new Set(names)],
      reason,
      dryRun: this.#boolean("dryRun"),
    };
  }

  policyWish(): PolicyWish {
    this.#known(["set", "pause", "resume", "dryRun"]);
    return {
      set: objectOf(this.#question.set ?? {}, "set"),
      pause: pauseOf(this.#question.pause ?? {}, "pause"),
      resume: pauseOf(this.#question.resume ?? {}, "resume"),
      dryRun: this.#boolean("dryRun"),
    };
  }

  #level(): number | null {
    const value = this.#question.level ?? null;
    if (value === null) return null;
    return this.#whole("level", 0, 0, LEVEL_MAX);
  }

  #tenant(): string | null {
    const value = this.#question.tenant ?? null;
    return value === null ? null : this.#text("tenant", "", LIMITS.tenantMaxBytes);
  }

  #status(): JobViewStatus | null {
    const value = this.#question.status ?? null;
    if (value === null) return null;
    const status = JOB_VIEW_STATUSES.find((name) => name === value);
    if (status !== undefined) return status;
    throw refuse(`"status" must be one of ${JOB_VIEW_STATUSES.join(", ")}`);
  }

  #whole(name: string, whenAbsent: number, least: number, most: number): number {
    const value = this.#question[name] ?? whenAbsent;
    const isWhole = typeof value === "number" && Number.isInteger(value);
    if (isWhole && value >= least && value <= most) return value;
    throw refuse(`"${name}" must be a whole number from ${least} to ${most}`);
  }

  #text(name: string, whenAbsent: string, bytesMax: number): string {
    return textOf(this.#question[name] ?? whenAbsent, name, bytesMax);
  }

  #boolean(name: string): boolean {
    const value = this.#question[name] ?? false;
    if (typeof value === "boolean") return value;
    throw refuse(`"${name}" must be true or false`);
  }

  #known(names: readonly string[]): void {
    refuseOthers(this.#question, names, "");
  }
}

function parse(json: string): Question {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    throw refuse("it is not JSON").with({ cause });
  }
  return objectOf(value, "it");
}

function objectOf(value: unknown, what: string): Question {
  if (typeof value === "object" && value !== null && !Array.isArray(value))
    return value as Question;
  throw refuse(`${what} must be an object`);
}

function pauseOf(value: unknown, what: string): PauseWish {
  const wish = objectOf(value, what);
  refuseOthers(wish, ["levels", "tenants"], `${what}.`);
  const levels = wish.levels ?? [];
  const isLevel = (level: unknown): level is number =>
    typeof level === "number" && Number.isInteger(level) && level >= 0 && level <= LEVEL_MAX;
  if (!Array.isArray(levels) || !levels.every(isLevel))
    throw refuse(`"${what}.levels" must be a list of levels, whole numbers from 0 to ${LEVEL_MAX}`);
  return { levels, tenants: textsOf(wish, "tenants", NAMES_MAX, LIMITS.tenantMaxBytes) };
}

function textsOf(object: Question, name: string, countMax: number, bytesMax: number): string[] {
  const value = object[name] ?? [];
  if (Array.isArray(value) && value.length <= countMax)
    return value.map((item, i) => textOf(item, `${name}[${i}]`, bytesMax));
  throw refuse(`"${name}" must be a list of at most ${countMax} texts`);
}

function textOf(value: unknown, name: string, bytesMax: number): string {
  if (typeof value !== "string") throw refuse(`"${name}" must be a text`);
  if (Buffer.byteLength(value) <= bytesMax) return value;
  throw refuse(`"${name}" is longer than ${bytesMax} bytes`);
}

function refuseOthers(object: Question, names: readonly string[], prefix: string): void {
  const other = Object.keys(object).find((name) => !names.includes(name));
  if (other === undefined) return;
  const known = names.length === 0 ? "there are none" : `known are ${names.join(", ")}`;
  throw refuse(`"${prefix}${other.slice(0, 64)}" is not a field; ${known}`);
}

function refuse(what: string): HearthError {
  return new HearthError("invalid_argument", `Cannot take the request: ${what}`, {
    reason: "bad_request",
  });
}
