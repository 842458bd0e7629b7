/**
 * Messages on a stream: `u8 is packed | u32 BE length | message`. Gathers the one message of a unary request from the
 * pieces in which it comes.
 */

import { type HearthError, invalidArgument } from "../base/index.ts";
import { tooLarge } from "./compression.ts";

export const PREFIX_BYTES = 5;

/** Writes a prefix to target[0, 5). */
export function writePrefix(target: Uint8Array, length: number, isPacked: boolean): void {
  target[0] = isPacked ? 1 : 0;
  target[1] = length >>> 24;
  target[2] = (length >>> 16) & 255;
  target[3] = (length >>> 8) & 255;
  target[4] = length & 255;
}

function readLength(prefix: Uint8Array): number {
  const high = ((prefix[1] as number) << 8) | (prefix[2] as number);
  return high * 0x1_0000 + (((prefix[3] as number) << 8) | (prefix[4] as number));
}

export interface RequestMessage {
  readonly isPacked: boolean;
  readonly message: Uint8Array;
}

export class MessageReader {
  readonly #maxBytes: number;
  #pieces: Uint8Array[] = [];
  #bytes = 0;
  /** Of the message; -1 until the prefix is there. */
  #length = -1;
  #isPacked = false;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Bytes gathered so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Takes the next piece, which is kept. Returns why no more of the request is looked at, or null. */
  add(piece: Uint8Array): HearthError | null {
    this.#pieces.push(piece);
    this.#bytes += piece.length;
    if (this.#length < 0 && this.#bytes >= PREFIX_BYTES) {
      const refusal = this.#readPrefix();
      if (refusal !== null) return refusal;
    }
    if (this.#length >= 0 && this.#bytes > PREFIX_BYTES + this.#length)
      return invalidArgument("bad_message", "A unary call has one message, this one has more");
    return null;
  }

  /** The request is complete. */
  finish(): RequestMessage | HearthError {
    if (this.#length < 0 || this.#bytes !== PREFIX_BYTES + this.#length)
      return invalidArgument("bad_message", "The request ends before its message does");
    const whole = this.#joined();
    return { isPacked: this.#isPacked, message: whole.subarray(PREFIX_BYTES) };
  }

  #readPrefix(): HearthError | null {
    const prefix = this.#joined();
    const flag = prefix[0] as number;
    if (flag > 1) return invalidArgument("bad_message", `A message has flags ${flag}`);
    this.#isPacked = flag === 1;
    this.#length = readLength(prefix);
    return this.#length > this.#maxBytes ? tooLarge(this.#maxBytes) : null;
  }

  #joined(): Uint8Array {
    const first = this.#pieces[0];
    if (this.#pieces.length === 1 && first !== undefined) return first;
    const whole = Buffer.concat(this.#pieces, this.#bytes);
    this.#pieces = [whole];
    return whole;
  }
}
