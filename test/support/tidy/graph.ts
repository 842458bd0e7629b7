/** The graph of imports between files: what is reached, and where it runs in a circle. */

import type { SourceFile } from "./sources.ts";

export class ImportGraph {
  readonly #files: ReadonlyMap<string, SourceFile>;

  constructor(files: readonly SourceFile[]) {
    this.#files = new Map(files.map((file) => [file.path, file]));
  }

  /**
   * Paths reached from the roots by imports that exist at run time.
   *
   * An import through an index.ts reaches only the files that provide the imported names: otherwise one import from
   * base would reach all of base.
   */
  reach(roots: readonly string[], options: { withTypes: boolean }): Set<string> {
    const reached = new Set<string>();
    const waiting = [...roots];
    for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
      if (reached.has(path)) continue;
      reached.add(path);
      for (const item of this.#files.get(path)?.imports ?? []) {
        if (item.target === null || (item.isTypeOnly && !options.withTypes)) continue;
        waiting.push(...this.#providers(item.target, item.names));
      }
    }
    return reached;
  }

  #providers(target: string, names: readonly string[] | null): string[] {
    const file = this.#files.get(target);
    if (file === undefined) return [];
    if (names === null || !target.endsWith("/index.ts")) return [target];
    const providers: string[] = [];
    for (const name of names) {
      const reexport = file.imports.find((item) => item.isReexport && item.names?.includes(name));
      if (reexport === undefined || reexport.target === null) return [target];
      providers.push(...this.#providers(reexport.target, [name]));
    }
    return providers;
  }

  /** Every group of files that import each other, type-only imports included. Sorted. */
  cycles(): string[][] {
    const order = new Map<string, number>();
    const low = new Map<string, number>();
    const stack: string[] = [];
    const cycles: string[][] = [];
    const visit = (path: string): void => {
      order.set(path, order.size);
      low.set(path, order.get(path) as number);
      stack.push(path);
      for (const { target, isLazy } of this.#files.get(path)?.imports ?? []) {
        if (target === null || isLazy || !this.#files.has(target)) continue;
        if (target === path) cycles.push([path]);
        if (!order.has(target)) visit(target);
        // A file that has left the stack belongs to a finished group.
        if (stack.includes(target)) {
          low.set(path, Math.min(low.get(path) as number, low.get(target) as number));
        }
      }
      if (low.get(path) !== order.get(path)) return;
      const group = stack.splice(stack.indexOf(path));
      if (group.length > 1) cycles.push(group.sort());
    };
    for (const path of this.#files.keys()) if (!order.has(path)) visit(path);
    return cycles.sort();
  }
}
