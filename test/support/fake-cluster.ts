/** A cluster of three as the asked node sees it, in memory: for tests of what people and programs are shown of one. */

import { HearthError } from "../../src/base/index.ts";
import type {
  ChangeResult,
  ClusterControl,
  ClusterView,
  MemberReport,
  MemberView,
  SnapshotControl,
  SnapshotTaken,
  SnapshotView,
} from "../../src/service/index.ts";

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Body of GET /api/v1/status of a node. */
export function nodeStatus(serverId: string, parts: object = {}): object {
  const [, number = "0"] = /(\d+)$/.exec(serverId) ?? [];
  return {
    schema: "hearth/node-status/v1",
    asOf: "2026-11-22T10:24:55.112Z",
    nodeId: serverId,
    clusterId: "8f1c2a04",
    version: "1.4.0",
    state: "ready",
    problem: null,
    uptimeMs: 4_320_000,
    pid: 1,
    httpAddress: `10.0.3.${5 + Number(number)}:4040`,
    websocketAddress: `10.0.3.${5 + Number(number)}:4041`,
    listener: "uws",
    dataDirectory: "/data",
    logDirectory: "/raft",
    raft: {
      role: serverId === "hearth-1" ? "leader" : "follower",
      leaderId: "hearth-1",
      leaderForMs: 4_320_000,
      term: 7,
      lastIndex: 4_812_090,
      commitIndex: 4_812_090,
      appliedIndex: serverId === "hearth-2" ? 4_811_970 : 4_812_090,
      voters: 3,
      reachableVoters: 3,
    },
    index: { blocks: 1_204_551, datasets: 12_045_510, bytes: 5, databaseBytes: 1_154_272_461 },
    compaction: {
      isOn: true,
      pausedLevels: 0,
      pausedTenants: 0,
      jobsRunning: 14,
      jobsWaiting: 2,
      jobsFailed: 0,
      queuedBlocks: 120,
      oldestWaitingMs: 41_000,
    },
    stateCheck: null,
    logBytes: 134_217_728,
    readers: { running: 3, wanted: 3, connections: 12 },
    checks: [],
    ...parts,
  };
}

function member(number: number, parts: Partial<MemberView> = {}): Mutable<MemberView> {
  const host = `10.0.3.${5 + number}`;
  return {
    serverId: `hearth-${number}`,
    nodeId: `000000000000000${number}`,
    addresses: { peer: `${host}:9099`, http: `${host}:4040`, websocket: `${host}:4041` },
    suffrage: "voter",
    isLeader: number === 1,
    isSelf: number === 0,
    isConnected: number !== 0,
    lastContactMs: number === 0 ? null : 12 * number,
    roundTripMs: number === 0 ? null : 1,
    matchIndex: null,
    lagEntries: null,
    progress: null,
    version: "1.4.0",
    problem: null,
    ...parts,
  };
}

/** Asked is hearth-0, hearth-1 leads, hearth-2 lags a little. Tests change what they need. */
export class FakeCluster implements ClusterControl, SnapshotControl {
  readonly members: Mutable<MemberView>[] = [member(0), member(1), member(2)];
  /** Bodies of /api/v1/status by server id; one that is missing does not answer. */
  readonly statuses = new Map<string, object>(
    ["hearth-0", "hearth-1", "hearth-2"].map((id) => [id, nodeStatus(id)]),
  );
  term = 7;
  leaderId: string | null = "hearth-1";
  /** What was asked for, in order, dry runs included. */
  readonly calls: { readonly name: string; readonly wish: unknown }[] = [];
  readonly snapshots: SnapshotView[] = [
    {
      id: "5d0c19e2",
      index: 4_700_000,
      term: 7,
      sizeBytes: 843_055_104,
      takenAtMs: 1_795_300_000_000,
    },
  ];
  /** Thrown by every change, when set. */
  refusal: HearthError | null = null;
  /** A change never ends. */
  isStuck = false;
  /** Called when something is really to be changed, before it is. */
  onChange: () => Promise<void> = async () => {};

  view(): ClusterView {
    const voters = this.members.filter(({ suffrage }) => suffrage === "voter");
    const leader = this.members.find(({ serverId }) => serverId === this.leaderId);
    return {
      clusterId: "8f1c2a04",
      askedNode: "hearth-0",
      term: this.term,
      leader: leader === undefined ? null : { id: leader.serverId, address: leader.addresses.http },
      configurationIndex: 1,
      isChanging: false,
      voters: voters.length,
      reachableVoters: voters.filter(({ isSelf, isConnected }) => isSelf || isConnected).length,
      members: this.members,
    };
  }

