/** What leaders delete, one of them or several, over a real state machine, a bucket in memory and a log that is one call. */
import type { Clock, HearthError } from "../../src/base/index.ts";
import { HearthError as Failure, SILENT_LOGGER } from "../../src/base/index.ts";
import {
  type ActivityResult,
  type ActivityRun,
  RetentionCleaner,
  type RetentionOptions,
  TenantDeleter,
} from "../../src/leader/index.ts";
import { COMMAND, encodeTenantCommand } from "../../src/protocol/index.ts";
import type { Replica } from "../../src/replica/index.ts";
import { readDeletion, type StateOptions, type StoredDeletion } from "../../src/state/index.ts";
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
  readonly office: ActivityRun;
  run(): Promise<ActivityResult>;
}

/** What a member has of its own. */
export type CleanerModules = Pick<
  ConstructorParameters<typeof RetentionCleaner>[1],
  "clock" | "newestForeignEntryAtMs" | "periods"
>;

export class DeletionRig {
  readonly fixture: StateFixture;
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

  constructor(options: Partial<StateOptions> = {}) {
    this.fixture = new StateFixture(options);
    this.store.onCall = (operation, key) => {
      if (operation === "delete") this.order.push(`delete ${key}`);
    };
  }

  nowMs(): number {
    return WINDOW_MS + 3_600_000 + this.scheduler.monotonicMs();
  }

  /** A member that leads in the term that is written now, and believes so until it is told otherwise. */
  leader(clock: Clock = { nowMs: () => this.nowMs() }): Leader {
    const { term } = this;
    const { store, scheduler } = this;
    const abort = new AbortController();
    const deleter = new TenantDeleter({
      store,
      scheduler,
      state: this.fixture.state,
      db: this.fixture.db,
      clock,
      logger: SILENT_LOGGER,
      replica: this.#replica(),
    });
    const isLeading = (): boolean => !abort.signal.aborted;
    const office = { term, signal: abort.signal, isLeading };
    return { deleter, abort, office, run: () => deleter.run(office) };
  }

  /** Retention by the member that leads now. It learns that another one does when it asks the log. */
  cleaner(options: RetentionOptions, member: CleanerModules): RetentionCleaner {
    const { term } = this;
    const replica = this.#replica();
    return new RetentionCleaner(options, {
      ...member,
      db: this.fixture.db,
      scheduler: this.scheduler,
      logger: SILENT_LOGGER,
      replica: {
        term,
        propose: replica.propose,
        readIndex: (done) => {
          if (this.term === term) return replica.readIndex(done);
          queueMicrotask(() => done({ ok: false, error: notLeading() }));
        },
      },
    });
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

  /** Whoever asks is taken for the one that writes the log; entries say what term they were decided in. */
  #replica(): Pick<Replica, "propose" | "readIndex"> {
    const { state } = this.fixture;
    return {
      readIndex: (done) => {
        this.order.push("confirm");
        const index = state.appliedIndex;
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
        const firstIndex = state.appliedIndex + 1;
        const place = { firstIndex, term: this.term, appendedAtMs: this.nowMs() };
        const result = this.fixture.applyBatch({ ...place, count, body, bodyBytes });
        this.afterStep(command);
        queueMicrotask(() => done({ ok: true, ...place, ...result }));
      },
    };
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

function notLeading(): Failure {
  return new Failure("unavailable", "Another member leads", { reason: "not_leader" });
}

/** A bucket that cannot be reached. */
export function unreachable(): Failure {
  return new Failure("unavailable", "Cannot reach the bucket", { reason: "storage_unreachable" });
}
