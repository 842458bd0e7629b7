/** Payloads that are JSON in UTF-8: of commands that are few, small, and read by people in `hearth data inspect log`. */

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

export type JsonFields = Readonly<Record<string, unknown>>;

export function encodeJsonPayload(payload: object): Uint8Array {
  return encoder.encode(JSON.stringify(payload));
}

/** The object in `payload`, nothing of it checked. `bad` makes the error out of what is wrong with it. */
export function decodeJsonPayload(
  payload: Uint8Array,
  maxBytes: number,
  bad: (what: string) => Error,
): JsonFields {
  if (payload.length > maxBytes) throw bad(`${payload.length} bytes, limit is ${maxBytes}`);
  let parsed: unknown;
  try {
    parsed = JSON.parse(decoder.decode(payload));
  } catch (cause) {
    throw bad(`no JSON (${cause instanceof Error ? cause.message : String(cause)})`);
  }
  if (typeof parsed !== "object" || parsed === null) throw bad("no object");
  return parsed as JsonFields;
}
