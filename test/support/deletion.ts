/** Deletion of tenants by one leader or several, over a real state machine, a bucket in memory and a log that is one call. */
import type { HearthError } from "../../src/base/index.ts";
import { HearthError as Failure, SILENT_LOGGER } from "../../src/base/index.ts";
import { type ActivityResult, TenantDeleter } from "../../src/leader/index.ts";
import { COMMAND, encodeTenantCommand } from "../../src/protocol/index.ts";
import { readDeletion, type StoredDeletion } from "../../src/state/index.ts";
import { TestScheduler } from "../leader/support.ts";
import { type BlockSpec, StateFixture, WINDOW_MS } from "../state/support.ts";
import { AgedStore } from "./storage/aged-store.ts";

/** Bytes of every object. */
export const OBJECT_BYTES = 10;

/** A bucket in which a test may let other things happen before a deletion. */
class HeldStore extends AgedStore {
  beforeDelete: (key: string) => Promise<void> = async () => {};

  override async delete(key: string): Promise<void> {
    await this.beforeDelete(key);
    await super.delete(key);
  }
}

export interface Leader {
  readonly deleter: TenantDeleter;
  readonly abort: AbortController;
  run(): Promise<ActivityResult>;
}

export class DeletionRig {
  readonly fixture = new StateFixture();
  readonly store = new HeldStore();
  readonly scheduler = new TestScheduler();
  /** In which the log is written now. */
  term = 1;
  /** Before a step goes to the log: may throw what the log would say. */
  beforeStep: (command: number) => void = () => {};
  /** Behind it. */
  afterStep: (command: number) => void = () => {};
  /** Ids of operations in their order: "confirm", "delete key", "step 22". */
  readonly order: string[] = [];
  /** Of the newest deletion of each tenant. */
  readonly #ids = new Map<string, number>();

  constructor() {
    this.store.onCall = (operation, key) => {
      if (operation === "delete") this.order.push(`delete ${key}`);
    };
  }

  nowMs(): number {
    return WINDOW_MS + 3_600_000 + this.scheduler.monotonicMs();
  }

  /** A member that leads in the term that is written now, and believes so until it is told otherwise. */
  leader(): Leader {
    const { term } = this;
    const { store, scheduler } = this;
    const abort = new AbortController();
    const rig = this;
    const deleter = new TenantDeleter({
      store,
      scheduler,
      state: {
        get hiddenAt() {
          return rig.fixture.state.hiddenAt;
        },
        get appliedIndex() {
          return rig.fixture.state.appliedIndex;
        },
      },
      db: this.fixture.db,
      clock: { nowMs: () => this.nowMs() },
      logger: SILENT_LOGGER,
      replica: {
        readIndex: (done) => {
          this.order.push("confirm");
          const index = this.fixture.state.appliedIndex;
          queueMicrotask(() => done({ ok: true, index, term: this.term }));
        },
        propose: ({ body, bodyBytes, count }, done) => {
          const command = new DataView(body.buffer, body.byteOffset).getUint16(4, true);
          try {
            this.beforeStep(command);
          } catch (error) {
            queueMicrotask(() => done({ ok: false, error: error as HearthError }));
            return;
          }
          this.order.push(`step ${command}`);
          const firstIndex = this.fixture.state.appliedIndex + 1;
          const place = { firstIndex, term: this.term, appendedAtMs: this.nowMs() };
          const result = this.fixture.state.apply([{ ...place, count, body, bodyBytes }]);
          this.afterStep(command);
          queueMicrotask(() => done({ ok: true, ...place, ...result }));
        },
      },
    });
    const isLeading = (): boolean => !abort.signal.aborted;
    return { deleter, abort, run: () => deleter.run({ term, signal: abort.signal, isLeading }) };
  }

  /** Runs until there is nothing to do at once. Errors: it does not end. */
  async finish(leader: Leader, runsMax = 50): Promise<ActivityResult> {
    for (let i = 0; i < runsMax; i++) {
      const result = await leader.run();
      if (result.outcome !== "done" || result.againAfterMs === undefined) return result;
    }
    throw new Error(`${runsMax} runs were not enough`);
  }

  /** Asks for a deletion; its id. */
  remove(tenant: string, closedForMs = 3_600_000): number {
    // A repeat changes nothing, and is no request.
    if (this.#apply(COMMAND.deleteTenant, { tenant, closedForMs }) === 0)
      this.#ids.set(tenant, this.fixture.state.appliedIndex);
    return this.deletion(tenant).id;
  }

  /** As an operator does. What the state says to it. */
  open(tenant: string): number | string {
    return this.#apply(COMMAND.openTenant, { term: 0, id: this.deletion(tenant).id });
  }

  /** The block's entry and its object. */
  add(spec: BlockSpec): string {
    this.fixture.add(spec);
    return this.put(objectKey(spec));
  }

  put(key: string): string {
    this.store.objects.set(key, { bytes: new Uint8Array(OBJECT_BYTES), modifiedAtMs: 0 });
    return key;
  }

  keys(): string[] {
    return [...this.store.objects.keys()].sort();
  }

  /** The newest of a tenant. */
  deletion(tenant: string): StoredDeletion {
    const id = this.#ids.get(tenant) ?? 0;
    const found = this.fixture.read((db) => readDeletion(db, id));
    if (found === null) throw new Error(`no deletion of ${tenant}`);
    return found;
  }

  close(): Promise<void> {
    return this.fixture.close();
  }

  #apply(command: number, payload: Parameters<typeof encodeTenantCommand>[0]): number | string {
    const entry = { command, payload: encodeTenantCommand(payload) };
    const place = { term: this.term, appendedAtMs: this.nowMs() };
    return this.fixture.applyOne(entry, place);
  }
}

/** Where the object of a block is, as writers and workers name it. */
export function objectKey({ id, tenant = "", shard = 1 }: BlockSpec): string {
  return tenant === ""
    ? `segments/${shard}/anonymous/${id}/block.bin`
    : `blocks/${shard}/${tenant}/${id}/block.bin`;
}

/** A bucket that cannot be reached. */
export function unreachable(): Failure {
  return new Failure("unavailable", "Cannot reach the bucket", { reason: "storage_unreachable" });
}
