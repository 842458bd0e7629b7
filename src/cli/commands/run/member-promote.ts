/** `hearth member promote`: a learner becomes a voter; the wait for its log is shown. */
import { setTimeout as sleep } from "node:timers/promises";
import type { MemberEntry } from "../../../admin/index.ts";
import { runChange } from "../../change.ts";
import type { CommandContext, ExitCode } from "../../command.ts";
import type { NodeApi } from "../../node-api.ts";
import { Progress } from "../../progress.ts";
import { memberPath } from "./member-path.ts";

const LOOK_INTERVAL_MS = 500;

export function run(context: CommandContext): Promise<ExitCode> {
  const id = context.operands[0] as string;
  return runChange(context, {
    request: (guard) => ({
      method: "POST",
      path: `${memberPath(id)}/promote`,
      body: JSON.stringify(guard),
    }),
    watch: (api, signal) => watchLag(context, id, api, signal),
  });
}

/** Shows how many entries it still lacks, until the promotion has an outcome. Never rejects. */
async function watchLag(
  context: CommandContext,
  id: string,
  api: NodeApi,
  signal: AbortSignal,
): Promise<void> {
  let progress: Progress | null = null;
  let total = 0;
  while (!signal.aborted) {
    const lag = await lagOf(api, id);
    if (lag !== null && lag > 0) {
      if (progress === null) {
        total = lag;
        progress = new Progress({ title: "catching up", unit: "entries", total }, context);
      }
      progress.update(Math.max(0, total - lag));
    }
    await sleep(LOOK_INTERVAL_MS, undefined, { signal }).catch(() => {});
  }
  progress?.end();
}

async function lagOf(api: NodeApi, id: string): Promise<number | null> {
  try {
    const request = { method: "GET", path: memberPath(id) } as const;
    const { value } = await api.json<{ readonly member: MemberEntry }>(request);
    return value.member.lagEntries;
  } catch {
    // The change itself tells what is wrong.
    return null;
  }
}
