/**
 * The end of a demo with objects: an index made again from the bucket answers like the original one, and what is taken out
 * of the bucket or of the index is named by `hearth index verify`, all of it and nothing else.
 */

import { join } from "node:path";
import { Prng } from "../../src/base/index.ts";
import {
  collectBlocks,
  collectLabels,
  connect,
  type HearthClient,
} from "../../src/client/index.ts";
import { COMMAND, encodeCompactedBlocks } from "../../src/protocol/index.ts";
import { hearth, type Said } from "../cli/support.ts";
import { encodeEntry } from "../support/entries.ts";
import { startServer } from "../support/server-process.ts";
import type { DemoBucket, StoredBlock } from "./bucket.ts";

export interface Reconciled {
  /** In the bucket, and entries of the index. */
  readonly objects: number;
  /** Answers of both nodes that were compared. */
  readonly answers: number;
  /** Objects that were taken away, and entries: a hundredth of each. */
  readonly missing: number;
  readonly orphans: number;
  /** What did not come out as it must, in words. */
  readonly problems: readonly string[];
}

/** A node with the data that the bucket describes. */
interface DemoNode {
  readonly endpoint: string;
  readonly httpUrl: string;
}

export interface ReconcileOptions {
  readonly bucket: DemoBucket;
  readonly original: DemoNode;
  /** For the node with the new index. */
  readonly directory: string;
  readonly seed: number;
  /** Of the first segment; the last one is of now. */
  readonly startedAtMs: number;
}

const SHARE = 0.01;
const SELECTORS = ["{}", '{service_name=~".*a.*"}', '{service_name!~".*a.*"}'];
const DAY_MS = 86_400_000;

/** Errors: what keeps it from being done, such as a node that does not start. */
export async function reconcile(options: ReconcileOptions): Promise<Reconciled> {
  const rebuilt = await startServer({
    directory: join(options.directory, "rebuilt"),
    flags: ["-hearth.allow-raw-commands=true", "-hearth.reader-threads=1"],
  });
  try {
    return await new Reconciliation(options, rebuilt).run();
  } finally {
    await rebuilt.kill();
  }
}

class Reconciliation {
  readonly #options: ReconcileOptions;
  readonly #rebuilt: DemoNode;
  readonly #random: Prng;
  readonly #problems: string[] = [];

  constructor(options: ReconcileOptions, rebuilt: DemoNode) {
    this.#options = options;
    this.#rebuilt = rebuilt;
    this.#random = new Prng(options.seed);
  }

  async run(): Promise<Reconciled> {
    const { bucket, original } = this.#options;
    const objects = bucket.objects.length;
    await this.#rebuild(objects);
    const answers = await this.#compareAnswers();
    await this.#verify(original, "the original index", []);
    await this.#verify(this.#rebuilt, "the rebuilt index", []);
    const missing = await this.#withoutObjects();
    const orphans = await this.#withoutEntries();
    return { objects, answers, missing, orphans, problems: this.#problems };
  }

  async #rebuild(objects: number): Promise<void> {
    const { out, talk, code } = await this.#index(this.#rebuilt, "rebuild");
    const expected = `added ${objects} blocks from ${objects} objects`;
    if (code !== 0 || out !== expected)
      this.#problems.push(`index rebuild ends with ${code}: "${out}", not "${expected}"; ${talk}`);
  }

