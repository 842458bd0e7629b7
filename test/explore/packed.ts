/** Growing lists of 32-bit words: millions of states without an object for each. */
export class WordList {
  length = 0;
  #words: Uint32Array;

  constructor(capacity = 1024) {
    this.#words = new Uint32Array(capacity);
  }

  push(word: number): void {
    if (this.length === this.#words.length) this.#grow();
    this.#words[this.length] = word;
    this.length += 1;
  }

  at(position: number): number {
    return this.#words[position] as number;
  }

  /** Forgets the content, keeps the memory. */
  clear(): void {
    this.length = 0;
  }

  get bytes(): number {
    return this.#words.byteLength;
  }

  #grow(): void {
    const grown = new Uint32Array(this.#words.length * 2);
    grown.set(this.#words);
    this.#words = grown;
  }
}
