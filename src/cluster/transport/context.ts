/** What every part of the transport of one process shares. */

import type { Logger, Scheduler } from "../../base/index.ts";
import type { RandomU32 } from "../../raft/index.ts";
import type { MessageCodec } from "../codec.ts";
import type { PeerNetworkStats } from "../metrics.ts";
import type { PeerOptions } from "../options.ts";
import type { PeerSockets } from "../sockets.ts";
import type { NodeIntroduction } from "../types.ts";
import type { HostNames } from "./host-names.ts";
import type { Incarnations } from "./incarnations.ts";
import type { Refusals } from "./refusals.ts";

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

/** Uniform in [0, 1). */
export function randomFraction(random: RandomU32): number {
  return random() / 0x1_0000_0000;
}
