/**
 * The pages of docs/reference, made from the data that the program itself uses (ux, rule 8). A test compares them
 * with what is committed; `node dist/src/cli/reference/write.js docs/reference` writes them anew.
 */
import {
  activityRoutes,
  ACTION_HEADER,
  changeRoutes,
  clusterRoutes,
  dlqRoutes,
  Health,
  healthRoutes,
  healthRpcRoute,
  landingRoute,
  metadataRoutes,
  metricsRoute,
  type Route,
  statusCodes,
  statusRoutes,
  retentionRoutes,
  tenantRoutes,
} from "../../admin/index.ts";
import {
  environmentVariable,
  formatValue,
  isYamlOnly,
  SETTINGS,
  type Setting,
  yamlPath,
} from "../../config/index.ts";
import { formatCount, SILENT_LOGGER } from "../../base/index.ts";
import { LIMITS, OPCODES } from "../../protocol/index.ts";
import { METRIC_CATALOG, type MetricSpec } from "../../metrics/index.ts";
import { type CommandSpec, EXIT_MEANINGS } from "../command.ts";
import { COMMANDS } from "../commands/catalog.ts";
import { NODE_FLAGS, OUTPUT_FLAGS, ownFlags } from "../global-flags.ts";
import { usageLine } from "../help.ts";

const GENERATED =
  "<!-- Generated from the program's own data; edit that, then run `npm run docs`. -->";

/** File name -> content. */
export function referencePages(): ReadonlyMap<string, string> {
  return new Map([
    ["commands.md", commandsPage()],
    ["config.md", configPage()],
    ["metrics.md", metricsPage()],
    ["http.md", httpPage()],
    ["websocket.md", websocketPage()],
    ["errors.md", errorsPage()],
  ]);
}

function page(title: string, lines: readonly string[]): string {
  return `${[`# ${title}`, "", GENERATED, "", ...lines].join("\n").trimEnd()}\n`;
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const cell = (text: string): string => text.replaceAll("|", "\\|").replaceAll("\n", " ");
  const line = (cells: readonly string[]): string => `| ${cells.map(cell).join(" | ")} |`;
  return [line(header), line(header.map(() => "---")), ...rows.map(line)];
}

function code(text: string): string {
  return text === "" ? "" : `\`${text}\``;
}

function commandsPage(): string {
  const lines = [
    "`hearth` with a first argument that begins with a dash is the server; a word is one of these commands.",
    "stdout is data, stderr is talk; `--json` prints one versioned object. `schemas/json` has the JSON schemas of cluster,",
    "compaction and duties: `hearth/status/v1` is `schemas/json/status.v1.json`.",
    "",
    "## General flags",
    "",
    ...flagTable(OUTPUT_FLAGS),
    "",
    "Commands that ask a node:",
    "",
    ...flagTable(NODE_FLAGS),
    "",
    "## Exit codes",
    "",
    ...table(["code", "meaning"], Object.entries(EXIT_MEANINGS)),
  ];
  for (const spec of COMMANDS) lines.push("", ...commandSection(spec));
  return page("Commands", lines);
}

function commandSection(spec: CommandSpec): string[] {
  const lines = [
    `## hearth ${spec.path.join(" ")}`,
    "",
    `${spec.summary}.`,
    "",
    "```",
    usageLine(spec),
    "```",
  ];
  if (spec.details !== undefined) lines.push("", spec.details);
  const flags = ownFlags(spec);
  if (flags.length > 0) lines.push("", ...flagTable(flags));
  lines.push("", "```sh");
  for (const example of spec.examples) lines.push(`# ${example.comment}`, example.command);
  lines.push("```", "");
  const schema = spec.schema === undefined ? "" : ` JSON schema: \`${spec.schema}\`.`;
  const wait = spec.timeout === undefined ? "" : ` Without \`--timeout\` it waits ${spec.timeout}.`;
  lines.push(`Exit codes: ${spec.exitCodes.join(", ")}.${schema}${wait}`);
  return lines;
}

function flagTable(flags: CommandSpec["flags"]): string[] {
  const rows = flags.map((flag) => {
    const value = flag.value === undefined ? "" : ` ${flag.value}`;
    const repeat = flag.isRepeatable === true ? "; may be repeated" : "";
    return [code(`--${flag.name}${value}`), flag.whenAbsent ?? "", `${flag.help}${repeat}`];
  });
  return table(["flag", "default", "meaning"], rows);
}

function configPage(): string {
  const used = SETTINGS.filter((setting) => setting.isUsed !== false);
  const unused = SETTINGS.filter((setting) => setting.isUsed === false);
  return page("Configuration", [
    "Order: flag > environment > YAML file > default. Durations and sizes carry a unit. Unknown names are errors with a",
    "suggestion; flags and sections of other Pyroscope components are accepted and listed once at start.",
    "",
    ...settingTable(used),
    "",
    "## Accepted, without a function in this version",
    "",
    "Known from the reference and checked, so that an argument list can be kept.",
    "",
    ...settingTable(unused),
  ]);
}

