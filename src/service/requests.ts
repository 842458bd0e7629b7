/**
 * What each operation of the binary protocol means: decode, check, run as a read or a write, encode.
 * Knows no sockets. One instance per reader thread.
 */

import { HearthError } from "../base/index.ts";
import {
  type BlockIdsRequest,
  ByteSink,
  type Consistency,
  decodeBlockListRequest,
  decodeCommandRequest,
  decodeQueryRequest,
  decodeSessionWrite,
  decodeTenantRequest,
  encodeJsonMessage,
  encodeTenantReply,
  encodeTenantsReply,
  encodeWriteReply,
  FRAME_HEADER_BYTES,
  OP,
  type QueryRequest,
} from "../protocol/index.ts";
import type { CompactionControl } from "./compaction-control.ts";
import { pollCompactionJobs } from "./compaction-polls.ts";
import type { Inspector } from "./inspect.ts";
import type { MainLink, NodeQuestion } from "./main-link.ts";
import type { ReadLevel, ReadService } from "./reads.ts";
import type { Reply } from "./reply.ts";
import type { TenantControl } from "./tenant-control.ts";
import type { WriteService } from "./writes.ts";

/** A part of a streamed answer; borrowed. */
export type ChunkSink = (chunk: Uint8Array, isLast: boolean) => void;

/** What requests need of the query engine. Every call runs inside a read transaction. */
export interface QueryPort {
  appliedIndex(): number;
  /** `checkpoint` is called between pieces of work; what it throws ends the query. */
  queryMetadata(request: QueryRequest, sink: ChunkSink, checkpoint: () => void): void;
  queryMetadataLabels(request: QueryRequest, sink: ChunkSink, checkpoint: () => void): void;
  /** The asker may be sent entry chunks instead. */
  getBlockMetadata(
    request: BlockIdsRequest,
    asker: Pick<Reply, "chunk" | "dictionaries" | "entries">,
  ): void;
  getTenants(): readonly string[];
  getTenant(name: string): TenantStats;
}

export interface TenantStats {
  readonly dataIngested: boolean;
  readonly oldestProfileTimeMs: number;
  readonly newestProfileTimeMs: number;
}

export interface RequestOptions {
  /** Takes raw commands and inspection. */
  readonly allowRawCommands: boolean;
}

export interface RequestModules {
  readonly engine: QueryPort;
  readonly reads: ReadService;
  readonly writes: WriteService;
  readonly main: MainLink;
  readonly inspector: Inspector;
  readonly compaction: Pick<CompactionControl, "handle">;
  readonly tenants: Pick<TenantControl, "handle">;
}

export class RequestService {
  readonly #options: RequestOptions;
  readonly #modules: RequestModules;
  readonly #answer = new ByteSink();

  constructor(options: RequestOptions, modules: RequestModules) {
    this.#options = options;
    this.#modules = modules;
  }

  /**
   * Does what the request in a frame asks. The frame is borrowed until the call returns; the answer may come later.
   * Errors: throws HearthError for requests that are refused at once.
   */
  handle(opcode: number, frame: Uint8Array, reply: Reply): void {
    // Before the others: it is decoded where it stands, since a view of the payload alone would cost as much.
    if (opcode === OP.get_block_metadata) {
      this.#getBlockMetadata(frame, reply);
      return;
    }
    const payload = frame.subarray(FRAME_HEADER_BYTES);
    switch (opcode) {
      case OP.add_block:
        return this.#modules.writes.addBlock(payload, reply);
      case OP.add_blocks:
        return this.#modules.writes.addBlocks(payload, reply);
      case OP.open_session:
        return this.#modules.writes.openSession(reply);
      case OP.session_write:
        return this.#sessionWrite(payload, reply);
      case OP.poll_compaction_jobs:
        return pollCompactionJobs(this.#modules.main, payload, reply);
      case OP.list_compaction_jobs:
      case OP.get_compaction_job:
      case OP.control_compaction_jobs:
      case OP.compaction_status:
      case OP.compaction_queues:
      case OP.preview_compaction_plan:
      case OP.change_compaction_policy:
        return this.#modules.compaction.handle(opcode, payload, reply);
      case OP.delete_tenant:
        return this.#modules.writes.deleteTenant(decodeTenantRequest(payload).tenant, reply);
      case OP.list_tenant_deletions:
      case OP.open_tenant:
        return this.#modules.tenants.handle(opcode, payload, reply);
      case OP.query_metadata:
        return this.#queryMetadata(payload, reply);
      case OP.query_metadata_labels:
        return this.#queryMetadataLabels(payload, reply);
      case OP.get_tenants:
        return this.#getTenants(payload, reply);
      case OP.get_tenant:
        return this.#getTenant(payload, reply);
      case OP.read_index:
        return this.#readIndex(reply);
      case OP.node_info:
        return this.#nodeInfo("node", reply);
      case OP.leader_activities:
        return this.#nodeInfo("activities", reply);
      case OP.command:
        return this.#command(payload, reply);
      case OP.inspect:
        return this.#inspect(payload, reply);
      default:
        throw unimplemented(opcode);
    }
  }

  /** Looks blocks up, if that can be done now: false when nothing has happened. The request is borrowed. */
  maybeLookUp(request: BlockIdsRequest, reply: Reply): boolean {
    const { reads, engine } = this.#modules;
    if (!reads.maybeBegin(levelOf(request.consistency))) return false;
    try {
      engine.getBlockMetadata(request, reply);
    } catch (error) {
      reads.failed(reply, error);
    }
    return true;
  }

  #sessionWrite(bytes: Uint8Array, reply: Reply): void {
    const { payload, opcode, ...numbers } = decodeSessionWrite(bytes);
    const { writes } = this.#modules;
    if (opcode === OP.add_block) writes.addBlock(payload, reply, numbers);
    else writes.addBlocks(payload, reply, numbers);
  }

