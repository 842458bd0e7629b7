/** Bounds of the server that are not settings, each with its reason. */

/** Size at which a write batch goes to main before the turn ends: one log write of a megabyte is efficient already. */
export const WRITE_BATCH_MAX_BYTES = 1024 * 1024;

/** Streamed chunks stop being handed to a socket above this backlog and wait for its drain. Good enough: 2 chunks. */
export const SOCKET_BACKLOG_BYTES = 512 * 1024;

/** How long an answer may wait for others to share its message, ms. */
export const GATHER_MAX_MS = 0.5;

/** Shortest interval between two looks at deadlines, ms. Answers late by this much are still on time for people. */
export const DEADLINE_SWEEP_MS = 20;

/** Longest budget a request may ask for, ms: a forgotten one must not hold its place for ever. */
export const TIMEOUT_MAX_MS = 5 * 60_000;

/** How long closing sockets may take to hand their last frames to the kernel, ms. Good enough. */
export const CLOSE_FLUSH_MS = 30;
