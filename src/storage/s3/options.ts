/** Settings of the S3 backend. */

export interface S3Options {
  /** `s3.eu-west-2.amazonaws.com`, `minio:9000`; a scheme in front of it is taken off. "" is AWS in the region. */
  readonly endpoint: string;
  readonly region: string;
  readonly bucket: string;
  /** "" for both: from the environment (AWS_ACCESS_KEY_ID ...) or the shared credentials file. */
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Plain HTTP. */
  readonly isInsecure: boolean;
  /** Where the bucket's name goes: into the path, or in front of the host. `auto`: into the host at AWS alone. */
  readonly lookup: "auto" | "path" | "virtual-hosted";
  /** PEM of certificate authorities beside the system's; "" for none. */
  readonly caPath: string;
  /** Takes any certificate. */
  readonly skipVerify: boolean;
}

export const S3_LIMITS = {
  /** Attempts of one operation. Waits double from the first one on, each with full jitter. */
  attemptsMax: 5,
  backoffFirstMs: 100,
  backoffMostMs: 3_000,
  /** Connections kept open to one endpoint. */
  socketsMax: 64,
  /** An error or a page of a list: 1,000 keys of 1 KiB, escaped. */
  textMaxBytes: 8 * 1024 * 1024,
} as const;
