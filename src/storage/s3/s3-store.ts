/**
 * A bucket of S3, or of what speaks its protocol: REST with Signature Version 4.
 *
 * A request that failed on the way, or was answered with "slow down" or a fault of the server, is repeated with growing,
 * random waits. That is safe: reads change nothing, a put writes the same bytes again, a delete of nothing is success.
 */
import type { LookupFunction } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { isHearthError } from "../../base/index.ts";
import { objectTooLarge, storageDenied, storageUnavailable } from "../errors.ts";
import { checkKey, checkPrefix } from "../keys.ts";
import { STORAGE_LIMITS } from "../limits.ts";
import type { CallOptions, GetOptions, ListOptions, ObjectInfo, ObjectStore } from "../types.ts";
import { CredentialProvider, type CredentialSources } from "./credentials.ts";
import { type HttpAnswer, HttpConnections } from "./http.ts";
import { S3_LIMITS, type S3Options } from "./options.ts";
import { encodePath, queryString, signedHeaders } from "./sign.ts";
import { elements, textOf } from "./xml.ts";

export interface S3Modules extends CredentialSources {
  /** Unix ms, for signatures. */
  readonly nowMs: () => number;
  /** In [0, 1). */
  readonly random: () => number;
  /** Names to addresses, where not by the system. */
  readonly lookup?: LookupFunction;
}

type Operation = "list" | "read" | "write" | "delete" | "look up";

interface Wish extends CallOptions {
  readonly operation: Operation;
  readonly method: "GET" | "PUT" | "DELETE" | "HEAD";
  /** "" is the bucket itself. */
  readonly key: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  readonly maxBytes?: number;
}

const NOTHING = new Uint8Array(0);

export class S3ObjectStore implements ObjectStore {
  readonly name: string;
  readonly #options: S3Options;
  readonly #modules: S3Modules;
  readonly #credentials: CredentialProvider;
  readonly #http: HttpConnections;
  readonly #host: string;
  /** Before a key in the path. */
  readonly #base: string;

