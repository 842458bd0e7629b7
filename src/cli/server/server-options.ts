/** Options of the listeners and reader threads, from the configuration. */
import type { Config } from "../../config/index.ts";
import { SERVER_DEFAULTS, type ServerOptions } from "../../server/index.ts";
import { COMPACTION_DEFAULTS, type CompactionPolicy } from "../../state/index.ts";
import { listenHost } from "./listen-host.ts";

/** What compaction begins with where no policy is in force. It is proposed, never applied from here. */
export function initialPolicy({ compaction }: Config): CompactionPolicy {
  return { ...COMPACTION_DEFAULTS, ...compaction };
}

export async function serverOptions(config: Config): Promise<ServerOptions> {
  const { listener, readers } = config;
  return {
    ...SERVER_DEFAULTS,
    host: await listenHost(listener.address),
    port: listener.port,
    readersCount: readers.threadCount,
    transport: listener.kind,
    session: {
      ...SERVER_DEFAULTS.session,
      frameMaxBytes: listener.frameMaxBytes,
      inFlightMax: listener.inFlightMaxCount,
      defaultTimeoutMs: listener.defaultTimeoutMs,
    },
    initialPolicy: initialPolicy(config),
    tenantClosedMs: config.duties.tenants.closedForMs,
    allowRawCommands: listener.allowRawCommands,
    readIndexMaxDistance: config.cluster.readIndexMaxDistance,
  };
}
