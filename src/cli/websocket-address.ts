/** Where a node takes the binary protocol, for commands that speak it. */
import { HearthError } from "../base/index.ts";
import type { CommandContext } from "./command.ts";
import { NodeApi } from "./node-api.ts";

/**
 * `--websocket`, or what the first node that answers says; "every interface" is the host that was asked.
 * Errors: UnreachableError when no node answers; `unavailable` while it does not listen yet.
 */
export async function websocketAddress(context: CommandContext): Promise<string> {
  const given = context.flags.text("websocket");
  if (given !== null) return given;
  const request = { method: "GET", path: "/api/v1/status" } as const;
  const { endpoint, value } = await NodeApi.of(context).json<{ websocketAddress: string | null }>(
    request,
  );
  if (value.websocketAddress === null) {
    throw new HearthError("unavailable", `${endpoint} has no WebSocket listener yet`, {
      next: `${endpoint}/ready says what it is doing`,
    });
  }
  const colon = value.websocketAddress.lastIndexOf(":");
  const host = value.websocketAddress.slice(0, colon);
  const port = value.websocketAddress.slice(colon + 1);
  const isEverywhere = host === "" || host === "0.0.0.0" || host === "[::]" || host === "::";
  return `${isEverywhere ? new URL(endpoint).hostname : host}:${port}`;
}
