/** Requests that only the leader answers: asked of any node, and again of the one that it names. */
import { isHearthError } from "../base/index.ts";
import type { CommandContext } from "./command.ts";
import { NodeApi, type NodeRequest } from "./node-api.ts";

/** Errors: as NodeApi.json; of the leader, when the asked node knew one. */
export async function askLeader<T>(
  context: CommandContext,
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
