/** Settings of the network between members. Durations in ms, sizes in bytes. */

import { assert } from "../base/index.ts";
import type { NodeIntroduction } from "./types.ts";

export interface PeerOptions {
  /** What this process says of itself at first; `introduce` changes cluster id and addresses. */
  readonly introduction: NodeIntroduction;
  /** Where the peer port is opened; "" is every address. */
  readonly listenHost: string;
  /** 0: any free port (tests). */
  readonly listenPort: number;
  /** From the dial to the open connection, name look-up included. */
  readonly dialTimeoutMs: number;
  /** From the open connection to the peer's hello. */
  readonly handshakeTimeoutMs: number;
  /** Pause before the second dial in a row; doubles to the maximum, with jitter. The first one does not wait. */
  readonly redialMinMs: number;
  readonly redialMaxMs: number;
  /** A connection that lasted this long was good: the next dial does not wait. */
  readonly steadyMs: number;
  readonly pingIntervalMs: number;
  /** Ping intervals without a single byte from the peer after which its connection is given up. */
  readonly silentPingsMax: number;
  /** Ping intervals that one ping may go unanswered while other bytes arrive. */
  readonly lostPingsMax: number;
  /**
   * Bytes queued for one peer, in this process; above it the connection is closed. Holds what the core may have under
   * way to one peer (inflightMaxBytes, and one message beyond it) and requests.
   */
  readonly sendQueueMaxBytes: number;
  /** Bytes queued or held back for a peer above which no new request is taken: appends come first. */
  readonly requestQueueMaxBytes: number;
  /**
   * Bytes of forwarded writes that one peer has been sent and has not answered; more are held back. It is what a heartbeat or
   * its answer may have to wait behind, here, there and in the systems between.
   */
  readonly writeWindowBytes: number;
  /** A connection that no member needs is closed after this time without messages and requests. */
  readonly idleMs: number;
  /** Refusals of one kind from one place appear in the log once in this time. */
  readonly refusalLogMs: number;
}

const MIB = 1024 * 1024;

export const PEER_DEFAULTS = {
  listenHost: "",
  listenPort: 9099,
  // A round trip through a busy site, and one lost SYN (repeated after 1 s).
  dialTimeoutMs: 1_500,
  handshakeTimeoutMs: 2_000,
  // A member that restarts is back after about a second; until then its peers knock every second at most.
  redialMinMs: 20,
  redialMaxMs: 1_000,
  steadyMs: 1_000,
  // Two seconds of silence: beyond every healthy pause, and short enough that a healed partition is noticed before
  // the system's own repeats have slowed down to many seconds.
  pingIntervalMs: 500,
  silentPingsMax: 4,
  // 32 MiB of appends take 2.7 s on a link of 100 Mbit/s, and the answer waits behind them.
  lostPingsMax: 10,
  sendQueueMaxBytes: 96 * MIB,
  requestQueueMaxBytes: 24 * MIB,
  // A third of a second on a link of 100 Mbit/s, less than an election waits; and 80 MiB/s where an answer takes 50 ms.
  writeWindowBytes: 4 * MIB,
  idleMs: 30_000,
  refusalLogMs: 60_000,
} as const;

export function assertPeerOptions(options: PeerOptions): void {
  const { redialMinMs, redialMaxMs, requestQueueMaxBytes, sendQueueMaxBytes } = options;
  const { writeWindowBytes } = options;
  for (const [name, value] of Object.entries(options)) {
    if (typeof value !== "number" || name === "listenPort") continue;
    assert(Number.isFinite(value) && value > 0, `${name} ${value} must be positive`);
  }
  assert(redialMinMs <= redialMaxMs, `redialMinMs ${redialMinMs} is above redialMaxMs`);
  assert(
    requestQueueMaxBytes < sendQueueMaxBytes,
    `requestQueueMaxBytes ${requestQueueMaxBytes} leaves no room below sendQueueMaxBytes`,
  );
  assert(
    writeWindowBytes <= requestQueueMaxBytes,
    `writeWindowBytes ${writeWindowBytes} is above requestQueueMaxBytes`,
  );
}
