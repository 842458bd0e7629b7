/**
 * The node's place among its peers, put together: the peer port, how a cluster is found, what other nodes may ask, what
 * operators may change, and where writes go that only the leader can take.
 *
 * It is open before the log is, since a node without state must be found by the others, and answers what it can.
 */
import { randomBytes } from "node:crypto";
import { HearthError, type Logger, SYSTEM_SCHEDULER } from "../../base/index.ts";
import {
  Formation,
  FORMATION_DEFAULTS,
  type NodeAddresses,
  type NodeIntroduction,
  type TcpPeerNetwork,
  RESOLVE_PEERS_TIMEOUT_MS,
  resolveBootstrapPeers,
} from "../../cluster/index.ts";
import type { Config } from "../../config/index.ts";
import type { MetricRegistry } from "../../metrics/index.ts";
import type { Member, Message } from "../../raft/index.ts";
import type { PeerReceiver, PeerTransport, Replica } from "../../replica/index.ts";
import type { ReaderPool } from "../../server/index.ts";
import {
  AddressBook,
  AddressKeeper,
  Adoption,
  Control,
  FORWARD_DEFAULTS,
  LeaderPlace,
  LeaderWord,
  notOpen,
  PeerRequests,
  POLL_FORWARD_DEFAULTS,
  PollForwarder,
  type PollResult,
  WriteForwarder,
} from "../../service/index.ts";
import { countedResolver } from "./counted-resolver.ts";
import { type Identity, newClusterId } from "./identity.ts";
import { ReplicaProposer } from "./proposer.ts";

export interface PeersModules {
  readonly identity: Identity;
  readonly version: string;
  readonly logger: Logger;
  readonly metrics: MetricRegistry;
  /** Makes the network; nothing is open yet. */
  readonly createNetwork: (introduction: NodeIntroduction) => TcpPeerNetwork;
  /** The body of GET /api/v1/status. */
  readonly status: () => object;
  /** What finding the cluster waits for, in words. */
  readonly onProgress: (text: string) => void;
}

/** Plans a poll of a compaction worker on this member. */
type PlanPoll = (payload: Uint8Array<ArrayBuffer>, done: (result: PollResult) => void) => void;

/** Of one try to become a voter; a member that needs a long time to catch up tries again. */
const PROMOTE_TIMEOUT_MS = 10_000;
const PROMOTE_AGAIN_MS = 500;

export class Peers implements PeerTransport {
  /** As the network does. */
  readonly saysArrived = true;
  readonly network: TcpPeerNetwork;
  readonly control: Control;
  readonly book: AddressBook;
  /** For polls that another member has to plan. */
  readonly polls: PollForwarder;
  readonly #config: Config;
  readonly #modules: PeersModules;
  readonly #forwarder: WriteForwarder;
  readonly #leaderWord: LeaderWord;
  readonly #leaderPlace: LeaderPlace;
  #introduction: NodeIntroduction;
  #receiver: PeerReceiver | null = null;
  #replica: Replica | null = null;
  #proposer: ReplicaProposer | null = null;
  #planPoll: PlanPoll | null = null;
  #formation: Formation | null = null;
  #adoption: Adoption | null = null;
  #addresses: AddressKeeper | null = null;
  /** In this process: the others may not know yet. */
  #hasFounded = false;
  /** In this process, by its own wish. */
  #hasJoined = false;
  #isClosed = false;
  /** Why the peer port could not be opened; null: it is open. */
  #listenProblem: HearthError | null = null;

