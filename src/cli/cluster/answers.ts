/** What nodes answer about themselves and their cluster: the shapes of GET /api/v1/status and /api/v1/members. */
import type { MemberEntry, NodeStatus } from "../../admin/index.ts";
import { HearthError, isHearthError } from "../../base/index.ts";
import type { ChangeResult, ClusterView } from "../../service/index.ts";
import type { CommandContext } from "../command.ts";
import { NodeApi } from "../node-api.ts";

export interface NodeAnswer extends NodeStatus {
  readonly asOf: string;
}

export interface MembersAnswer extends Omit<ClusterView, "members"> {
  readonly asOf: string;
  readonly members: readonly MemberEntry[];
}

export interface ChangeAnswer extends ChangeResult {
  readonly asOf: string;
}

/** What the nodes named on the command line said, at about the same time. */
export interface ClusterAnswers {
  /** The first that answered; everything else was asked of it. */
  readonly endpoint: string;
  readonly asked: NodeAnswer;
  /** Null while that node does not know its cluster yet. */
  readonly members: MembersAnswer | null;
  /** Own words of the other endpoints, for what the asked node cannot see. */
  readonly others: readonly { readonly endpoint: string; readonly status: NodeAnswer }[];
}

/** The members are asked by the asked node; one that takes longer counts as silent (ux, 7). */
const COLLECT_MS = 1_000;

/** Errors: UnreachableError when no endpoint answers; the node's HearthError when it refuses. */
export async function askCluster(context: CommandContext): Promise<ClusterAnswers> {
  const api = NodeApi.of(context);
  const { endpoint, value: asked } = await api.json<NodeAnswer>(STATUS_REQUEST);
  const collectMs = Math.max(1, Math.min(COLLECT_MS, Math.floor(context.globals.timeoutMs / 2)));
  const [members, others] = await Promise.all([
    askMembers(api.at(endpoint), collectMs),
    askOthers(context, endpoint, collectMs),
  ]);
  return { endpoint, asked, members, others };
}

const STATUS_REQUEST = { method: "GET", path: "/api/v1/status" } as const;

async function askMembers(api: NodeApi, collectMs: number): Promise<MembersAnswer | null> {
  const path = `/api/v1/members?collect=${collectMs}ms`;
  try {
    return (await api.json<MembersAnswer>({ method: "GET", path })).value;
  } catch (error) {
    if (isHearthError(error) && (error.code === "unavailable" || error.code === "not_found"))
      return null;
    throw error;
  }
}

/** Endpoints behind the first that answered are asked for nothing but their own word; silence is no error. */
async function askOthers(
  context: CommandContext,
  askedEndpoint: string,
  timeoutMs: number,
): Promise<ClusterAnswers["others"]> {
  const api = NodeApi.of(context);
  const endpoints = context.globals.endpoints.filter((endpoint) => endpoint !== askedEndpoint);
  const answers = await Promise.all(
    endpoints.map(async (endpoint) => {
      const answer = await api
        .at(endpoint, timeoutMs)
        .json<NodeAnswer>(STATUS_REQUEST)
        .catch(() => null);
      return answer === null ? [] : [{ endpoint, status: answer.value }];
    }),
  );
  context.signal.throwIfAborted();
  return answers.flat();
}

/** The members, for commands that cannot do without them. Errors: `unavailable`. */
export function knownMembers({ members, endpoint }: ClusterAnswers): MembersAnswer {
  if (members !== null) return members;
  throw new HearthError("unavailable", `${endpoint} does not know its cluster yet`, {
    next: `${endpoint}/ready?verbose says what it is doing`,
    endpoint,
  });
}
