/** Requests that only the leader answers: the node that was asked names it, and it is asked then. */
import { isHearthError } from "../base/index.ts";
import type { CommandContext } from "./command.ts";
import { NodeApi, type NodeRequest } from "./node-api.ts";

/**
 * The JSON answer of the leader. Errors: those of NodeApi; when the leader cannot be reached under the address that
 * members know of it, the answer that named it.
 */
export async function askLeader<T>(
  context: Pick<CommandContext, "globals" | "signal">,
  request: NodeRequest,
): Promise<{ readonly endpoint: string; readonly value: T }> {
  const api = NodeApi.of(context);
  try {
    return await api.json<T>(request);
  } catch (error) {
    const address = isHearthError(error) ? (error.leader?.address ?? "") : "";
    if (address === "") throw error;
    return await api.at(`http://${address}`).json<T>(request);
  }
}
