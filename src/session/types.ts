/** What the session table is built on, and what it answers. */

/**
 * Rows of one replica, inside the transaction that applies an entry. Keys are compared as bytes; what the table does
 * to the rows is all it does, so whoever copies them has copied the table.
 */
export interface SessionStore {
  /** Borrowed until the next call; null when there is no such row. */
  get(key: Uint8Array): Uint8Array | null;
  /** Both are copied before the call returns. */
  put(key: Uint8Array, value: Uint8Array): void;
  delete(key: Uint8Array): void;
  /** Keys in [start, end) ascending, borrowed, until the visitor returns false. It calls nothing of the store. */
  scan(start: Uint8Array, end: Uint8Array, visit: (key: Uint8Array) => boolean): void;
}

/** Where an entry stands in the log. Both never decrease; the index is never used twice. */
export interface LogPlace {
  readonly index: number;
  /** Unix ms, of the leader. The only time there is here. */
  readonly appendedAtMs: number;
}

/** One write of a client. Numbers are safe integers. */
export interface SessionRequest {
  /** Log index of the entry that opened the session. */
  readonly sessionId: number;
  /** 1, 2, ...: chosen by the client, one per write, the same for every attempt at it. */
  readonly sequence: number;
  /** The client has the answers of all sequences up to here, and asks for them never again; below `sequence`. */
  readonly ackedThrough: number;
}

export type SessionOutcome =
  /** Executed now. */
  | { readonly kind: "new"; readonly answer: Uint8Array }
  /** Executed before; this is what was answered then. In memory of its own. */
  | { readonly kind: "repeat"; readonly answer: Uint8Array }
  /** Executed or given up long ago: the client said that it needs no answer. Not executed now. */
  | { readonly kind: "stale" }
  /** Too far ahead of what is acknowledged. Not executed; may be sent again once older answers are acknowledged. */
  | { readonly kind: "ahead" }
  /** No such session (any more). Not executed now; whether it was before is not known any more. */
  | { readonly kind: "expired" }
  /** Numbers that no client makes. Not executed. */
  | { readonly kind: "invalid" };

/** What happened, as numbers that only grow. Not part of the state. */
export interface SessionStats {
  opened: number;
  executed: number;
  repeated: number;
  stale: number;
  ahead: number;
  expired: number;
  invalid: number;
  evictedIdle: number;
  evictedForRoom: number;
}
