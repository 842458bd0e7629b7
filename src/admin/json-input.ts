/**
 * JSON of a request body: parsed with the place of a mistake, then taken apart field by field, so that an error names
 * the field and not a type of ours.
 */
import { HearthError, invalidArgument } from "../base/index.ts";
import type { AdminRequest } from "./types.ts";

export type JsonObject = Readonly<Record<string, unknown>>;

const DECODER = new TextDecoder("utf-8", { fatal: true });

/** The body as an object. Errors: `invalid_argument` with line and column, or what was there instead. */
export function readJsonObject(request: AdminRequest): JsonObject {
  const value = parseJson(decodeBody(request.body));
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw invalidArgument("bad_json", `The body must be a JSON object, not ${describe(value)}`);
  }
  return value as JsonObject;
}

/** The same, but nothing at all is an object without fields. */
export function readOptionalJsonObject(request: AdminRequest): JsonObject {
  return request.body.length === 0 ? {} : readJsonObject(request);
}

function decodeBody(body: Uint8Array): string {
  if (body.length === 0) throw invalidArgument("bad_json", "The body is empty; send a JSON object");
  try {
    return DECODER.decode(body);
  } catch (error) {
    throw badJson("The body is not valid UTF-8", error);
  }
}

/** Parses JSON text; the message says where it stops being JSON. */
export function parseJson(source: string): unknown {
  try {
    return JSON.parse(source);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const place = describePlace(source, message);
    throw badJson(`The body is not JSON: ${place}${shorten(message)}`, error);
  }
}

function badJson(message: string, cause: unknown): HearthError {
  return new HearthError("invalid_argument", message, { reason: "bad_json", cause });
}

/** V8 names the position; older versions only for some mistakes, and an early end has none. */
function describePlace(source: string, message: string): string {
  const match = /at position (\d+)/.exec(message);
  const isEnd = /end of JSON/i.test(message);
  if (match === null && !isEnd) return "";
  const position = match === null ? source.length : Number(match[1]);
  const before = source.slice(0, position);
  const line = before.split("\n").length;
  const column = position - before.lastIndexOf("\n");
  return `line ${line}, column ${column}: `;
}

/** V8 quotes part of the input, and repeats the place in its own way. */
function shorten(message: string): string {
  return message
    .replace(/,? ?"?\.\.\..*$/s, "")
    .replace(/ in JSON at position.*$/s, "")
    .replace(/ \(line \d+ column \d+\)$/, "")
    .replace(/ is not valid JSON$/, "");
}

/** A field under its JSON name or its proto name; undefined when absent or null, as proto3 JSON treats null. */
export function field(object: JsonObject, camelName: string): unknown {
  const snakeName = camelName.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  return object[camelName] ?? object[snakeName] ?? undefined;
}

export function textField(object: JsonObject, name: string, whenAbsent: string): string {
  const value = field(object, name);
  if (value === undefined) return whenAbsent;
  if (typeof value !== "string") throw wrongType(name, "a string", value);
  return value;
}

export function textListField(object: JsonObject, name: string): string[] {
  const value = field(object, name);
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw wrongType(name, "a list of strings", value);
  return value.map((item, i) => {
    if (typeof item !== "string") throw wrongType(`${name}[${i}]`, "a string", item);
    return item;
  });
}

/** An int64 of proto3 JSON: a number or a decimal string. Units are the caller's; the result is a safe integer. */
export function integerField(object: JsonObject, name: string, whenAbsent: number): number {
  const value = field(object, name);
  if (value === undefined) return whenAbsent;
  const isDecimal = typeof value === "string" && /^-?\d+$/.test(value);
  const number = isDecimal ? Number(value) : value;
  if (typeof number !== "number" || !Number.isInteger(number))
    throw wrongType(name, "a whole number", value);
  return number;
}

export function booleanField(object: JsonObject, name: string): boolean {
  const value = field(object, name);
  if (value === undefined) return false;
  if (typeof value !== "boolean") throw wrongType(name, "true or false", value);
  return value;
}

export function objectField(object: JsonObject, name: string): JsonObject | undefined {
  const value = field(object, name);
  if (value === undefined) return undefined;
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw wrongType(name, "an object", value);
  return value as JsonObject;
}

/** A misspelt field would otherwise be taken for an absent one, and the answer for the answer to the question. */
export function refuseUnknownFields(object: JsonObject, known: readonly string[]): void {
  for (const name of Object.keys(object)) {
    const camelName = name.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
    if (known.includes(camelName)) continue;
    throw invalidArgument(
      "unknown_field",
      `Unknown field "${name}"; known are ${known.join(", ")}`,
    );
  }
}

function wrongType(name: string, wanted: string, value: unknown): Error {
  return invalidArgument("bad_field", `${name} must be ${wanted}, not ${describe(value)}`);
}

function describe(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "an object";
  return `${typeof value} ${JSON.stringify(value)}`.slice(0, 80);
}
