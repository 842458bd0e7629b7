/** `hearth tenant delete`: says what goes, and does it only for who names the tenant once more. */
import { setTimeout as sleep } from "node:timers/promises";
import { formatBytes, formatDuration, parseDuration } from "../../../base/index.ts";
import {
  type CommandContext,
  commandName,
  EXIT,
  type ExitCode,
  UsageError,
} from "../../command.ts";
import { countOf } from "../../compaction/answers.ts";
import { RefusedError } from "../../failure.ts";
import { NodeApi } from "../../node-api.ts";
import { type DeletionAnswer, deletionLines, stateText } from "../../tenant-text.ts";
import { formatTime } from "../../times.ts";
import { askDeletions } from "./tenant-deletions.ts";

interface TenantAnswer {
  readonly stats: {
    readonly dataIngested: boolean;
    readonly oldestProfileTime: string;
    readonly newestProfileTime: string;
  };
}

interface DeleteAnswer {
  readonly logIndex: number;
  readonly term: number;
  readonly deletion: DeletionAnswer | null;
}

const POLL_MS = 500;
/** A line this often while it goes on. */
const LINE_MS = 10_000;

export async function run(context: CommandContext): Promise<ExitCode> {
  const { flags, globals, operands, terminal, spec } = context;
  const tenant = operands[0] as string;
  const waitMaxMs = waitMaxOf(flags.text("wait-max") ?? "30m");
  const api = NodeApi.of(context);
  const plan = await planLines(api, tenant);
  const next = `${commandName(spec)} ${tenant} --confirm=${tenant}`;
  if (flags.has("dry-run")) {
    if (globals.isJson) {
      terminal.out(JSON.stringify({ schema: spec.schema, dryRun: true, tenant, plan }));
    } else for (const line of plan) terminal.out(line);
    return EXIT.done;
  }
  assertConfirmed(context, { tenant, plan, next });
  const path = `/api/v1/tenants/${encodeURIComponent(tenant)}`;
  const query = `?confirm=${encodeURIComponent(tenant)}&timeout=${globals.timeoutMs}ms`;
  const request = { method: "DELETE", path: `${path}${query}` } as const;
  const { endpoint, value } = await api.json<DeleteAnswer>(request);
  const shown = flags.has("wait")
    ? await waitForEnd(context, api, { tenant, waitMaxMs })
    : value.deletion;
  if (globals.isJson) {
    terminal.out(JSON.stringify({ ...value, deletion: shown, dryRun: false, endpoint }));
  } else {
    for (const line of shown === null ? [] : deletionLines(shown)) terminal.out(line);
    if (!flags.has("wait") && !globals.isQuiet)
      terminal.talk(`next: hearth tenant deletions ${tenant}   says how far it is`);
  }
  return flags.has("wait") && !isOver(shown) ? EXIT.failed : EXIT.done;
}

/** Errors: UsageError. */
function waitMaxOf(written: string): number {
  const parsed = parseDuration(written);
  if (parsed.ok && parsed.value > 0) return parsed.value;
  const reason = parsed.ok ? "it must be longer than nothing" : parsed.reason;
  throw new UsageError(`--wait-max: ${reason}`, "Write for example --wait-max 10m");
}

async function planLines(api: NodeApi, tenant: string): Promise<string[]> {
  const path = `/api/v1/tenants/${encodeURIComponent(tenant)}`;
  const { value } = await api.json<TenantAnswer>({ method: "GET", path });
  const known = (await askDeletions(api, tenant)).value.deletions[0];
  if (known !== undefined && known.state !== "open")
    return [`deleted already: ${stateText(known)}`];
  const { dataIngested, oldestProfileTime, newestProfileTime } = value.stats;
  const data = dataIngested
    ? `its blocks, with data from ${formatTime(Number(oldestProfileTime))} to ${formatTime(Number(newestProfileTime))}`
    : "no block is its own; segments of several tenants may hold its data";
  return [
    data,
    "hidden from queries at once; its objects are deleted from the bucket; nothing of it is taken any more",
  ];
}

/** Severe: nothing but the name will do. */
function assertConfirmed(
  { flags }: CommandContext,
  {
    tenant,
    plan,
    next,
  }: { readonly tenant: string; readonly plan: string[]; readonly next: string },
): void {
  const confirmed = flags.text("confirm");
  if (confirmed === tenant) return;
  const message =
    confirmed === null
      ? `deleting tenant "${tenant}" cannot be undone and needs its name`
      : `the tenant is "${tenant}", not "${confirmed}"`;
  throw new RefusedError(message, plan, next);
}

function isOver(deletion: DeletionAnswer | null): boolean {
  return deletion?.state === "verified" || deletion?.state === "open";
}

/** Ctrl-C ends the wait, not the deletion. */
async function waitForEnd(
  context: CommandContext,
  api: NodeApi,
  wish: WaitWish,
): Promise<DeletionAnswer | null> {
  try {
    return await watchUntilEnd(context, api, wish);
  } finally {
    if (context.signal.aborted && !context.globals.isJson)
      context.terminal.talk(
        `the deletion goes on: hearth tenant deletions ${wish.tenant}   says how far it is`,
      );
  }
}

interface WaitWish {
  readonly tenant: string;
  readonly waitMaxMs: number;
}

/** Bounded and visible. */
async function watchUntilEnd(
  { signal, terminal, globals }: CommandContext,
  api: NodeApi,
  { tenant, waitMaxMs }: WaitWish,
): Promise<DeletionAnswer | null> {
  const startedMs = performance.now();
  let shownMs = startedMs;
  let shown = "";
  for (;;) {
    const deletion = (await askDeletions(api, tenant)).value.deletions[0] ?? null;
    if (deletion === null || isOver(deletion)) return deletion;
    const nowMs = performance.now();
    if (nowMs - startedMs >= waitMaxMs) {
      terminal.talk(`not verified after ${formatDuration(waitMaxMs)}; it goes on`);
      return deletion;
    }
    const text = progressText(deletion);
    const isDue = text !== shown && (shown === "" || nowMs - shownMs >= LINE_MS);
    if (isDue && !globals.isQuiet && globals.progress !== "none") {
      terminal.talk(text);
      shown = text;
      shownMs = nowMs;
    }
    await sleep(POLL_MS, undefined, { signal });
  }
}

function progressText(deletion: DeletionAnswer): string {
  const { blocks, objects, objectBytes } = deletion;
  const counts = `${countOf(blocks, "block")} out of the index, ${countOf(objects, "object")} deleted, ${formatBytes(objectBytes)}`;
  return `${stateText(deletion)} (${counts})`;
}
