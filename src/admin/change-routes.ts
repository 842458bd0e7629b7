/**
 * What operators change: members, leadership, snapshots. Each change can be tried first (`dryRun`), is bounded in time,
 * must be meant (foreign-page.ts), and leaves a line in the log.
 */
import {
  HearthError,
  invalidArgument,
  isHearthError,
  type Logger,
  timeoutSignal,
} from "../base/index.ts";
import type { ChangeResult, ClusterControl, SnapshotControl } from "../service/index.ts";
import { availableControl, type ClusterControlSource } from "./cluster-routes.ts";
import { requireDeliberate } from "./foreign-page.ts";
import {
  booleanField,
  integerField,
  type JsonObject,
  readJsonObject,
  readOptionalJsonObject,
  refuseUnknownFields,
  textField,
} from "./json-input.ts";
import { readCount, readSwitch, readTimeout, refuseUnknownParameters } from "./query-input.ts";
import { json } from "./responses.ts";
import type { AdminHandler, AdminRequest, AdminResponse, Route } from "./types.ts";

export interface ChangeRouteModules {
  readonly control: ClusterControlSource;
  /** Null where this node cannot take snapshots, or not yet. */
  readonly snapshots: () => SnapshotControl | null;
  readonly logger: Logger;
  /** Unix ms. */
  readonly nowMs: () => number;
}

/** A change is a few round trips; who waits for a member to catch up says so with ?timeout=. */
const DEFAULT_TIMEOUT_MS = 10_000;
/** Who does the work ends in time by itself, and knows better what came of it; this is for when it does not. */
const DEADLINE_GRACE_MS = 500;
/** Of the log entry that carries them (src/raft/codec/limits.ts). */
const SERVER_ID_MAX_BYTES = 256;
const ADDRESS_MAX_BYTES = 512;

interface Guard {
  readonly currentTerm: number;
  readonly dryRun: boolean;
}

export function changeRoutes(modules: ChangeRouteModules): Route[] {
  const api = new ChangeApi(modules);
  return [
    {
      method: "POST",
      path: "/api/v1/members",
      summary: "Add a member as a learner ({address, serverId, currentTerm, dryRun})",
      handle: api.handle("add member", (request, control) => api.add(request, control)),
    },
    {
      method: "POST",
      path: "/api/v1/members/{id}/promote",
      summary: "Learner to voter, once it has caught up ({currentTerm, dryRun})",
      handle: api.handle("promote member", (request, control, serverId) => {
        const timeoutMs = readTimeout(request, DEFAULT_TIMEOUT_MS);
        return control.promoteMember({ serverId, timeoutMs, ...bodyGuard(request) });
      }),
    },
    {
      method: "POST",
      path: "/api/v1/members/{id}/demote",
      summary: "Voter to learner ({currentTerm, dryRun})",
      handle: api.handle("demote member", (request, control, serverId) =>
        control.demoteMember({ serverId, ...bodyGuard(request) }),
      ),
    },
    {
      method: "DELETE",
      path: "/api/v1/members/{id}",
      summary: "Remove a member; ?dryRun and ?currentTerm= as in the others",
      handle: api.handle("remove member", (request, control, serverId) =>
        control.removeMember({ serverId, ...queryGuard(request) }),
      ),
    },
    {
      method: "POST",
      path: "/api/v1/leader/transfer",
      summary:
        "Hand the leadership over ({to, currentTerm, dryRun}); without to: to the best voter",
      handle: api.handle("transfer leadership", (request, control) =>
        api.transfer(request, control),
      ),
    },
    {
      method: "GET",
      path: "/api/v1/snapshots",
      summary: "Snapshots that this node keeps, newest first",
      handle: (request) => api.listSnapshots(request),
    },
    {
      method: "POST",
      path: "/api/v1/snapshots",
      summary: "Take a snapshot on this node now, verified by reading it back ({dryRun})",
      handle: (request) => api.takeSnapshot(request),
    },
  ];
}

type Change = (
  request: AdminRequest,
  control: ClusterControl,
  serverId: string,
) => Promise<ChangeResult>;

class ChangeApi {
  readonly #modules: ChangeRouteModules;

  constructor(modules: ChangeRouteModules) {
    this.#modules = modules;
  }

