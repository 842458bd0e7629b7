/**
 * Payload of the command checkState: members compare digests of their state through the log (src/state/checks).
 *
 * JSON, UTF-8: a few a minute at most, and read by people in `hearth data inspect log`.
 *
 * ```
 * {"kind":"prepare"}                                          get ready: a mark follows
 * {"kind":"mark"}                                             the state behind this very entry is to be digested
 * {"kind":"report","atIndex":N,"node":"...","tables":{...}}   what a member found at the mark of log index N
 * ```
 */

import { invalidArgument } from "../../base/index.ts";
import { decodeJsonPayload, encodeJsonPayload } from "./json-payload.ts";

/** A digest per table, 8 hexadecimal digits. A table without rows is left out. */
export type TableDigests = Readonly<Record<string, string>>;

export interface StateReport {
  readonly kind: "report";
  /** Log index of the mark. */
  readonly atIndex: number;
  /** Node id of the member (raft NodeId). */
  readonly node: string;
  readonly tables: TableDigests;
}

export type StateCheck = { readonly kind: "prepare" } | { readonly kind: "mark" } | StateReport;

const PAYLOAD_MAX_BYTES = 16 * 1024;
const TABLES_MAX = 256;
const NODE = /^[0-9a-zA-Z_.:-]{1,128}$/;
const TABLE = /^[a-zA-Z]{1,64}$/;
const DIGEST = /^[0-9a-f]{8}$/;

export function encodeStateCheck(check: StateCheck): Uint8Array {
  return encodeJsonPayload(check);
}

/** Errors: HearthError invalid_argument. */
export function decodeStateCheck(bytes: Uint8Array, offset: number, length: number): StateCheck {
  const payload = bytes.subarray(offset, offset + length);
  const fields = decodeJsonPayload(payload, PAYLOAD_MAX_BYTES, bad);
  const { kind, atIndex, node, tables } = fields as Partial<StateReport>;
  const said: unknown = kind;
  if (said === "prepare" || said === "mark") return { kind: said };
  if (said !== "report") throw bad(`kind ${JSON.stringify(said)}`);
  if (!Number.isSafeInteger(atIndex) || (atIndex as number) < 1) throw bad(`atIndex ${atIndex}`);
  if (typeof node !== "string" || !NODE.test(node)) throw bad("its node");
  return { kind: "report", atIndex: atIndex as number, node, tables: tablesOf(tables) };
}

function tablesOf(value: unknown): TableDigests {
  if (typeof value !== "object" || value === null) throw bad("its tables");
  const tables = Object.entries(value);
  if (tables.length > TABLES_MAX) throw bad(`${tables.length} tables`);
  for (const [name, digest] of tables) {
    if (!TABLE.test(name) || typeof digest !== "string" || !DIGEST.test(digest))
      throw bad("its tables");
  }
  return Object.fromEntries(tables) as TableDigests;
}

function bad(what: string): Error {
  return invalidArgument("bad_state_check", `Cannot read a state check: ${what}`);
}
