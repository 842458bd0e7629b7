/**
 * Writes on a reader thread: checked completely here, gathered for one turn of the event loop, handed to main as one
 * buffer of log entries, answered when main says that they are durable and applied.
 *
 *   request ──copy──> batch ──validate in place──> kept ──end of turn──> transferred to main ──> answers, corked
 *                               │ refused                or 1 MiB
 *                               └──> taken out again, error answer
 *
 * Copied before it is checked: the entry must be copied anyway, and in our own aligned buffer the check can look at
 * the bytes through typed views. Nothing unchecked ever leaves this thread: apply must not fail on any replica.
 *
 * A connection that closes does not take its writes back; their answers are dropped. A batch carries the latest deadline of its
 * writes, and main refuses it as a whole when that has passed: all of them came in one turn, mostly with the same budget.
 */

import { HearthError } from "../base/index.ts";
import {
  appendAddBlockEntry,
  appendEntry,
  beginEntry,
  beginSessionEntry,
  ByteSink,
  checkBlockBatch,
  COMMAND,
  encodeTenantCommand,
  encodeWriteReply,
  endEntry,
  ENTRY_HEADER_BYTES,
  LIMITS,
  type SessionNumbers,
  validateBlock,
  type ValidationFailure,
} from "../protocol/index.ts";
import { ENTRY_OUTCOMES, type MainLink, type Proposal, type ProposalResult } from "./main-link.ts";
import { answerGrouped, type SingleReply } from "./reply.ts";

export interface WriteOptions {
  /** Bytes of entries waiting for main from which on no more are taken, this thread: one of any size fits on top. */
  readonly pendingWriteMaxBytes: number;
  /** Writes that may wait for main, this thread. */
  readonly pendingWritesMax: number;
  /** Size at which a batch leaves before the turn ends. */
  readonly writeBatchMaxBytes: number;
  /** How long the name of a tenant that is deleted from here stays closed; 0: until somebody opens it. */
  readonly tenantClosedMs: number;
}

export interface WriteModules {
  readonly main: MainLink;
}

/** One request of a batch; `lastEntry` is the position of its last entry in it. */
interface PendingWrite {
  readonly reply: SingleReply;
  readonly lastEntry: number;
}

/** Offsets of a single block in its entry: entry header, then count and length words. */
const SINGLE_BLOCK_OFFSET = ENTRY_HEADER_BYTES + 16;

export class WriteService {
  readonly #options: WriteOptions;
  readonly #main: MainLink;
  readonly #batch = new ByteSink(64 * 1024);
  readonly #answer = new ByteSink(256);
  /** Made once: refusals come by the ten thousand a second, and the stack of an error costs ten times the refusal. */
  readonly #tooMany: HearthError;
  readonly #tooLarge: HearthError;
  #writes: PendingWrite[] = [];
  /** When nobody waits for any of them any more. */
  #deadlineAtMs = 0;
  #isFlushScheduled = false;
  #pendingBytes = 0;
  #pendingBatches = 0;
  #pendingWrites = 0;
  /** Counters for the metrics, since the start. */
  batchesSent = 0;
  entriesSent = 0;

  constructor(options: WriteOptions, modules: WriteModules) {
    this.#options = options;
    this.#main = modules.main;
    this.#tooMany = backlog(`${options.pendingWritesMax} writes`);
    this.#tooLarge = backlog(`${options.pendingWriteMaxBytes} bytes`);
  }

  /** Bytes taken that main has not answered. */
  get pendingBytes(): number {
    return this.#pendingBytes + this.#batch.length;
  }

  /** True while main owes an answer or a batch waits for the end of its turn. */
  get isBusy(): boolean {
    return this.#pendingBatches > 0 || this.#writes.length > 0;
  }

