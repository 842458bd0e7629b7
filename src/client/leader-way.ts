/**
 * The way to the leader: who leads, by the newest word of a member, and a second connection while the first one goes to
 * somebody else.
 *
 *   word ──of an older term, or at an address that may not be dialled──► dropped
 *    │
 *    ▼
 *   known ──first connection goes there──► none needed
 *    │
 *    ▼
 *   opening ──hello of the member that was named──► ready ──lost──► pausing ──jittered delay──► opening ...
 *    ├──failed──────────────────────────────────────────────────────►
 *    └──hello of another member or cluster──► misled: nothing until there is another word
 *
 * Nobody depends on it: a member passes on what only the leader can do, so calls take this way where it is open, and the
 * first connection where it is not. That is what makes a wrong word harmless.
 */
import type { HearthError, LeaderHint } from "../base/index.ts";
import { jitteredDelayMs } from "./backoff.ts";
import type { Connection } from "./connection.ts";
import { leaderEndpoint } from "./endpoint.ts";
import { connectionLost } from "./errors.ts";
import { FORMER_LEADER_MS } from "./limits.ts";
import { Link, type LinkListener } from "./link.ts";
import type { ClientOptions } from "./options.ts";

/** What a member said. Term 0: it said none, as refusals do. */
export interface LeaderWord extends LeaderHint {
  readonly term: number;
}

export interface LeaderWayModules {
  /** The first connection, while there is one. */
  readonly primary: () => Connection | null;
  /** Another member, or another address, than before. */
  readonly onChanged: (leader: LeaderHint) => void;
}

interface Known extends LeaderWord {
  readonly endpoint: string;
}

export class LeaderWay {
  readonly #options: ClientOptions;
  readonly #modules: LeaderWayModules;
  /** Of the first connection: terms of two clusters cannot be compared. */
  #clusterId = "";
  #known: Known | null = null;
  #link: Link | null = null;
  /** The present one and former ones that still have open requests. */
  readonly #links = new Set<Link>();
  /** Ends requests that a former leader does not answer. */
  readonly #formerTimers = new Map<Link, NodeJS.Timeout>();
  #timer: NodeJS.Timeout | undefined;
  #failures = 0;
  #openedAtMs = Number.NEGATIVE_INFINITY;
  #readyAtMs = 0;
  #isMisled = false;
  #isClosed = false;

  constructor(options: ClientOptions, modules: LeaderWayModules) {
    this.#options = options;
    this.#modules = modules;
  }

  /** The connection to the leader, if it is open and not the first one. */
  get ready(): Connection | null {
    return this.#link?.ready ?? null;
  }

  /** What leads to a connection soon, or fails soon. */
  get opening(): Link | null {
    return this.#link;
  }

  /** The first connection goes to this member now. */
  primaryChanged(connection: Connection): void {
    const { clusterId } = connection.peer;
    if (clusterId !== this.#clusterId) {
      this.#clusterId = clusterId;
      this.#known = null;
      this.#retire("the client went over to another cluster", { isFormer: true });
    }
    this.#settle();
  }

