/** Builds request frames: one buffer per request, the header in front, the payload behind it. */
import { HearthError, isHearthError } from "../base/index.ts";
import {
  appendFrameHeader,
  ByteSink,
  createFrameHeader,
  FRAME_HEADER_BYTES,
  writeFrameHeader,
} from "../protocol/index.ts";

/** Writes one message at the end of a sink. */
export type PayloadWriter = (sink: ByteSink) => void;

const EMPTY_HEADER = createFrameHeader();
/** Shared by all requests of this thread: writers are synchronous and the frame is copied out. */
let scratch = new ByteSink();
/** A scratch that a large request made grow beyond this is not kept, bytes. */
const SCRATCH_MAX_BYTES = 1024 * 1024;

/**
 * A request frame with an empty header.
 *
 * Shape: owned; small ones share the ArrayBuffer of Node's pool, which is far cheaper than one of their own.
 * Errors: `invalid_argument` for values that the format cannot carry, or that are not of the declared type.
 */
export function buildFrame(write: PayloadWriter): Uint8Array {
  const sink = scratch;
  sink.reset();
  appendFrameHeader(sink, EMPTY_HEADER);
  try {
    write(sink);
    const frame = Buffer.allocUnsafe(sink.length);
    sink.u8.copy(frame, 0, 0, sink.length);
    return frame;
  } catch (error) {
    throw isHearthError(error) ? error : badRequest(error);
  } finally {
    if (sink.u8.length > SCRATCH_MAX_BYTES) scratch = new ByteSink();
  }
}

function badRequest(cause: unknown): HearthError {
  return new HearthError("invalid_argument", `Cannot encode the request: ${String(cause)}`, {
    reason: "bad_request",
    cause,
  });
}

export interface RequestHeader {
  readonly opcode: number;
  readonly requestId: number;
  /** 0 = the server's default. */
  readonly timeoutMs: number;
  readonly aux: number;
}

/** Fills the header of a request frame. */
export function writeRequestHeader(frame: Uint8Array, header: RequestHeader): void {
  const { opcode, requestId, timeoutMs, aux } = header;
  writeFrameHeader(frame, 0, { opcode, flags: 0, requestId, timeoutMs, aux });
}

/** A frame that is nothing but its header: Cancel, Credit, Ping. */
export function controlFrame(opcode: number, requestId: number, aux = 0): Uint8Array {
  const frame = Buffer.allocUnsafe(FRAME_HEADER_BYTES);
  writeRequestHeader(frame, { opcode, requestId, timeoutMs: 0, aux });
  return frame;
}

/** The payload of an answer frame. Borrowed from the frame. */
export function payloadOf(frame: Uint8Array): Uint8Array {
  return frame.subarray(FRAME_HEADER_BYTES);
}
