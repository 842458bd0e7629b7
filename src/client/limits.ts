/** Bounds of the client. Settings may lower or raise the defaults in options.ts; these are the hard edges. */

/** Largest answer frame we accept, bytes. Chunks are far smaller; only a broken or hostile server sends more. */
export const ANSWER_FRAME_MAX_BYTES = 16 * 1024 * 1024;

/** Largest dictionaryMaxBytes: beyond it what a connection keeps costs more than what it saves. */
export const DICTIONARY_MAX_BYTES = 256 * 1024 * 1024;

/** Status changes kept for a consumer that does not read. The oldest go first: only the newest state matters. */
export const STATUS_QUEUE_MAX = 64;

/** Most endpoints one client takes. Clusters have three to seven members; a longer list is a mistake. */
export const ENDPOINTS_MAX = 64;

/** A single endpoint that swallows packets may not use up the whole time of a connect, ms. */
export const CONNECT_ATTEMPT_MIN_MS = 200;

/** How long close() waits for the peer's closing handshake before it drops the socket, ms. Good enough. */
export const CLOSE_GRACE_MS = 500;

/** First pause before a call is repeated on the same connection, ms; doubles up to the maximum, full jitter. */
export const RETRY_DELAY_MIN_MS = 10;
export const RETRY_DELAY_MAX_MS = 500;

/**
 * Leader hints followed without a pause in one call. After an election two members may point at each other;
 * from the third hint on the call pauses like any other repeat.
 */
export const LEADER_HOPS_MAX = 2;

/**
 * How long a former leader may still answer what it was sent, ms: after an orderly hand-over it does so within a round
 * trip or two, one that hangs never.
 */
export const FORMER_LEADER_MS = 500;

/** Writes of one session above those that are done without a gap; the cluster executes none beyond (src/session). */
export const SESSION_WINDOW_MAX = 256;
