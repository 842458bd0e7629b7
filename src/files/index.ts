export {
  type ByteRange,
  type DiskFile,
  type FileSystem,
  type FileTree,
  isFull,
  isMissing,
  OPEN_MODE,
  type OpenMode,
  readWhole,
  withFile,
  type WriteDone,
  writeAll,
  writeFully,
} from "./files.ts";
export { DryFiles } from "./dry-files.ts";
export { NODE_FILES } from "./node-files.ts";
export { replaceFile } from "./replace-file.ts";
export { WriterFiles } from "./writer-files.ts";
