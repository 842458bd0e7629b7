/**
 * Polls of compaction workers that reach a follower, on their way to the leader and back (`PEER_CALL.poll`): the bytes of a
 * PollRequest there, those of a PollReply back. Once: who gets it and does not lead refuses it.
 *
 * A poll that is given up here is planned there all the same, and its answer taken: jobs in it are for who asked to give
 * back.
 */

import { HearthError } from "../../base/index.ts";
import { PEER_CALL, type PeerNetwork } from "../../cluster/index.ts";
import type { NodeId } from "../../raft/index.ts";
import type { PollResult } from "../main-link.ts";

export interface PollForwardOptions {
  readonly timeoutMs: number;
  /** Polls without an answer; above it they are refused. */
  readonly pendingMax: number;
}

export const POLL_FORWARD_DEFAULTS = {
  // Workers poll one by one: as many as there are of them at one follower.
  pendingMax: 1_000,
} as const;

export class PollForwarder {
  readonly #options: PollForwardOptions;
  readonly #network: Pick<PeerNetwork, "request">;
  #pendingCount = 0;

  constructor(options: PollForwardOptions, network: Pick<PeerNetwork, "request">) {
    this.#options = options;
    this.#network = network;
  }

  /** `payload` has passed the door. `done` is called once, within the time limit. */
  forward(
    leader: NodeId,
    payload: Uint8Array<ArrayBuffer>,
    done: (result: PollResult) => void,
  ): void {
    const { timeoutMs, pendingMax } = this.#options;
    if (this.#pendingCount >= pendingMax) {
      done({ ok: false, error: tooMany(pendingMax) });
      return;
    }
    this.#pendingCount++;
    void this.#network
      .request({ nodeId: leader }, PEER_CALL.poll, payload, { timeoutMs })
      .then((answer) => {
        this.#pendingCount--;
        done(answer.ok ? { ok: true, reply: answer.body } : answer);
      });
  }
}

function tooMany(count: number): HearthError {
  return new HearthError("resource_exhausted", `${count} polls are on their way to the leader`, {
    reason: "forward_backlog",
    sent: "no",
    retryAfterMs: 50,
  });
}
