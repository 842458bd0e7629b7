/** Chooses the WebSocket library, and says which one it is and why. */

import { HearthError } from "../base/index.ts";
import type { Listener, ListenerModules, ListenerOptions } from "./listener.ts";
import { tryLoadUws, UwsListener } from "./uws.ts";
import { WsListener } from "./ws.ts";

/** auto: uws where it loads, else ws. uws: refuse to start without it. */
export type TransportChoice = "auto" | "uws" | "ws";

/**
 * Makes a listener that does not listen yet.
 *
 * Errors: `failed_precondition` when uws was demanded and cannot load.
 */
export function openListener(
  choice: TransportChoice,
  options: ListenerOptions,
  modules: ListenerModules,
): Listener {
  if (choice === "ws") return new WsListener(options, modules);
  const uws = tryLoadUws();
  if (typeof uws !== "string") return new UwsListener(options, { ...modules, uws });
  const next =
    "Run `node scripts/setup-native.mjs`, which repairs the addon on systems with an older glibc.";
  if (choice === "uws") {
    const message = `Cannot load uWebSockets.js: ${uws}`;
    throw new HearthError("failed_precondition", message, { reason: "native_addon", next });
  }
  modules.logger.warn("uWebSockets.js cannot load, using the slower ws package", {
    cause: uws,
    next,
  });
  return new WsListener(options, modules);
}
