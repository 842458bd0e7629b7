/**
 * Frames as binary WebSocket messages, with the `ws` package.
 *
 * What is special here:
 * - Frames sent in one turn of the event loop leave in one system call. The socket is corked at the first send
 *   and uncorked by process.nextTick, which runs after all promise continuations of the turn: a chunk of input
 *   that answers fifty calls wakes fifty callers, and their next fifty requests travel together.
 * - The masking key is zero, which the protocol allows. Masking protects careless proxies from hostile pages in
 *   browsers; here it would only cost a copy and an XOR of every byte.
 * - No compression: metadata is read in place, and a compressed frame would have to be copied out first.
 */
import type { Socket } from "node:net";
import type { ConnectionOptions as TlsOptions } from "node:tls";
import { type ClientOptions as WsOptions, WebSocket } from "ws";
import { endpointUrl } from "../endpoint.ts";
import { ANSWER_FRAME_MAX_BYTES, CLOSE_GRACE_MS } from "../limits.ts";
import type { Channel, ChannelListener, Transport } from "./transport.ts";

/** Settings of the WebSocket transport. */
export interface WebSocketOptions {
  /** Larger answer frames end the connection. Default: 16 MiB. */
  readonly answerFrameMaxBytes?: number;
  /** For wss:// endpoints: certificate authority, client certificate and so on. */
  readonly tls?: Pick<
    TlsOptions,
    "ca" | "cert" | "key" | "passphrase" | "servername" | "rejectUnauthorized" | "minVersion"
  >;
  /** Extra headers of the upgrade request. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** WebSocket close code of a server that is shutting down. */
const CLOSE_GOING_AWAY = 1001;
const CLOSE_NORMAL = 1000;

/** The transport that connect() uses unless told otherwise. */
export function createWebSocketTransport(options: WebSocketOptions = {}): Transport {
  const messageMaxBytes = options.answerFrameMaxBytes ?? ANSWER_FRAME_MAX_BYTES;
  const wsOptions: WsOptions = {
    ...options.tls,
    headers: { ...options.headers },
    perMessageDeflate: false,
    followRedirects: false,
    maxPayload: messageMaxBytes,
    generateMask: (mask: Buffer): void => {
      mask.fill(0);
    },
  };
  return {
    messageMaxBytes,
    open: (endpoint, listener) => new WebSocketChannel(endpoint, listener, wsOptions),
  };
}

class WebSocketChannel implements Channel {
  readonly #webSocket: WebSocket;
  readonly #listener: ChannelListener;
  #socket: Socket | null = null;
  #isCorked = false;
  #isClosed = false;
  #error: Error | null = null;
  #graceTimer: NodeJS.Timeout | undefined;

  constructor(endpoint: string, listener: ChannelListener, options: WsOptions) {
    this.#listener = listener;
    const webSocket = new WebSocket(endpointUrl(endpoint), options);
    this.#webSocket = webSocket;
    webSocket.on("upgrade", (response) => {
      this.#socket = response.socket;
      this.#socket.setNoDelay(true);
    });
    webSocket.on("open", () => listener.onOpen());
    webSocket.on("message", (data: Buffer, isBinary) => {
      if (this.#isClosed) return;
      if (isBinary) {
        listener.onFrame(data);
      } else {
        this.#error = new Error("the server sent a text message");
        this.terminate();
      }
    });
    // Every error is followed by "close"; there it gets told. Without this handler it would be thrown.
    webSocket.on("error", (error) => {
      this.#error ??= error;
    });
    webSocket.on("close", (code, reason) => this.#onClose(code, reason.toString("utf8")));
  }

  get bufferedBytes(): number {
    return this.#webSocket.bufferedAmount;
  }

  send(frame: Uint8Array): void {
    if (this.#webSocket.readyState !== WebSocket.OPEN) return;
    this.#cork();
    this.#webSocket.send(frame, SEND_OPTIONS, ignoreSendError);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#uncork();
    this.#webSocket.close(CLOSE_NORMAL);
    this.#graceTimer ??= setTimeout(() => this.terminate(), CLOSE_GRACE_MS);
  }

  terminate(): void {
    this.#webSocket.terminate();
  }

  #cork(): void {
    if (this.#isCorked || this.#socket === null) return;
    this.#isCorked = true;
    this.#socket.cork();
    process.nextTick(() => this.#uncork());
  }

  #uncork(): void {
    if (!this.#isCorked) return;
    this.#isCorked = false;
    this.#socket?.uncork();
  }

  #onClose(code: number, reasonText: string): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#graceTimer);
    this.#listener.onClose({
      reason: this.#error === null ? closeReason(code, reasonText) : describeError(this.#error),
      isDraining: code === CLOSE_GOING_AWAY,
      cause: this.#error ?? undefined,
    });
  }
}

const SEND_OPTIONS = { binary: true } as const;

/** A failed send is always followed by "close", and there every open call learns of it. */
function ignoreSendError(): void {}

function closeReason(code: number, text: string): string {
  if (text !== "") return text;
  if (code === CLOSE_GOING_AWAY) return "the server is going away";
  // 1005 and 1006 are what ws reports when the peer sent no code, or nothing at all.
  if (code === CLOSE_NORMAL || code === 1005) return "the server closed the connection";
  return code === 1006 ? "connection lost" : `closed with code ${code}`;
}

const REASON_BY_CODE: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection reset",
  EPIPE: "connection reset",
  ENOTFOUND: "name not found",
  EAI_AGAIN: "name lookup failed for now",
  ETIMEDOUT: "timed out",
  EHOSTUNREACH: "host unreachable",
  ENETUNREACH: "network unreachable",
  CERT_HAS_EXPIRED: "certificate has expired",
  DEPTH_ZERO_SELF_SIGNED_CERT: "certificate is self-signed",
  SELF_SIGNED_CERT_IN_CHAIN: "certificate is self-signed",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "certificate is of an unknown authority",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "certificate is of an unknown authority",
  WS_ERR_UNSUPPORTED_MESSAGE_LENGTH: "the server sent a frame above the limit",
};

function describeError(error: Error): string {
  const code = (error as NodeJS.ErrnoException).code;
  const known = code === undefined ? undefined : REASON_BY_CODE[code];
  if (known !== undefined) return known;
  const status = /Unexpected server response: (\d+)/.exec(error.message);
  if (status !== null) return `answered HTTP ${status[1]}, not a WebSocket`;
  return error.message === "" ? (code ?? "unknown error") : error.message;
}
