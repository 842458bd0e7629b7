/** What can go wrong with images of the state. A closed list, used as a metric label. */

import { HearthError, toHearthError } from "../../base/index.ts";

export type ImageErrorReason =
  /** The bytes are not an image, or not a whole one. */
  | "image_damaged"
  /** Whole, but of a later format or another layout of the index. */
  | "image_version_unsupported"
  /** Taking it would have kept old pages for too long; the next attempt may succeed. */
  | "image_growth"
  | "image_deadline"
  /** Whoever wanted it does not any more. */
  | "image_cancelled";

export function imageDamaged(what: string, cause?: unknown): HearthError {
  return new HearthError("data_loss", `The image of the state is damaged: ${what}`, {
    reason: "image_damaged" satisfies ImageErrorReason,
    next: "Another snapshot or another member brings the state back",
    cause,
  });
}

export function imageUnsupported(what: string): HearthError {
  return new HearthError("failed_precondition", `Cannot read the image of the state: ${what}`, {
    reason: "image_version_unsupported" satisfies ImageErrorReason,
    next: "Start the version of hearth that wrote it",
  });
}

export function imageGrowth(grownBytes: number, maxBytes: number): HearthError {
  const message = `The index has grown by ${grownBytes} bytes under the image, limit is ${maxBytes}`;
  return new HearthError("resource_exhausted", message, {
    reason: "image_growth" satisfies ImageErrorReason,
    next: "It is tried again later; a higher metastore.snapshot-rate-limit makes it shorter",
  });
}

export function imageDeadline(deadlineMs: number): HearthError {
  return new HearthError(
    "deadline_exceeded",
    `The image of the state was not taken within ${deadlineMs} ms`,
    {
      reason: "image_deadline" satisfies ImageErrorReason,
      next: "It is tried again later; a higher metastore.snapshot-rate-limit makes it shorter",
    },
  );
}

export function imageCancelled(): HearthError {
  return new HearthError("cancelled", "The image of the state is not wanted any more", {
    reason: "image_cancelled" satisfies ImageErrorReason,
  });
}

/** A HearthError as plain data: classes do not survive the way to another thread. */
export interface PlainFailure {
  readonly code: HearthError["code"];
  readonly reason: string;
  readonly message: string;
  readonly next: string | null;
}

export function toPlainFailure(cause: unknown): PlainFailure {
  const { code, reason, message, next } = toHearthError(cause);
  return { code, reason, message, next };
}

export function fromPlainFailure({ code, reason, message, next }: PlainFailure): HearthError {
  return new HearthError(code, message, { reason, next: next ?? undefined });
}
