/** What every part of the transport of one process, or of one thread beside it, shares. */

import type { Logger, Scheduler } from "../../base/index.ts";
import type { RandomU32 } from "../../raft/index.ts";
import type { MessageCodec } from "../codec.ts";
import { PEER_LIMITS } from "../limits.ts";
import { createPeerNetworkStats, type PeerNetworkStats } from "../metrics.ts";
import type { PeerOptions } from "../options.ts";
import { type LookUpHost, lookUpHost, type PeerSockets, TCP_SOCKETS } from "../sockets.ts";
import type { NodeIntroduction } from "../types.ts";
import { HostNames } from "./host-names.ts";
import { Incarnations } from "./incarnations.ts";
import { Refusals } from "./refusals.ts";

export interface TransportModules {
  /** MESSAGE_CODEC of src/raft/codec. */
  readonly codec: MessageCodec;
  readonly scheduler: Scheduler;
  /** For jitter. */
  readonly random: RandomU32;
  readonly logger: Logger;
  /** Left out: plain TCP. */
  readonly sockets?: PeerSockets;
  /** Left out: the system's resolver. */
  readonly lookUpHost?: LookUpHost;
}

export interface TransportContext {
  readonly options: PeerOptions;
  readonly codec: MessageCodec;
  readonly sockets: PeerSockets;
  readonly scheduler: Scheduler;
  /** For jitter. */
  readonly random: RandomU32;
  readonly logger: Logger;
  readonly stats: PeerNetworkStats;
  readonly names: HostNames;
  readonly refusals: Refusals;
  readonly incarnations: Incarnations;
  /** What this process says of itself now. */
  own: NodeIntroduction;
}

export function createContext(options: PeerOptions, modules: TransportModules): TransportContext {
  const { codec, scheduler, random, logger } = modules;
  const stats = createPeerNetworkStats();
  return {
    options,
    codec,
    scheduler,
    random,
    logger,
    stats,
    sockets: modules.sockets ?? TCP_SOCKETS,
    names: new HostNames(modules.lookUpHost ?? lookUpHost, PEER_LIMITS.lookupsMax),
    refusals: new Refusals(options, { stats, logger, scheduler }),
    incarnations: new Incarnations(),
    own: options.introduction,
  };
}

/** Uniform in [0, 1). */
export function randomFraction(random: RandomU32): number {
  return random() / 0x1_0000_0000;
}
