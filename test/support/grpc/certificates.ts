/** X.509 certificates for tests, made as they run: no key lies in the repository. DER by hand, as little as there must be. */

import { generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";

export interface Issued {
  readonly certPem: string;
  readonly keyPem: string;
  readonly name: string;
  readonly key: KeyObject;
}

/** A certificate for `name`, which is also its DNS name, and for 127.0.0.1; signed by `issuer`, or by itself. */
export function issueCertificate(name: string, issuer?: Issued): Issued {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const signer = issuer?.key ?? privateKey;
  const isAuthority = issuer === undefined;
  const body = sequence(
    explicit(0, integer(Buffer.from([2]))),
    integer(Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    ECDSA_SHA256,
    commonName(issuer?.name ?? name),
    sequence(time("20200101000000Z"), time("20991231235959Z")),
    commonName(name),
    publicKey.export({ type: "spki", format: "der" }),
    explicit(3, sequence(basicConstraints(isAuthority), alternativeNames(name))),
  );
  const signature = sign("sha256", body, signer);
  const certificate = sequence(body, ECDSA_SHA256, bitString(signature));
  // Not a line end behind each 64: where the last line is a full one, the empty line behind it would make a bad file.
  const base64 = (certificate.toString("base64").match(/.{1,64}/g) ?? []).join("\n");
  return {
    certPem: `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`,
    keyPem: privateKey.export({ type: "pkcs8", format: "pem" }) as string,
    name,
    key: privateKey,
  };
}

function der(tag: number, content: Buffer): Buffer {
  const { length } = content;
  const bytes =
    length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.from([tag, ...bytes]), content]);
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return der(0x30, Buffer.concat(parts));
}

function explicit(number: number, content: Buffer): Buffer {
  return der(0xa0 | number, content);
}

function integer(bytes: Buffer): Buffer {
  return der(0x02, bytes);
}

function bitString(bytes: Buffer): Buffer {
  return der(0x03, Buffer.concat([Buffer.from([0]), bytes]));
}

function octets(content: Buffer): Buffer {
  return der(0x04, content);
}

function objectId(hex: string): Buffer {
  return der(0x06, Buffer.from(hex, "hex"));
}

function time(text: string): Buffer {
  return der(0x18, Buffer.from(text, "latin1"));
}

function commonName(name: string): Buffer {
  const text = der(0x0c, Buffer.from(name));
  return sequence(der(0x31, sequence(objectId("550403"), text)));
}

const TRUE = Buffer.from([0x01, 0x01, 0xff]);

function basicConstraints(isAuthority: boolean): Buffer {
  const content = isAuthority ? sequence(TRUE) : sequence();
  return sequence(objectId("551d13"), TRUE, octets(content));
}

function alternativeNames(name: string): Buffer {
  const dns = der(0x82, Buffer.from(name));
  const address = der(0x87, Buffer.from([127, 0, 0, 1]));
  return sequence(objectId("551d11"), octets(sequence(dns, address)));
}

/** ecdsa-with-SHA256 */
const ECDSA_SHA256 = sequence(objectId("2a8648ce3d040302"));
