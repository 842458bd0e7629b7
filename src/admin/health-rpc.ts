/**
 * grpc.health.v1.Health/Check on the HTTP port, in the protocol of Connect (unary; JSON or protobuf): whether all parts of
 * this node run, as the reference answers it there. Leadership and lag do not count: those are for /ready. The health
 * service of gRPC itself is on the gRPC port.
 */
import { invalidArgument, isHearthError } from "../base/index.ts";
import { ByteSink, decodeHealthProto, putHealth } from "../protocol/index.ts";
import type { Health } from "./health.ts";
import { readOptionalJsonObject } from "./json-input.ts";
import type { AdminRequest, AdminResponse, Route } from "./types.ts";

/** "" is the node itself. */
const SERVICES: ReadonlySet<string> = new Set(["", "pyroscope.metastore"]);

const JSON_TYPE = "application/json";
const PROTO_TYPE = "application/proto";

export function healthRpcRoute(health: Pick<Health, "evaluate">): Route {
  return {
    method: "POST",
    path: "/grpc.health.v1.Health/Check",
    summary: "Whether all parts of this node run, in the protocol of Connect",
    handle: (request) => answer(health, request),
  };
}

function answer(health: Pick<Health, "evaluate">, request: AdminRequest): AdminResponse {
  const type = (request.headers["content-type"] ?? "").split(";")[0]?.trim().toLowerCase();
  if (type !== JSON_TYPE && type !== PROTO_TYPE)
    return { status: 415, headers: { "accept-post": `${JSON_TYPE}, ${PROTO_TYPE}` }, body: "" };
  try {
    const service = type === PROTO_TYPE ? decodeHealthProto(request.body) : readService(request);
    if (!SERVICES.has(service)) return failure(404, "not_found", "This service is not known");
  } catch (error) {
    if (!isHearthError(error)) throw error;
    return failure(400, "invalid_argument", error.message);
  }
  const phase = health.evaluate("ready").find(({ name }) => name === "phase");
  const status = phase?.result.state === "ok" ? "serving" : "notServing";
  if (type === JSON_TYPE)
    return told(200, { status: status === "serving" ? "SERVING" : "NOT_SERVING" });
  const sink = new ByteSink(16);
  putHealth(sink, status);
  return { status: 200, headers: { "content-type": PROTO_TYPE }, body: sink.copy() };
}

function readService(request: AdminRequest): string {
  const { service = "" } = readOptionalJsonObject(request);
  if (typeof service === "string") return service;
  throw invalidArgument("bad_json", '"service" must be a text');
}

function failure(status: number, code: string, message: string): AdminResponse {
  return told(status, { code, message });
}

function told(status: number, value: object): AdminResponse {
  return { status, headers: { "content-type": JSON_TYPE }, body: JSON.stringify(value) };
}
