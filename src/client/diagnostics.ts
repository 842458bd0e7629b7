/**
 * What the client tells through node:diagnostics_channel, for tracing and metrics of the program around it:
 *
 * - tracing channel `hearth:client:request`: one context object per call, see RequestContext;
 * - channel `hearth:client:connection`: every ConnectionStatus.
 *
 * Without a subscriber nothing is made for it: callers ask `isTracing()` first.
 */
import { channel, tracingChannel } from "node:diagnostics_channel";
import type { Call } from "./call.ts";
import type { ConnectionStatus } from "./types.ts";

/** What subscribers of `hearth:client:request` get; filled in as the call goes on. */
export interface RequestContext {
  /** "queryMetadata" and so on. */
  readonly method: string;
  endpoint: string | null;
  requestId: string;
  attempts: number;
  /** The error or the abort reason, if the call failed. */
  error?: unknown;
}

const requests = tracingChannel<unknown, RequestContext>("hearth:client:request");
const connections = channel("hearth:client:connection");

/** Node 20 has no hasSubscribers on the tracing channel itself, so its five channels are asked. */
export function isTracing(): boolean {
  return (
    requests.start.hasSubscribers ||
    requests.end.hasSubscribers ||
    requests.asyncStart.hasSubscribers ||
    requests.asyncEnd.hasSubscribers ||
    requests.error.hasSubscribers
  );
}

/** Publishes the life of one call that returns a promise. */
export function traceCall<T>(call: Call, run: () => Promise<T>): Promise<T> {
  const context = requestContext(call);
  return requests.tracePromise(async () => {
    try {
      return await run();
    } finally {
      fill(context, call);
    }
  }, context);
}

/** Publishes the life of one streamed call: call it at the start, and what it returns at the end. */
export function traceStream(call: Call): (error?: { readonly reason: unknown }) => void {
  const context = requestContext(call);
  requests.start.publish(context);
  requests.end.publish(context);
  return (failure) => {
    fill(context, call);
    if (failure !== undefined) {
      context.error = failure.reason;
      requests.error.publish(context);
    }
    requests.asyncStart.publish(context);
    requests.asyncEnd.publish(context);
  };
}

export function publishConnection(status: ConnectionStatus): void {
  if (connections.hasSubscribers) connections.publish(status);
}

function requestContext(call: Call): RequestContext {
  return { method: call.method, endpoint: null, requestId: "", attempts: 0 };
}

function fill(context: RequestContext, call: Call): void {
  context.endpoint = call.endpoint;
  context.requestId = call.requestId;
  context.attempts = call.attempts;
}
