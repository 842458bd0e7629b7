/**
 * The client of the HTTP API: the library every program uses, with frames that go to a reader thread by message
 * instead of over a socket. When its thread ends it connects to another one, as it would to another node.
 */
import {
  type Channel,
  type ChannelListener,
  connect,
  type HearthClient,
  type Transport,
} from "../../client/index.ts";
import type { ReaderPool } from "../../server/index.ts";

/** A name only: the transport below does not look at it. */
const LOCAL_ENDPOINT = "local";

/** Errors: those of connect(): `unavailable` when no reader thread takes part in time. */
export function connectLocally(pool: ReaderPool): Promise<HearthClient> {
  return connect({
    endpoints: [LOCAL_ENDPOINT],
    name: "http-api",
    role: "tool",
    // Its node passes on what only the leader does.
    followLeader: false,
    transport: localTransport(pool),
    // A reader thread is restarted within a second; requests wait that long instead of failing.
    reconnect: { minDelayMs: 10, maxDelayMs: 200 },
    // There is no network that could swallow a message.
    keepAliveIntervalMs: 0,
  });
}

function localTransport(pool: ReaderPool): Transport {
  return { open: (_endpoint, listener) => openChannel(pool, listener) };
}

function openChannel(pool: ReaderPool, listener: ChannelListener): Channel {
  try {
    return pool.openLocal(listener);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    queueMicrotask(() => listener.onClose({ reason, isDraining: false, cause: error }));
    return CLOSED_CHANNEL;
  }
}

const nothing = (): void => {};

const CLOSED_CHANNEL: Channel = {
  send: nothing,
  bufferedBytes: 0,
  close: nothing,
  terminate: nothing,
};