  /** The wire Block in `payload`; borrowed. In a session the write takes effect once, however often it comes. */
  addBlock(payload: Uint8Array, reply: SingleReply, session: SessionNumbers | null = null): void {
    this.#admit(payload.length);
    const start = this.#batch.length;
    if (session !== null) beginSessionEntry(this.#batch, session);
    const inner = this.#batch.length;
    appendAddBlockEntry(this.#batch, payload);
    const failure = validateBlock(this.#batch.u8, inner + SINGLE_BLOCK_OFFSET, payload.length);
    if (failure !== null) throw this.#refuse(start, failure);
    if (session !== null) endEntry(this.#batch, start);
    this.#keep(reply);
  }

  /** Many blocks as one entry: all of them or none. */
  addBlocks(payload: Uint8Array, reply: SingleReply, session: SessionNumbers | null = null): void {
    this.#admit(payload.length);
    const start = this.#batch.length;
    if (session !== null) beginSessionEntry(this.#batch, session);
    const inner = this.#batch.length;
    beginEntry(this.#batch, COMMAND.addBlocks);
    this.#batch.append(payload);
    endEntry(this.#batch, inner);
    const failure = checkBlockBatch(this.#batch.u8, inner + ENTRY_HEADER_BYTES, payload.length);
    if (failure !== null) throw this.#refuse(start, failure);
    if (session !== null) endEntry(this.#batch, start);
    this.#keep(reply);
  }

  /** Hides a tenant, and begins its deletion. Repeating it changes nothing. */
  deleteTenant(tenant: string, reply: SingleReply): void {
    checkTenant(tenant);
    const closedForMs = this.#options.tenantClosedMs;
    const payload = encodeTenantCommand({ tenant, closedForMs });
    this.#admit(payload.length);
    appendEntry(this.#batch, COMMAND.deleteTenant, payload);
    this.#keep(reply);
  }

  /** Begins a session; its id is the log index of the answer. */
  openSession(reply: SingleReply): void {
    this.#admit(ENTRY_HEADER_BYTES);
    const start = beginEntry(this.#batch, COMMAND.openSession);
    endEntry(this.#batch, start);
    this.#keep(reply);
  }

  /** Entries made elsewhere and checked by the caller, as a proposal of their own. */
  proposeRaw(
    entries: {
      body: Uint8Array<ArrayBuffer>;
      count: number;
      termAtLeast: number;
      appendedAtMs: number;
    },
    reply: SingleReply,
  ): void {
    this.#admit(entries.body.length);
    const proposal = { ...entries, deadlineAtMs: reply.deadlineAtMs };
    this.#send(proposal, [{ reply, lastEntry: entries.count - 1 }]);
  }

  /** Sends what was gathered; happens by itself at the end of the turn. */
  flush(): void {
    const writes = this.#writes;
    if (writes.length === 0) return;
    const body = this.#batch.copy();
    this.#batch.reset();
    this.#writes = [];
    const deadlineAtMs = this.#deadlineAtMs;
    this.#deadlineAtMs = 0;
    const count = writes.length;
    this.#send({ body, count, termAtLeast: 0, appendedAtMs: 0, deadlineAtMs }, writes);
  }

  /** Makes sure that the write may wait, and that a large one does not push its batch over what the log takes. */
  #admit(bytes: number): void {
    const { writeBatchMaxBytes, pendingWriteMaxBytes, pendingWritesMax } = this.#options;
    if (this.#batch.length + bytes > writeBatchMaxBytes) this.flush();
    const count = this.#pendingWrites + this.#writes.length;
    if (count >= pendingWritesMax) throw this.#tooMany;
    if (this.pendingBytes >= pendingWriteMaxBytes) throw this.#tooLarge;
  }

  /** Takes the entry out again. */
  #refuse(start: number, failure: ValidationFailure): HearthError {
    this.#batch.length = start;
    return new HearthError("invalid_argument", failure.message, { reason: failure.reason });
  }

  #keep(reply: SingleReply): void {
    this.#deadlineAtMs = Math.max(this.#deadlineAtMs, reply.deadlineAtMs);
    this.#writes.push({ reply, lastEntry: this.#writes.length });
    if (this.#batch.length >= this.#options.writeBatchMaxBytes) this.flush();
    else if (!this.#isFlushScheduled) {
      this.#isFlushScheduled = true;
      setImmediate(() => {
        this.#isFlushScheduled = false;
        this.flush();
      });
    }
  }

  #send(proposal: Proposal, writes: readonly PendingWrite[]): void {
    const bytes = proposal.body.length;
    this.#pendingBytes += bytes;
    this.#pendingBatches++;
    this.#pendingWrites += writes.length;
    this.batchesSent++;
    this.entriesSent += proposal.count;
    this.#main.propose(proposal, (result) => {
      this.#pendingBytes -= bytes;
      this.#pendingBatches--;
      this.#pendingWrites -= writes.length;
      answerGrouped(writes, (write) => this.#answerWrite(write, result));
    });
  }

  #answerWrite(write: PendingWrite, result: ProposalResult): void {
    if (write.reply.isSettled) return;
    if (!result.ok) {
      write.reply.fail(result.error);
      return;
    }
    if (result.outcomes[write.lastEntry] === ENTRY_OUTCOMES.rejected) {
      const reason = result.rejections.get(write.lastEntry) ?? "command_rejected";
      write.reply.fail(rejected(result.firstIndex + write.lastEntry, reason));
      return;
    }
    this.#answer.reset();
    const logIndex = result.firstIndex + write.lastEntry;
    encodeWriteReply(this.#answer, { logIndex, term: result.term });
    write.reply.end(this.#answer.view());
  }
}

function backlog(limit: string): HearthError {
  const message = `Cannot take the write: as much waits already as may, ${limit}`;
  const reason = "write_backlog";
  return new HearthError("resource_exhausted", message, { reason, retryAfterMs: 50 });
}

/** Errors: `invalid_argument`. Segments of many tenants are nobody's to delete. */
function checkTenant(tenant: string): void {
  if (tenant === "") {
    throw new HearthError("invalid_argument", "Cannot delete a tenant without a name", {
      reason: "missing_tenant",
      next: "Blocks of the anonymous owner hold data of many tenants; name the tenant whose data is to go",
    });
  }
  const bytes = Buffer.byteLength(tenant);
  if (bytes <= LIMITS.tenantMaxBytes) return;
  const message = `Cannot delete the tenant: its name has ${bytes} bytes, limit is ${LIMITS.tenantMaxBytes}`;
  throw new HearthError("invalid_argument", message, { reason: "tenant_too_long" });
}

function rejected(index: number, reason: string): HearthError {
  // Repeating it cannot help, so the writer's client must not try (index-and-query 1.7).
  if (reason === "tenant_deleted") {
    const message = `The entry at log index ${index} has a block of a tenant that is deleted; nothing was changed`;
    return new HearthError("invalid_argument", message, { reason, sent: "yes" });
  }
  if (reason === "too_many_deletions") {
    const message = "Cannot delete the tenant: as many are being deleted as may be at once";
    return new HearthError("resource_exhausted", message, {
      reason,
      sent: "yes",
      next: "hearth tenant deletions shows them; open those that are verified",
    });
  }
  const message = `The command at log index ${index} could not be applied; nothing was changed`;
  return new HearthError("failed_precondition", message, { reason, sent: "yes" });
}