  constructor(options: S3Options, modules: S3Modules) {
    this.#options = options;
    this.#modules = modules;
    this.#credentials = new CredentialProvider(options, modules);
    this.#http = new HttpConnections(options, modules.lookup);
    this.name = `s3://${options.bucket}`;
    const endpoint = options.endpoint.replace(/^https?:\/\//, "").replace(/\/+$/, "");
    const host = endpoint === "" ? `s3.${options.region}.amazonaws.com` : endpoint;
    const isAws = /(^|\.)amazonaws\.com(\.cn)?(:\d+)?$/.test(host);
    const isVirtual = options.lookup === "virtual-hosted" || (options.lookup === "auto" && isAws);
    this.#host = isVirtual ? `${options.bucket}.${host}` : host;
    this.#base = isVirtual ? "/" : `/${options.bucket}/`;
  }

  async *list(options: ListOptions): AsyncGenerator<readonly ObjectInfo[]> {
    const { prefix, after = "", signal, pageMaxCount = STORAGE_LIMITS.pageMaxCount } = options;
    checkPrefix(prefix);
    const count = Math.min(Math.max(1, pageMaxCount), STORAGE_LIMITS.pageMaxCount);
    let query: Record<string, string> = {
      "list-type": "2",
      "encoding-type": "url",
      "max-keys": String(count),
      ...(prefix === "" ? {} : { prefix }),
      ...(after === "" ? {} : { "start-after": after }),
    };
    for (;;) {
      const wish: Wish = {
        operation: "list",
        method: "GET",
        key: "",
        query,
        maxBytes: S3_LIMITS.textMaxBytes,
        ...(signal === undefined ? {} : { signal }),
      };
      const answer = await this.#send(wish);
      const xml = Buffer.from(answer.body).toString("utf8");
      if (!xml.includes("<ListBucketResult"))
        throw storageUnavailable("list", this.name, "the answer is no list of objects");
      const page = elements(xml, "Contents")
        .map(infoOf)
        .filter((info) => info !== null);
      if (page.length > 0) yield page;
      const token = textOf(xml, "NextContinuationToken");
      if (textOf(xml, "IsTruncated") !== "true" || token === "") return;
      query = { ...query, "continuation-token": token };
      delete query["start-after"];
    }
  }

  async get(key: string, options: GetOptions = {}): Promise<Uint8Array | null> {
    checkKey(key);
    const { range, maxBytes = STORAGE_LIMITS.getMaxBytes, signal } = options;
    const start = Math.max(0, range?.start ?? 0);
    const end = range?.end ?? Number.POSITIVE_INFINITY;
    // A range of nothing cannot be asked for; whether the object is there still can.
    if (end <= start) return (await this.head(key, options)) === null ? null : NOTHING.slice();
    const headers =
      range === undefined ? {} : { range: `bytes=${start}-${Number.isFinite(end) ? end - 1 : ""}` };
    const answer = await this.#send({
      operation: "read",
      method: "GET",
      key,
      headers,
      maxBytes,
      ...(signal === undefined ? {} : { signal }),
    });
    // Behind the end of the object.
    if (answer.status === 416) return NOTHING.slice();
    if (answer.status === 404) return null;
    // A store that does not know ranges sends everything.
    if (range !== undefined && answer.status === 200) return answer.body.slice(start, end);
    return answer.body;
  }

  async put(key: string, bytes: Uint8Array, options: CallOptions = {}): Promise<void> {
    checkKey(key);
    if (bytes.length > STORAGE_LIMITS.putMaxBytes)
      throw objectTooLarge(key, bytes.length, STORAGE_LIMITS.putMaxBytes);
    const headers = { "content-type": "application/octet-stream" };
    await this.#send({ operation: "write", method: "PUT", key, headers, body: bytes, ...options });
  }

  async delete(key: string, options: CallOptions = {}): Promise<void> {
    checkKey(key);
    await this.#send({ operation: "delete", method: "DELETE", key, ...options });
  }

  async head(key: string, options: CallOptions = {}): Promise<ObjectInfo | null> {
    checkKey(key);
    const { signal } = options;
    const answer = await this.#send({
      operation: "look up",
      method: "HEAD",
      key,
      ...(signal === undefined ? {} : { signal }),
    });
    if (answer.status === 404) return null;
    const modifiedAtMs = Date.parse(answer.headers["last-modified"] ?? "");
    return { key, sizeBytes: Number(answer.headers["content-length"] ?? 0), modifiedAtMs };
  }

  async close(): Promise<void> {
    this.#http.close();
  }

  /** The answer; 404 of an object and 416 are answers. Errors: everything else, after the attempts it is worth. */
  async #send(wish: Wish): Promise<HttpAnswer> {
    const { signal, operation, key } = wish;
    const what = key === "" ? this.name : `${this.name}/${key}`;
    for (let attempt = 1; ; attempt++) {
      signal?.throwIfAborted();
      let problem: unknown;
      try {
        const answer = await this.#attempt(wish);
        if (isExpected(answer, wish)) return answer;
        const text = describe(answer);
        if (answer.status === 401 || answer.status === 403) {
          this.#credentials.forget();
          throw storageDenied(operation, what, text);
        }
        if (!isTransient(answer.status)) throw storageUnavailable(operation, what, text);
        problem = text;
      } catch (error) {
        if (isHearthError(error) || signal?.aborted === true) throw error;
        problem = error;
      }
      if (attempt >= S3_LIMITS.attemptsMax) throw storageUnavailable(operation, what, problem);
      const mostMs = Math.min(S3_LIMITS.backoffMostMs, S3_LIMITS.backoffFirstMs * 2 ** attempt);
      await sleep(
        this.#modules.random() * mostMs,
        undefined,
        signal === undefined ? {} : { signal },
      );
    }
  }

  async #attempt({
    method,
    key,
    query = {},
    headers = {},
    body = NOTHING,
    maxBytes,
    signal,
  }: Wish): Promise<HttpAnswer> {
    const path = encodePath(`${this.#base}${key}`);
    const request = { method, host: this.#host, path, query, headers, body };
    const scope = { region: this.#options.region, nowMs: this.#modules.nowMs() };
    const signed = signedHeaders(request, await this.#credentials.get(), scope);
    const search = queryString(query);
    return this.#http.send({
      method,
      host: this.#host,
      path: search === "" ? path : `${path}?${search}`,
      headers: signed,
      body,
      signal,
      maxBytes: maxBytes ?? S3_LIMITS.textMaxBytes,
    });
  }
}

function isExpected({ status, body }: HttpAnswer, { operation, method }: Wish): boolean {
  if (status >= 200 && status < 300) return true;
  if (operation === "read" && status === 416) return true;
  if (status !== 404 || operation === "list" || operation === "write") return false;
  // A bucket that is not there is a wrong setting, not an empty one. An answer to HEAD has no words.
  return method === "HEAD" || textOf(Buffer.from(body).toString("utf8"), "Code") !== "NoSuchBucket";
}

function isTransient(status: number): boolean {
  return status === 408 || status === 429 || status >= 500;
}

function describe({ status, body }: HttpAnswer): string {
  const xml = Buffer.from(body.subarray(0, 4_096)).toString("utf8");
  const words = [textOf(xml, "Code"), textOf(xml, "Message")].filter((word) => word !== "");
  return `HTTP status ${status}${words.length === 0 ? "" : `: ${words.join(", ")}`}`;
}

/** Keys are asked for encoded, since XML cannot hold every character that a key can. */
function infoOf(xml: string): ObjectInfo | null {
  const modifiedAtMs = Date.parse(textOf(xml, "LastModified"));
  const sizeBytes = Number(textOf(xml, "Size"));
  try {
    const key = decodeURIComponent(textOf(xml, "Key").replaceAll("+", " "));
    return { key, sizeBytes, modifiedAtMs };
  } catch {
    // No text at all: nothing here could ask for it.
    return null;
  }
}
