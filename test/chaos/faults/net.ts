/**
 * The network between peers, by proxies that cut and slow directed links. Each round plays one pattern; the first ones
 * play each pattern once, so that a short run has met them all.
 */

import { setTimeout as sleep } from "node:timers/promises";
import type { PeerProxies, TestNode } from "../../support/cluster/index.ts";
import { type MinorityWatch, watchMinority } from "./minority.ts";
import { minoritySize, recover, settle, work } from "./rounds.ts";
import type { Fault, FaultContext } from "./types.ts";

interface Scene {
  readonly context: FaultContext;
  readonly proxies: PeerProxies;
  readonly leader: string;
  /** All others, in random order. */
  readonly followers: readonly string[];
}

/** Breaks the network; names the nodes that are without a majority afterwards, if any. */
type Pattern = (scene: Scene) => Promise<readonly string[]> | readonly string[];

const PATTERNS: Readonly<Record<string, Pattern>> = {
  isolatedLeaders({ proxies, leader, followers }) {
    proxies.split([leader], followers);
    return [leader];
  },
  isolatedFollowers({ proxies, leader, followers }) {
    const [one, ...rest] = followers as [string, ...string[]];
    proxies.split([one], [leader, ...rest]);
    return [one];
  },
  /** The leader on the small side, as many with it as a minority can hold. */
  splits({ proxies, leader, followers }) {
    const small = [leader, ...followers.slice(0, minoritySize(followers.length + 1) - 1)];
    proxies.split(
      small,
      followers.filter((name) => !small.includes(name)),
    );
    return small;
  },
  /** Nobody hears the leader, it hears everybody. */
  mutedLeaders({ proxies, leader, followers }) {
    for (const name of followers) proxies.cut(leader, name);
    return [];
  },
  /** The leader hears nobody, everybody hears it. */
  deafLeaders({ proxies, leader, followers }) {
    for (const name of followers) proxies.cut(name, leader);
    return [];
  },
  /** One link in one direction. */
  oneWayLinks({ context, proxies, leader, followers }) {
    const [one] = followers as [string];
    if (context.random.nextChance(0.5)) proxies.cut(leader, one);
    else proxies.cut(one, leader);
    return [];
  },
  /** Leader and one follower do not reach each other; the others reach both. */
  bridges({ proxies, leader, followers }) {
    proxies.split([leader], followers.slice(0, 1));
    return [];
  },
  /** The leader comes and goes quicker than it can be given up. */
  async flapping({ context, proxies, leader, followers }) {
    const endAtMs = performance.now() + FLAPPING_MS;
    while (performance.now() < endAtMs) {
      proxies.split([leader], followers);
      await sleep(context.random.nextBetween(100, 500));
      proxies.mend(context.random.nextChance(0.5) ? "late" : "broken");
      await sleep(context.random.nextBetween(50, 400));
    }
    return [];
  },
  slowLeaders({ context, proxies, leader, followers }) {
    for (const name of followers) {
      proxies.slow(leader, name, context.random.nextBetween(100, 1_000));
      proxies.slow(name, leader, context.random.nextBetween(100, 1_000));
    }
    return [];
  },
};
const PATTERN_NAMES = Object.keys(PATTERNS);
const FLAPPING_MS = 2_500;

export const NET: Fault = {
  name: "net",
  about: "isolates, splits, one-way cuts, bridges, flapping and slow links between peers",
  coverage: ["patterns", "minorityRefusals", "heldChunks"],
  needsProxies: true,
  nodesMin: 3,
  recoveryMaxMs: 5_000,
  async round(context, round) {
    const { cluster, proxies, random, count } = context;
    if (proxies === null) throw new Error("The network faults need proxies");
    const leader = await settle(context);
    const name =
      round <= PATTERN_NAMES.length
        ? (PATTERN_NAMES[round - 1] as string)
        : random.pick(PATTERN_NAMES);
    const followers = shuffled(context, cluster.nodes, leader);
    const heldBefore = proxies.heldChunks;
    const pattern = PATTERNS[name] as Pattern;
    const minority = await pattern({ context, proxies, leader: leader.serverId, followers });
    const brokenAtMs = performance.now();
    const watch: MinorityWatch | null =
      minority.length === 0 ? null : watchMinority(context, minority);
    await recover(context, brokenAtMs);
    await sleep(random.nextBetween(300, 3_000));
    watch?.end();
    proxies.mend(random.nextChance(0.5) ? "late" : "broken");
    count("patterns");
    count(name);
    count("heldChunks", proxies.heldChunks - heldBefore);
    context.say(`round ${round}: ${name}, leader was ${leader.serverId}`);
    await work(context, 300, 1_000);
  },
};

function shuffled(
  { random }: FaultContext,
  nodes: readonly TestNode[],
  leader: TestNode,
): string[] {
  const names = nodes.filter((node) => node !== leader).map(({ serverId }) => serverId);
  for (let i = names.length - 1; i > 0; i--) {
    const j = random.nextInt(i + 1);
    [names[i], names[j]] = [names[j] as string, names[i] as string];
  }
  return names;
}