  constructor(config: Config, modules: PeersModules) {
    const { identity, version, createNetwork } = modules;
    this.#config = config;
    this.#modules = modules;
    this.#introduction = {
      clusterId: identity.clusterId,
      nodeId: identity.nodeId,
      serverId: identity.serverId,
      addresses: { peer: config.cluster.advertiseAddress, http: "", websocket: "" },
      version,
      bootNonce: randomBytes(8).toString("hex"),
    };
    this.network = createNetwork(this.#introduction);
    const { network } = this;
    const { applyTimeoutMs } = config.cluster;
    const self = (): NodeIntroduction => this.#introduction;
    const replica = (): Replica | null => this.#replica;
    this.book = new AddressBook({ self, peers: () => network.peers() });
    this.#leaderWord = new LeaderWord(this.book);
    this.#leaderPlace = new LeaderPlace({ network, self });
    this.control = new Control(
      { applyTimeoutMs },
      {
        network,
        self,
        replica,
        book: this.book,
        scheduler: SYSTEM_SCHEDULER,
        status: modules.status,
        onMembers: () => this.#adoption?.check(),
      },
    );
    this.#forwarder = new WriteForwarder(
      { ...FORWARD_DEFAULTS, timeoutMs: applyTimeoutMs },
      { network, scheduler: SYSTEM_SCHEDULER },
    );
    this.polls = new PollForwarder(
      { ...POLL_FORWARD_DEFAULTS, timeoutMs: applyTimeoutMs },
      network,
    );
    const requests = new PeerRequests({
      self,
      replica,
      control: this.control,
      join: (notice) => this.#join(notice),
      propose: (proposal, done) => {
        if (this.#proposer === null) done({ ok: false, error: notOpen() });
        else this.#proposer.proposeHere(proposal, done);
      },
      poll: (payload, done) => {
        if (this.#planPoll === null) done({ ok: false, error: notOpen() });
        else this.#planPoll(payload, done);
      },
      status: modules.status,
      nowMs: SYSTEM_SCHEDULER.monotonicMs,
      logger: modules.logger,
    });
    network.setHandler({
      onMessage: (message) => this.#receiver?.onMessage(message),
      onUnreachable: (peer) => this.#receiver?.onUnreachable(peer),
      onArrived: () => this.#receiver?.onArrived(),
      onRequest: (request, answer) => requests.handle(request, answer),
      onIntroduced: () => {
        this.#addresses?.check();
        this.#leaderWord.check();
        this.#leaderPlace.check();
      },
    });
  }

  /** This node as a member of a configuration. */
  get self(): Member {
    const { nodeId, serverId, addresses } = this.#introduction;
    return { id: nodeId, serverId, address: addresses.peer };
  }

  get listenProblem(): HearthError | null {
    return this.#listenProblem;
  }

  get proposer(): ReplicaProposer {
    if (this.#proposer === null) throw notOpen();
    return this.#proposer;
  }

  /**
   * Opens the peer port. A node that is alone by its configuration goes on without one: a second node on one laptop
   * must not fail because of a port that nobody needs.
   */
  async open(): Promise<void> {
    const { bindAddress, advertiseAddress } = this.#config.cluster;
    try {
      const port = await this.network.listen();
      // Only what the system has chosen is not known to the configuration.
      if (bindAddress.endsWith(":0")) {
        const peer = advertiseAddress.replace(/\d+$/, String(port));
        this.#introduce({ addresses: { ...this.#introduction.addresses, peer } });
      }
    } catch (error) {
      if (!this.#isLone()) throw error;
      this.#listenProblem = error as HearthError;
      this.#modules.logger.warn("no peer port: this node stays alone", {
        reason: this.#listenProblem.message,
        next: "Set metastore.raft.bind-address if other members shall be added",
      });
    }
  }

  /** Resolves when this node belongs to a cluster. Errors: `unavailable` with what kept it from that. */
  async findCluster(): Promise<void> {
    const { identity, logger } = this.#modules;
    if (identity.clusterId === "") await this.#form();
    this.#introduce({ clusterId: identity.clusterId });
    if (identity.clusterId === "") return;
    logger.info("belongs to a cluster", { cluster: identity.clusterId });
    this.#adoption = new Adoption({
      network: this.network,
      scheduler: SYSTEM_SCHEDULER,
      clusterId: () => identity.clusterId,
      nodeId: identity.nodeId,
      members: () => this.#membersToTell(),
      founders: identity.founders ?? [],
    });
    this.#adoption.check();
  }

  async #form(): Promise<void> {
    const { identity, onProgress, logger, metrics } = this.#modules;
    const { expectPeers, isAutoJoin, bootstrapPeers } = this.#config.cluster;
    const options = { ...FORMATION_DEFAULTS, self: this.self, expectPeers, isAutoJoin };
    let said = "";
    this.#formation = new Formation(options, {
      network: this.network,
      bond: identity,
      resolve: () =>
        resolveBootstrapPeers(
          {
            own: this.self,
            values: bootstrapPeers,
            expectPeers,
            timeoutMs: RESOLVE_PEERS_TIMEOUT_MS,
          },
          { resolver: countedResolver(metrics), scheduler: SYSTEM_SCHEDULER },
        ),
      scheduler: SYSTEM_SCHEDULER,
      random: Math.random,
      newClusterId: () => {
        this.#hasFounded = true;
        return newClusterId();
      },
      onProgress: (text) => {
        onProgress(text);
        if (text !== said) logger.info("finding the cluster", { state: text });
        said = text;
      },
    });
    const problem = await this.#formation.run();
    if (problem !== null) throw notFound(problem);
    this.#hasJoined = isAutoJoin && identity.clusterId !== "";
  }

  /** The replica is about to start: what comes from peers goes to it, and its callers may use it. */
  attach(replica: Replica): void {
    const { identity, metrics } = this.#modules;
    this.#replica = replica;
    this.#proposer = new ReplicaProposer(
      { readTimeoutMs: this.#config.cluster.applyTimeoutMs },
      { replica, metrics, forwarder: this.#forwarder, book: this.book, nodeId: identity.nodeId },
    );
    this.#addresses = new AddressKeeper({
      member: replica,
      self: () => this.#introduction,
      peers: () => this.network.peers(),
      scheduler: SYSTEM_SCHEDULER,
      logger: this.#modules.logger,
    });
  }

  /** What plans the polls that other members pass on. */
  attachPlanner(plan: PlanPoll): void {
    this.#planPoll = plan;
  }

  /** Who is told who leads, and where, from now on. */
  attachReaders(pool: Pick<ReaderPool, "tellLeader" | "tellLeaderPlace">): void {
    this.#leaderWord.listen((leader) => pool.tellLeader(leader));
    this.#leaderPlace.listen((place) => pool.tellLeaderPlace(place));
  }

  /** Role, leader or members changed. */
  changed(): void {
    const members = this.#replica?.membership?.membership.members ?? [];
    this.network.setMembers(members);
    if (this.#replica !== null) {
      this.#leaderWord.changed(this.#replica);
      this.#leaderPlace.changed(this.#replica);
    }
    this.#forwarder.leaderChanged(this.#replica?.leader ?? "");
    this.#adoption?.check();
    // In a later turn: a change of the members is no answer to hearing of one.
    SYSTEM_SCHEDULER.defer(() => this.#addresses?.check());
  }

  /** Errors: what kept the peer port closed, when the log says that there are others after all. */
  assertReachable(): void {
    const members = this.#replica?.membership?.membership.members ?? [];
    if (this.#listenProblem !== null && members.length > 1) throw this.#listenProblem;
  }

  /** Where clients find this node; told to the others. */
  introduce(addresses: Pick<NodeAddresses, "http" | "websocket">): void {
    this.#introduce({ addresses: { ...this.#introduction.addresses, ...addresses } });
  }

  /**
   * Who asked to be taken in becomes a voter once it has caught up: nobody else would promote it. Only in the process
   * that joined, so that a member which is demoted later stays what it is.
   */
  async promoteWhenJoined(): Promise<void> {
    if (!this.#hasJoined) return;
    const { logger } = this.#modules;
    const { serverId } = this.#introduction;
    while (!this.#isClosed) {
      const seat = this.control.view().members.find(({ isSelf }) => isSelf);
      if (seat?.suffrage === "voter") return;
      try {
        if (seat !== undefined)
          await this.control.promoteMember({ serverId, timeoutMs: PROMOTE_TIMEOUT_MS });
      } catch (error) {
        logger.debug("not a voter yet", { reason: (error as Error).message });
      }
      await new Promise<void>((resolve) => SYSTEM_SCHEDULER.after(PROMOTE_AGAIN_MS, resolve));
    }
  }

  setReceiver(receiver: PeerReceiver): void {
    this.#receiver = receiver;
  }

  send(message: Message): void {
    this.network.send(message);
  }

  flush(): void {
    this.network.flush();
  }

  /** Ends a search that is under way. */
  giveUp(): void {
    this.#formation?.stop();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.giveUp();
    this.#adoption?.stop();
    this.#addresses?.stop();
    await this.network.close();
  }

  /** The leader tells everybody; a founder tells the others before there can be one. */
  #membersToTell(): readonly Member[] {
    const { identity } = this.#modules;
    const founders = identity.founders ?? [];
    const at = this.#replica?.membership ?? null;
    if (at === null) return this.#hasFounded ? founders : [];
    const leads = this.#replica?.leader === identity.nodeId;
    const isFounding = at.index <= 1 && founders.length > 1;
    return leads || isFounding ? at.membership.members : [];
  }

  #join(notice: Parameters<Identity["join"]>[0]): void {
    this.#modules.identity.join(notice);
    this.#introduce({ clusterId: this.#modules.identity.clusterId });
  }

  #introduce(change: Partial<NodeIntroduction>): void {
    this.#introduction = { ...this.#introduction, ...change };
    this.network.introduce(this.#introduction);
    this.#leaderWord.check();
    this.#leaderPlace.check();
  }

  /** By its configuration nobody else is wanted, and nobody else founded the cluster. */
  #isLone(): boolean {
    const { expectPeers, isAutoJoin, bootstrapPeers } = this.#config.cluster;
    const { clusterId, founders } = this.#modules.identity;
    const wantsNobody = expectPeers === 1 && !isAutoJoin && bootstrapPeers.length === 0;
    return wantsNobody && (clusterId === "" || founders === null || founders.length === 1);
  }
}

function notFound(problem: string): HearthError {
  return new HearthError("unavailable", `No cluster was found or founded: ${problem}`, {
    reason: "no_cluster",
    next: "Start the missing nodes, or correct metastore.raft.bootstrap-peers; a restart tries again",
  });
}
