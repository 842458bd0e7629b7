/**
 * What operators ask about deleted tenants, on a reader thread of any member: a look is a strong read, opening a name is a
 * log entry, which reaches the leader like any write. JSON in, JSON out (protocol, tenant-deletions.ts). Deleting itself is a
 * write of clients: WriteService.
 */

import { HearthError, invalidArgument } from "../base/index.ts";
import type { IndexDatabase } from "../db/index.ts";
import {
  appendEntry,
  ByteSink,
  COMMAND,
  decodeJsonMessage,
  encodeJsonMessage,
  encodeTenantCommand,
  LIMITS,
  OP,
  type TenantDeletion,
} from "../protocol/index.ts";
import { deletionView, readDeletions } from "../state/index.ts";
import { ENTRY_OUTCOMES, type MainLink, type ProposalResult } from "./main-link.ts";
import type { ReadService } from "./reads.ts";
import type { Reply } from "./reply.ts";

export interface TenantControlModules {
  readonly db: IndexDatabase;
  readonly reads: Pick<ReadService, "run">;
  readonly main: Pick<MainLink, "propose">;
}

export class TenantControl {
  readonly #modules: TenantControlModules;
  readonly #answer = new ByteSink(4_096);

  constructor(modules: TenantControlModules) {
    this.#modules = modules;
  }

  /** Errors: throws HearthError `invalid_argument` for a question that is none; `unimplemented` for another operation. */
  handle(opcode: number, payload: Uint8Array, reply: Reply): void {
    const tenant = tenantOf(decodeJsonMessage(payload));
    if (opcode === OP.list_tenant_deletions) return this.#list(tenant, reply);
    if (opcode === OP.open_tenant) return this.#open(tenant, reply);
    throw new HearthError("unimplemented", `Operation ${opcode} is not implemented`, {
      reason: "unimplemented",
    });
  }

  #list(tenant: string | null, reply: Reply): void {
    this.#modules.reads.run("strong", reply, () => {
      this.#end(reply, { deletions: this.#deletions(tenant) });
    });
  }

  /** Names what is there before it asks for the change: why a name cannot be opened is worth saying in words. */
  #open(tenant: string | null, reply: Reply): void {
    if (tenant === null) throw refuse('"tenant" is missing');
    this.#modules.reads.run("strong", reply, () => {
      const [deletion] = this.#deletions(tenant);
      if (deletion === undefined) throw noDeletion(tenant);
      if (deletion.state === "open") {
        this.#end(reply, { deletion, changed: false, logIndex: null, term: null });
        return;
      }
      if (deletion.state !== "verified") throw running(deletion);
      this.#propose(deletion, reply);
    });
  }

  #propose(deletion: TenantDeletion, reply: Reply): void {
    const sink = new ByteSink(128);
    appendEntry(sink, COMMAND.openTenant, encodeTenantCommand({ term: 0, id: deletion.id }));
    const body = new Uint8Array(sink.copy());
    const { deadlineAtMs } = reply;
    const proposal = { body, count: 1, termAtLeast: 0, appendedAtMs: 0, deadlineAtMs };
    this.#modules.main.propose(proposal, (result: ProposalResult) => {
      if (reply.isSettled) return;
      if (!result.ok) return reply.fail(result.error);
      if (result.outcomes[0] === ENTRY_OUTCOMES.rejected) return reply.fail(running(deletion));
      const { firstIndex: logIndex, term } = result;
      const changed = result.outcomes[0] === ENTRY_OUTCOMES.applied;
      const opened: TenantDeletion = { ...deletion, state: "open" };
      this.#end(reply, { deletion: opened, changed, logIndex, term });
    });
  }

  /** Newest first. Inside a read transaction. */
  #deletions(tenant: string | null): TenantDeletion[] {
    const all = readDeletions(this.#modules.db).reverse().map(deletionView);
    return tenant === null ? all : all.filter((deletion) => deletion.tenant === tenant);
  }

  #end(reply: Reply, answer: object): void {
    this.#answer.reset();
    encodeJsonMessage(this.#answer, JSON.stringify(answer));
    reply.end(this.#answer.view());
  }
}

/** The only field that there is; null: it was left out. */
function tenantOf(json: string): string | null {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    throw refuse("it is not JSON").with({ cause });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw refuse("it is not a JSON object");
  const { tenant = null, ...others } = value as Record<string, unknown>;
  const other = Object.keys(others)[0];
  if (other !== undefined) throw refuse(`"${other.slice(0, 64)}" is not a field; known is tenant`);
  if (tenant === null) return null;
  if (typeof tenant !== "string") throw refuse('"tenant" must be a text');
  if (Buffer.byteLength(tenant) > LIMITS.tenantMaxBytes)
    throw refuse(`"tenant" is longer than ${LIMITS.tenantMaxBytes} bytes`);
  return tenant;
}

function refuse(what: string): HearthError {
  return invalidArgument("bad_request", `Cannot take the request: ${what}`);
}

function noDeletion(tenant: string): HearthError {
  return new HearthError("not_found", `Tenant ${JSON.stringify(tenant)} was never deleted`, {
    reason: "no_such_deletion",
    next: "hearth tenant deletions shows those that were",
  });
}

function running({ tenant, state }: TenantDeletion): HearthError {
  const message = `Tenant ${JSON.stringify(tenant)} cannot be opened: its deletion is ${state}, not verified`;
  return new HearthError("failed_precondition", message, {
    reason: "tenant_deletion_running",
    next: "hearth tenant deletions says what it waits for",
  });
}
