/** What only the leader does: another member says who leads, so that whoever asks can go there. */
import { isHearthError } from "../../base/index.ts";
import type { Replica } from "../../replica/index.ts";

/** Errors: those of `work`; its `not_leader` names the leader, or says that nobody leads. */
export async function atLeader<T>(
  replica: Pick<Replica, "status">,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!isHearthError(error) || error.reason !== "not_leader") throw error;
    const { leader } = replica.status();
    if (leader !== null) throw error.with({ leader });
    throw error.with({ next: "Nobody leads: /ready of each node says whom it cannot reach" });
  }
}
