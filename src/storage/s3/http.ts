/** One HTTP request to the store, its answer as bytes. Connections are kept. */
import { readFileSync } from "node:fs";
import { Agent as HttpAgent, type IncomingMessage, request as httpRequest } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import type { LookupFunction } from "node:net";
import { rootCertificates } from "node:tls";
import { objectIncomplete, objectTooLarge } from "../errors.ts";
import { S3_LIMITS, type S3Options } from "./options.ts";

export interface HttpRequest {
  readonly method: string;
  readonly host: string;
  /** With the query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  readonly signal: AbortSignal | undefined;
  /** A larger answer is refused, by its length where that is told. */
  readonly maxBytes: number;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: Uint8Array;
}

export class HttpConnections {
  readonly #isInsecure: boolean;
  readonly #agent: HttpAgent;

  /** `lookup`: names to addresses, where not by the system. Errors: the file of certificates cannot be read. */
  constructor(
    { isInsecure, caPath, skipVerify }: Pick<S3Options, "isInsecure" | "caPath" | "skipVerify">,
    lookup?: LookupFunction,
  ) {
    this.#isInsecure = isInsecure;
    const keeping = { keepAlive: true, maxSockets: S3_LIMITS.socketsMax };
    const options = lookup === undefined ? keeping : { ...keeping, lookup };
    const ca = caPath === "" ? {} : { ca: [...rootCertificates, readFileSync(caPath, "utf8")] };
    this.#agent = isInsecure
      ? new HttpAgent(options)
      : new HttpsAgent({ ...options, ...ca, rejectUnauthorized: !skipVerify });
  }

  send(request: HttpRequest): Promise<HttpAnswer> {
    const { host, method, path, body, signal } = request;
    const { hostname, port } = new URL(`http://${host}`);
    const headers = { ...request.headers, "content-length": String(body.length) };
    const start = this.#isInsecure ? httpRequest : httpsRequest;
    return new Promise((resolve, reject) => {
      const outgoing = start(
        {
          host: hostname.replace(/^\[|\]$/g, ""),
          ...(port === "" ? {} : { port }),
          method,
          path,
          headers,
          agent: this.#agent,
          ...(signal === undefined ? {} : { signal }),
        },
        (incoming) => readAnswer(incoming, request).then(resolve, reject),
      );
      outgoing.on("error", (error) => reject(signal?.aborted === true ? signal.reason : error));
      outgoing.end(body);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

async function readAnswer(
  incoming: IncomingMessage,
  { method, path, maxBytes }: HttpRequest,
): Promise<HttpAnswer> {
  const status = incoming.statusCode ?? 0;
  const isGood = status >= 200 && status < 300;
  const limit = isGood ? maxBytes : S3_LIMITS.textMaxBytes;
  const told = Number(incoming.headers["content-length"] ?? Number.NaN);
  if (told > limit && method !== "HEAD") {
    incoming.destroy();
    throw objectTooLarge(path, told, limit);
  }
  const parts: Buffer[] = [];
  let sizeBytes = 0;
  for await (const part of incoming as AsyncIterable<Buffer>) {
    sizeBytes += part.length;
    if (sizeBytes > limit) throw objectTooLarge(path, sizeBytes, limit);
    parts.push(part);
  }
  if (method !== "HEAD" && Number.isFinite(told) && sizeBytes < told)
    throw objectIncomplete(path, sizeBytes, told);
  const whole = Buffer.concat(parts);
  const body = new Uint8Array(whole.buffer, whole.byteOffset, whole.length);
  return { status, headers: incoming.headers, body };
}
