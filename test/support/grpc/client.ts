/** A gRPC client of another make, @grpc/grpc-js, with the messages of schemas/. */

import {
  Client,
  type ClientOptions,
  credentials,
  type ChannelCredentials,
  Metadata,
  type ServiceError,
} from "@grpc/grpc-js";
import {
  decodeMessage,
  encodeMessage,
  type Message,
  type MethodSchema,
  methodSchema,
} from "./schema.ts";

export interface CallOptions {
  readonly timeoutMs?: number;
  readonly metadata?: Readonly<Record<string, string>>;
}

/** How a call failed, as the client saw it. */
export class CallError extends Error {
  readonly code: number;
  readonly details: string;
  readonly metadata: Metadata;

  constructor(error: ServiceError) {
    super(`code ${error.code}: ${error.details}`);
    this.code = error.code;
    this.details = error.details;
    this.metadata = error.metadata;
  }

  /** The leader hint, or null. */
  get hint(): Message | null {
    const [bytes] = this.metadata.get("grpc-status-details-bin") as Buffer[];
    if (bytes === undefined) return null;
    const status = decodeMessage("google.rpc.Status", bytes) as {
      details: { type_url: string; value: Uint8Array }[];
    };
    const detail = status.details.find(({ type_url: url }) => url.endsWith("/raft_node.RaftNode"));
    return detail === undefined ? null : decodeMessage("raft_node.RaftNode", detail.value);
  }
}

const MIB = 1024 * 1024;

export class GrpcClient {
  readonly #client: Client;
  readonly #methods = new Map<string, MethodSchema>();

  constructor(
    address: string,
    channel: ChannelCredentials = credentials.createInsecure(),
    options: ClientOptions = {},
  ) {
    this.#client = new Client(address, channel, {
      "grpc.max_receive_message_length": 128 * MIB,
      "grpc.max_send_message_length": 128 * MIB,
      "grpc.use_local_subchannel_pool": 1,
      ...options,
    });
  }

  /** Calls a method by its path. Errors: CallError. */
  call(path: string, request: Message = {}, options: CallOptions = {}): Promise<Message> {
    const method = this.#methodOf(path);
    const bytes = encodeMessage(method.request, request);
    return this.callBytes(path, bytes, options).then((answer) =>
      decodeMessage(method.response, answer),
    );
  }

  /** The same with the bytes of the messages. */
  callBytes(path: string, request: Uint8Array, options: CallOptions = {}): Promise<Uint8Array> {
    const metadata = new Metadata();
    for (const [key, value] of Object.entries(options.metadata ?? {})) metadata.set(key, value);
    const { timeoutMs = 60_000 } = options;
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        path,
        asBuffer,
        (bytes: Buffer) => bytes,
        request,
        metadata,
        { deadline: Date.now() + timeoutMs },
        (error, answer) => {
          if (error !== null) reject(new CallError(error));
          else resolve(answer as Uint8Array);
        },
      );
    });
  }

  /** Opens a server stream; `onMessage` gets each message, `ended` resolves with the code at its end. */
  stream(
    path: string,
    request: Message,
    onMessage: (message: Message) => void,
  ): { readonly ended: Promise<number>; cancel(): void } {
    const method = this.#methodOf(path);
    const stream = this.#client.makeServerStreamRequest(
      path,
      asBuffer,
      (bytes: Buffer) => bytes,
      encodeMessage(method.request, request),
    );
    stream.on("data", (bytes: Buffer) => onMessage(decodeMessage(method.response, bytes)));
    const ended = new Promise<number>((resolve) => {
      stream.on("error", () => {});
      stream.on("status", ({ code }) => resolve(code));
    });
    return { ended, cancel: () => stream.cancel() };
  }

  close(): void {
    this.#client.close();
  }

  #methodOf(path: string): MethodSchema {
    let method = this.#methods.get(path);
    if (method === undefined) {
      method = methodSchema(path);
      this.#methods.set(path, method);
    }
    return method;
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
