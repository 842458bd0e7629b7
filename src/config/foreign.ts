/**
 * Names of the rest of Pyroscope. Operators share one file and one argument list between all components (the chart
 * passes `-memberlist.*` to every one), so these names are accepted and listed once; anything else is an error.
 */

/** Sections of the shared YAML file (ux, 3). Keys that we do use inside them come first. */
export const FOREIGN_SECTIONS: ReadonlySet<string> = new Set([
  "adaptive_placement",
  "admin_server",
  "analytics",
  "api",
  "architecture_storage",
  "compaction_worker",
  "compactor",
  "distributor",
  "embedded_grafana",
  "frontend",
  "frontend_worker",
  "ingester",
  "limits",
  "memberlist",
  "multitenancy_enabled",
  "overrides_exporter",
  "pyroscopedb",
  "querier",
  "query_backend",
  "query_scheduler",
  "runtime_config",
  "segment_writer",
  "self_profiling",
  "server",
  "show_banner",
  "shutdown_delay",
  "storage",
  "store_gateway",
  "symbolizer",
  "target",
  "tenant_settings",
  "tracing",
]);

/** First words of flags of other components: what stands before the first dot, or the whole name. */
const FOREIGN_FLAG_WORDS: ReadonlySet<string> = new Set([
  "adaptive-placement",
  "admin-server",
  "api",
  "architecture",
  "auth",
  "blocks-storage",
  "compaction-worker",
  "compactor",
  "consul",
  "distributor",
  "embedded-grafana",
  "etcd",
  "frontend",
  "frontend-worker",
  "ingester",
  "log",
  "memberlist",
  "modules",
  "overrides-exporter",
  "pyroscopedb",
  "querier",
  "query-backend",
  "query-frontend",
  "query-scheduler",
  "recording-rules",
  "retention-period",
  "ring",
  "runtime-config",
  "segment-writer",
  "self-profiling",
  "server",
  "show-banner",
  "storage",
  "store-gateway",
  "symbolizer",
  "tenant-settings",
  "tracing",
  "usage-stats",
  "validation",
  "write-path",
]);

/** Client settings of the metastore section that only matter to gRPC clients, and a banner that we do not have. */
const FOREIGN_FLAG_PREFIXES = ["metastore.grpc-client-config.", "config.show_banner"];

/** Accepted, and without what whoever sets them counts on: a warning, where other names are only listed. */
const MISSED: readonly { readonly flag: string; readonly yaml: string; readonly words: string }[] =
  [
    {
      flag: "server.http-tls-",
      yaml: "server.http_tls_config",
      words: "the HTTP port is plain text. Put it behind a proxy, or bind it to a private address",
    },
    {
      flag: "server.path-prefix",
      yaml: "server.http_path_prefix",
      words: "paths of the HTTP port have no prefix",
    },
    {
      flag: "admin-server.",
      yaml: "admin_server",
      words: "/ready, /metrics and all other paths stay on the HTTP port",
    },
  ];

/** What a flag (`-server.http-tls-cert-path`) or a key of another component would have done here; null: nothing. */
export function missedEffect(name: string): string | null {
  const isFlag = name.startsWith("-");
  const missed = MISSED.find(({ flag, yaml }) => name.startsWith(isFlag ? `-${flag}` : yaml));
  return missed === undefined ? null : `${name}: has no effect, ${missed.words}`;
}

export function isForeignFlag(name: string): boolean {
  const dot = name.indexOf(".");
  const word = dot < 0 ? name : name.slice(0, dot);
  return (
    FOREIGN_FLAG_WORDS.has(word) || FOREIGN_FLAG_PREFIXES.some((prefix) => name.startsWith(prefix))
  );
}

/** Whole YAML subtrees inside a section we check strictly. */
export function isForeignYamlPath(path: string): boolean {
  const section = path.split(".", 1)[0] as string;
  if (path.startsWith("metastore.")) return path.startsWith("metastore.grpc_client_config");
  return FOREIGN_SECTIONS.has(section);
}

/**
 * Variables that Kubernetes sets for a Service whose name begins with "hearth": they look like ours and are not.
 * A setting that ends the same way (`..._LISTEN_PORT`) is known by its name and never comes here.
 */
export function isServiceVariable(variable: string, value: string): boolean {
  if (/_SERVICE_(HOST|PORT)(_[A-Z0-9_]+)?$/.test(variable)) return true;
  if (/_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$/.test(variable)) return true;
  return variable.endsWith("_PORT") && /^(tcp|udp|sctp):\/\//.test(value);
}
