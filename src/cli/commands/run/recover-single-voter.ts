/** `hearth recover single-voter`: says what would happen and what may be lost; does it only for who names the node. */
import { existsSync } from "node:fs";
import { formatCount } from "../../../base/index.ts";
import { loadConfig } from "../../../config/index.ts";
import {
  type CommandContext,
  commandName,
  EXIT,
  type ExitCode,
  UsageError,
} from "../../command.ts";
import { RefusedError } from "../../failure.ts";
import { openRecovery, type RecoveryInput, type RecoveryPlan } from "../../recover/single-voter.ts";
import { formatTime } from "../../times.ts";

export async function run(context: CommandContext): Promise<ExitCode> {
  const input = readInput(context);
  const recovery = await openRecovery(input);
  try {
    const { plan } = recovery;
    const lines = planLines(plan);
    const next = `${commandName(context.spec)} --dir ${input.raftDirectory} --confirm=${plan.serverId}`;
    if (!plan.changed || context.flags.has("dry-run")) {
      report(context, plan, {
        clusterId: null,
        lines: plan.changed ? [...lines, `next     ${next}`] : lines,
      });
      return EXIT.done;
    }
    assertConfirmed(context, plan, lines, next);
    const { clusterId } = await recovery.execute();
    report(context, plan, { clusterId, lines: doneLines(plan, clusterId) });
    return EXIT.done;
  } finally {
    await recovery.close();
  }
}

function readInput({ flags, environment, nowMs }: CommandContext): RecoveryInput {
  const { config, values } = loadConfig({ argv: [], environment, checkMachine: false });
  if (config === null)
    throw new UsageError("The settings of this shell are not valid", "See hearth config check");
  const raftDirectory = flags.text("dir") ?? config.node.logDirectory;
  // The lock would create it.
  if (!existsSync(raftDirectory))
    throw new UsageError(`There is no directory "${raftDirectory}"`, "Name it with --dir");
  const set = (name: string): string => String(values.get(name) ?? "");
  return {
    raftDirectory,
    snapshotsDirectory:
      flags.text("snapshots-dir") ?? (set("metastore.raft.snapshots-dir") || raftDirectory),
    segmentBytes: config.storage.log.segmentBytes,
    groupMaxBytes: config.storage.log.groupMaxBytes,
    peerAddress: set("metastore.raft.advertise-address"),
    nowMs: nowMs(),
  };
}

/** Severe: nothing but the name of the node will do, and a wrong name is most likely a wrong directory. */
function assertConfirmed(
  { flags }: CommandContext,
  plan: RecoveryPlan,
  lines: readonly string[],
  next: string,
): void {
  const confirmed = flags.text("confirm");
  if (confirmed === plan.serverId) return;
  const message =
    confirmed === null
      ? "this cannot be undone and needs the name of the node"
      : `this is the directory of ${plan.serverId}, not of ${confirmed}`;
  throw new RefusedError(message, lines, next);
}

function planLines(plan: RecoveryPlan): string[] {
  const { serverId, nodeId, clusterId, lastIndex, lastTerm, commitIndex, after } = plan;
  if (!plan.changed) return [`${serverId} is the only voter of cluster ${clusterId} already`];
  const { membership, lastAppendedAtMs, isResumed, abstains } = plan;
  const others = membership.members.filter(({ id }) => id !== nodeId);
  const names = others.map((member) => member.serverId).join(", ");
  const unsure = lastIndex - commitIndex;
  const lines = [
    `${serverId} (${nodeId}) becomes the only voter of a new cluster, with the data of cluster ${clusterId}`,
    `log      ends at log index ${formatCount(lastIndex)} of term ${formatCount(lastTerm)}, from ${formatTime(lastAppendedAtMs)}`,
    `kept     all of it${unsure === 0 ? "" : `, ${formatCount(unsure)} entries at its end among it that may never have been acknowledged`}`,
    `lost     what the others acknowledged after log index ${formatCount(lastIndex)}, which cannot be seen from here`,
  ];
  if (abstains)
    lines.push("damage   was cut out of this log: it may lack entries from before its end, too");
  if (!membership.voters.includes(nodeId))
    lines.push(`role     it is no voter of the old cluster: its log may be far behind`);
  if (names !== "")
    lines.push(`out      ${names}: their directories can never join the new cluster`);
  if (after !== null)
    lines.push(
      `new      cluster id made at random, term ${formatCount(after.term)}, log index ${formatCount(after.configurationIndex)}`,
    );
  if (isResumed) lines.push("resumed  an earlier attempt was cut short; this one ends it");
  lines.push(
    "first    run this with --dry-run on every node that is left: highest term, then highest log index, has the most",
    "         make sure that the others never start again on their old directories: clients could find them",
  );
  return lines;
}

function doneLines({ serverId }: RecoveryPlan, clusterId: string): string[] {
  return [
    `${serverId} is the only voter of cluster ${clusterId}`,
    "next     start it with its settings as they are, and look: hearth status",
    "         empty the directories of each other node, start it with -metastore.raft.bootstrap-expect-peers=0, then:",
    "         hearth member add <server id>=<host:port>, hearth member promote <server id>",
  ];
}

interface Outcome {
  /** Of the new cluster; null: nothing was done. */
  readonly clusterId: string | null;
  readonly lines: readonly string[];
}

function report(
  { globals, spec, terminal, flags }: CommandContext,
  plan: RecoveryPlan,
  { clusterId, lines }: Outcome,
): void {
  if (globals.isJson) {
    const dryRun = flags.has("dry-run");
    const { clusterId: formerClusterId, ...rest } = plan;
    terminal.out(
      JSON.stringify({ schema: spec.schema, dryRun, clusterId, formerClusterId, ...rest }),
    );
    return;
  }
  for (const line of lines) terminal.out(line);
}
