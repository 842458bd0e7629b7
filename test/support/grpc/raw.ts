/** Unary calls written out on node:http2: for requests that no client library would send. */

import {
  type ClientHttp2Session,
  connect,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from "node:http2";

export interface RawAnswer {
  /** Of the first frame, and of the last one; a refusal has one frame only, which is both. */
  readonly headers: IncomingHttpHeaders;
  readonly trailers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export function openRaw(address: string): Promise<ClientHttp2Session> {
  return new Promise((resolve, reject) => {
    const session = connect(`http://${address}`);
    session.once("error", reject);
    session.once("connect", () => resolve(session));
  });
}

/** The message behind its prefix. */
export function framed(message: Uint8Array, flags = 0): Buffer {
  const prefix = Buffer.alloc(5);
  prefix[0] = flags;
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

/** Sends a body as it is. Errors: of the stream or its connection. */
export function callRaw(
  session: ClientHttp2Session,
  path: string,
  body: Uint8Array,
  headers: OutgoingHttpHeaders = {},
): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const stream = session.request({
      ":method": "POST",
      ":path": path,
      "content-type": "application/grpc",
      te: "trailers",
      ...headers,
    });
    const parts: Buffer[] = [];
    let first: IncomingHttpHeaders = {};
    let last: IncomingHttpHeaders | null = null;
    stream.on("response", (received) => {
      first = received;
    });
    stream.on("trailers", (received) => {
      last = received;
    });
    stream.on("data", (part: Buffer) => parts.push(part));
    stream.on("error", reject);
    stream.on("close", () =>
      resolve({ headers: first, trailers: last ?? first, body: Buffer.concat(parts) }),
    );
    stream.end(body);
  });
}
