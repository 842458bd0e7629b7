/**
 * Names of jobs (compaction spec, section 9): xxHash64 of the source ids in job order, then the key.
 *
 * BigInt arithmetic: about 60 us for a job of 20 blocks, on the planner's thread. A version on pairs of 32-bit words
 * would be faster and three times as long; planning is not bound by it.
 */

const P1 = 0x9e3779b185ebca87n;
const P2 = 0xc2b2ae3d27d4eb4fn;
const P3 = 0x165667b19e3779f9n;
const P4 = 0x85ebca77c2b2ae63n;
const P5 = 0x27d4eb2f165667c5n;

export interface JobKey {
  /** "" = segments of many tenants. */
  readonly tenant: string;
  readonly shard: number;
  readonly level: number;
}

/** `<hash>-T<tenant>-S<shard>-L<level>`; the hash is in hex without leading zeros. */
export function jobName(key: JobKey, sourceBlocks: readonly string[]): string {
  const hash = xxHash64(Buffer.from(sourceBlocks.join(""), "utf8"));
  return `${hash.toString(16)}-T${key.tenant}-S${key.shard}-L${key.level}`;
}

/** The tenant in a job's name: hashes have no hyphen, and shard and level stand at the end. "" also for other names. */
export function tenantOfJob(name: string): string {
  const tail = /-S\d+-L\d+$/.exec(name);
  const start = name.indexOf("-T");
  return tail === null || start < 0 ? "" : name.slice(start + 2, Math.max(start + 2, tail.index));
}

/** XXH64 with seed 0, from its specification. */
export function xxHash64(bytes: Buffer): bigint {
  let at = 0;
  let hash: bigint;
  if (bytes.length >= 32) {
    let v1 = u64(P1 + P2);
    let v2 = P2;
    let v3 = 0n;
    let v4 = u64(-P1);
    for (; at + 32 <= bytes.length; at += 32) {
      v1 = round(v1, bytes.readBigUInt64LE(at));
      v2 = round(v2, bytes.readBigUInt64LE(at + 8));
      v3 = round(v3, bytes.readBigUInt64LE(at + 16));
      v4 = round(v4, bytes.readBigUInt64LE(at + 24));
    }
    hash = u64(rotate(v1, 1n) + rotate(v2, 7n) + rotate(v3, 12n) + rotate(v4, 18n));
    for (const lane of [v1, v2, v3, v4]) hash = u64((hash ^ round(0n, lane)) * P1 + P4);
  } else {
    hash = P5;
  }
  return avalanche(addTail(u64(hash + BigInt(bytes.length)), bytes, at));
}

function addTail(start: bigint, bytes: Buffer, from: number): bigint {
  let hash = start;
  let at = from;
  for (; at + 8 <= bytes.length; at += 8) {
    hash = u64(rotate(hash ^ round(0n, bytes.readBigUInt64LE(at)), 27n) * P1 + P4);
  }
  if (at + 4 <= bytes.length) {
    hash = u64(rotate(hash ^ u64(BigInt(bytes.readUInt32LE(at)) * P1), 23n) * P2 + P3);
    at += 4;
  }
  for (; at < bytes.length; at++) {
    hash = u64(rotate(hash ^ u64(BigInt(bytes[at] as number) * P5), 11n) * P1);
  }
  return hash;
}

function avalanche(hash: bigint): bigint {
  let h = u64((hash ^ (hash >> 33n)) * P2);
  h = u64((h ^ (h >> 29n)) * P3);
  return h ^ (h >> 32n);
}

function round(accumulator: bigint, lane: bigint): bigint {
  return u64(rotate(u64(accumulator + lane * P2), 31n) * P1);
}

function rotate(value: bigint, bits: bigint): bigint {
  return u64(value << bits) | (value >> (64n - bits));
}

function u64(value: bigint): bigint {
  return BigInt.asUintN(64, value);
}
