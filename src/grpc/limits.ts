/** Bounds of the gRPC endpoint that are not settings, each with its reason. */

const MIB = 1024 * 1024;

/** Longest budget of a call, ms: a forgotten one must not hold its place for ever. */
export const TIMEOUT_MAX_MS = 5 * 60_000;

/** Interval between two looks at deadlines, ms. Answers late by this much are still on time for people. */
export const DEADLINE_SWEEP_MS = 20;

/** How many of the largest messages a thread holds at once, on their way in and on their way out. */
export const LARGE_MESSAGES_MAX = 4;

/**
 * What a client may send ahead on one call, and on all calls of a connection. Requests are gathered as they come, so
 * this bounds no memory; it spares a round trip per 64 KiB.
 */
export const STREAM_WINDOW_BYTES = MIB;
export const CONNECTION_WINDOW_BYTES = 8 * MIB;

/**
 * Calls that a client may give up at once, and per second for longer: its connection ends when it gives up more. Clients
 * give calls up when their time is over, which comes to all of them at once when a leader is lost; each costs no more than
 * one that is answered. The library's own 1,000 and 33 are for strangers on the internet.
 */
export const RESETS_BURST = 16_384;
export const RESETS_PER_SECOND = 4_096;

/** Compressed messages up to this size are unpacked at once: more would hold up the thread. */
export const INLINE_UNPACK_MAX_BYTES = 4 * 1024;
/** The same for packing answers. */
export const INLINE_PACK_MAX_BYTES = 32 * 1024;

/** An answer is copied out of the buffer in which it was made up to this size; a larger one takes it along. */
export const ANSWER_COPY_MAX_BYTES = 256 * 1024;

/** Open health watches per thread: one per client and service is usual. */
export const WATCHES_MAX = 4_096;

/** Bytes of the text of a status: it is a header, and clients bound these to 8 KiB. */
export const STATUS_TEXT_MAX_LENGTH = 1_024;

/** A refusal of one kind is logged this often at most, ms. */
export const REFUSAL_LOG_MS = 10_000;
