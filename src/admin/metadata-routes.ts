/**
 * The metastore's operations as HTTP/JSON, with the field names of proto3 JSON (spec index-and-query, 1). The command
 * line runs on these; bulk work and anything hot belongs to the binary protocol.
 */
import { HearthError, invalidArgument } from "../base/index.ts";
import type { ReadConsistency, ReadOptions } from "../client/index.ts";
import { type BlockMeta, blockMetaFromJson, blockMetaToJson } from "../protocol/index.ts";
import {
  field,
  integerField,
  type JsonObject,
  objectField,
  readJsonObject,
  refuseUnknownFields,
  textField,
  textListField,
} from "./json-input.ts";
import { readTimeout } from "./query-input.ts";
import { json } from "./responses.ts";
import type { AdminRequest, AdminResponse, MetadataClient, PlanBatchView, Route } from "./types.ts";

export interface MetadataRouteOptions {
  /** Budget of a request that names none. */
  readonly defaultTimeoutMs: number;
}

/** Null until a reader thread can serve: the routes exist from the first second and say so. */
export type MetadataClientSource = () => MetadataClient | null;

/** Errors: `unavailable` until the node serves. */
export function servingClient(source: MetadataClientSource): MetadataClient {
  const client = source();
  if (client !== null) return client;
  throw new HearthError("unavailable", "This node is not serving yet", {
    reason: "not_serving",
    next: "GET /ready says what it is doing",
    retryAfterMs: 1_000,
  });
}

/** Blocks of one write; the wire has its own bounds in bytes. */
const BLOCKS_PER_WRITE_MAX = 10_000;

export function metadataRoutes(
  options: MetadataRouteOptions,
  client: MetadataClientSource,
): Route[] {
  const api = new MetadataApi(options, client);
  return [
    {
      method: "POST",
      path: "/api/v1/blocks",
      summary: "Add one block ({block}) or several, all or none ({blocks})",
      handle: (request) => api.addBlocks(request),
    },
    {
      method: "POST",
      path: "/api/v1/blocks/get",
      summary: "Blocks by tenant, shard and ids ({blocks: {tenant, shard, blocks}})",
      handle: (request) => api.getBlocks(request),
    },
    {
      method: "GET",
      path: "/api/v1/blocks/{id}",
      summary: "One block; ?tenant= and ?shard= say where it lives",
      handle: (request, { id }) => api.getBlock(request, id ?? ""),
    },
    {
      method: "POST",
      path: "/api/v1/query/blocks",
      summary: "Blocks that may hold data ({tenantId, startTime, endTime, query, labels})",
      handle: (request) => api.queryBlocks(request),
    },
    {
      method: "POST",
      path: "/api/v1/query/labels",
      summary: "Distinct values of labels ({tenantId, startTime, endTime, query, labels})",
      handle: (request) => api.queryLabels(request),
    },
    {
      method: "GET",
      path: "/api/v1/tenants",
      summary: "Tenants that own blocks",
      handle: (request) => api.listTenants(request),
    },
    {
      method: "GET",
      path: "/api/v1/tenants/{id}",
      summary: "Oldest and newest data of a tenant",
      handle: (request, { id }) => api.getTenant(request, id ?? ""),
    },
  ];
}

class MetadataApi {
  readonly #options: MetadataRouteOptions;
  readonly #source: MetadataClientSource;

  constructor(options: MetadataRouteOptions, source: MetadataClientSource) {
    this.#options = options;
    this.#source = source;
  }

  async addBlocks(request: AdminRequest): Promise<AdminResponse> {
    const blocks = readBlocks(readJsonObject(request));
    const { signal, timeoutMs } = this.#callOptions(request);
    const written = await this.#client().addBlocks(blocks, { signal, timeoutMs });
    return json(200, { blocks: blocks.length, logIndex: written.logIndex, term: written.term });
  }

