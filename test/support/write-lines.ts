/** The order of the writes to each file of a disk that takes several: one begins when the one before has succeeded. */

interface WaitingWrite {
  readonly begin: () => void;
  readonly fail: (error: Error) => void;
}

export class WriteLines<File> {
  /** What waits, of files with a write under way. */
  readonly #lines = new Map<File, WaitingWrite[]>();

  /** Begins the write, or has it wait: true. Whatever has begun has to be followed by `ended`. */
  add(file: File, write: WaitingWrite): boolean {
    const line = this.#lines.get(file);
    if (line !== undefined) {
      line.push(write);
      return true;
    }
    this.#lines.set(file, []);
    write.begin();
    return false;
  }

  /** The write under way has ended; those behind a failed one fail with it. */
  ended(file: File, error: Error | null): void {
    const line = this.#lines.get(file) ?? [];
    const next = error === null ? line.shift() : undefined;
    if (next !== undefined) return next.begin();
    this.#lines.delete(file);
    if (error !== null) for (const write of line) write.fail(error);
  }

  /** Forgets everything. Returns how many writes had not begun. */
  clear(): number {
    let count = 0;
    for (const line of this.#lines.values()) count += line.length;
    this.#lines.clear();
    return count;
  }
}