  /** What is the same for every change: it must be meant, ends in time, and is written down. */
  handle(action: string, change: Change): AdminHandler {
    return async (request, { id = "" }) => {
      requireDeliberate(request);
      const isDelete = request.method === "DELETE";
      refuseUnknownParameters(
        request,
        isDelete ? ["timeout", "dryRun", "currentTerm"] : ["timeout"],
      );
      const control = availableControl(this.#modules.control);
      const timeoutMs = readTimeout(request, DEFAULT_TIMEOUT_MS);
      const work = change(request, control, checkName(id, SERVER_ID_MAX_BYTES, "id"));
      const result = await this.#audited(
        action,
        id,
        request,
        withDeadline(work, timeoutMs, request),
      );
      return json(200, { schema: "hearth/change/v1", asOf: this.#asOf(), ...result });
    };
  }

  add(request: AdminRequest, control: ClusterControl): Promise<ChangeResult> {
    const body = readJsonObject(request);
    refuseUnknownFields(body, ["address", "serverId", "currentTerm", "dryRun"]);
    const serverId = checkName(textField(body, "serverId", ""), SERVER_ID_MAX_BYTES, "serverId");
    const address = checkAddress(textField(body, "address", ""));
    const wish = { address, ...(serverId === "" ? {} : { serverId }), ...guardOf(body) };
    return control.addMember(wish);
  }

  transfer(request: AdminRequest, control: ClusterControl): Promise<ChangeResult> {
    const body = readOptionalJsonObject(request);
    refuseUnknownFields(body, ["to", "currentTerm", "dryRun"]);
    const to = checkName(textField(body, "to", ""), SERVER_ID_MAX_BYTES, "to");
    const timeoutMs = readTimeout(request, DEFAULT_TIMEOUT_MS);
    return control.transferLeadership({
      serverId: to === "" ? null : to,
      timeoutMs,
      ...guardOf(body),
    });
  }

  listSnapshots(request: AdminRequest): AdminResponse {
    refuseUnknownParameters(request, []);
    const snapshots = this.#snapshots().list();
    return json(200, { schema: "hearth/snapshots/v1", asOf: this.#asOf(), snapshots });
  }

  async takeSnapshot(request: AdminRequest): Promise<AdminResponse> {
    requireDeliberate(request);
    refuseUnknownParameters(request, ["timeout"]);
    const body = readOptionalJsonObject(request);
    refuseUnknownFields(body, ["dryRun"]);
    const dryRun = booleanField(body, "dryRun");
    const snapshots = this.#snapshots();
    const timeoutMs = readTimeout(request, DEFAULT_TIMEOUT_MS);
    const signal = AbortSignal.any([request.signal, timeoutSignal(timeoutMs)]);
    const work = withDeadline(snapshots.take({ dryRun, signal }), timeoutMs, request);
    const taken = await this.#audited("take snapshot", "", request, work);
    return json(200, { schema: "hearth/snapshot-taken/v1", asOf: this.#asOf(), ...taken });
  }

  #snapshots(): SnapshotControl {
    const snapshots = this.#modules.snapshots();
    if (snapshots !== null) return snapshots;
    throw new HearthError("unavailable", "This node cannot take snapshots yet", {
      reason: "not_serving",
      next: "GET /ready says what it is doing",
      retryAfterMs: 1_000,
    });
  }

  async #audited<T extends { readonly text: string }>(
    action: string,
    member: string,
    { requestId }: AdminRequest,
    work: Promise<T>,
  ): Promise<T> {
    const { logger } = this.#modules;
    try {
      const result = await work;
      logger.info("asked to change", { action, member, requestId, outcome: result.text });
      return result;
    } catch (error) {
      const reason = isHearthError(error) ? error.reason : "internal";
      const outcome = error instanceof Error ? error.message : String(error);
      logger.warn("asked to change in vain", { action, member, requestId, reason, outcome });
      throw error;
    }
  }

  #asOf(): string {
    return new Date(this.#modules.nowMs()).toISOString();
  }
}

function bodyGuard(request: AdminRequest): Guard {
  const body = readOptionalJsonObject(request);
  refuseUnknownFields(body, ["currentTerm", "dryRun"]);
  return guardOf(body);
}

function guardOf(body: JsonObject): Guard {
  const term = integerField(body, "currentTerm", 0);
  if (term < 0) throw invalidArgument("bad_field", "currentTerm must not be negative");
  // Tools of the reference send the largest 64-bit number for "whatever the term is".
  const currentTerm = Math.min(term, Number.MAX_SAFE_INTEGER);
  return { currentTerm, dryRun: booleanField(body, "dryRun") };
}

function queryGuard(request: AdminRequest): Guard {
  return {
    currentTerm: readCount(request, "currentTerm", 0),
    dryRun: readSwitch(request, "dryRun"),
  };
}

/** Names go into the replicated log and onto terminals: bounded, and nothing that moves a cursor. */
function checkName(name: string, maxBytes: number, field: string): string {
  if (Buffer.byteLength(name) > maxBytes)
    throw invalidArgument("bad_field", `${field} is longer than ${maxBytes} bytes`);
  if (/[\p{Cc}\p{Cf}\p{Surrogate}\s]/u.test(name))
    throw invalidArgument("bad_field", `${field} must not hold spaces or control characters`);
  return name;
}

function checkAddress(address: string): string {
  checkName(address, ADDRESS_MAX_BYTES, "address");
  const match = /^(?:\[[0-9a-fA-F:.]+\]|[^\s:/@[\]?#]+):(\d{1,5})$/.exec(address);
  const port = Number(match?.[1] ?? 0);
  if (port >= 1 && port <= 65_535) return address;
  throw new HearthError("invalid_argument", `address: "${address}" is not host:port`, {
    reason: "bad_field",
    next: "Name the peer port of the new node: 10.0.3.8:9099",
  });
}

/** Ends the wait in time; what was asked for may still happen, and the error says so. */
function withDeadline<T>(
  work: Promise<T>,
  timeoutMs: number,
  { signal }: AdminRequest,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    const timer = setTimeout(() => reject(tooLate(timeoutMs)), timeoutMs + DEADLINE_GRACE_MS);
    signal.addEventListener("abort", onAbort, { once: true });
    const settle = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
    };
    work.then(resolve, reject).finally(settle);
  });
}

function tooLate(timeoutMs: number): HearthError {
  return new HearthError("deadline_exceeded", `No outcome within ${timeoutMs} ms`, {
    reason: "deadline_exceeded",
    next: "It may still take effect: look with hearth member list before you repeat it",
    sent: "maybe",
  });
}
