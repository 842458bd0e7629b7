/** Packing of messages: identity, gzip and snappy, each bounded in what it may unpack to. */

import { gunzip, gunzipSync, gzip, gzipSync } from "node:zlib";
import { HearthError, invalidArgument } from "../base/index.ts";
import { INLINE_PACK_MAX_BYTES, INLINE_UNPACK_MAX_BYTES } from "./limits.ts";
import { snappyPack, snappyUnpack, TooLargeError } from "./snappy.ts";

export const ENCODINGS = ["identity", "gzip", "snappy"] as const;
export type Encoding = (typeof ENCODINGS)[number];

/** Value of `grpc-accept-encoding`. */
export const ACCEPTED_ENCODINGS = ENCODINGS.join(",");

/** Value of a `grpc-encoding` header; null: it is not known. */
export function encodingOf(header: string | undefined): Encoding | null {
  if (header === undefined) return "identity";
  return ENCODINGS.find((encoding) => encoding === header) ?? null;
}

export type UnpackDone = (result: Uint8Array | HearthError) => void;

/** Unpacks a message; `done` is called once, at once for a small one. */
export function unpack(
  message: Uint8Array,
  encoding: Encoding,
  maxBytes: number,
  done: UnpackDone,
): void {
  if (encoding === "identity") {
    // The sender says that it is packed, and not how.
    done(invalidArgument("bad_compression", "The message is packed and names no encoding"));
  } else if (encoding === "snappy") {
    done(attempt(() => snappyUnpack(message, maxBytes), maxBytes));
  } else if (message.length <= INLINE_UNPACK_MAX_BYTES) {
    done(attempt(() => gunzipSync(message, { maxOutputLength: maxBytes }), maxBytes));
  } else {
    gunzip(message, { maxOutputLength: maxBytes }, (error, content) =>
      done(error === null ? content : unpackError(error, maxBytes)),
    );
  }
}

/**
 * Packs an answer; `done` is called once, at once for a small one, with null when that failed. `message` must not change
 * until then.
 */
export function pack(
  message: Uint8Array,
  encoding: Exclude<Encoding, "identity">,
  done: (packed: Uint8Array | null) => void,
): void {
  if (encoding === "snappy") done(snappyPack(message));
  else if (message.length <= INLINE_PACK_MAX_BYTES) done(gzipSync(message, { level: 1 }));
  else gzip(message, { level: 1 }, (error, packed) => done(error === null ? packed : null));
}

function attempt(body: () => Uint8Array, maxBytes: number): Uint8Array | HearthError {
  try {
    return body();
  } catch (error) {
    return unpackError(error, maxBytes);
  }
}

function unpackError(error: unknown, maxBytes: number): HearthError {
  if (error instanceof HearthError) return error;
  const isTooLarge =
    error instanceof TooLargeError ||
    (error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE";
  if (isTooLarge) return tooLarge(maxBytes);
  const reason = error instanceof Error ? error.message : String(error);
  return invalidArgument("bad_compression", `Cannot unpack the message: ${reason}`);
}

export function tooLarge(maxBytes: number): HearthError {
  const message = `The message is larger than ${maxBytes} bytes`;
  return new HearthError("resource_exhausted", message, {
    reason: "message_too_large",
    next: "Send less at once, or raise server.grpc-max-recv-msg-size-bytes",
  });
}
