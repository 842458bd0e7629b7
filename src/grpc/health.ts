/**
 * grpc.health.v1.Health (grpc-contract 7.1): Check and List answer at once, Watch stays open and tells every change. The
 * server itself, "", is always serving; the metastore is unknown until the node is up. Health says nothing of leadership
 * or lag.
 */

import type { ServerHttp2Stream } from "node:http2";
import { HearthError, TIMER_MAX_MS } from "../base/index.ts";
import {
  ByteSink,
  decodeEmptyProto,
  decodeHealthProto,
  putHealth,
  putHealthList,
  type ServingStatus,
} from "../protocol/index.ts";
import { ANSWER_HEADERS } from "./call.ts";
import { PREFIX_BYTES, writePrefix } from "./framing.ts";
import { WATCHES_MAX } from "./limits.ts";
import type { Method } from "./methods.ts";
import { statusTrailers, type Trailers } from "./status.ts";

export const METASTORE_SERVICE = "pyroscope.metastore";

/** How far the node is; `starting` is not known to clients yet. */
export type NodeHealth = "starting" | "serving" | "notServing";

const SERVICE = "/grpc.health.v1.Health/";
export const WATCH_PATH = `${SERVICE}Watch`;

interface Watch {
  readonly stream: ServerHttp2Stream;
  readonly service: string;
  told: ServingStatus;
  /** How it ends, if it ends now. */
  trailers: Trailers;
}

export class HealthService {
  readonly #watches = new Set<Watch>();
  #health: NodeHealth = "starting";

  /** Open watches. */
  get watchCount(): number {
    return this.#watches.size;
  }

  set(health: NodeHealth): void {
    this.#health = health;
    for (const watch of this.#watches) this.#tell(watch);
  }

  methods(): Method[] {
    return [
      {
        path: `${SERVICE}Check`,
        kind: "health",
        handle: (message, call) => {
          const service = decodeHealthProto(message);
          const status = this.#statusOf(service);
          if (status === "serviceUnknown") throw unknownService(service);
          call.reply((sink) => putHealth(sink, status));
        },
      },
      {
        path: `${SERVICE}List`,
        kind: "health",
        handle: (message, call) => {
          decodeEmptyProto(message);
          const statuses = { "": this.#statusOf(""), ...this.#metastore() };
          call.reply((sink) => putHealthList(sink, statuses));
        },
      },
    ];
  }

  /**
   * Keeps the stream of a Watch, whose request was read, and tells it the status now, and every other one for `timeoutMs`;
   * null: for as long as the client likes. Errors: `resource_exhausted`.
   */
  watch(message: Uint8Array, stream: ServerHttp2Stream, timeoutMs: number | null): void {
    const service = decodeHealthProto(message);
    if (this.#watches.size >= WATCHES_MAX) {
      throw new HearthError("resource_exhausted", `${WATCHES_MAX} watches are open already`, {
        reason: "watches",
      });
    }
    const watch: Watch = { stream, service, told: "unknown", trailers: STOPPING_TRAILERS };
    this.#watches.add(watch);
    const timer =
      timeoutMs === null
        ? undefined
        : setTimeout(
            () => {
              watch.trailers = EXPIRED_TRAILERS;
              stream.end();
            },
            Math.min(timeoutMs, TIMER_MAX_MS),
          ).unref();
    stream.on("close", () => {
      clearTimeout(timer);
      this.#watches.delete(watch);
    });
    stream.respond(ANSWER_HEADERS, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers(watch.trailers));
    this.#tell(watch);
  }

  /** Ends all watches: the server is stopping. */
  close(): void {
    for (const { stream } of this.#watches) stream.end();
  }

  #tell(watch: Watch): void {
    const status = this.#statusOf(watch.service);
    if (status === watch.told || watch.stream.destroyed || watch.stream.writableEnded) return;
    watch.told = status;
    const sink = new ByteSink(64);
    sink.length = PREFIX_BYTES;
    putHealth(sink, status);
    writePrefix(sink.u8, sink.length - PREFIX_BYTES, false);
    watch.stream.write(sink.view());
  }

  #statusOf(service: string): ServingStatus {
    if (service === "") return "serving";
    return this.#metastore()[service] ?? "serviceUnknown";
  }

  #metastore(): Record<string, ServingStatus> {
    return this.#health === "starting" ? {} : { [METASTORE_SERVICE]: this.#health };
  }
}

const STOPPING_TRAILERS = statusTrailers({
  code: 14,
  message: "The server is stopping",
  leader: null,
});

const EXPIRED_TRAILERS = statusTrailers({ code: 4, message: "The time is up", leader: null });

function unknownService(service: string): HearthError {
  const message = `Service ${JSON.stringify(service.slice(0, 64))} is not known`;
  return new HearthError("not_found", message, { reason: "unknown_service" });
}
