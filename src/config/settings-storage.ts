/** Settings of the object store that all components share: names and defaults of the reference, then ours. */
import { STORAGE_DEFAULTS } from "../storage/options.ts";
import type { Setting } from "./types.ts";

export const STORAGE_SETTINGS = [
  {
    name: "storage.backend",
    kind: "choice",
    choices: ["filesystem", "s3"],
    default: STORAGE_DEFAULTS.backend,
    help: "Where objects are: the same for all components of the database",
  },
  {
    name: "storage.prefix",
    kind: "text",
    default: STORAGE_DEFAULTS.prefix,
    help: "Put before every key, with a slash between; the same for all components",
  },
  {
    name: "storage.filesystem.dir",
    kind: "text",
    default: STORAGE_DEFAULTS.directory,
    help: "Directory of the filesystem backend, shared by all components; created by the first write",
  },
  {
    name: "storage.s3.endpoint",
    kind: "text",
    default: "",
    help: "Host, and port where it is not the usual one, of the S3 backend; empty is AWS in storage.s3.region",
  },
  {
    name: "storage.s3.region",
    kind: "text",
    default: STORAGE_DEFAULTS.s3.region,
    help: "Region that requests are signed for",
  },
  {
    name: "storage.s3.bucket-name",
    kind: "text",
    default: "",
    help: "Bucket of the S3 backend",
  },
  {
    name: "storage.s3.access-key-id",
    kind: "text",
    default: "",
    help: "Empty: from AWS_ACCESS_KEY_ID and its kin, else from the shared credentials file (AWS_SHARED_CREDENTIALS_FILE, AWS_PROFILE)",
  },
  {
    name: "storage.s3.secret-access-key",
    kind: "text",
    default: "",
    isMasked: true,
    help: "Belongs to storage.s3.access-key-id; better left to the environment or the shared credentials file",
  },
  {
    name: "storage.s3.insecure",
    kind: "boolean",
    default: false,
    help: "Speak HTTP without TLS to the endpoint",
  },
  {
    name: "storage.s3.bucket-lookup-type",
    kind: "choice",
    choices: ["auto", "path", "virtual-hosted"],
    default: STORAGE_DEFAULTS.s3.lookup,
    help: "Whether the bucket's name goes into the path or in front of the host; auto: in front of it at AWS alone",
  },
  {
    name: "storage.s3.http.insecure-skip-verify",
    kind: "boolean",
    default: false,
    isAdvanced: true,
    help: "Take any certificate of the endpoint; for tests only",
  },
  {
    name: "hearth.storage-s3-ca-file",
    kind: "text",
    default: "",
    help: "PEM file of certificate authorities that are trusted for the endpoint beside the well-known ones",
  },
  {
    name: "hearth.storage-timeout",
    kind: "duration",
    default: STORAGE_DEFAULTS.timeoutMs,
    min: 100,
    max: 600_000,
    help: "Longest single operation on the object store, or page of a list",
  },
] as const satisfies readonly Setting[];
