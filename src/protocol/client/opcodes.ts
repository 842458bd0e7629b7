/**
 * The operations of the binary protocol, as data: server dispatch, metrics labels and the client
 * are made from it. Numbers are never used twice; a retired one stays listed as retired. None is
 * retired yet.
 */

/**
 * How an operation touches the state: decides consistency, forwarding and whether a repeat is
 * harmless.
 */
export type OpcodeKind = "read" | "write" | "control";

export interface Opcode {
  readonly number: number;
  /** snake_case: the label of metrics and logs. */
  readonly name: OpcodeName;
  readonly kind: OpcodeKind;
  /** What the operation is for, in words. */
  readonly role: string;
}

/** Name -> number on the wire. */
export const OP = {
  hello: 1,
  add_block: 2,
  add_blocks: 3,
  get_block_metadata: 4,
  query_metadata: 5,
  query_metadata_labels: 6,
  get_tenants: 7,
  get_tenant: 8,
  delete_tenant: 9,
  read_index: 10,
  node_info: 11,
  cancel: 12,
  credit: 13,
  command: 14,
  inspect: 15,
  ping: 16,
  dictionary: 17,
  open_session: 18,
  session_write: 19,
  poll_compaction_jobs: 20,
  list_compaction_jobs: 21,
  get_compaction_job: 22,
  control_compaction_jobs: 23,
  compaction_status: 24,
  compaction_queues: 25,
  preview_compaction_plan: 26,
  change_compaction_policy: 27,
  list_tenant_deletions: 30,
  open_tenant: 31,
  leader_activities: 35,
  leader_changed: 45,
  bundle: 46,
} as const;

export type OpcodeName = keyof typeof OP;

/** Every operation, ascending by number. */
export const OPCODES: readonly Opcode[] = [
  op("hello", "control", "agree on the protocol version; must be the first frame of a connection"),
  op("add_block", "write", "add the metadata of one block"),
  op("add_blocks", "write", "add the metadata of many blocks in one log entry, all or nothing"),
  op("get_block_metadata", "read", "look blocks up by owner, shard and id"),
  op("query_metadata", "read", "plan a query: blocks and datasets that may hold its data"),
  op("query_metadata_labels", "read", "distinct values of labels in the matching datasets"),
  op("get_tenants", "read", "list the owners of blocks"),
  op("get_tenant", "read", "time range of an owner's data"),
  op("delete_tenant", "write", "hide a tenant at once, and delete all that is left of it"),
  op("read_index", "control", "ask from which log index on a read sees all acknowledged writes"),
  op("node_info", "control", "facts about this member, for operators"),
  op("cancel", "control", "give up on a request of this connection"),
  op("credit", "control", "allow more bytes of a streamed answer"),
  op("command", "write", "raw log entries; only where the server allows them"),
  op("inspect", "read", "look into the state machine; only where the server allows it"),
  op("ping", "control", "nothing but an answer"),
  op("dictionary", "control", "sent by servers: records that later answers refer to"),
  op("open_session", "write", "begin a session, in which a repeated write takes effect once"),
  op("session_write", "write", "a write of a session: add_block or add_blocks under a number"),
  op(
    "poll_compaction_jobs",
    "write",
    "report on compaction jobs, refresh leases, take jobs; leader only",
  ),
  op("list_compaction_jobs", "read", "compaction jobs, page by page"),
  op("get_compaction_job", "read", "one compaction job with its source blocks"),
  op("control_compaction_jobs", "write", "retry, quarantine or cancel compaction jobs"),
  op("compaction_status", "read", "policy, levels, jobs by status, workers"),
  op("compaction_queues", "read", "what waits for compaction, by owner, shard and level"),
  op("preview_compaction_plan", "read", "what the planner would do now"),
  op("change_compaction_policy", "write", "change the compaction policy, pause, resume"),
  op("list_tenant_deletions", "read", "deletions of tenants, with progress and reports"),
  op("open_tenant", "write", "let the name of a deleted tenant be used again"),
  op("leader_activities", "control", "what this member does as the leader: last and next runs"),
  op("leader_changed", "control", "sent by servers: who leads now, for peers that asked in hello"),
  op("bundle", "control", "several frames in one message, for peers that take them"),
];

const BY_NUMBER: readonly (Opcode | undefined)[] = Array.from({ length: 256 }, (_, number) =>
  OPCODES.find((opcode) => opcode.number === number),
);

/** The operation of a number, or undefined. */
export function opcodeOf(number: number): Opcode | undefined {
  return BY_NUMBER[number];
}

function op(name: OpcodeName, kind: OpcodeKind, role: string): Opcode {
  return { number: OP[name], name, kind, role };
}
