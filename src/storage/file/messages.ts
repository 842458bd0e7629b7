/** What a store and its thread say to each other: many operations at a time, and their results in the same order. */
import type { ErrorCode } from "../../base/index.ts";
import type { ByteRange, ObjectInfo } from "../types.ts";

export interface PageWanted {
  readonly prefix: string;
  /** Where this page begins, whether or not the thread still knows the list. */
  readonly after: string;
  readonly pageMaxCount: number;
  readonly removesEmpty: boolean;
}

export type FileOperation =
  /** The next page of a list; an empty one is its end. */
  | { readonly kind: "page"; readonly list: number; readonly wanted: PageWanted }
  /** A list that is not read to its end. */
  | { readonly kind: "end"; readonly list: number }
  | {
      readonly kind: "get";
      readonly key: string;
      readonly range: ByteRange | undefined;
      readonly maxBytes: number | undefined;
    }
  | { readonly kind: "head"; readonly key: string }
  | { readonly kind: "delete"; readonly key: string };

export interface FileRequest {
  readonly root: string;
  readonly operations: readonly FileOperation[];
}

/** An error of the store as plain data. */
export interface FileFailure {
  readonly code: ErrorCode;
  readonly message: string;
  readonly reason: string;
  readonly next: string | null;
}

export type FileValue = readonly ObjectInfo[] | ObjectInfo | Uint8Array | null;

export type FileResult =
  | { readonly ok: true; readonly value: FileValue }
  | { readonly ok: false; readonly failure: FileFailure };
