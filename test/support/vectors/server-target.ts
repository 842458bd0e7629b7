/**
 * A running server as a vector target: every case gets a server process with an empty directory, driven through our
 * own client. The next server starts while a case runs, since starting is most of the work.
 */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type BlockMeta,
  collectBlocks,
  collectLabels,
  connect,
  type HearthClient,
} from "../../../src/client/index.ts";
import { type ServerProcess, startServer } from "../server-process.ts";
import type {
  LabelPair,
  LogPosition,
  QueryInput,
  TargetOptions,
  TenantStatistics,
  VectorTarget,
  VectorTargets,
} from "./types.ts";

const FLAGS = ["-hearth.allow-raw-commands=true", "-hearth.reader-threads=1", "-log.level=warn"];

/**
 * Append times of cases lie in the past, and the log never goes back. So they are moved as a whole to this far ahead
 * of now; what matters of them is their order.
 */
const APPEND_TIME_LEAD_MS = 3_600_000;

export function createServerTargets(start: StartTarget = startTarget): VectorTargets {
  let next = startAhead(start);
  return {
    async create(options) {
      // Taken before waiting: two cases must not be given the same server.
      const taken = next;
      next = startAhead(start);
      const target = await taken;
      target.configure(options);
      return target;
    },
    async close() {
      await (await next).close();
    },
  };
}

export type StartTarget = () => Promise<ServerTarget>;

/** A failed start is reported to whoever takes the target, not as an unhandled rejection. */
function startAhead(start: StartTarget): Promise<ServerTarget> {
  const target = start();
  target.catch(() => {});
  return target;
}

function startTarget(): Promise<ServerTarget> {
  return startWith((directory, connection) => new ServerTarget(directory, connection));
}

/** Starts a server in a directory of its own, and makes the target of it. */
export async function startWith<T>(
  make: (directory: string, connection: Connection) => T,
): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), "hearth-vectors-"));
  try {
    return make(directory, await openConnection(directory));
  } catch (error) {
    rmSync(directory, { recursive: true, force: true });
    throw error;
  }
}

export interface Connection {
  readonly server: ServerProcess;
  readonly client: HearthClient;
}

async function openConnection(directory: string): Promise<Connection> {
  const server = await startServer({ directory, flags: FLAGS });
  try {
    const client = await connect({ endpoints: [server.endpoint], name: "vectors", role: "tool" });
    return { server, client };
  } catch (error) {
    await server.kill();
    throw error;
  }
}

export class ServerTarget implements VectorTarget {
  readonly #directory: string;
  #connection: Connection;
  #timeShiftMs = 0;

  constructor(directory: string, connection: Connection) {
    this.#directory = directory;
    this.#connection = connection;
  }

  configure({ earliestAppendedAtMs }: TargetOptions): void {
    if (earliestAppendedAtMs === null) return;
    this.#timeShiftMs = Date.now() + APPEND_TIME_LEAD_MS - earliestAppendedAtMs;
  }

  protected get server(): ServerProcess {
    return this.#connection.server;
  }

  get #client(): HearthClient {
    return this.#connection.client;
  }

  async addBlock(block: BlockMeta | null): Promise<void> {
    await this.#client.addBlock(block ?? new Uint8Array(0));
  }

  async command(entry: Uint8Array, { term, appendedAtMs }: LogPosition): Promise<void> {
    await this.#client.rawCommand(entry, {
      termAtLeast: term,
      appendedAtMs: appendedAtMs === null ? 0 : appendedAtMs + this.#timeShiftMs,
    });
  }

  getBlocks(tenant: string, shard: number, blocks: readonly string[]): Promise<BlockMeta[]> {
    return collectBlocks(this.#client.getBlockMetadata({ tenant, shard, blocks }));
  }

  query(input: QueryInput): Promise<BlockMeta[]> {
    return collectBlocks(this.#client.queryMetadata(toParams(input)));
  }

  async queryLabels(input: QueryInput): Promise<LabelPair[][]> {
    const rows = await collectLabels(this.#client.queryMetadataLabels(toParams(input)));
    return rows.map((row) => [...row]);
  }

  getTenants(): Promise<string[]> {
    return this.#client.getTenants();
  }

  async getTenant(tenant: string): Promise<TenantStatistics> {
    const stats = await this.#client.getTenant(tenant);
    return {
      dataIngested: stats.dataIngested,
      oldestProfileTimeMs: stats.oldestProfileAtMs,
      newestProfileTimeMs: stats.newestProfileAtMs,
    };
  }

  async tombstoneExists(tenant: string, shard: number, block: string): Promise<boolean> {
    const answer = await this.#client.inspect({ op: "tombstone_exists", tenant, shard, block });
    return (answer as { result: boolean }).result;
  }

  async listTombstones(beforeMs: number): Promise<string[]> {
    const before = new Date(beforeMs + this.#timeShiftMs).toISOString();
    const answer = await this.#client.inspect({ op: "list_tombstones", before });
    return (answer as { result: string[] }).result;
  }

  /** A kill, not a stop: only what is durable may be there afterwards. */
  async restart(): Promise<void> {
    await this.#client.close();
    await this.#connection.server.kill();
    this.#connection = await openConnection(this.#directory);
  }

  async close(): Promise<void> {
    await this.#client.close();
    await this.#connection.server.kill();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

function toParams({ tenants, startMs, endMs, selector, labels }: QueryInput) {
  return { tenants, startAtMs: startMs, endAtMs: endMs, selector, labels };
}
