/** `hearth block add`: reads files, sends blocks in bounded requests, says what came of each file that failed. */
import { formatCount, HearthError } from "../../../base/index.ts";
import { type BlockMeta, blockMetaToJson } from "../../../protocol/index.ts";
import { type BlockFile, findBlockFiles, readBlockFile } from "../../block-files.ts";
import { type CommandContext, EXIT, type ExitCode } from "../../command.ts";
import { NodeApi } from "../../node-api.ts";
import { Progress } from "../../progress.ts";
import { StallWatch } from "../../stall-watch.ts";

/** A request stays far below hearth.http-body-max-bytes, and a retry repeats little. */
const REQUEST_MAX_BYTES = 4 * 1024 * 1024;
const REQUEST_MAX_BLOCKS = 500;

interface Totals {
  files: number;
  added: number;
  /** Blocks that came more than once, as a whole object and the metadata beside it do. */
  repeated: number;
  readonly failed: { readonly file: string; readonly problem: string }[];
}

export async function run(context: CommandContext): Promise<ExitCode> {
  const files = findBlockFiles(context.operands);
  if (files.length === 0) {
    throw new HearthError("not_found", "None of the directories holds a file of block metadata", {
      next: "Files are named *.meta.pb, *.block.bin or *.json",
    });
  }
  const totals: Totals = { files: files.length, added: 0, repeated: 0, failed: [] };
  const progress = new Progress(
    { title: "adding files", unit: "files", total: files.length },
    context,
  );
  const stall = new StallWatch({
    api: NodeApi.of(context),
    say: (text) => progress.say(text),
  });
  const sender = new BlockSender(context, () => stall.moved());
  stall.start();
  try {
    for (const [i, file] of files.entries()) {
      context.signal.throwIfAborted();
      await addFile(readBlockFile(file), sender, totals);
      progress.update(i + 1);
    }
    await sender.flush();
  } finally {
    stall.stop();
    progress.end();
  }
  totals.added = sender.addedCount;
  totals.repeated = sender.repeatedCount;
  report(context, totals);
  return totals.failed.length === 0 ? EXIT.done : EXIT.failed;
}

async function addFile(read: BlockFile, sender: BlockSender, totals: Totals): Promise<void> {
  if (!read.ok) {
    totals.failed.push({ file: read.file, problem: read.problem });
    return;
  }
  for (const block of read.blocks) await sender.add(block);
}

function report({ flags, globals, spec, terminal }: CommandContext, totals: Totals): void {
  const isDryRun = flags.has("dry-run");
  const { files, added, repeated, failed } = totals;
  if (globals.isJson) {
    const counts = { files, blocks: added, repeated };
    terminal.out(JSON.stringify({ schema: spec.schema, dryRun: isDryRun, ...counts, failed }));
    return;
  }
  for (const { file, problem } of failed) terminal.talk(`${file}: ${problem}`);
  if (globals.isQuiet) return;
  const verb = isDryRun ? "would add" : "added";
  const blocks = `${formatCount(added)} ${added === 1 ? "block" : "blocks"}`;
  const good = files - failed.length;
  const again = repeated === 0 ? "" : `; ${formatCount(repeated)} more came again`;
  terminal.out(
    `${verb} ${blocks} from ${formatCount(good)} of ${formatCount(files)} files${again}`,
  );
}

/** Gathers blocks into requests and sends them one after another, each block once. */
class BlockSender {
  readonly #context: CommandContext;
  readonly #api: NodeApi;
  readonly #onAdded: () => void;
  #pending: string[] = [];
  #pendingBytes = 0;
  #addedCount = 0;
  #repeatedCount = 0;
  /** Places of the blocks that came: as many as there are in the files, which are listed in memory, too. */
  readonly #seen = new Set<string>();

  constructor(context: CommandContext, onAdded: () => void) {
    this.#context = context;
    this.#onAdded = onAdded;
    this.#api = NodeApi.of(context);
  }

  get addedCount(): number {
    return this.#addedCount;
  }

  get repeatedCount(): number {
    return this.#repeatedCount;
  }

  async add(block: BlockMeta): Promise<void> {
    if (!this.#isNew(block)) {
      this.#repeatedCount++;
      return;
    }
    const text = JSON.stringify(blockMetaToJson(block));
    const isFull =
      this.#pending.length >= REQUEST_MAX_BLOCKS ||
      this.#pendingBytes + text.length > REQUEST_MAX_BYTES;
    if (isFull) await this.flush();
    this.#pending.push(text);
    this.#pendingBytes += text.length;
  }

  /** The index would keep the first one of a place, too: what comes again is not worth sending. */
  #isNew(block: BlockMeta): boolean {
    const place = `${block.id} ${block.shard} ${block.stringTable[block.tenant] ?? ""}`;
    if (this.#seen.has(place)) return false;
    this.#seen.add(place);
    return true;
  }

  async flush(): Promise<void> {
    if (this.#pending.length === 0) return;
    if (!this.#context.flags.has("dry-run")) {
      const path = `/api/v1/blocks?timeout=${this.#context.globals.timeoutMs}ms`;
      await this.#api.json({
        method: "POST",
        path,
        body: `{"blocks":[${this.#pending.join(",")}]}`,
      });
      this.#onAdded();
    }
    this.#addedCount += this.#pending.length;
    this.#pending = [];
    this.#pendingBytes = 0;
  }
}
