/** Files of the simulated disk: their bytes in both layers, and the tables of names. */

/** What one file holds, or a directory. The same object stands in both name tables. */
export interface StoredFile {
  readonly isDirectory: boolean;
  cache: Uint8Array;
  platter: Uint8Array;
  /** Sectors in which the layers may differ. */
  readonly dirty: Set<number>;
  /** Where the newest write that was reported durable begins. */
  lastWriteStart: number;
}

export type NameChange =
  | { readonly kind: "create"; readonly path: string; readonly file: StoredFile }
  | { readonly kind: "remove"; readonly path: string }
  | { readonly kind: "rename"; readonly path: string; readonly to: string };

export function applyChange(names: Map<string, StoredFile>, change: NameChange): void {
  if (change.kind === "create") {
    names.set(change.path, change.file);
    return;
  }
  const file = names.get(change.path);
  names.delete(change.path);
  if (change.kind === "remove" || file === undefined) return;
  names.set(change.to, file);
  if (!file.isDirectory) return;
  const prefix = `${change.path}/`;
  for (const [path, inside] of [...names]) {
    if (!path.startsWith(prefix)) continue;
    names.delete(path);
    names.set(`${change.to}/${path.slice(prefix.length)}`, inside);
  }
}

export function createFile(isDirectory: boolean): StoredFile {
  const empty = new Uint8Array(0);
  return { isDirectory, cache: empty, platter: empty, dirty: new Set(), lastWriteStart: 0 };
}

export function store(target: Uint8Array, position: number, bytes: Uint8Array): Uint8Array {
  const end = position + bytes.length;
  let into = target;
  if (end > target.length) {
    into = new Uint8Array(end);
    into.set(target);
  }
  into.set(bytes, position);
  return into;
}

/** As the system says it. */
export function diskError(code: string, message: string): Error {
  return Object.assign(new Error(`${code}: ${message}`), { code });
}
