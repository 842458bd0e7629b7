/**
 * A running server as a vector target, driven over gRPC by a client of another make with the messages of schemas/. What the
 * gRPC contract has no method for (log entries of other commands, tombstones, a restart) goes the way of ServerTarget.
 */

import { ERROR_CODES, type ErrorCode, HearthError } from "../../../src/base/index.ts";
import {
  type BlockMeta,
  encodeBlockMetaProto,
  parseBlockMetaProto,
} from "../../../src/protocol/index.ts";
import { CallError, GrpcClient } from "../grpc/client.ts";
import { decodeMessage, encodeMessage, type Message } from "../grpc/schema.ts";
import { ServerTarget, startWith } from "./server-target.ts";
import type { LabelPair, QueryInput, TenantStatistics } from "./types.ts";

export function startGrpcTarget(): Promise<ServerTarget> {
  return startWith((directory, connection) => new GrpcTarget(directory, connection));
}

const INDEX = "/metastore.v1.IndexService/";
const QUERY = "/metastore.v1.MetadataQueryService/";
const TENANT = "/metastore.v1.TenantService/";

class GrpcTarget extends ServerTarget {
  #client: GrpcClient | null = null;

  override async addBlock(block: BlockMeta | null): Promise<void> {
    await this.#call(`${INDEX}AddBlock`, block === null ? {} : { block: toMessage(block) });
  }

  override async getBlocks(
    tenant: string,
    shard: number,
    blocks: readonly string[],
  ): Promise<BlockMeta[]> {
    const list = { tenant, shard, blocks: [...blocks] };
    return blocksOf(await this.#call(`${INDEX}GetBlockMetadata`, { blocks: list }));
  }

  override async query(input: QueryInput): Promise<BlockMeta[]> {
    return blocksOf(await this.#call(`${QUERY}QueryMetadata`, toQuery(input)));
  }

  override async queryLabels(input: QueryInput): Promise<LabelPair[][]> {
    const answer = await this.#call(`${QUERY}QueryMetadataLabels`, toQuery(input));
    const { labels } = answer as { labels: { labels: Partial<LabelPair>[] }[] };
    return labels.map((row) => row.labels.map(({ name = "", value = "" }) => ({ name, value })));
  }

  override async getTenants(): Promise<string[]> {
    const answer = await this.#call(`${TENANT}GetTenants`, {});
    return answer.tenant_ids as string[];
  }

  override async getTenant(tenant: string): Promise<TenantStatistics> {
    const { stats } = await this.#call(`${TENANT}GetTenant`, { tenant_id: tenant });
    const fields = stats as Message;
    return {
      dataIngested: fields.data_ingested === true,
      oldestProfileTimeMs: Number(fields.oldest_profile_time ?? 0),
      newestProfileTimeMs: Number(fields.newest_profile_time ?? 0),
    };
  }

  override async restart(): Promise<void> {
    this.#closeClient();
    await super.restart();
  }

  override async close(): Promise<void> {
    this.#closeClient();
    await super.close();
  }

  async #call(path: string, request: Message): Promise<Message> {
    this.#client ??= new GrpcClient(this.server.grpcAddress);
    try {
      return await this.#client.call(path, request);
    } catch (error) {
      throw error instanceof CallError ? fromCall(error) : error;
    }
  }

  #closeClient(): void {
    this.#client?.close();
    this.#client = null;
  }
}

/** As the message of another codec: block-proto.ts goes by protobufjs, too. */
function toMessage(block: BlockMeta): Message {
  return decodeMessage("metastore.v1.BlockMeta", encodeBlockMetaProto(block));
}

function blocksOf(answer: Message): BlockMeta[] {
  const { blocks } = answer as { blocks: Message[] };
  return blocks.map((block) => parseBlockMetaProto(encodeMessage("metastore.v1.BlockMeta", block)));
}

function toQuery({ tenants, startMs, endMs, selector, labels }: QueryInput): Message {
  return {
    tenant_id: [...tenants],
    start_time: BigInt(startMs).toString(),
    end_time: BigInt(endMs).toString(),
    query: selector,
    labels: [...labels],
  };
}

function fromCall(error: CallError): HearthError {
  const names = Object.entries(ERROR_CODES) as [ErrorCode, number][];
  const name = names.find(([, number]) => number === error.code)?.[0] ?? "unknown";
  return new HearthError(name, error.details);
}
