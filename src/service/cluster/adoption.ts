/**
 * Tells members which cluster they belong to, until they say so themselves: the other founders after a bootstrap, and a
 * node that was added. Who founded or leads does it; telling somebody twice is harmless.
 */

import type { Scheduler } from "../../base/index.ts";
import {
  encodeJson,
  type FoundNotice,
  PEER_CALL,
  type PeerLinkStatus,
  type PeerNetwork,
} from "../../cluster/index.ts";
import type { Member, NodeId } from "../../raft/index.ts";

export interface AdoptionModules {
  readonly network: Pick<PeerNetwork, "request" | "peers">;
  readonly scheduler: Scheduler;
  readonly clusterId: () => string;
  readonly nodeId: NodeId;
  /** Whom to tell now: empty while this node neither leads nor founded. */
  readonly members: () => readonly Member[];
  /** Of them, those that begin with the founding configuration. */
  readonly founders: readonly Member[];
}

/** A node that starts answers within a second or two. */
const AGAIN_MS = 1_000;
const REQUEST_TIMEOUT_MS = 2_000;

export class Adoption {
  readonly #modules: AdoptionModules;
  readonly #telling = new Set<NodeId>();
  /** Have said that they belong to this cluster. */
  readonly #adopted = new Set<NodeId>();
  #cancel: (() => void) | null = null;
  #hasStopped = false;

  constructor(modules: AdoptionModules) {
    this.#modules = modules;
  }

  /** Looks whom to tell, now and, while somebody is left, again. To be called when members or leadership change. */
  check(): void {
    this.#cancel?.();
    this.#cancel = null;
    if (this.#hasStopped) return;
    const { network, members, nodeId, scheduler } = this.#modules;
    const links = network.peers();
    const missing = members().filter(({ id }) => id !== nodeId && !this.#isAdopted(id, links));
    for (const member of missing) void this.#tell(member);
    if (missing.length > 0) this.#cancel = scheduler.after(AGAIN_MS, () => this.check());
  }

  stop(): void {
    this.#hasStopped = true;
    this.#cancel?.();
  }

  #isAdopted(id: NodeId, links: readonly PeerLinkStatus[]): boolean {
    if (this.#adopted.has(id)) return true;
    const link = links.find((candidate) => candidate.nodeId === id);
    return link?.introduction?.clusterId === this.#modules.clusterId();
  }

  async #tell({ id, address }: Member): Promise<void> {
    if (this.#telling.has(id) || address === "") return;
    this.#telling.add(id);
    const { network, clusterId, founders } = this.#modules;
    const notice: FoundNotice = {
      clusterId: clusterId(),
      nodeId: id,
      founders: founders.some((founder) => founder.id === id) ? founders : [],
    };
    const options = { timeoutMs: REQUEST_TIMEOUT_MS };
    const result = await network.request({ address }, PEER_CALL.found, encodeJson(notice), options);
    if (result.ok) this.#adopted.add(id);
    this.#telling.delete(id);
  }
}
