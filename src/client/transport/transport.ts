/**
 * How frames travel between the client and one server. The client itself knows frames only, so that the same
 * code runs over a WebSocket, over a MessagePort to a reader thread, or over a pair of arrays in a test.
 *
 *   open() ──► opening ──onOpen──► open ──► closed        onClose comes exactly once, from either state,
 *                 └──────────────onClose──────┘            and nothing comes after it
 */

export interface Transport {
  /** Largest message that it receives, bytes: the server is asked for no larger bundles. Left out: any. */
  readonly messageMaxBytes?: number;
  /**
   * Starts a channel to one endpoint. Never throws: what fails is told to `listener.onClose`, and no callback
   * runs before open() has returned.
   */
  open(endpoint: string, listener: ChannelListener): Channel;
}

/** One connection to one server; carries whole messages, in order, both ways. */
export interface Channel {
  /**
   * Sends one message: a frame, or a bundle of them. The bytes belong to the channel until its frames are answered or the channel
   * is closed: it may still hold them in a queue. Before onOpen and after close() nothing is sent.
   */
  send(frame: Uint8Array): void;
  /** Bytes accepted by send() that have not left this process yet. */
  readonly bufferedBytes: number;
  /** Closes in an orderly way, and at once if the peer does not take part within the grace time. */
  close(): void;
  /** Drops the connection at once: for peers that do not answer or do not keep to the protocol. */
  terminate(): void;
}

export interface ChannelListener {
  onOpen(): void;
  /** One whole message: a frame, or a bundle of them. Shape: any alignment; owned by the listener from here on. */
  onFrame(frame: Uint8Array): void;
  onClose(close: ChannelClose): void;
}

/** Why a channel ended. */
export interface ChannelClose {
  /** In words, for people: "connection refused". */
  readonly reason: string;
  /** The server said that it is going away; another endpoint should be tried at once. */
  readonly isDraining: boolean;
  /** The error of the socket, if there was one. */
  readonly cause?: unknown;
}
