/**
 * Where credentials come from: the settings, else the variables of the AWS SDK, else its shared credentials file. Read
 * again every few minutes, so that rotated ones are picked up.
 */
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { HearthError } from "../../base/index.ts";
import type { StorageErrorReason } from "../errors.ts";
import type { S3Options } from "./options.ts";
import type { Credentials } from "./sign.ts";

const FRESH_MS = 5 * 60_000;

export interface CredentialSources {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly monotonicMs: () => number;
}

export class CredentialProvider {
  readonly #options: Pick<S3Options, "accessKeyId" | "secretAccessKey">;
  readonly #sources: CredentialSources;
  #known: { readonly credentials: Credentials; readonly untilMs: number } | null = null;

  constructor(
    options: Pick<S3Options, "accessKeyId" | "secretAccessKey">,
    sources: CredentialSources,
  ) {
    this.#options = options;
    this.#sources = sources;
  }

  /** Errors: `storage_denied` when there are none. */
  async get(): Promise<Credentials> {
    const nowMs = this.#sources.monotonicMs();
    if (this.#known !== null && nowMs < this.#known.untilMs) return this.#known.credentials;
    const credentials = (await this.#find()) ?? fail();
    this.#known = { credentials, untilMs: nowMs + FRESH_MS };
    return credentials;
  }

  /** The store refused them: the next request looks again. */
  forget(): void {
    this.#known = null;
  }

  async #find(): Promise<Credentials | null> {
    const { accessKeyId, secretAccessKey } = this.#options;
    if (accessKeyId !== "") return { accessKeyId, secretAccessKey, sessionToken: "" };
    const { environment } = this.#sources;
    const id = environment.AWS_ACCESS_KEY_ID ?? "";
    if (id !== "") {
      const secret = environment.AWS_SECRET_ACCESS_KEY ?? "";
      const sessionToken = environment.AWS_SESSION_TOKEN ?? "";
      return { accessKeyId: id, secretAccessKey: secret, sessionToken };
    }
    const path = environment.AWS_SHARED_CREDENTIALS_FILE ?? join(homedir(), ".aws", "credentials");
    const text = await readFile(path, "utf8").catch(() => "");
    return fromFile(text, environment.AWS_PROFILE ?? "default");
  }
}

/** The profile of an INI file, or null. */
export function fromFile(text: string, profile: string): Credentials | null {
  const values = new Map<string, string>();
  let isIn = false;
  for (const line of text.split(/\r?\n/)) {
    const section = /^\s*\[\s*(.+?)\s*\]\s*$/.exec(line);
    if (section !== null) isIn = section[1] === profile;
    const pair = /^\s*([a-z_]+)\s*=\s*(\S+)\s*$/.exec(line);
    if (isIn && pair !== null) values.set(pair[1] as string, pair[2] as string);
  }
  const accessKeyId = values.get("aws_access_key_id") ?? "";
  if (accessKeyId === "") return null;
  const secretAccessKey = values.get("aws_secret_access_key") ?? "";
  return { accessKeyId, secretAccessKey, sessionToken: values.get("aws_session_token") ?? "" };
}

function fail(): never {
  throw new HearthError("permission_denied", "There are no credentials for the bucket", {
    reason: "storage_denied" satisfies StorageErrorReason,
    next: "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a shared credentials file, or storage.s3.access-key-id",
  });
}
