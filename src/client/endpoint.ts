/** Endpoint texts: what people write, and the one form in which the client compares and shows them. */
import { invalidArgument } from "../base/index.ts";

/** Port of the binary protocol. */
export const DEFAULT_PORT = 4041;

/**
 * The canonical form of an endpoint: `host:port` for plain connections, `wss://host:port` for TLS, with a path
 * only if it has one.
 *
 * Errors: `invalid_argument` with reason bad_endpoint for what is neither a host nor a ws(s) address.
 */
export function normalizeEndpoint(text: string): string {
  const url = parseUrl(text.includes("://") ? text : `ws://${text}`);
  if (url === null || (url.protocol !== "ws:" && url.protocol !== "wss:")) {
    throw invalidArgument(
      "bad_endpoint",
      `Cannot use endpoint "${text}": write host:port, ws://host:port or wss://host:port`,
    );
  }
  if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") {
    throw invalidArgument(
      "bad_endpoint",
      `Cannot use endpoint "${text}": it may name a host, a port and a path, nothing else`,
    );
  }
  const path = url.pathname === "/" ? "" : url.pathname;
  const scheme = url.protocol === "wss:" ? "wss://" : path === "" ? "" : "ws://";
  return `${scheme}${url.hostname}:${portOf(text, url)}${path}`;
}

/**
 * Where to dial a member that another one names, or null when that is no address, or may not be dialled. What a member
 * says of addresses is not protected better than the way it came: over TLS a plain address means TLS at that place, and one
 * that asks for a plain connection is refused.
 */
export function leaderEndpoint(address: string, from: string): string | null {
  const isSecure = from.startsWith("wss://");
  try {
    const hasScheme = address.includes("://");
    const endpoint = normalizeEndpoint(hasScheme || !isSecure ? address : `wss://${address}`);
    return isSecure && !endpoint.startsWith("wss://") ? null : endpoint;
  } catch {
    return null;
  }
}

/** The address to dial. Takes any form that normalizeEndpoint() takes. */
export function endpointUrl(endpoint: string): string {
  const normalized = normalizeEndpoint(endpoint);
  return normalized.includes("://") ? normalized : `ws://${normalized}`;
}

function parseUrl(text: string): URL | null {
  try {
    const url = new URL(text);
    return url.hostname === "" ? null : url;
  } catch {
    return null;
  }
}

/** URL hides a port that is the default of its scheme (80, 443), so an explicit one is looked up in the text. */
function portOf(text: string, url: URL): number {
  if (url.port !== "") return Number(url.port);
  const authority = text.replace(/^[a-z]+:\/\//i, "").replace(/\/.*$/, "");
  const match = /:(\d+)$/.exec(authority);
  return match === null ? DEFAULT_PORT : Number(match[1]);
}