  #queryMetadata(payload: Uint8Array, reply: Reply): void {
    const request = decodeQueryRequest(payload);
    const { reads, engine } = this.#modules;
    reads.run(levelOf(request.consistency), reply, () => {
      engine.queryMetadata(
        request,
        (chunk, isLast) => reply.chunk(chunk, isLast),
        () => reply.checkpoint(),
      );
    });
  }

  #queryMetadataLabels(payload: Uint8Array, reply: Reply): void {
    const request = decodeQueryRequest(payload);
    const { reads, engine } = this.#modules;
    reads.run(levelOf(request.consistency), reply, () => {
      engine.queryMetadataLabels(
        request,
        (chunk, isLast) => reply.chunk(chunk, isLast),
        () => reply.checkpoint(),
      );
    });
  }

  #getBlockMetadata(frame: Uint8Array, reply: Reply): void {
    const request = decodeBlockListRequest(frame, FRAME_HEADER_BYTES);
    if (this.maybeLookUp(request, reply)) return;
    const { reads, engine } = this.#modules;
    const level = levelOf(request.consistency);
    const kept = { ...request, ids: request.ids.slice() };
    reads.run(level, reply, () => engine.getBlockMetadata(kept, reply));
  }

  #getTenants(payload: Uint8Array, reply: Reply): void {
    const { consistency } = decodeTenantRequest(payload);
    const { reads, engine } = this.#modules;
    reads.run(levelOf(consistency), reply, () => {
      const tenants = engine.getTenants();
      const appliedIndex = engine.appliedIndex();
      this.#end(reply, (sink) => encodeTenantsReply(sink, { tenants, appliedIndex }));
    });
  }

  #getTenant(payload: Uint8Array, reply: Reply): void {
    const { tenant, consistency } = decodeTenantRequest(payload);
    const { reads, engine } = this.#modules;
    reads.run(levelOf(consistency), reply, () => {
      const stats = engine.getTenant(tenant);
      const appliedIndex = engine.appliedIndex();
      this.#end(reply, (sink) => encodeTenantReply(sink, { ...stats, appliedIndex }));
    });
  }

  #readIndex(reply: Reply): void {
    this.#modules.reads.grant(reply, (logIndex, term) => {
      this.#end(reply, (sink) => encodeWriteReply(sink, { logIndex, term }));
    });
  }

  #nodeInfo(about: NodeQuestion, reply: Reply): void {
    this.#modules.main.nodeInfo(about, (json) => {
      if (!reply.isSettled) this.#end(reply, (sink) => encodeJsonMessage(sink, json));
    });
  }

  #command(payload: Uint8Array, reply: Reply): void {
    this.#demandRawCommands();
    const command = decodeCommandRequest(payload);
    // A copy, since the frame dies with this call, alone in its buffer, since it is transferred. Not slice(): of a
    // Buffer that is a view.
    const body = new Uint8Array(command.body);
    this.#modules.writes.proposeRaw({ ...command, body }, reply);
  }

  #inspect(payload: Uint8Array, reply: Reply): void {
    this.#demandRawCommands();
    const answer = this.#modules.inspector.prepare(payload);
    this.#modules.reads.run("strong", reply, () => {
      const json = JSON.stringify({ result: answer() });
      this.#end(reply, (sink) => encodeJsonMessage(sink, json));
    });
  }

  #end(reply: Reply, encode: (sink: ByteSink) => number): void {
    this.#answer.reset();
    encode(this.#answer);
    reply.end(this.#answer.view());
  }

  #demandRawCommands(): void {
    if (this.#options.allowRawCommands) return;
    const message = "This server takes no raw commands";
    throw new HearthError("permission_denied", message, { reason: "raw_commands_off" });
  }
}

/**
 * Bounded staleness is answered as a strong read: it may be fresher than asked, never staler, and on the only voter it
 * costs nothing more. A cheaper way pays only where a grant needs a round trip to another member.
 */
function levelOf(consistency: Consistency): ReadLevel {
  return consistency === "local" ? "local" : "strong";
}

function unimplemented(opcode: number): HearthError {
  const message = `Operation ${opcode} is not implemented`;
  return new HearthError("unimplemented", message, { reason: "unimplemented" });
}
