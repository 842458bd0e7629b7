/** Names of workers as people know them. */

/** The client takes jobs in a loop of its own under this suffix; for people it is the same worker. */
const TAKE_SUFFIX = "/take";

/** Who has a job, as people know them; null: nobody. */
export function workerOf(owner: string): string | null {
  if (owner === "") return null;
  return owner.endsWith(TAKE_SUFFIX) ? owner.slice(0, -TAKE_SUFFIX.length) : owner;
}
