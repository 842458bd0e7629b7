/**
 * The frame of a strong look-up as our own encoders write it, read in place by words. Look-ups are the smallest requests
 * and come by the hundred thousand per second: reading one as any other request costs a copy and some hundred checked
 * loads, this costs forty.
 *
 * It knows one layout and takes nothing else: what it does not recognise is no error but a frame for
 * `decodeBlockListRequest`, which also says what is wrong with it. What it accepts, it reads as that one does.
 *
 * ```
 *   words
 *    0  frame header: magic, version, get_block_metadata, no flags | 1 request id | 2 timeout ms | 3 credit
 *    4  20            root: the table at byte 20 of the payload
 *    5  12, 36        vtable: its bytes, bytes of the table
 *    6  4 or 0, 12 or 0   where in the table: tenant, shard; 0 when absent
 *    7  20, 0         blocks; no consistency, which means strong
 *    9  16            table: back to the vtable
 *   10  32            tenant, relative to here; two words per slot
 *   12  shard
 *   14                blocks, relative to here
 *   18  tenant: bytes | UTF-8, a zero, padded to words          absent when empty
 *    t  blocks: count | per id: where its string is, relative to here
 *       ids: 26 | 26 characters, a zero, padded to words
 * ```
 */

import { tryDecodeUlidWords, ULID_BYTES, ULID_TEXT_LENGTH } from "../../base/index.ts";
import { FRAME_HEADER_BYTES, FRAME_MAGIC, PROTOCOL_MAX } from "./frame.ts";
import type { BlockIdsRequest } from "./messages.ts";
import { OP } from "./opcodes.ts";
import { WordTexts } from "../bytes/word-texts.ts";

/** Longest frame worth looking at, bytes: a dozen ids. Of longer ones the look-ups cost more than the decoding. */
const FRAME_MAX_BYTES = 512;

const HEADER = FRAME_MAGIC | (PROTOCOL_MAX << 8) | (OP.get_block_metadata << 16);
const PAYLOAD = FRAME_HEADER_BYTES / 4;
const ROOT = 20;
const VTABLE = 12 | (36 << 16);
const TABLE_SLOTS = { tenant: 4, shard: 12 << 16, blocks: 20 } as const;
const TO_VTABLE = 16;
const TENANT_SLOT = PAYLOAD + 6;
const SHARD_SLOT = PAYLOAD + 8;
const BLOCKS_SLOT = PAYLOAD + 10;
const VECTORS = PAYLOAD + 14;
/** Words of one id: its length, its characters with the zero. */
const ID_WORDS = 8;

/** Whether it is worth trying: short, and of whole words. */
export function mayBeLookUp(frameBytes: number): boolean {
  return frameBytes <= FRAME_MAX_BYTES && (frameBytes & 3) === 0;
}

export class LookUpFrame implements BlockIdsRequest {
  requestId = 0;
  timeoutMs = 0;
  creditBytes = 0;
  tenant = "";
  shard = 0;
  ids = new Uint8Array(ULID_BYTES);
  readonly consistency = "strong";
  readonly #tenants = new WordTexts();

  /**
   * Reads the frame words[at, end); false when it is not one of this layout, and the fields are then unspecified.
   * Borrowed: the fields are good until the next call.
   */
  tryRead(words: Int32Array, at = 0, end = words.length): boolean {
    if (words[at] !== HEADER || end - at < VECTORS + 1) return false;
    const blocks = this.#tryReadTable(words, at, end);
    return blocks >= 0 && this.#tryReadIds(words, blocks, end);
  }

  /** Everything but the ids; returns where their vector begins, or -1. */
  #tryReadTable(words: Int32Array, at: number, end: number): number {
    const slots = words[at + PAYLOAD + 2] as number;
    const hasTenant = (slots & 0xffff) === TABLE_SLOTS.tenant;
    const hasShard = (slots & ~0xffff) === TABLE_SLOTS.shard;
    const isLayout =
      words[at + PAYLOAD] === ROOT &&
      words[at + PAYLOAD + 1] === VTABLE &&
      (hasTenant || (slots & 0xffff) === 0) &&
      (hasShard || slots >>> 16 === 0) &&
      words[at + PAYLOAD + 3] === TABLE_SLOTS.blocks &&
      words[at + PAYLOAD + 5] === TO_VTABLE;
    if (!isLayout) return -1;
    this.requestId = (words[at + 1] as number) >>> 0;
    this.timeoutMs = (words[at + 2] as number) >>> 0;
    this.creditBytes = (words[at + 3] as number) >>> 0;
    this.shard = hasShard ? (words[at + SHARD_SLOT] as number) >>> 0 : 0;
    const blocks = hasTenant ? this.#tryReadTenant(words, at, end) : this.#readNoTenant(at);
    return words[at + BLOCKS_SLOT] === 4 * (blocks - at - BLOCKS_SLOT) ? blocks : -1;
  }

  #readNoTenant(at: number): number {
    this.tenant = "";
    return at + VECTORS;
  }

  /** Returns where the next vector begins, or -1. */
  #tryReadTenant(words: Int32Array, at: number, end: number): number {
    if (words[at + TENANT_SLOT] !== 4 * (VECTORS - TENANT_SLOT)) return -1;
    const text = at + VECTORS + 1;
    const bytes = (words[text - 1] as number) >>> 0;
    const next = text + (bytes >>> 2) + 1;
    if (next >= end) return -1;
    const tenant = this.#tenants.tryRead(words, text, bytes);
    if (tenant === null) return -1;
    this.tenant = tenant;
    return next;
  }

  #tryReadIds(words: Int32Array, blocks: number, end: number): boolean {
    const count = (words[blocks] as number) >>> 0;
    const first = blocks + 1 + count;
    // Compared before it is used: a count may be anything.
    if (count > end || first + count * ID_WORDS > end) return false;
    if (this.ids.length !== count * ULID_BYTES) this.ids = new Uint8Array(count * ULID_BYTES);
    for (let i = 0; i < count; i++) {
      const reference = blocks + 1 + i;
      const text = first + i * ID_WORDS;
      const isId =
        words[reference] === 4 * (text - reference) &&
        words[text] === ULID_TEXT_LENGTH &&
        tryDecodeUlidWords(words, text + 1, this.ids, i * ULID_BYTES);
      if (!isId) return false;
    }
    return true;
  }
}
