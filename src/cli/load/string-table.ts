/** A block's strings in order of their first use; entry 0 is the empty string. */
export class StringTable {
  readonly strings: string[] = [""];
  readonly #references = new Map<string, number>([["", 0]]);

  reference(text: string): number {
    const known = this.#references.get(text);
    if (known !== undefined) return known;
    const reference = this.strings.push(text) - 1;
    this.#references.set(text, reference);
    return reference;
  }
}
