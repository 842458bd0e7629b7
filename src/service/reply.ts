/** Where the answer of one request goes. Implemented by the server's sessions, and by arrays in tests. */

import type { HearthError } from "../base/index.ts";
import type { ByteSink, SentDictionaries } from "../protocol/index.ts";

/** Who waits for an outcome. */
export interface Waiter {
  /** True once answered, cancelled or out of time: nothing more will be sent, so work for it may be skipped. */
  readonly isSettled: boolean;
  /** Replies of one connection share a group; see `answerGrouped`. */
  readonly group: ReplyGroup;
  fail(error: HearthError): void;
}

/** Who waits for an answer that comes in one piece. */
export interface SingleReply extends Waiter {
  /** When nobody waits for the answer any more; monotonic ms of this thread. */
  readonly deadlineAtMs: number;
  /** Called once when nothing more will be sent, whatever the reason; set by who works on the answer. */
  onSettled?: (() => void) | undefined;
  /** The whole answer, as the binary protocol has it. Borrowed until the call returns. */
  end(payload: Uint8Array): void;
}

export interface Reply extends SingleReply {
  /**
   * To be called between pieces of long work: nothing else can interrupt a thread in the middle of a query.
   * Errors: throws `deadline_exceeded` when the time is up, `cancelled` when nobody waits any more.
   */
  checkpoint(): void;
  /**
   * A part of a streamed answer, subject to the asker's credit. Borrowed until the call returns; the
   * CHUNK_HEADROOM_BYTES in front of it, where there are as many in its buffer, are overwritten by the frame header.
   * Errors: throws `resource_exhausted` when the asker is too slow for what may be kept; the producer must stop.
   */
  chunk(payload: Uint8Array, isLast: boolean): void;
  /** What the asker holds of dictionaries, while an entry chunk may leave at once: it is never kept back. Else null. */
  readonly dictionaries: SentDictionaries | null;
  /**
   * A part of a streamed answer as an entry chunk, which leaves at once, after the records that were added to
   * `dictionaries`. Borrowed until the call returns; begins with CHUNK_HEADROOM_BYTES for the frame header.
   */
  entries(chunk: ByteSink, isLast: boolean): void;
}

export interface ReplyGroup {
  /** Runs `body` so that what it sends leaves together. */
  cork(body: () => void): void;
}

/**
 * Answers many requests outside of their message handlers, connection by connection: an uncorked send costs nine
 * times a corked one. The order within a connection is kept.
 */
export function answerGrouped<T extends { readonly reply: Waiter }>(
  items: readonly T[],
  answer: (item: T) => void,
): void {
  const first = items[0];
  if (first === undefined) return;
  const isOneGroup = items.every((item) => item.reply.group === first.reply.group);
  if (isOneGroup) {
    first.reply.group.cork(() => items.forEach(answer));
    return;
  }
  const groups = new Map<ReplyGroup, T[]>();
  for (const item of items) {
    const group = groups.get(item.reply.group);
    if (group === undefined) groups.set(item.reply.group, [item]);
    else group.push(item);
  }
  for (const [group, members] of groups) group.cork(() => members.forEach(answer));
}