  async getBlocks(request: AdminRequest): Promise<AdminResponse> {
    const body = readJsonObject(request);
    refuseUnknownFields(body, ["blocks"]);
    const list = objectField(body, "blocks");
    if (list === undefined)
      throw invalidArgument("bad_field", "blocks is missing: {blocks: {tenant, shard, blocks}}");
    refuseUnknownFields(list, ["tenant", "shard", "blocks"]);
    const blocks = await this.#fetchBlocks(request, {
      tenant: textField(list, "tenant", ""),
      shard: readShard(integerField(list, "shard", 0)),
      blocks: textListField(list, "blocks"),
    });
    return json(200, { blocks });
  }

  async getBlock(request: AdminRequest, id: string): Promise<AdminResponse> {
    const tenant = request.query.get("tenant") ?? "";
    const shardText = request.query.get("shard") ?? "0";
    const shard = readShard(/^\d+$/.test(shardText) ? Number(shardText) : Number.NaN);
    const [block] = await this.#fetchBlocks(request, { tenant, shard, blocks: [id] });
    if (block === undefined) {
      const owner = tenant === "" ? "the anonymous owner" : `tenant "${tenant}"`;
      throw new HearthError("not_found", `There is no block ${id} in shard ${shard} of ${owner}`, {
        reason: "block_not_found",
        next: "Name its owner and shard with ?tenant= and ?shard=",
      });
    }
    return json(200, { block });
  }

  async #fetchBlocks(
    request: AdminRequest,
    list: { tenant: string; shard: number; blocks: readonly string[] },
  ): Promise<object[]> {
    return collectBlocks(this.#client().getBlockMetadata(list, this.#readOptions(request)));
  }

  async queryBlocks(request: AdminRequest): Promise<AdminResponse> {
    const query = readQuery(readJsonObject(request));
    const blocks = await collectBlocks(
      this.#client().queryMetadata(query, this.#readOptions(request)),
    );
    return json(200, { blocks });
  }

  async queryLabels(request: AdminRequest): Promise<AdminResponse> {
    const query = readQuery(readJsonObject(request));
    const labels: object[] = [];
    for await (const batch of this.#client().queryMetadataLabels(
      query,
      this.#readOptions(request),
    )) {
      for (const row of batch) labels.push({ labels: row });
    }
    return json(200, { labels });
  }

  async listTenants(request: AdminRequest): Promise<AdminResponse> {
    return json(200, { tenantIds: await this.#client().getTenants(this.#readOptions(request)) });
  }

  async getTenant(request: AdminRequest, id: string): Promise<AdminResponse> {
    const stats = await this.#client().getTenant(id, this.#readOptions(request));
    return json(200, {
      stats: {
        dataIngested: stats.dataIngested,
        oldestProfileTime: String(stats.oldestProfileAtMs),
        newestProfileTime: String(stats.newestProfileAtMs),
      },
    });
  }

  #client(): MetadataClient {
    return servingClient(this.#source);
  }

  #callOptions(request: AdminRequest): { signal: AbortSignal; timeoutMs: number } {
    return { signal: request.signal, timeoutMs: this.#timeoutOf(request) };
  }

  #readOptions(request: AdminRequest): ReadOptions {
    return { ...this.#callOptions(request), consistency: readConsistency(request) };
  }

  #timeoutOf(request: AdminRequest): number {
    return readTimeout(request, this.#options.defaultTimeoutMs);
  }
}

function readConsistency(request: AdminRequest): ReadConsistency {
  const written = request.query.get("consistency") ?? "strong";
  if (written === "strong" || written === "local") return written;
  throw invalidArgument("bad_consistency", `consistency: "${written}" is neither strong nor local`);
}

/** `{block}`, `{blocks}`, or a bare block: what people have at hand. */
function readBlocks(body: JsonObject): BlockMeta[] {
  const several = field(body, "blocks");
  if (several === undefined) {
    const single = field(body, "block") ?? body;
    return [blockMetaFromJson(single)];
  }
  refuseUnknownFields(body, ["blocks"]);
  if (!Array.isArray(several))
    throw invalidArgument("bad_field", "blocks must be a list of blocks");
  if (several.length === 0) throw invalidArgument("bad_field", "blocks is empty");
  if (several.length > BLOCKS_PER_WRITE_MAX) {
    throw invalidArgument(
      "too_many_blocks",
      `blocks has ${several.length} blocks, limit is ${BLOCKS_PER_WRITE_MAX}`,
    );
  }
  return several.map((block, i) => {
    try {
      return blockMetaFromJson(block);
    } catch (error) {
      throw badBlock(i, error);
    }
  });
}

function readQuery(body: JsonObject): {
  tenants: string[];
  selector: string;
  startAtMs: number;
  endAtMs: number;
  labels: string[];
} {
  refuseUnknownFields(body, ["tenantId", "startTime", "endTime", "query", "labels"]);
  return {
    tenants: textListField(body, "tenantId"),
    selector: textField(body, "query", ""),
    startAtMs: integerField(body, "startTime", 0),
    endAtMs: integerField(body, "endTime", 0),
    labels: textListField(body, "labels"),
  };
}

function readShard(shard: number): number {
  if (Number.isInteger(shard) && shard >= 0 && shard <= 0xffff_ffff) return shard;
  throw invalidArgument("bad_field", "shard must be a whole number from 0 to 4294967295");
}

/** Batches are borrowed until the next step of the loop: each block is turned into JSON's values at once. */
async function collectBlocks(batches: AsyncIterable<PlanBatchView>): Promise<object[]> {
  const blocks: object[] = [];
  for await (const batch of batches) {
    for (const block of batch) blocks.push(blockMetaToJson(block.toBlockMeta()));
  }
  return blocks;
}

function badBlock(position: number, cause: unknown): HearthError {
  const message = cause instanceof Error ? cause.message : String(cause);
  return new HearthError("invalid_argument", `blocks[${position}]: ${message}`, {
    reason: "bad_block",
    cause,
  });
}
