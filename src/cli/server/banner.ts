/** What a person sees after a start at a terminal: where everything is, and the next three commands. */
import type { Config } from "../../config/index.ts";
import type { NodeState } from "./node-state.ts";

/** Lines for stderr. */
export function bannerLines(config: Config, state: NodeState, grpc: string): string[] {
  const http = `http://${reachable(state.httpAddress)}`;
  const websocket =
    state.websocketAddress === null ? "-" : `ws://${reachable(state.websocketAddress)}`;
  const isDefaultPort = http.endsWith(":4040");
  const endpoint = isDefaultPort ? "" : ` --endpoint ${http}`;
  const listeners = [
    ["http", http, "status, metrics, API"],
    ["websocket", websocket, "binary protocol for clients"],
    ["grpc", reachable(grpc), "for other components of Pyroscope"],
  ] as const;
  const width = Math.max(...listeners.map(([, address]) => address.length));
  return [
    "",
    "  Hearth is running",
    ...listeners.map(
      ([name, address, purpose]) => `  ${name.padEnd(9)}  ${address.padEnd(width)}  ${purpose}`,
    ),
    `  index      ${config.node.dataDirectory}`,
    `  log        ${config.node.logDirectory}`,
    "",
    "  next, in another terminal:",
    `  npx hearth block add examples/blocks${endpoint}`,
    `  npx hearth query blocks '{service_name="pyroscope"}' --tenant anonymous --from 2025-02-01 --to 2025-03-01${endpoint}`,
    `  npx hearth status${endpoint}`,
    "",
  ];
}

/** "Every interface" is no address to visit. */
function reachable(address: string): string {
  return address.replace(/^(0\.0\.0\.0|\[::\]):/, "localhost:");
}
