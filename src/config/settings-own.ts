/**
 * Settings that exist only here, all under `hearth.`. Where a module declares a default, it is repeated by reference,
 * never by value; only the size of the map is not, since its module loads the database.
 */
import { DELETION_DEFAULTS } from "../leader/deletion/options.ts";
import { LOG_DEFAULTS } from "../log/options.ts";
import { LIMITS } from "../protocol/limits.ts";
import { QUERY_ENGINE_DEFAULTS } from "../read/options.ts";
import { SERVER_DEFAULTS } from "../server/options.ts";
import type { Setting } from "./types.ts";

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

export const OWN_SETTINGS = [
  {
    name: "hearth.websocket-listen-address",
    kind: "text",
    default: "",
    help: "Address of the binary WebSocket listener; empty listens on every interface",
  },
  {
    name: "hearth.websocket-listen-port",
    kind: "integer",
    default: SERVER_DEFAULTS.port,
    min: 0,
    max: 65_535,
    help: "Port of the binary WebSocket listener; 0 lets the system choose",
  },
  {
    name: "hearth.listener",
    kind: "choice",
    choices: ["auto", "uws", "ws"],
    default: SERVER_DEFAULTS.transport,
    help: "WebSocket implementation: auto takes uws (uWebSockets.js) and falls back to ws where no native build loads",
  },
  {
    name: "hearth.reader-threads",
    kind: "integer",
    default: 0,
    min: 0,
    max: 64,
    help: "Threads that own sockets and answer queries; 0 is one less than the processors, at least 1 and at most 8",
  },
  {
    name: "hearth.cache-bytes",
    kind: "size",
    default: QUERY_ENGINE_DEFAULTS.cacheBytes,
    min: MIB,
    max: 64 * GIB,
    help: "Cache of dictionaries and selectors, a quarter of it for blocks of gRPC answers, per reader thread",
  },
  {
    name: "hearth.index-map-size",
    kind: "size",
    default: 64 * GIB,
    min: 16 * MIB,
    max: 16 * 1024 * GIB,
    help: "Address space reserved for the index; not memory and not disk, only an upper bound of the index file",
  },
  {
    name: "hearth.index-min-free",
    kind: "size",
    default: GIB,
    min: 0,
    max: 1024 * GIB,
    help: "Free space on the disk of the index, of a small disk 5 % of it, below which the node warns and a leader hands over; 0: never",
  },
  {
    name: "hearth.state-check-interval",
    kind: "duration",
    default: 10 * 60_000,
    min: 0,
    help: "How often the leader has the members compare checksums of their states; 0: never",
  },
  {
    name: "hearth.log-segment-size",
    kind: "size",
    default: LOG_DEFAULTS.segmentBytes,
    min: 16 * MIB,
    max: GIB,
    help: "Size of one preallocated file of the durable log",
  },
  {
    name: "hearth.log-reuse-max",
    kind: "size",
    default: LOG_DEFAULTS.reuseMaxBytes,
    min: 0,
    max: 64 * GIB,
    help: "Files of the log that a snapshot has set free are kept up to this size and written again, which takes half of what new ones take from the disk; given back when their disk has less than hearth.index-min-free; 0: none",
  },
  {
    name: "hearth.log-in-place-max",
    kind: "duration",
    default: LOG_DEFAULTS.inPlaceMaxMs,
    min: 0,
    max: 10,
    help: "Lone writes of the log, and groups that all callers wait for, are waited for by the main thread itself while the disk takes less than this on average; 0: never",
  },
  {
    name: "hearth.frame-max-bytes",
    kind: "size",
    default: LIMITS.frameMaxBytes,
    min: 64 * 1024,
    max: 256 * MIB,
    help: "Largest frame accepted from a client; larger ones are refused before memory is taken",
  },
  {
    name: "hearth.in-flight-max",
    kind: "integer",
    default: SERVER_DEFAULTS.session.inFlightMax,
    min: 1,
    max: 65_536,
    help: "Requests that one connection may have unanswered; more are refused with resource_exhausted",
  },
  {
    name: "hearth.answer-max-bytes",
    kind: "size",
    default: QUERY_ENGINE_DEFAULTS.answerMaxBytes,
    min: MIB,
    max: 2 * GIB,
    help: "Largest answer of one query over all its chunks; a larger one ends with resource_exhausted",
  },
  {
    name: "hearth.default-timeout",
    kind: "duration",
    default: SERVER_DEFAULTS.session.defaultTimeoutMs,
    min: 10,
    max: 300_000,
    help: "Time budget of a request that names none",
  },
  {
    name: "hearth.http-body-max-bytes",
    kind: "size",
    default: LIMITS.frameMaxBytes,
    min: 64 * 1024,
    max: 256 * MIB,
    help: "Largest request body of the HTTP API",
  },
  {
    name: "hearth.shutdown-timeout",
    kind: "duration",
    default: 30_000,
    min: 100,
    max: 1_200_000,
    help: "Longest orderly stop; afterwards the process ends anyway, which loses nothing that was acknowledged",
  },
  {
    name: "hearth.dlq-bad-entries",
    kind: "choice",
    choices: ["quarantine", "delete"],
    default: "quarantine",
    help: "What becomes of dead letters that can never be added: moved to dlq-quarantine/, or deleted as the reference does",
  },
  {
    name: "hearth.tenant-deletion-interval",
    kind: "duration",
    default: DELETION_DEFAULTS.intervalMs,
    min: 0,
    max: 86_400_000,
    help: "Time between two looks of the leader at tenants that are being deleted; 0: they stay hidden, and nothing of them is removed",
  },
  {
    name: "hearth.tenant-closed-period",
    kind: "duration",
    default: DELETION_DEFAULTS.closedForMs,
    min: 0,
    max: 10 * 366 * 86_400_000,
    help: "How long the name of a deleted tenant stays closed after all is gone, so that what comes late is not taken for new; 0: until hearth tenant open",
  },
  {
    name: "hearth.allow-raw-commands",
    kind: "boolean",
    default: SERVER_DEFAULTS.allowRawCommands,
    isAdvanced: true,
    help: "Accept raw state-machine commands from clients. For conformance runs only: it bypasses every check of a leader",
  },
] as const satisfies readonly Setting[];