  async collect(): Promise<readonly MemberReport[]> {
    return this.members.map(({ serverId }) => {
      const status = this.statuses.get(serverId);
      if (status !== undefined) return { serverId, ok: true, status, ageMs: 3 };
      return { serverId, ok: false, problem: "connection refused" };
    });
  }

  /** hearth-2 is gone: no connection, no answer. */
  loseMember(serverId: string, sinceMs: number): void {
    const lost = this.#find(serverId);
    lost.isConnected = false;
    lost.lastContactMs = sinceMs;
    lost.problem = `connection refused, ${lost.addresses.peer}`;
    this.statuses.delete(serverId);
  }

  async addMember(wish: {
    address: string;
    serverId?: string | undefined;
    dryRun?: boolean | undefined;
  }): Promise<ChangeResult> {
    await this.#note("addMember", wish);
    const serverId = wish.serverId ?? "hearth-9";
    const added = member(9, { serverId, suffrage: "learner", isConnected: true });
    return this.#result(`${serverId} becomes a learner`, [...this.members, added], wish.dryRun);
  }

  async promoteMember(wish: {
    serverId: string;
    dryRun?: boolean | undefined;
  }): Promise<ChangeResult> {
    await this.#note("promoteMember", wish);
    if (this.#find(wish.serverId).suffrage === "voter")
      return {
        ...this.#result(`${wish.serverId} is a voter already`, this.members, true),
        changed: false,
      };
    return this.#setSuffrage(wish, "voter", `${wish.serverId} becomes a voter`);
  }

  async demoteMember(wish: {
    serverId: string;
    dryRun?: boolean | undefined;
  }): Promise<ChangeResult> {
    await this.#note("demoteMember", wish);
    return this.#setSuffrage(wish, "learner", `${wish.serverId} becomes a learner`);
  }

  async removeMember(wish: {
    serverId: string;
    dryRun?: boolean | undefined;
  }): Promise<ChangeResult> {
    await this.#note("removeMember", wish);
    this.#find(wish.serverId);
    const rest = this.members.filter(({ serverId }) => serverId !== wish.serverId);
    const text = `${wish.serverId} is removed; its data directory cannot rejoin`;
    return this.#result(text, rest, wish.dryRun);
  }

  async transferLeadership(wish: {
    serverId: string | null;
    dryRun?: boolean | undefined;
  }): Promise<ChangeResult> {
    await this.#note("transferLeadership", wish);
    const to = wish.serverId ?? "hearth-0";
    if (wish.dryRun !== true) this.leaderId = to;
    return this.#result(`${to} takes over the leadership`, this.members, true);
  }

  list(): readonly SnapshotView[] {
    return this.snapshots;
  }

  async take(wish: { dryRun: boolean; signal: AbortSignal }): Promise<SnapshotTaken> {
    await this.#note("take", { dryRun: wish.dryRun });
    const snapshot = { ...(this.snapshots[0] as SnapshotView), id: "77aa00ff", index: 4_812_090 };
    return { changed: true, text: "snapshot of log index 4,812,090", snapshot };
  }

  #setSuffrage(
    wish: { serverId: string; dryRun?: boolean | undefined },
    suffrage: MemberView["suffrage"],
    text: string,
  ): ChangeResult {
    const changed = this.members.map((each) =>
      each.serverId === wish.serverId ? { ...each, suffrage } : each,
    );
    return this.#result(text, changed, wish.dryRun);
  }

  #result(text: string, members: readonly MemberView[], dryRun = false): ChangeResult {
    if (!dryRun) this.members.splice(0, this.members.length, ...members);
    const voters = members.filter(({ suffrage }) => suffrage === "voter").length;
    return {
      changed: true,
      text,
      members: members.map(({ serverId, suffrage }) => ({ serverId, suffrage })),
      voters,
      failureTolerance: voters - Math.floor(voters / 2) - 1,
    };
  }

  #find(serverId: string): Mutable<MemberView> {
    const found = this.members.find((each) => each.serverId === serverId);
    if (found !== undefined) return found;
    throw new HearthError("not_found", `There is no member "${serverId}"`);
  }

  async #note(name: string, wish: { readonly dryRun?: boolean | undefined }): Promise<void> {
    this.calls.push({ name, wish });
    if (wish.dryRun !== true) await this.onChange();
    if (this.isStuck) await new Promise(() => {});
    if (this.refusal !== null) throw this.refusal;
  }
}
