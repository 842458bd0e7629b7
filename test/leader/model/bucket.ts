/** The bucket as it should be: whose each object is, and whether it may go. */
import type { DeletionRig } from "../../support/deletion.ts";

export interface Stored {
  /** Of the directory that it is in. */
  readonly owner: string;
  /** Whose data is in it. */
  readonly tenants: readonly string[];
  /** All of them were deleted at some time of its life: it may go, whoever has the names by now. */
  isDoomed: boolean;
  /** Came while its tenant was hidden, and the state was not told: a pass may be past it, and the last look finds it. */
  isLate: boolean;
}

export class BucketModel {
  readonly objects = new Map<string, Stored>();
  /** By tenant, of its own directories: how many leaders deleted. */
  readonly deleted = new Map<string, number>();
  readonly #rig: DeletionRig;
  readonly #hidden: { has(name: string): boolean };

  constructor(rig: DeletionRig, hidden: { has(name: string): boolean }) {
    this.#rig = rig;
    this.#hidden = hidden;
  }

  put(key: string, tenants: readonly string[] = [ownerOf(key)]): void {
    const owner = ownerOf(key);
    const stored = { owner, tenants, isDoomed: false, isLate: this.#hidden.has(owner) };
    this.#judge(stored);
    this.objects.set(key, stored);
    this.#rig.put(key);
  }

  /** By a worker. */
  erase(key: string): void {
    this.objects.delete(key);
    this.#rig.store.objects.delete(key);
  }

  /** Who is hidden has changed. */
  judgeAll(): void {
    for (const stored of this.objects.values()) this.#judge(stored);
  }

  /** By a leader; why it must not, or null. */
  noteDeleted(key: string): string | null {
    const stored = this.objects.get(key);
    if (stored?.isDoomed === false) return `deleted ${key}, which is of nobody that was deleted`;
    if (!this.objects.delete(key)) return null;
    const owner = ownerOf(key);
    this.deleted.set(owner, (this.deleted.get(owner) ?? 0) + 1);
    return null;
  }

  /** An object in a directory of the tenant's own, among those that came late or among the others; null: there is none. */
  leftOf(tenant: string, { isLate }: Pick<Stored, "isLate">): string | null {
    for (const [key, stored] of this.objects) {
      const isOwn = stored.owner === tenant && !key.startsWith("segments/");
      if (isOwn && stored.isLate === isLate) return key;
    }
    return null;
  }

  #judge(stored: Stored): void {
    stored.isDoomed ||= stored.tenants.every((name) => this.#hidden.has(name));
  }
}

function ownerOf(key: string): string {
  return key.split("/")[2] as string;
}
