/** Settings of the object store. */

export interface StorageOptions {
  readonly backend: "filesystem";
  /** Put before every key, with a slash between: several databases in one bucket. "" for none. */
  readonly prefix: string;
  readonly filesystem: { readonly directory: string };
  /** Longest single operation, or page of a list. */
  readonly timeoutMs: number;
}

export const STORAGE_DEFAULTS = {
  backend: "filesystem",
  prefix: "",
  // The reference's: all components of one machine share it.
  directory: "./data-shared",
  // A hung mount or bucket must not hold an activity for ever; one object of 64 MiB takes seconds on a slow link.
  timeoutMs: 30_000,
} as const;
