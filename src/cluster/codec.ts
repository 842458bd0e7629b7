/** The codec of Raft messages, as far as this folder knows it; the composition root hands in that of src/raft/codec. */

import type { Message } from "../raft/index.ts";

export interface MessageCodec {
  /** Pieces of one frame; all but the first are borrowed from the message. `totalBytes` is a multiple of 8. */
  encode(message: Message): {
    readonly pieces: readonly Uint8Array[];
    readonly totalBytes: number;
  };
  /**
   * Reads a whole frame that begins at a multiple of 8; bodies are views of it.
   * Errors: HearthError invalid_argument for any bytes that are no message, and nothing else.
   */
  decode(bytes: Uint8Array): Message;
  /** Largest frame that `encode` makes. */
  readonly messageMaxBytes: number;
}