function settingTable(settings: readonly Setting[]): string[] {
  const rows = settings.map((setting) => {
    const flag = isYamlOnly(setting) ? "" : code(`-${setting.name}`);
    const variable = isYamlOnly(setting) ? "" : code(environmentVariable(setting));
    const choices = setting.choices === undefined ? "" : ` (${setting.choices.join(", ")})`;
    const value = code(formatValue(setting, setting.default));
    return [
      flag,
      code(yamlPath(setting) ?? ""),
      variable,
      setting.kind + choices,
      value,
      setting.help,
    ];
  });
  return table(["flag", "YAML", "environment", "kind", "default", "meaning"], rows);
}

function metricsPage(): string {
  const labels = (spec: MetricSpec): string => (spec.labels ?? []).map(code).join(", ");
  const rows = METRIC_CATALOG.map((spec) => [code(spec.name), spec.kind, labels(spec), spec.help]);
  return page("Metrics", [
    "Served at `/metrics`. The usual `process_*` and `nodejs_*` metrics of the Prometheus client come with them.",
    "",
    ...table(["name", "type", "labels", "what it counts"], rows),
  ]);
}

function httpPage(): string {
  const rows = documentedRoutes().map((route) => [route.method, code(route.path), route.summary]);
  return page("HTTP API", [
    "Port 4040. Field names are those of proto3 JSON; 64-bit numbers are strings. `?timeout=2s` bounds a request,",
    "`?consistency=local` reads what the node has without asking for more. Errors have one shape:",
    "",
    "```json",
    '{"error":{"code":"invalid_argument","message":"...","next":"...","leader":null,"requestId":"..."}}',
    "```",
    "",
    `Requests that a web page of another origin sends are refused, unless they only read. What changes the cluster needs`,
    `\`content-type: application/json\`, or the header \`${ACTION_HEADER}: 1\` where there is no body.`,
    "",
    ...table(["method", "path", "what it does"], rows),
  ]);
}

/** The routes with nothing behind them: only their data is read. */
function documentedRoutes(): Route[] {
  const health = new Health([]);
  const nothing = (): never => {
    throw new Error("Routes of the reference page are not called");
  };
  const buildInfo = {
    version: "",
    revision: "",
    branch: "",
    buildUser: "",
    buildDate: "",
    goVersion: "",
  };
  return [
    landingRoute({ routes: nothing, title: nothing, readiness: nothing }),
    metricsRoute({ expose: nothing }),
    ...healthRoutes(health),
    healthRpcRoute(health),
    ...statusRoutes({
      status: nothing,
      buildInfo,
      configYaml: nothing,
      runtimeYaml: nothing,
      health,
      nowMs: nothing,
    }),
    ...clusterRoutes({ control: nothing, nowMs: nothing, clockMs: nothing }),
    ...changeRoutes({
      control: nothing,
      snapshots: nothing,
      logger: SILENT_LOGGER,
      nowMs: nothing,
    }),
    ...activityRoutes({ activities: nothing, nodeId: "", nowMs: nothing }),
    ...dlqRoutes({ dlq: nothing, nodeId: "", nowMs: nothing }),
    ...retentionRoutes({ retention: nothing, nodeId: "", nowMs: nothing }),
    ...tenantRoutes({
      client: nothing,
      deletions: nothing,
      defaultTimeoutMs: 0,
      nodeId: "",
      nowMs: nothing,
    }),
    ...metadataRoutes({ defaultTimeoutMs: 0 }, nothing),
  ];
}

function websocketPage(): string {
  const operations = OPCODES.map(({ number, name, kind, role }) => [
    String(number),
    code(name),
    kind,
    role,
  ]);
  const limits = Object.entries(LIMITS).map(([name, value]) => [code(name), formatCount(value)]);
  return page("WebSocket protocol", [
    "Port 4041. One binary message is one frame, or a bundle of them where both sides say so (`src/protocol/DESIGN.md`), little-endian: a header of 16 bytes, then a FlatBuffer of `schemas/`.",
    "Programs use the client library (`docs/build/client.md`); this page is for who writes another one.",
    "",
    ...table(
      ["offset", "type", "field"],
      [
        ["0", "u8", "magic, 0x48"],
        ["1", "u8", "version of the protocol"],
        ["2", "u8", "opcode"],
        [
          "3",
          "u8",
          "flags of an answer: 1 last frame of this answer, 2 error (and last), 4 entry chunk; 0 in a request",
        ],
        [
          "4",
          "u32",
          "request id, chosen by the client, not 0, unique among the requests in flight",
        ],
        ["8", "u32", "time budget of a request in ms, 0 for the server's default; 0 in an answer"],
        ["12", "u32", "credit in bytes: of a streamed answer at first, or added by a credit frame"],
      ],
    ),
    "",
    "## Operations",
    "",
    ...table(["opcode", "name", "kind", "what it is for"], operations),
    "",
    "## Limits",
    "",
    "Of the protocol, the same on every member; `src/protocol/limits.ts` has the reason of each.",
    "",
    ...table(["limit", "value"], limits),
  ]);
}

function errorsPage(): string {
  const rows = statusCodes().map(({ code: name, grpc, http, isRetryable, meaning }) => [
    code(name),
    String(grpc),
    String(http),
    isRetryable ? "yes" : "no",
    meaning,
  ]);
  return page("Errors", [
    "One closed list of codes, with the same names on every wire.",
    "",
    ...table(["code", "gRPC", "HTTP", "worth a retry", "meaning"], rows),
  ]);
}
