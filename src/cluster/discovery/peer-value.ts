/**
 * One value of `metastore.raft.bootstrap-peers` (spec raft-and-cluster, 7), taken apart.
 *
 * ```
 * host:port            static; the server id is the host, without the port
 * host:port/id         static
 * dns+host:port        one peer per A and AAAA record, at `port`
 * dnssrv+name[:port]   one peer per A and AAAA record of each SRV target, at `port` or the record's
 * dnssrvnoa+name[:port]  one peer per SRV target, by name, at `port` or the record's
 * ```
 *
 * Peers that come from DNS are known by their address: it is their server id, too.
 */

import { tryParseAddress } from "../transport/address.ts";

export type PeerValue =
  | { readonly kind: "static"; readonly address: string; readonly serverId: string }
  | { readonly kind: "dns"; readonly host: string; readonly port: number }
  /** `port` null: that of the record. */
  | {
      readonly kind: "dnssrv" | "dnssrvnoa";
      readonly name: string;
      readonly port: number | null;
    };

/** What is wrong with a value: a clause that names the cure. */
export interface PeerValueProblem {
  readonly kind: "problem";
  readonly text: string;
}

export function parsePeerValue(value: string): PeerValue | PeerValueProblem {
  const plus = value.indexOf("+");
  if (plus < 0) return parseStatic(value);
  const kind = value.slice(0, plus);
  const rest = value.slice(plus + 1);
  if (kind === "dns") return parseDns(value, rest);
  if (kind === "dnssrv" || kind === "dnssrvnoa") return parseSrv(value, kind, rest);
  return problem(value, "begins with a kind of look-up that is none of dns+, dnssrv+, dnssrvnoa+");
}

function parseStatic(value: string): PeerValue | PeerValueProblem {
  const slash = value.indexOf("/");
  const address = slash < 0 ? value : value.slice(0, slash);
  const parsed = tryParseAddress(address);
  if (parsed === null) return problem(value, "is not of the form host:port/server-id");
  const serverId = slash < 0 ? parsed.host : value.slice(slash + 1);
  if (serverId === "") return problem(value, "has no server id behind the slash");
  return { kind: "static", address, serverId };
}

function parseDns(value: string, rest: string): PeerValue | PeerValueProblem {
  const parsed = tryParseAddress(rest);
  if (parsed === null) return problem(value, "is not of the form dns+host:port");
  return { kind: "dns", ...parsed };
}

function parseSrv(
  value: string,
  kind: "dnssrv" | "dnssrvnoa",
  rest: string,
): PeerValue | PeerValueProblem {
  if (/^[^\s:/]+$/.test(rest)) return { kind, name: rest, port: null };
  const parsed = tryParseAddress(rest);
  if (parsed === null)
    return problem(value, `is not of the form ${kind}+name or ${kind}+name:port`);
  return { kind, name: parsed.host, port: parsed.port };
}

function problem(value: string, text: string): PeerValueProblem {
  return { kind: "problem", text: `${JSON.stringify(value)} ${text}` };
}