  /** Every question to both nodes; returns how many there were. */
  async #compareAnswers(): Promise<number> {
    const { original, startedAtMs } = this.#options;
    await using first = await connect({ endpoints: [original.endpoint] });
    await using second = await connect({ endpoints: [this.#rebuilt.endpoint] });
    const questions = questionsFor(await first.getTenants(), startedAtMs);
    let isAnyAnswered = false;
    for (const { text, ask } of questions) {
      const expected = textOf(await ask(first));
      if (textOf(await ask(second)) !== expected)
        this.#problems.push(`The rebuilt index has another answer to ${text}`);
      isAnyAnswered ||= expected !== "[]";
    }
    if (!isAnyAnswered) this.#problems.push("No question has an answer");
    return questions.length;
  }

  /** A hundredth of the objects is away meanwhile. */
  async #withoutObjects(): Promise<number> {
    const { bucket, original } = this.#options;
    const away = this.#some(bucket.objects);
    const kept: { readonly key: string; readonly bytes: Uint8Array }[] = [];
    for (const { key } of away) {
      const bytes = await bucket.store.get(key);
      if (bytes !== null) kept.push({ key, bytes });
      await bucket.store.delete(key);
    }
    const expected = away.map(({ key }) => `missing ${key}`);
    await this.#verify(original, "the original index without some objects", expected);
    for (const { key, bytes } of kept) await bucket.store.put(key, bytes);
    return away.length;
  }

  /** A hundredth of the entries leaves the rebuilt index, without a word about it. */
  async #withoutEntries(): Promise<number> {
    const removed = this.#some(this.#options.bucket.objects);
    await using client = await connect({ endpoints: [this.#rebuilt.endpoint] });
    for (const { tenant, shard, id } of removed) {
      const compacted = { source: { tenant, shard, blocks: [id] }, newBlocks: [] };
      await client.rawCommand(encodeEntry(COMMAND.replaceBlocks, encodeCompactedBlocks(compacted)));
    }
    const expected = removed.map(({ key }) => `orphan ${key}`);
    await this.#verify(this.#rebuilt, "the rebuilt index without some entries", expected);
    return removed.length;
  }

  /** `expected`: kinds and keys of all findings. */
  async #verify(node: DemoNode, name: string, expected: readonly string[]): Promise<void> {
    const { out, talk, code } = await this.#index(node, "verify", "--recent", "0s", "--json");
    if (code !== (expected.length === 0 ? 0 : 4)) {
      this.#problems.push(`index verify of ${name} ends with ${code}: ${out} ${talk}`);
      return;
    }
    const answer = JSON.parse(out) as {
      readonly same: number;
      readonly findings: readonly { readonly kind: string; readonly key: string }[];
    };
    const found = new Set(answer.findings.map(({ kind, key }) => `${kind} ${key}`));
    const missed = expected.filter((finding) => !found.delete(finding));
    if (missed.length > 0)
      this.#problems.push(`index verify of ${name} misses ${missed.join(", ")}`);
    if (found.size > 0)
      this.#problems.push(`index verify of ${name} finds ${[...found].join(", ")}`);
    const same = this.#options.bucket.objects.length - expected.length;
    if (answer.same !== same)
      this.#problems.push(`index verify of ${name} has ${answer.same} the same, not ${same}`);
  }

  #index(node: DemoNode, ...argv: readonly string[]): Promise<Said> {
    const { directory } = this.#options.bucket;
    const place = ["--bucket", directory, "--endpoint", node.httpUrl, "--timeout", "60s"];
    return hearth(["index", ...argv, ...place], { nowMs: () => Date.now() });
  }

  /** A hundredth of them, at least one. */
  #some(objects: readonly StoredBlock[]): StoredBlock[] {
    const left = [...objects];
    const count = Math.ceil(left.length * SHARE);
    return Array.from({ length: count }, () => {
      const [taken] = left.splice(this.#random.nextInt(left.length), 1);
      return taken as StoredBlock;
    });
  }
}

interface Question {
  readonly text: string;
  readonly ask: (client: HearthClient) => Promise<unknown>;
}

/** What front ends ask, of everything and of a part of the time. */
function questionsFor(tenants: readonly string[], startedAtMs: number): Question[] {
  const nowMs = Date.now();
  const spanMs = nowMs - startedAtMs;
  const ranges = [
    { startAtMs: startedAtMs - DAY_MS, endAtMs: nowMs + DAY_MS },
    { startAtMs: startedAtMs + spanMs / 4, endAtMs: startedAtMs + spanMs / 2 },
  ].map(({ startAtMs, endAtMs }) => ({
    startAtMs: Math.floor(startAtMs),
    endAtMs: Math.floor(endAtMs),
  }));
  const questions: Question[] = [{ text: "tenants", ask: (client) => client.getTenants() }];
  for (const tenant of tenants) {
    questions.push({ text: `tenant ${tenant}`, ask: (client) => client.getTenant(tenant) });
    for (const range of ranges) {
      for (const selector of SELECTORS) {
        const query = { tenants: [tenant], selector, ...range };
        const labels = ["service_name"];
        const text = `${selector} of ${tenant} in ${range.startAtMs} to ${range.endAtMs}`;
        questions.push(
          {
            text: `blocks with ${text}`,
            ask: (client) => collectBlocks(client.queryMetadata(query)),
          },
          {
            text: `labels with ${text}`,
            ask: (client) => collectLabels(client.queryMetadataLabels({ ...query, labels })),
          },
        );
      }
    }
  }
  return questions;
}

function textOf(answer: unknown): string {
  return JSON.stringify(answer, (_key, value: unknown) =>
    typeof value === "bigint" ? value.toString() : value,
  );
}
