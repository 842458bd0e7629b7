/** The network between members with everything it is handed: codec, time, randomness, where its round trips are counted. */
import { randomBytes } from "node:crypto";
import { type Logger, Prng, SYSTEM_SCHEDULER } from "../../base/index.ts";
import {
  createPeerNetwork,
  type NodeIntroduction,
  PEER_DEFAULTS,
  type TcpPeerNetwork,
} from "../../cluster/index.ts";
import type { Config } from "../../config/index.ts";
import type { MetricRegistry } from "../../metrics/index.ts";
import { MESSAGE_CODEC } from "../../raft/index.ts";
import { splitAddress } from "./listen-host.ts";

export interface NetworkModules {
  readonly introduction: NodeIntroduction;
  readonly logger: Logger;
  readonly metrics: MetricRegistry;
}

/** Nothing is open yet. */
export function createNetwork(config: Config, modules: NetworkModules): TcpPeerNetwork {
  const { introduction, logger, metrics } = modules;
  const { host, port } = splitAddress(config.cluster.bindAddress);
  const random = new Prng(randomBytes(4).readUInt32LE());
  return createPeerNetwork(
    { ...PEER_DEFAULTS, introduction, listenHost: host, listenPort: port },
    {
      codec: MESSAGE_CODEC,
      scheduler: SYSTEM_SCHEDULER,
      random: () => random.nextU32(),
      logger,
      onRoundTrip: (peer, ms) =>
        metrics.observe("hearth_raft_peer_rtt_seconds", ms / 1_000, { peer }),
    },
  );
}
