/** As much of JSON Schema as the files of schemas/json use: enough to hold what commands print against them. */

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { inRoot } from "./project.ts";

interface Schema {
  readonly type?: string | readonly string[];
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Schema[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | Schema;
  readonly items?: Schema;
  readonly description?: string;
}

const KNOWN = new Set([
  "$schema",
  "title",
  "type",
  "const",
  "enum",
  "anyOf",
  "properties",
  "required",
  "additionalProperties",
  "items",
  "description",
]);

/** The file of a schema's name: "hearth/status/v1" is schemas/json/status.v1.json. */
export function schemaPath(schema: string): string {
  const [, name, version] = schema.split("/");
  return inRoot("schemas", "json", `${name}.${version}.json`);
}

/** Holds a printed object against the schema that it names. */
export function assertMatchesItsSchema(printed: string): void {
  const value = JSON.parse(printed) as { readonly schema: string };
  const schema = JSON.parse(readFileSync(schemaPath(value.schema), "utf8")) as Schema;
  assert.deepEqual(problemsOf(value, schema, "$"), []);
}

/** The same for all that a command printed: objects line by line, of which some have a schema in a file. */
export function assertMatchesItsSchemas(printed: string): void {
  for (const line of printed.split("\n")) {
    if (!line.startsWith("{")) continue;
    const { schema } = JSON.parse(line) as { readonly schema?: string };
    if (schema !== undefined && existsSync(schemaPath(schema))) assertMatchesItsSchema(line);
  }
}

export function problemsOf(value: unknown, schema: Schema, at: string): string[] {
  for (const word of Object.keys(schema)) assert.ok(KNOWN.has(word), `${word} is not checked here`);
  if (schema.anyOf !== undefined) {
    const all = schema.anyOf.map((each) => problemsOf(value, each, at));
    return all.some((problems) => problems.length === 0) ? [] : all.flat();
  }
  if ("const" in schema && value !== schema.const) return [`${at} is not ${String(schema.const)}`];
  if (schema.enum !== undefined && !schema.enum.includes(value)) return [`${at}: ${String(value)}`];
  const types = schema.type === undefined ? [] : [schema.type].flat();
  if (types.length > 0 && !types.some((type) => isOfType(value, type)))
    return [`${at} is ${JSON.stringify(value)}, not ${types.join(" or ")}`];
  if (Array.isArray(value)) {
    const { items } = schema;
    return items === undefined
      ? []
      : value.flatMap((each, i) => problemsOf(each, items, `${at}[${i}]`));
  }
  if (typeof value !== "object" || value === null) return [];
  return objectProblems(value as Readonly<Record<string, unknown>>, schema, at);
}

function objectProblems(
  value: Readonly<Record<string, unknown>>,
  schema: Schema,
  at: string,
): string[] {
  const { properties = {}, required = [], additionalProperties: others = true } = schema;
  const missing = required
    .filter((name) => !(name in value))
    .map((name) => `${at}.${name} is missing`);
  const extra = Object.keys(value)
    .filter((name) => !(name in properties))
    .flatMap((name) => {
      if (others === false) return [`${at}.${name} is not in the schema`];
      return others === true ? [] : problemsOf(value[name], others, `${at}.${name}`);
    });
  const inside = Object.entries(properties).flatMap(([name, each]) =>
    name in value ? problemsOf(value[name], each, `${at}.${name}`) : [],
  );
  return [...missing, ...extra, ...inside];
}

function isOfType(value: unknown, type: string): boolean {
  switch (type) {
    case "null":
      return value === null;
    case "array":
      return Array.isArray(value);
    case "object":
      return typeof value === "object" && value !== null && !Array.isArray(value);
    case "integer":
      return Number.isInteger(value);
    default:
      return typeof value === type;
  }
}
