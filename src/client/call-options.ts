/** What calls of every kind take and carry. */

/** What every call takes. */
export interface CallOptions {
  /** Ends the call: it rejects with `signal.reason` unchanged, and the server is told to stop. */
  readonly signal?: AbortSignal;
  /** Budget of the whole call, repeats and the last streamed batch included; Infinity = no limit. */
  readonly timeoutMs?: number;
}

/** A value that JSON can carry. */
export type JsonValue =
  | string
  | number
  | boolean
  | null
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue };
