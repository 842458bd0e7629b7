/**
 * AWS Signature Version 4 over the headers of a request (documentation of AWS: "Authenticating Requests: Using the
 * Authorization Header"). About a hundred lines instead of a client library of eighty packages: the store makes five
 * kinds of requests, all of them with a body that is there as a whole.
 */
import { createHash, createHmac } from "node:crypto";

export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Of temporary credentials; "" for none. */
  readonly sessionToken: string;
}

export interface SignedRequest {
  readonly method: string;
  /** Host header, with the port where it is not the usual one. */
  readonly host: string;
  /** Path with each part encoded (`encodePath`). */
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  /** Lower-case names; those of the signature are added. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

export interface SigningScope {
  readonly region: string;
  /** Unix ms. */
  readonly nowMs: number;
}

const ALGORITHM = "AWS4-HMAC-SHA256";
const SERVICE = "s3";

/** The headers to send, the signature among them. */
export function signedHeaders(
  request: SignedRequest,
  credentials: Credentials,
  { region, nowMs }: SigningScope,
): Record<string, string> {
  const time = new Date(nowMs).toISOString().replace(/[-:]|\.\d{3}/g, "");
  const day = time.slice(0, 8);
  const bodyHash = createHash("sha256").update(request.body).digest("hex");
  const headers: Record<string, string> = {
    ...request.headers,
    host: request.host,
    "x-amz-content-sha256": bodyHash,
    "x-amz-date": time,
  };
  if (credentials.sessionToken !== "") headers["x-amz-security-token"] = credentials.sessionToken;
  const names = Object.keys(headers).sort();
  const canonical = [
    request.method,
    request.path,
    queryString(request.query),
    ...names.map((name) => `${name}:${(headers[name] as string).trim().replace(/ +/g, " ")}`),
    "",
    names.join(";"),
    bodyHash,
  ].join("\n");
  const scope = `${day}/${region}/${SERVICE}/aws4_request`;
  const hash = createHash("sha256").update(canonical).digest("hex");
  const toSign = [ALGORITHM, time, scope, hash].join("\n");
  let key: Uint8Array = Buffer.from(`AWS4${credentials.secretAccessKey}`);
  for (const part of [day, region, SERVICE, "aws4_request"]) key = hmac(key, part);
  const signature = Buffer.from(hmac(key, toSign)).toString("hex");
  headers.authorization = `${ALGORITHM} Credential=${credentials.accessKeyId}/${scope},SignedHeaders=${names.join(";")},Signature=${signature}`;
  return headers;
}

/** Parameters sorted by name, as they are signed and sent. */
export function queryString(query: Readonly<Record<string, string>>): string {
  return Object.keys(query)
    .sort()
    .map((name) => `${encodePart(name)}=${encodePart(query[name] as string)}`)
    .join("&");
}

/** Everything but the unreserved characters; a slash stays one. */
export function encodePath(path: string): string {
  return path.split("/").map(encodePart).join("/");
}

/** encodeURIComponent leaves five characters that AWS encodes. */
function encodePart(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function hmac(key: Uint8Array, text: string): Uint8Array {
  return createHmac("sha256", key).update(text).digest();
}
