/**
 * SIGSTOP and SIGCONT: a process that stood still believes for a moment what was true before, among others that it
 * leads. Half of the pauses are shorter than an election takes, half are longer.
 */

import { setTimeout as sleep } from "node:timers/promises";
import { randomFollower, recover, settle, work } from "./rounds.ts";
import type { Fault } from "./types.ts";

const LEADER_SHARE = 0.7;

export const PAUSE: Fault = {
  name: "pause",
  about: "stops the leader or a follower for 0.1 to 5 seconds and lets it go on",
  coverage: ["pausedLeaders", "pausedFollowers", "shortPauses", "longPauses"],
  async round(context, round) {
    const { random, load, count } = context;
    const leader = await settle(context);
    // The first two rounds meet both kinds, however few there are.
    const isLeader = round === 1 || (round !== 2 && random.nextChance(LEADER_SHARE));
    const node = isLeader ? leader : await randomFollower(context, leader);
    const isLong = round % 2 === 1;
    const pauseMs = isLong ? random.nextBetween(1_500, 5_000) : random.nextBetween(100, 450);
    const readsBefore = load.reads.length;
    const brokenAtMs = performance.now();
    node.pause();
    count(isLeader ? "pausedLeaders" : "pausedFollowers");
    count(isLong ? "longPauses" : "shortPauses");
    const recovered = recover(context, brokenAtMs);
    await sleep(pauseMs);
    count("readsDuringPauses", load.reads.length - readsBefore);
    node.resume();
    await recovered;
    context.say(`round ${round}: stopped ${node.serverId} for ${pauseMs} ms`);
    await work(context, 200, 800);
  },
};
