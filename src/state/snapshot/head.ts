/** First and last frame of an image, as JSON: few, written once, and looked at by people when something is wrong. */

import { imageDamaged, imageUnsupported } from "./errors.ts";

export const IMAGE_FORMAT = 1;

export interface ImageHead {
  /** Position of the state in the log. */
  readonly index: number;
  readonly term: number;
  readonly appendedAtMs: number;
  /** Layout of the tables (state/counters.ts). */
  readonly layout: number;
}

export interface ImageEnd {
  readonly rows: number;
  /** Of the contents of all frames of rows. */
  readonly bytes: number;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

export function encodeHead(head: ImageHead): Uint8Array {
  return encoder.encode(JSON.stringify({ format: IMAGE_FORMAT, ...head }));
}

export function encodeEnd(end: ImageEnd): Uint8Array {
  return encoder.encode(JSON.stringify(end));
}

/** Errors: image_version_unsupported for another format or layout; image_damaged. */
export function decodeHead(content: Uint8Array, layoutHere: number): ImageHead {
  const { format, layout, ...rest } = numbersOf(content, "format", "layout");
  if (format !== IMAGE_FORMAT) throw imageUnsupported(`its format is ${format}`);
  if (layout !== layoutHere) {
    throw imageUnsupported(`its layout is ${layout}, this version reads ${layoutHere}`);
  }
  const { index, term, appendedAtMs } = pick(rest, "index", "term", "appendedAtMs");
  return { index, term, appendedAtMs, layout };
}

export function decodeEnd(content: Uint8Array): ImageEnd {
  return pick(numbersOf(content), "rows", "bytes");
}

function numbersOf<K extends string>(
  content: Uint8Array,
  ...names: readonly K[]
): Record<K, number> & Record<string, unknown> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(decoder.decode(content));
  } catch (cause) {
    throw imageDamaged("its head or end is no JSON", cause);
  }
  if (typeof parsed !== "object" || parsed === null) {
    throw imageDamaged("its head or end is no object");
  }
  const fields = parsed as Record<string, unknown>;
  return { ...fields, ...pick(fields, ...names) };
}

function pick<K extends string>(
  fields: Record<string, unknown>,
  ...names: readonly K[]
): Record<K, number> {
  const found = {} as Record<K, number>;
  for (const name of names) {
    const value = fields[name];
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) {
      throw imageDamaged(`its ${name} is ${String(value)}`);
    }
    found[name] = value;
  }
  return found;
}
