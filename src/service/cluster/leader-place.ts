/**
 * Where the leader's peer port is, for reader threads, which look up no names: those look-ups block threads of a pool that the
 * log's writes need, and main bounds them.
 */

import type { LineTarget, NodeIntroduction, PeerNetwork } from "../../cluster/index.ts";
import type { LeaderKnown } from "./leader-word.ts";

export interface LeaderPlaceModules {
  readonly network: Pick<PeerNetwork, "peers" | "resolve">;
  readonly self: () => NodeIntroduction;
}

export class LeaderPlace {
  readonly #modules: LeaderPlaceModules;
  #known: Pick<LeaderKnown, "leader" | "membership"> = { leader: "", membership: null };
  #place: LineTarget | null = null;
  #listener: ((place: LineTarget | null) => void) | null = null;
  /** Of the newest look-up; what an earlier one finds is void. */
  #lookUps = 0;

  constructor(modules: LeaderPlaceModules) {
    this.#modules = modules;
  }

  /** The listener hears where it is, and then every change. */
  listen(listener: (place: LineTarget | null) => void): void {
    this.#listener = listener;
    listener(this.#place);
  }

  /** Leader or members changed. */
  changed({ leader, membership }: Pick<LeaderKnown, "leader" | "membership">): void {
    this.#known = { leader, membership };
    this.check();
  }

  /** Somebody said where it is, or was reached again: perhaps under another number. */
  check(): void {
    this.#lookUps += 1;
    const nodeId = this.#known.leader;
    const introduction = this.#modules.self();
    if (nodeId === "" || nodeId === introduction.nodeId || introduction.clusterId === "") {
      this.#tell(null);
      return;
    }
    void this.#lookUp(nodeId, introduction, this.#lookUps);
  }

  async #lookUp(nodeId: string, introduction: NodeIntroduction, lookUp: number): Promise<void> {
    const names = this.#namesOf(nodeId);
    const found = await Promise.all(names.map((name) => this.#modules.network.resolve(name)));
    if (lookUp !== this.#lookUps) return;
    const addresses = [...new Set(found.flat())];
    this.#tell(addresses.length === 0 ? null : { nodeId, addresses, introduction });
  }

  /** What the configuration says, then what the node says of itself. */
  #namesOf(nodeId: string): readonly string[] {
    const member = this.#known.membership?.membership.members.find(({ id }) => id === nodeId);
    const peer = this.#modules.network.peers().find((candidate) => candidate.nodeId === nodeId);
    const names = [member?.address ?? "", peer?.introduction?.addresses.peer ?? ""];
    return [...new Set(names.filter((name) => name !== ""))];
  }

  #tell(place: LineTarget | null): void {
    if (isSame(place, this.#place)) return;
    this.#place = place;
    this.#listener?.(place);
  }
}

function isSame(one: LineTarget | null, other: LineTarget | null): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
