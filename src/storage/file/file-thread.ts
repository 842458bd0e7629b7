/**
 * Task: operations on the files of a directory, one after another, for a store on the main thread. Lists live on here
 * from request to request; one that was forgotten goes on behind the last key that was given.
 */
import { isHearthError } from "../../base/index.ts";
import type { ObjectInfo } from "../types.ts";
import { BlockingFiles } from "./blocking.ts";
import { removeEmptyDirectories } from "./empty-directories.ts";
import type { FileOperation, FileRequest, FileResult, FileValue, PageWanted } from "./messages.ts";
import { pagesOf } from "./walk.ts";

/** Lists under way at the same time; more go on from their keys, which costs another look at their directories. */
const LISTS_MAX = 16;

type Pages = AsyncGenerator<readonly ObjectInfo[]>;
const lists = new Map<number, Pages>();

export async function runTask({ root, operations }: FileRequest): Promise<FileResult[]> {
  const files = new BlockingFiles(root);
  const results: FileResult[] = [];
  for (const operation of operations) results.push(await resultOf(root, files, operation));
  const deleted = operations.flatMap((one) => (one.kind === "delete" ? [one.key] : []));
  await removeEmptyDirectories(root, deleted);
  return results;
}

async function resultOf(
  root: string,
  files: BlockingFiles,
  operation: FileOperation,
): Promise<FileResult> {
  try {
    return { ok: true, value: await answerOf(root, files, operation) };
  } catch (error) {
    if (!isHearthError(error)) throw error;
    const { code, message, reason, next } = error;
    return { ok: false, failure: { code, message, reason, next } };
  }
}

async function answerOf(
  root: string,
  files: BlockingFiles,
  operation: FileOperation,
): Promise<FileValue> {
  switch (operation.kind) {
    case "page":
      return nextPage(root, operation.list, operation.wanted);
    case "end":
      lists.delete(operation.list);
      return null;
    case "get": {
      const { key, range, maxBytes } = operation;
      return files.get(key, {
        ...(range === undefined ? {} : { range }),
        ...(maxBytes === undefined ? {} : { maxBytes }),
      });
    }
    case "head":
      return files.head(operation.key);
    case "delete":
      files.delete(operation.key);
      return null;
  }
}

async function nextPage(
  root: string,
  list: number,
  wanted: PageWanted,
): Promise<readonly ObjectInfo[]> {
  const pages =
    lists.get(list) ?? pagesOf({ root, signal: undefined, isBlocking: true, ...wanted });
  lists.delete(list);
  const page = await pages.next();
  if (page.done === true) return [];
  lists.set(list, pages);
  for (const oldest of lists.keys()) {
    if (lists.size <= LISTS_MAX) break;
    lists.delete(oldest);
  }
  return page.value;
}
