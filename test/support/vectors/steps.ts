/** Runs steps of a case against a target: request in, response out, expectation compared. */

import { isHearthError } from "../../../src/base/index.ts";
import {
  type BlockMeta,
  ByteSink,
  blockMetaFromJson,
  COMMAND,
  type CompactedBlocks,
  encodeBlock,
  encodeCompactedBlocks,
  encodeCompletedJobs,
  encodeDeleteShard,
  encodeTombstones,
  encodeTruncateIndex,
  type ShardTombstone,
  type Tombstone,
} from "../../../src/protocol/index.ts";
import { encodeEntry } from "../entries.ts";
import {
  areSameMessages,
  blockToMessage,
  labelsToMessage,
  listField,
  longField,
  messageField,
  normalizeMessage,
  numberField,
  tenantToMessage,
  textField,
} from "./messages.ts";
import type { Json, JsonObject, LogPosition, QueryInput, Step, VectorTarget } from "./types.ts";

/** Walks through the steps of one case; the term of the log stays in force between them. */
export class StepRunner {
  readonly #target: VectorTarget;
  #term = 1;

  constructor(target: VectorTarget) {
    this.#target = target;
  }

  /** Runs one step. Result: what is wrong with it, or null. */
  async run(step: Step): Promise<string | null> {
    const outcome = await this.#execute(step);
    const expected = step.expect ?? { code: "OK" };
    if (outcome.code !== expected.code) {
      return `${step.op}: expected ${expected.code}, got ${outcome.code} ${outcome.message}`;
    }
    if (expected.code !== "OK" || expected.response === undefined) return null;
    if (areSameMessages(outcome.response, expected.response, expected.unordered === true))
      return null;
    const show = (value: Json): string => JSON.stringify(normalizeMessage(value));
    return `${step.op}: responses differ\n  expected ${show(expected.response)}\n  got      ${show(outcome.response)}`;
  }

  async #execute(step: Step): Promise<{ code: string; message: string; response: Json }> {
    try {
      return { code: "OK", message: "", response: await this.#dispatch(step) };
    } catch (error) {
      // Anything else is a failure of the target or of the runner, not an answer.
      if (!isHearthError(error)) throw error;
      return { code: error.code.toUpperCase(), message: error.message, response: null };
    }
  }

  async #dispatch(step: Step): Promise<Json> {
    const request = step.request ?? {};
    const target = this.#target;
    switch (step.op) {
      case "get_block_metadata": {
        const list = messageField(request, "blocks") ?? {};
        const blocks = await target.getBlocks(
          textField(list, "tenant"),
          numberField(list, "shard"),
          listField(list, "blocks"),
        );
        return { blocks: blocks.map(blockToMessage) };
      }
      case "query_metadata":
        return { blocks: (await target.query(readQuery(request))).map(blockToMessage) };
      case "query_metadata_labels":
        return labelsToMessage(await target.queryLabels(readQuery(request)));
      case "get_tenants":
        return { tenant_ids: await target.getTenants() };
      case "get_tenant":
        return tenantToMessage(await target.getTenant(textField(request, "tenant_id")));
      case "tombstone_exists":
        return target.tombstoneExists(
          textField(request, "tenant"),
          numberField(request, "shard"),
          textField(request, "block"),
        );
      case "list_tombstones":
        return target.listTombstones(Date.parse(textField(request, "before")));
      case "restart":
        await target.restart();
        return {};
      default:
        await this.#change(step, request);
        return {};
    }
  }

  async #change(step: Step, request: JsonObject): Promise<void> {
    const position = this.#position(step);
    if (step.op === "add_block") {
      const block = messageField(request, "block");
      await this.#target.addBlock(block === null ? null : blockMetaFromJson(block), position);
      return;
    }
    await this.#target.command(buildEntry(step.op, request), position);
  }

  #position(step: Step): LogPosition {
    this.#term = Number(step.log?.term ?? this.#term);
    const appendedAt = step.log?.appended_at;
    return {
      term: this.#term,
      appendedAtMs: appendedAt === undefined ? null : Date.parse(appendedAt),
    };
  }
}

function buildEntry(op: string, request: JsonObject): Uint8Array {
  switch (op) {
    case "replace_blocks":
      return encodeEntry(COMMAND.replaceBlocks, encodeCompactedBlocks(readCompacted(request)));
    case "complete_job": {
      const state = messageField(request, "state") ?? {};
      const compacted = messageField(request, "compacted_blocks");
      const job = {
        name: textField(state, "name"),
        compactionLevel: numberField(state, "compaction_level"),
        compacted: compacted === null ? null : readCompacted(compacted),
      };
      return encodeEntry(COMMAND.completeJobs, encodeCompletedJobs([job]));
    }
    case "delete_shard":
      return encodeEntry(COMMAND.deleteShard, encodeDeleteShard(readShardTombstone(request)));
    case "truncate_index": {
      const tombstones = listField<JsonObject>(request, "tombstones").map(readTombstone);
      const term = numberField(request, "term");
      return encodeEntry(COMMAND.truncateIndex, encodeTruncateIndex({ term, tombstones }));
    }
    case "add_tombstones":
      return encodeEntry(COMMAND.addTombstones, encodeTombstones([readTombstone(request)]));
    case "delete_tombstones":
      return encodeEntry(COMMAND.deleteTombstones, encodeTombstones([readTombstone(request)]));
    default:
      throw new Error(`Unknown operation "${op}"`);
  }
}

function readQuery(request: JsonObject): QueryInput {
  return {
    tenants: listField(request, "tenant_id"),
    startMs: numberField(request, "start_time"),
    endMs: numberField(request, "end_time"),
    selector: textField(request, "query"),
    labels: listField(request, "labels"),
  };
}

function readCompacted(message: JsonObject): CompactedBlocks {
  const source = messageField(message, "source_blocks");
  return {
    source:
      source === null
        ? null
        : {
            tenant: textField(source, "tenant"),
            shard: numberField(source, "shard"),
            blocks: listField(source, "blocks"),
          },
    newBlocks: listField<JsonObject>(message, "new_blocks").map((block) =>
      blockBytes(blockMetaFromJson(block)),
    ),
  };
}

/** The block in its wire form, owned. */
export function blockBytes(block: BlockMeta): Uint8Array {
  const sink = new ByteSink();
  encodeBlock(block, sink);
  return sink.copy();
}

function readTombstone(message: JsonObject): Tombstone {
  const blocks = messageField(message, "blocks");
  const shard = messageField(message, "shard");
  return {
    blocks:
      blocks === null
        ? null
        : {
            name: textField(blocks, "name"),
            shard: numberField(blocks, "shard"),
            tenant: textField(blocks, "tenant"),
            compactionLevel: numberField(blocks, "compaction_level"),
            blocks: listField(blocks, "blocks"),
          },
    shard: shard === null ? null : readShardTombstone(shard),
  };
}

function readShardTombstone(message: JsonObject): ShardTombstone {
  return {
    name: textField(message, "name"),
    timestampNs: longField(message, "timestamp"),
    durationNs: longField(message, "duration"),
    shard: numberField(message, "shard"),
    tenant: textField(message, "tenant"),
  };
}
