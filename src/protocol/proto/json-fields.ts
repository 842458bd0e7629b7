/**
 * One JSON object of a proto3 message: fields by their camelCase or snake_case name, with the types
 * of the proto3 JSON mapping (64-bit integers as strings or numbers, null = default). Unknown
 * fields are refused: in a file that somebody wrote, they are misspelt ones.
 */

import { HearthError } from "../../base/index.ts";
import { TIME_MAX_MS } from "../limits.ts";

const U64_MAX = 0xffff_ffff_ffff_ffffn;

export class JsonFields {
  readonly #path: string;
  readonly #values = new Map<string, unknown>();

  /**
   * `names` are the camelCase names of the message; `path` says in errors where the object stands.
   */
  constructor(value: unknown, path: string, names: readonly string[]) {
    this.#path = path;
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw jsonError(path, value, "an object");
    }
    for (const [key, field] of Object.entries(value)) {
      const name = toCamelCase(key);
      if (!names.includes(name)) {
        throw new HearthError(
          "invalid_argument",
          `Cannot read block metadata from JSON: unknown field ${JSON.stringify(key)} in ${path}`,
          { reason: "bad_json", next: `Known fields are ${names.join(", ")}` },
        );
      }
      if (this.#values.has(name)) throw jsonError(`${path}.${name}`, key, "one value, not two");
      if (field !== null) this.#values.set(name, field);
    }
  }

  text(name: string): string {
    const value = this.#values.get(name) ?? "";
    if (typeof value === "string") return value;
    throw this.#error(name, "a string");
  }

  u32(name: string): number {
    return Number(this.#integer(name, 0n, 0xffff_ffffn));
  }

  i32(name: string): number {
    return Number(this.#integer(name, -0x8000_0000n, 0x7fff_ffffn));
  }

  u64(name: string): bigint {
    return this.#integer(name, 0n, U64_MAX);
  }

  /** Unix ms. */
  time(name: string): number {
    return Number(this.#integer(name, -BigInt(TIME_MAX_MS), BigInt(TIME_MAX_MS)));
  }

  i32s(name: string): number[] {
    return this.list(name, (value, path) =>
      Number(toInteger(value, path, -0x8000_0000n, 0x7fff_ffffn)),
    );
  }

  u64s(name: string): bigint[] {
    return this.list(name, (value, path) => toInteger(value, path, 0n, U64_MAX));
  }

  texts(name: string): string[] {
    return this.list(name, (value, path) => {
      if (typeof value === "string") return value;
      throw jsonError(path, value, "a string");
    });
  }

  list<T>(name: string, read: (value: unknown, path: string) => T): T[] {
    const value = this.#values.get(name) ?? [];
    if (!Array.isArray(value)) throw this.#error(name, "a list");
    return value.map((item: unknown, i) => read(item, `${this.#path}.${name}[${i}]`));
  }

  #integer(name: string, min: bigint, max: bigint): bigint {
    return toInteger(this.#values.get(name) ?? 0, `${this.#path}.${name}`, min, max);
  }

  #error(name: string, wanted: string): HearthError {
    return jsonError(`${this.#path}.${name}`, this.#values.get(name), wanted);
  }
}

function toInteger(value: unknown, path: string, min: bigint, max: bigint): bigint {
  const isWhole =
    typeof value === "number"
      ? Number.isSafeInteger(value)
      : typeof value === "string" && /^-?\d{1,20}$/.test(value);
  if (isWhole) {
    const integer = BigInt(value as number | string);
    if (integer >= min && integer <= max) return integer;
  }
  throw jsonError(path, value, `an integer from ${min} to ${max}`);
}

function toCamelCase(key: string): string {
  return key.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

function jsonError(path: string, value: unknown, wanted: string): HearthError {
  const text = JSON.stringify(value) ?? String(value);
  const shown = text.length > 80 ? `${text.slice(0, 80)}...` : text;
  return new HearthError(
    "invalid_argument",
    `Cannot read block metadata from JSON: ${path} is ${shown}, wanted is ${wanted}`,
    { reason: "bad_json" },
  );
}
