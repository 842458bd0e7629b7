/**
 * Recovery of a lost quorum: makes one member the only voter of a new history of its data, by appending to its log what
 * no quorum will ever append. For an offline tool that holds the directory lock and has given the directory a new cluster
 * id before (DESIGN.md, "A lost quorum").
 */

import type { HearthError } from "../base/index.ts";
import type { DurableLog } from "../log/index.ts";
import { appendEntry, ByteSink, COMMAND, ENTRY_HEADER_BYTES } from "../protocol/index.ts";
import { BATCH_KIND, encodeMembershipBody, type Member } from "../raft/index.ts";

/**
 * Log indexes are fencing tokens and session ids, and must never be handed out twice. The lost members may have been
 * ahead of this log; the new history begins further ahead than any follower of a working cluster lags. An index costs 16
 * bytes of log: this is 16 MiB, and about a second of replay.
 */
export const INDEX_RAISE = 1_048_576;
/** Entries in one append: a piece of the size in which logs are applied. */
const NOOPS_PER_APPEND = 65_536;
/** The lost members may have seen later terms than this one; terms grow by elections, which are rare. */
const TERM_RAISE = 1_000;

/** Where a new history begins. */
export interface NewHistory {
  readonly term: number;
  /** Log index of the configuration with the only voter: the end of the log. */
  readonly configurationIndex: number;
}

export interface OnlyVoterOptions {
  readonly self: Member;
  /** Unix ms. */
  readonly nowMs: number;
  /** Log indexes that are never handed out; INDEX_RAISE but in tests. */
  readonly indexRaise: number;
}

/**
 * Appends term, vote, empty entries and the configuration, in this order, durably. A crash in between leaves a log that
 * is longer, still under its old configuration: repeating the call is right.
 *
 * Errors: `unavailable` when a write fails; whatever was written then stands as after a crash.
 */
export async function becomeOnlyVoter(
  log: DurableLog,
  { self, nowMs, indexRaise }: OnlyVoterOptions,
): Promise<NewHistory> {
  const writer = new DurableWriter(log);
  const term = Math.max(log.hardState.term, log.lastTerm) + TERM_RAISE;
  // Abstention ends here: there is no leader left to learn from what the damage took.
  await writer.durable(log.setHardState({ term, vote: self.id, abstains: false }));
  const appendedAtMs = Math.max(log.lastAppendedAtMs, nowMs);
  const noops = noopsBody(
    Math.min(NOOPS_PER_APPEND, Math.floor(log.bodyMaxBytes / ENTRY_HEADER_BYTES)),
  );
  const lastIndex = log.lastIndex + indexRaise;
  while (log.lastIndex < lastIndex) {
    const bodyBytes = Math.min(noops.length, (lastIndex - log.lastIndex) * ENTRY_HEADER_BYTES);
    const count = bodyBytes / ENTRY_HEADER_BYTES;
    const firstIndex = log.lastIndex + 1;
    // One by one: appends that wait together would become one frame, too large for a message.
    await writer.durable(
      log.append({ firstIndex, term, appendedAtMs, count, body: noops, bodyBytes }),
    );
  }
  const body = encodeMembershipBody({
    members: [self],
    voters: [self.id],
    votersOutgoing: [],
    learners: [],
    learnersNext: [],
  });
  const firstIndex = log.lastIndex + 1;
  const kind = BATCH_KIND.membership;
  const entry = { kind, firstIndex, term, appendedAtMs, count: 1, body, bodyBytes: body.length };
  await writer.durable(log.append(entry));
  return { term, configurationIndex: firstIndex };
}

/** `count` entries without an effect, back to back. */
function noopsBody(count: number): Uint8Array {
  const sink = new ByteSink(ENTRY_HEADER_BYTES * count);
  for (let i = 0; i < count; i++) appendEntry(sink, COMMAND.noop, NOTHING);
  return sink.u8.subarray(0, sink.length);
}

const NOTHING = new Uint8Array(0);

/** The log's reports as promises. */
class DurableWriter {
  readonly #log: DurableLog;
  #waits: { sequence: number; resolve: () => void; reject: (error: HearthError) => void } | null =
    null;

  constructor(log: DurableLog) {
    this.#log = log;
    log.setOwner({
      onDurable: (sequence) => {
        if (this.#waits !== null && this.#waits.sequence <= sequence) this.#waits.resolve();
      },
      onFailed: (error) => this.#waits?.reject(error),
    });
  }

  durable(sequence: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waits = { sequence, resolve, reject };
      this.#log.flush();
    });
  }
}
