/**
 * How a command changes something in a cluster: look, try, show what would be, ask where that is called for, then do what
 * was shown. The dry run and the change are one request with one difference, and the change names the term of the dry run,
 * so a cluster that went on meanwhile refuses it.
 */
import { formatCount, HearthError } from "../base/index.ts";
import {
  askCluster,
  type ChangeAnswer,
  type ClusterAnswers,
  knownMembers,
} from "./cluster/answers.ts";
import { buildScreen, type ClusterScreen } from "./cluster/screen.ts";
import { type CommandContext, commandName, EXIT, type ExitCode } from "./command.ts";
import { RefusedError, UnreachableError } from "./failure.ts";
import { NodeApi, type NodeRequest } from "./node-api.ts";

export interface ChangeWish {
  /** The request; its time limit is added. */
  request(guard: ChangeGuard): NodeRequest;
  /** Further sentences about what follows, behind what the node says. */
  consequences?(answer: ChangeAnswer, screen: ClusterScreen): readonly string[];
  /** "Remove hearth-2?": asked when the danger is moderate. */
  readonly question?: string;
  /** What one does next, as a command; shown after success. */
  readonly next?: string | null;
  /** Something to show while the change is waited for; ends when the signal aborts. */
  watch?(api: NodeApi, signal: AbortSignal): Promise<void>;
}

export interface ChangeGuard {
  readonly currentTerm: number;
  readonly dryRun: boolean;
}

/** The node ends in time by itself and says more than silence would. */
const ANSWER_GRACE_MS = 3_000;

/** Errors: those of the node; RefusedError when two nodes lead, or nobody agreed. */
export async function runChange(context: CommandContext, wish: ChangeWish): Promise<ExitCode> {
  const answers = await askCluster(context);
  const screen = buildScreen(answers);
  knownMembers(answers);
  // The newest term that was seen: the asked node may not have heard of it yet, the leader has.
  const term = screen.term ?? 0;
  const api = apiOf(context, answers);
  const isDry = context.flags.has("dry-run");
  const tried = await send(api, context, wish.request({ currentTerm: term, dryRun: true }));
  const plan = [planSentence(tried), ...(wish.consequences?.(tried, screen) ?? [])];
  if (isDry || !tried.changed) return report(context, tried, { plan, isDry, next: null });
  await confirm(context, plan, wish.question ?? null);
  const done = await waitFor(context, api, wish, term);
  return report(context, done, { plan: [done.text], isDry: false, next: wish.next ?? null });
}

function apiOf(context: CommandContext, { endpoint }: ClusterAnswers): NodeApi {
  return NodeApi.of(context).at(endpoint, context.globals.timeoutMs + ANSWER_GRACE_MS);
}

async function send(
  api: NodeApi,
  { globals }: CommandContext,
  request: NodeRequest,
): Promise<ChangeAnswer> {
  const mark = request.path.includes("?") ? "&" : "?";
  const path = `${request.path}${mark}timeout=${globals.timeoutMs}ms`;
  return (await api.json<ChangeAnswer>({ ...request, path })).value;
}

async function waitFor(
  context: CommandContext,
  api: NodeApi,
  wish: ChangeWish,
  term: number,
): Promise<ChangeAnswer> {
  const ended = new AbortController();
  const signal = AbortSignal.any([ended.signal, context.signal]);
  const watching = wish.watch?.(api, signal);
  try {
    return await send(api, context, wish.request({ currentTerm: term, dryRun: false }));
  } catch (error) {
    // The dry run was answered a moment ago: the node got the request, or may have.
    throw error instanceof UnreachableError ? outcomeUnknown(error) : error;
  } finally {
    ended.abort();
    await watching;
  }
}

function outcomeUnknown({ attempts }: UnreachableError): HearthError {
  const reason = attempts[0]?.reason ?? "no answer";
  return new HearthError("unknown", `The answer to the change was lost: ${reason}`, {
    reason: "outcome_unknown",
    next: "It may have taken effect: look with hearth member list before you repeat it",
    sent: "maybe",
  });
}

/** `hearth-2 is a voter. Afterwards: 2 voters, the cluster can lose 0.` */
function planSentence({ text, voters, failureTolerance, changed }: ChangeAnswer): string {
  const sentence = /[.!?]$/.test(text) ? text : `${text}.`;
  if (!changed) return sentence;
  const count = `${formatCount(voters)} ${voters === 1 ? "voter" : "voters"}`;
  return `${sentence} Afterwards: ${count}, the cluster can lose ${failureTolerance}.`;
}

/** Consequences first, then the question (ux, 1). */
export async function confirm(
  context: CommandContext,
  plan: readonly string[],
  question: string | null,
): Promise<void> {
  const { spec, flags, terminal, operands, signal } = context;
  if (spec.danger !== "moderate" || flags.has("yes")) return;
  const command = [commandName(spec), ...operands].join(" ");
  if (!terminal.isTalkTty || context.globals.isJson)
    throw new RefusedError("this needs your yes", plan, `${command} --yes`);
  for (const line of plan) terminal.talk(line);
  const answer = await terminal.ask(`${question ?? "Go on?"} [y/N] `, signal);
  signal.throwIfAborted();
  if (/^y(es)?$/i.test(answer?.trim() ?? "")) return;
  throw new RefusedError("nothing was changed", [], `${command} --yes`);
}

interface Report {
  readonly plan: readonly string[];
  readonly isDry: boolean;
  readonly next: string | null;
}

function report(
  { globals, spec, terminal }: CommandContext,
  answer: ChangeAnswer,
  { plan, isDry, next }: Report,
): ExitCode {
  if (globals.isJson) {
    const { asOf, changed, text, members, voters, failureTolerance } = answer;
    const fields = { asOf, dryRun: isDry, changed, text, voters, failureTolerance, members, next };
    terminal.out(JSON.stringify({ schema: spec.schema, ...fields }));
    return EXIT.done;
  }
  const [first = "", ...rest] = plan;
  terminal.out(isDry ? `dry run: ${first}` : first);
  for (const line of rest) terminal.out(line);
  if (next !== null && !globals.isQuiet) terminal.talk(`next: ${next}`);
  return EXIT.done;
}
