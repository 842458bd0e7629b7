/** The real disk for an owner that writes one file after another: with a thread for these writes (writer-handle.ts). */

import type { DiskFile, FileTree, OpenMode } from "./files.ts";
import { NODE_FILES, openNodeFile } from "./node-files.ts";
import { WriterHandle } from "./writer-handle.ts";

/** Everything but writes from its own memory is as in `NODE_FILES`. */
export class WriterFiles implements FileTree {
  readonly createDirectory = NODE_FILES.createDirectory;
  readonly list = NODE_FILES.list;
  readonly remove = NODE_FILES.remove;
  readonly removeDirectory = NODE_FILES.removeDirectory;
  readonly rename = NODE_FILES.rename;
  readonly syncDirectory = NODE_FILES.syncDirectory;
  readonly #thread = new WriterHandle();

  open(path: string, mode: OpenMode): Promise<DiskFile> {
    return openNodeFile(path, mode, this.#thread);
  }

  allocate(bytes: number): Uint8Array {
    return this.#thread.allocate(bytes);
  }

  close(): Promise<void> {
    return this.#thread.close();
  }
}
