/** Settings of the object store. */
import type { S3Options } from "./s3/options.ts";

export interface StorageOptions {
  readonly backend: "filesystem" | "s3";
  /** Put before every key, with a slash between: several databases in one bucket. "" for none. */
  readonly prefix: string;
  readonly filesystem: { readonly directory: string };
  /** Used by its backend alone. */
  readonly s3: S3Options;
  /** Longest single operation, or page of a list. */
  readonly timeoutMs: number;
}

export const STORAGE_DEFAULTS = {
  backend: "filesystem",
  prefix: "",
  // The reference's: all components of one machine share it.
  directory: "./data-shared",
  // What endpoints that know no regions are signed for.
  s3: { region: "us-east-1", lookup: "auto" },
  // A hung mount or bucket must not hold an activity for ever; one object of 64 MiB takes seconds on a slow link.
  timeoutMs: 30_000,
} as const;
