/** The system's names of peers, with the reference's counters of look-ups. */
import { type PeerResolver, SYSTEM_PEER_RESOLVER } from "../../cluster/index.ts";
import type { MetricRegistry } from "../../metrics/index.ts";

export function countedResolver(
  metrics: MetricRegistry,
  resolver: PeerResolver = SYSTEM_PEER_RESOLVER,
): PeerResolver {
  const counted = async <T>(
    name: string,
    records: Promise<readonly T[]>,
  ): Promise<readonly T[]> => {
    metrics.add("pyroscope_metastore_dns_lookups_total");
    try {
      const found = await records;
      metrics.set("pyroscope_metastore_dns_provider_results", found.length, { addr: name });
      return found;
    } catch (error) {
      metrics.add("pyroscope_metastore_dns_failures_total");
      throw error;
    }
  };
  return {
    addresses: (host) => counted(host, resolver.addresses(host)),
    services: (name) => counted(name, resolver.services(name)),
  };
}
