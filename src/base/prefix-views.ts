/**
 * Views of the first bytes of one buffer, kept by length: making a view of a few hundred bytes costs more than copying
 * what it shows (120-200 ns against 50, measured), and the lengths that a thread meets repeat.
 */

/** Longest view that is kept: beyond it the work on the bytes outweighs the view. At most 512 views of 100 bytes each. */
const KEPT_MAX_BYTES = 4096;

/** For one buffer at a time: another one makes it forget the views of the last. */
export class PrefixViews {
  #buffer: ArrayBufferLike | null = null;
  #views: (Uint8Array | null)[] = [];

  /** The first `bytes` bytes of `buffer`. Kept for multiples of 8, which is what stored values and frames are. */
  of(buffer: ArrayBufferLike, bytes: number): Uint8Array {
    if (bytes > KEPT_MAX_BYTES || (bytes & 7) !== 0) return new Uint8Array(buffer, 0, bytes);
    if (buffer !== this.#buffer) this.#forget(buffer);
    return this.#views[bytes >>> 3] ?? this.#make(buffer, bytes);
  }

  #make(buffer: ArrayBufferLike, bytes: number): Uint8Array {
    const view = new Uint8Array(buffer, 0, bytes);
    this.#views[bytes >>> 3] = view;
    return view;
  }

  #forget(buffer: ArrayBufferLike): void {
    this.#buffer = buffer;
    this.#views = new Array<Uint8Array | null>(1 + (KEPT_MAX_BYTES >>> 3)).fill(null);
  }
}
