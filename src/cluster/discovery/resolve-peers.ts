/**
 * Whom a cluster is to be made of: this node and what the values of `bootstrap-peers` lead to (spec raft-and-cluster, 7).
 * Nothing here dials a peer.
 */

import { Resolver } from "node:dns/promises";
import { isIPv6 } from "node:net";
import { HearthError, type Scheduler } from "../../base/index.ts";
import { wordsOf } from "../errors.ts";
import { lookUpHost } from "../sockets.ts";
import { type PeerValue, parsePeerValue } from "./peer-value.ts";

export interface BootstrapPeer {
  readonly serverId: string;
  /** host:port. */
  readonly address: string;
}

export interface PeerResolver {
  /** A and AAAA records, as the system resolves names. Errors: those of the system. */
  addresses(host: string): Promise<readonly string[]>;
  /** SRV records. `target` is absolute, without the final dot. Errors: those of the system. */
  services(name: string): Promise<readonly { readonly target: string; readonly port: number }[]>;
}

export const SYSTEM_PEER_RESOLVER: PeerResolver = {
  addresses: lookUpHost,
  services: async (name) => {
    const records = await new Resolver().resolveSrv(name);
    return records.map(({ name: target, port }) => ({ target, port }));
  },
};

export interface ResolvePeersOptions {
  /** This node: always one of the peers. */
  readonly own: BootstrapPeer;
  /** metastore.raft.bootstrap-peers. */
  readonly values: readonly string[];
  /** metastore.raft.bootstrap-expect-peers: how many there must be, this node included. */
  readonly expectPeers: number;
  /** For all look-ups together. */
  readonly timeoutMs: number;
}

export const RESOLVE_PEERS_TIMEOUT_MS = 10_000;

export interface ResolvedPeers {
  /** Sorted by server id, no id twice; what was found when `problem` is there. The last one founds the cluster. */
  readonly peers: readonly BootstrapPeer[];
  /** Why these are not the peers that were expected; null: they are. Another try may find more, unless it is
   * invalid_argument. */
  readonly problem: HearthError | null;
}

/** Never rejects. */
export async function resolveBootstrapPeers(
  options: ResolvePeersOptions,
  modules: { readonly resolver: PeerResolver; readonly scheduler: Scheduler },
): Promise<ResolvedPeers> {
  const { own, values } = options;
  const parsed = values.map(parsePeerValue);
  const malformed = parsed.flatMap((value) => (value.kind === "problem" ? [value.text] : []));
  if (malformed.length > 0) {
    const text = `Cannot read bootstrap-peers: ${malformed.join("; ")}`;
    const error = new HearthError("invalid_argument", text, { reason: "bad_peers" });
    return { peers: [own], problem: error };
  }
  const deadline = startDeadline(options.timeoutMs, modules.scheduler);
  const results = await Promise.all(
    (parsed as PeerValue[]).map((value) =>
      Promise.race([expand(value, modules.resolver), deadline.passed]).then(
        (peers) => ({ peers, failure: null }),
        (error: unknown) => ({ peers: [], failure: `${nameOf(value)}: ${wordsOf(error)}` }),
      ),
    ),
  );
  deadline.cancel();
  const isFromDns = (i: number): boolean => parsed[i]?.kind !== "static";
  const peers = sortedById([own, ...results.flatMap((result) => result.peers)]);
  const hasDns = parsed.some((_value, i) => isFromDns(i));
  const hasFound = results.some((result, i) => isFromDns(i) && result.peers.length > 0);
  const failures = results.flatMap(({ failure }) => (failure === null ? [] : [failure]));
  return { peers, problem: judge(options, peers, hasDns && !hasFound, failures) };
}

function judge(
  { expectPeers }: ResolvePeersOptions,
  peers: readonly BootstrapPeer[],
  hasFoundNothing: boolean,
  failures: readonly string[],
): HearthError | null {
  const details = failures.length === 0 ? "" : ` (${failures.join("; ")})`;
  if (hasFoundNothing) {
    // Even when this node alone is as many as were expected: never a cluster of one by accident.
    const text = `No name of bootstrap-peers resolves${details}`;
    return new HearthError("unavailable", text, { reason: "peers_unresolved" });
  }
  if (peers.length === expectPeers) return null;
  const found = peers.map(({ serverId }) => serverId).join(", ");
  const text = `bootstrap-expect-peers is ${expectPeers}, but bootstrap-peers and this node make ${peers.length}: ${found}${details}`;
  return new HearthError("unavailable", text, {
    reason: "peers_unexpected",
    next: "Name every node as host:port/server-id, this one by its own server id",
  });
}

/** By server id, as bytes compare; of peers with one id the first stays. */
function sortedById(peers: readonly BootstrapPeer[]): BootstrapPeer[] {
  const byId = new Map<string, BootstrapPeer>();
  for (const peer of peers) if (!byId.has(peer.serverId)) byId.set(peer.serverId, peer);
  return [...byId.values()].sort((a, b) => Buffer.compare(bytesOf(a), bytesOf(b)));
}

function bytesOf({ serverId }: BootstrapPeer): Buffer {
  return Buffer.from(serverId);
}

async function expand(value: PeerValue, resolver: PeerResolver): Promise<BootstrapPeer[]> {
  switch (value.kind) {
    case "static":
      return [{ serverId: value.serverId, address: value.address }];
    case "dns": {
      const addresses = await resolver.addresses(value.host);
      return addresses.map((address) => byAddress(address, value.port));
    }
    case "dnssrv": {
      const records = await resolver.services(value.name);
      const found = records.map(async ({ target, port }) => {
        const addresses = await resolver.addresses(target);
        return addresses.map((address) => byAddress(address, value.port ?? port));
      });
      return (await Promise.all(found)).flat();
    }
    case "dnssrvnoa": {
      const records = await resolver.services(value.name);
      // With the dot that ends an absolute name: server ids in existing deployments have it.
      return records.map(({ target, port }) =>
        byAddress(`${target.replace(/\.$/, "")}.`, value.port ?? port),
      );
    }
  }
}

function byAddress(host: string, port: number): BootstrapPeer {
  const address = `${isIPv6(host) ? `[${host}]` : host}:${port}`;
  return { serverId: address, address };
}

function nameOf(value: PeerValue): string {
  if (value.kind === "static") return value.address;
  return value.kind === "dns" ? value.host : value.name;
}

function startDeadline(
  timeoutMs: number,
  scheduler: Scheduler,
): { readonly passed: Promise<never>; readonly cancel: () => void } {
  let cancel = (): void => {};
  const passed = new Promise<never>((_resolve, reject) => {
    const text = `no answer within ${timeoutMs / 1000} s`;
    cancel = scheduler.after(timeoutMs, () => reject(new Error(text)));
  });
  return { passed, cancel };
}
