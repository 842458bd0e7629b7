/** What a verification found: the first ones in words, all of them counted. */

/** Problems kept in words. A damaged database has one per row. */
export const VERIFY_PROBLEMS_MAX = 100;

export class Problems {
  readonly list: string[] = [];
  count = 0;

  add(message: string): void {
    this.count++;
    if (this.list.length < VERIFY_PROBLEMS_MAX) this.list.push(message);
  }

  check(isSound: boolean, message: () => string): void {
    if (!isSound) this.add(message());
  }

  same(what: string, recorded: number, found: number): void {
    if (recorded !== found) this.add(`${what}: recorded ${recorded}, found ${found}`);
  }
}