  /** A word of the member at `from`. */
  learn(word: LeaderWord, from: string): void {
    if (!this.#options.followLeader || this.#isClosed) return;
    const endpoint = leaderEndpoint(word.address, from);
    const known = this.#known;
    if (endpoint === null || !isCredible(word, known)) return;
    this.#known = { ...word, endpoint };
    if (known !== null && known.id === word.id && known.endpoint === endpoint) return;
    this.#modules.onChanged({ id: word.id, address: word.address });
    this.#failures = 0;
    this.#isMisled = false;
    clearTimeout(this.#timer);
    this.#retire(`${word.id} leads now`, { isFormer: true });
    this.#settle();
  }

  /** Whether a call that was refused at `from` with this hint finds its leader elsewhere. */
  leadsElsewhere(hint: LeaderHint, from: string): boolean {
    return this.#known !== null && this.#known.id === hint.id && this.#known.endpoint !== from;
  }

  /** Resolves when the sockets are closed. */
  async close(error: HearthError): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    for (const timer of this.#formerTimers.values()) clearTimeout(timer);
    await Promise.all([...this.#links].map((link) => link.close(error)));
  }

  /** Opens what is missing, ends what is not needed. */
  #settle(): void {
    const leader = this.#known;
    if (leader === null || this.#isPrimary(leader))
      this.#retire("the first connection goes to the leader", { isFormer: false });
    else if (this.#link === null && !this.#isMisled && !this.#isClosed) this.#openSoon(leader);
  }

  /** However often members change their minds, connections are made at the pace of all others. */
  #openSoon(leader: Known): void {
    clearTimeout(this.#timer);
    const sinceMs = performance.now() - this.#openedAtMs;
    const waitMs = this.#options.reconnectMinDelayMs - sinceMs;
    if (waitMs > 0) this.#timer = setTimeout(() => this.#settle(), waitMs);
    else this.#open(leader);
  }

  #isPrimary({ id, endpoint }: Known): boolean {
    const primary = this.#modules.primary();
    return primary !== null && (primary.endpoint === endpoint || primary.peer.nodeId === id);
  }

  #open({ endpoint }: Known): void {
    this.#openedAtMs = performance.now();
    const listener: LinkListener = {
      // The status of a client is that of its first connection; this one comes and goes with the leader.
      onStatus: () => {},
      onReady: () => {
        this.#readyAtMs = performance.now();
      },
      onLeader: (word, connection) => {
        if (this.#link === link) this.learn(word, connection.endpoint);
      },
      onGone: () => this.#gone(link),
    };
    const settings = {
      endpoints: [endpoint],
      isPersistent: false,
      check: (connection: Connection) => this.#check(link, connection),
    };
    const link = new Link(settings, { options: this.#options, listener });
    this.#link = link;
    this.#links.add(link);
    link.start();
  }

  /** An address may lead one program to the leader and another one to somebody else, as those of loopback do. */
  #check(link: Link, { endpoint, peer }: Connection): HearthError | null {
    const { nodeId, clusterId } = peer;
    // Of a former one it does not matter any more.
    if (this.#link !== link || this.#known === null) return null;
    if (nodeId === this.#known.id && clusterId === this.#clusterId) return null;
    this.#isMisled = true;
    const who = `${nodeId} of cluster ${clusterId}`;
    return connectionLost(endpoint, `${who} answers there, not the leader ${this.#known.id}`);
  }

  #gone(link: Link): void {
    this.#links.delete(link);
    clearTimeout(this.#formerTimers.get(link));
    this.#formerTimers.delete(link);
    if (this.#link !== link) return;
    this.#link = null;
    if (this.#isClosed) return;
    const { reconnectMinDelayMs, reconnectMaxDelayMs } = this.#options;
    const heldMs = this.#readyAtMs === 0 ? 0 : performance.now() - this.#readyAtMs;
    this.#readyAtMs = 0;
    if (heldMs > reconnectMaxDelayMs) this.#failures = 0;
    const delayMs = jitteredDelayMs(this.#failures++, reconnectMinDelayMs, reconnectMaxDelayMs);
    this.#timer = setTimeout(() => this.#settle(), delayMs);
  }

  /** Takes no more calls on it. A former leader may hang, so what it was sent does not wait for it much longer. */
  #retire(why: string, { isFormer }: { readonly isFormer: boolean }): void {
    const link = this.#link;
    if (link === null) return;
    this.#link = null;
    this.#readyAtMs = 0;
    const error = connectionLost(link.endpoint, why);
    if (isFormer) {
      const timer = setTimeout(() => void link.close(error), FORMER_LEADER_MS);
      this.#formerTimers.set(link, timer);
    }
    link.retire(error);
  }
}

/**
 * A term has one leader, whose address may change. So members that point at each other in one term do not lead anybody
 * around, and a refusal, which names no term, counts only while no member has named one.
 */
function isCredible(word: LeaderWord, known: LeaderWord | null): boolean {
  if (known === null || word.term > known.term) return true;
  if (word.term < known.term) return false;
  return word.term === 0 || word.id === known.id;
}
