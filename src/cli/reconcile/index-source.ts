/** The index of a node, page by page, for a comparison: over HTTP what is there, over the binary protocol what it says. */
import type { HearthClient } from "../../client/index.ts";
import type { BlockMeta } from "../../protocol/index.ts";
import type { BlockState, ListedBlock, OwnerShard, OwnerShardPage } from "../../service/index.ts";
import type { NodeApi } from "../node-api.ts";

/** What a comparison asks of an index. */
export interface IndexSource {
  /** All owners and shards; a few dozen bytes each. */
  shards(): Promise<readonly OwnerShard[]>;
  /** Ascending by id, behind `after`; none: there are no more. */
  blocks(tenant: string, shard: number, after: string): Promise<readonly ListedBlock[]>;
  states(tenant: string, shard: number, ids: readonly string[]): Promise<readonly BlockState[]>;
  /** The blocks that are there, by id. */
  metadata(
    tenant: string,
    shard: number,
    ids: readonly string[],
  ): Promise<ReadonlyMap<string, BlockMeta>>;
}

export class NodeIndexSource implements IndexSource {
  readonly #api: NodeApi;
  readonly #client: Pick<HearthClient, "getBlockMetadata">;
  readonly #signal: AbortSignal;

  /** `api` is that of one node: pages of two nodes do not fit together. */
  constructor(api: NodeApi, client: Pick<HearthClient, "getBlockMetadata">, signal: AbortSignal) {
    this.#api = api;
    this.#client = client;
    this.#signal = signal;
  }

  async shards(): Promise<readonly OwnerShard[]> {
    const all: OwnerShard[] = [];
    for (let from: number | null = 0; from !== null; ) {
      const path = `/api/v1/index/shards?from=${from}`;
      const page: OwnerShardPage = (await this.#api.json<OwnerShardPage>({ method: "GET", path }))
        .value;
      all.push(...page.shards);
      from = page.next;
    }
    return all;
  }

  async blocks(tenant: string, shard: number, after: string): Promise<readonly ListedBlock[]> {
    const query = new URLSearchParams({ tenant, shard: String(shard), after });
    const path = `/api/v1/index/blocks?${query.toString()}`;
    const { value } = await this.#api.json<{ blocks: ListedBlock[] }>({ method: "GET", path });
    return value.blocks;
  }

  async states(
    tenant: string,
    shard: number,
    ids: readonly string[],
  ): Promise<readonly BlockState[]> {
    const { value } = await this.#api.json<{ states: BlockState[] }>({
      method: "POST",
      path: "/api/v1/index/states",
      body: JSON.stringify({ tenant, shard, ids }),
    });
    return value.states;
  }

  async metadata(
    tenant: string,
    shard: number,
    ids: readonly string[],
  ): Promise<ReadonlyMap<string, BlockMeta>> {
    const found = new Map<string, BlockMeta>();
    const request = { tenant, shard, blocks: ids };
    const options = { signal: this.#signal, consistency: "local" as const };
    for await (const chunk of this.#client.getBlockMetadata(request, options)) {
      for (let i = 0; i < chunk.blockCount; i++) {
        const meta = chunk.block(i).toBlockMeta();
        found.set(meta.id, meta);
      }
    }
    return found;
  }
}
