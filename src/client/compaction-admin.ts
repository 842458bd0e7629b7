/** What operators ask of compaction: operations 21 to 27, JSON both ways. */
import { OP } from "../protocol/index.ts";
import type { CallOptions, JsonValue } from "./call-options.ts";
import type { CompactionAdmin } from "./compaction-admin-types.ts";
import type { RequestSpec } from "./requester.ts";
import { jsonRequest } from "./requests.ts";

/** Makes one JSON call. */
export type JsonCall = (build: () => RequestSpec, options: CallOptions) => Promise<JsonValue>;

export function createCompactionAdmin(call: JsonCall): CompactionAdmin {
  const ask = async <T>(
    method: string,
    opcode: number,
    asked: object,
    kind: "read" | "once" = "read",
  ): Promise<T> => {
    const { signal, timeoutMs, ...question } = asked as CallOptions & Record<string, unknown>;
    const limits = {
      ...(signal === undefined ? {} : { signal }),
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    };
    return (await call(() => jsonRequest(method, opcode, kind, question), limits)) as T;
  };
  return {
    status: (options = {}) => ask("compaction.status", OP.compaction_status, options),
    queues: (options = {}) => ask("compaction.queues", OP.compaction_queues, options),
    jobs: (options = {}) => ask("compaction.jobs", OP.list_compaction_jobs, options),
    job: (name, options = {}) => ask("compaction.job", OP.get_compaction_job, { ...options, name }),
    preview: (options = {}) => ask("compaction.preview", OP.preview_compaction_plan, options),
    control: (action, names, options = {}) =>
      ask("compaction.control", OP.control_compaction_jobs, { ...options, action, names }, "once"),
    changePolicy: (options) =>
      ask("compaction.changePolicy", OP.change_compaction_policy, options, "once"),
  };
}
