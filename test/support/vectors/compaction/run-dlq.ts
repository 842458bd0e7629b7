/** Vectors of the dead letter queue: which keys are entries, and what one sweep does. One lane, and bad entries deleted. */
import { HearthError } from "../../../../src/base/index.ts";
import { parseEntryKey } from "../../../../src/leader/index.ts";
import { encodeBlockMetaProto } from "../../../../src/protocol/index.ts";
import { blockMeta } from "../../../state/support.ts";
import { dlqRig } from "../../dlq.ts";

export function runDlqPath({
  path,
  expect,
}: {
  readonly path: string;
  readonly expect: boolean;
}): string | null {
  const isEntry = parseEntryKey(path) !== null;
  return isEntry === expect ? null : `expected ${expect}, got ${isEntry}`;
}

interface SweepCase {
  readonly objects: readonly {
    readonly path: string;
    readonly content: string;
    readonly meta?: {
      readonly id: string;
      readonly shard: number;
      readonly compaction_level: number;
      readonly tenant: string;
    };
  }[];
  readonly add_recovered_block: Readonly<Record<string, string>>;
  readonly expect: {
    readonly calls: readonly string[];
    readonly remaining: readonly string[];
    readonly attempts: Readonly<Record<string, number>>;
    readonly sweep_completed: boolean;
  };
}

const READ_FAILURES: Readonly<Record<string, HearthError>> = {
  canceled: new HearthError("cancelled", "cancelled"),
  read_error: new HearthError("unavailable", "broken", { reason: "storage_unavailable" }),
  unexpected_eof: new HearthError("unavailable", "cut", { reason: "object_incomplete" }),
};

const ANSWERS: Readonly<Record<string, HearthError>> = {
  invalid_argument: new HearthError("invalid_argument", "bad block"),
  leadership_error: new HearthError("unavailable", "not the leader", { reason: "not_leader" }),
  canceled: new HearthError("cancelled", "cancelled"),
  deadline_exceeded: new HearthError("deadline_exceeded", "too late"),
  internal: new HearthError("internal", "broken"),
};

export async function runDlqSweep(vectorCase: SweepCase): Promise<string | null> {
  const { objects, add_recovered_block, expect } = vectorCase;
  const rig = dlqRig({ parallelMax: 1, badEntries: "delete" });
  const failures = new Map<string, HearthError>();
  for (const { path, content, meta } of objects) {
    const failure = READ_FAILURES[content];
    if (failure !== undefined) failures.set(path, failure);
    let bytes = new Uint8Array(content === "corrupt" ? [0xff, 0xff, 0xff] : []);
    if (meta !== undefined) {
      const { compaction_level: level, ...spec } = meta;
      bytes = new Uint8Array(await encodeBlockMetaProto(blockMeta({ ...spec, level })));
    }
    rig.store.objects.set(path, { bytes, modifiedAtMs: 0 });
  }
  rig.store.onCall = (operation, key) => {
    const failure = operation === "get" ? failures.get(key) : undefined;
    if (failure !== undefined) throw failure;
    const isGone = objects.some(({ path, content }) => path === key && content === "not_found");
    if (operation === "get" && isGone) rig.store.objects.delete(key);
  };
  rig.answer = (id) => ANSWERS[add_recovered_block[id] ?? ""] ?? null;
  const { reason = "" } = await rig.run();
  const counted = Object.entries(rig.recovery.status().attempts).filter(([, count]) => count > 0);
  const got = {
    calls: rig.proposed,
    remaining: [...rig.store.objects.keys()].sort(),
    attempts: Object.fromEntries(counted.sort()),
    sweep_completed: !/^dlq_(canceled|leadership_change)$/.test(reason),
  };
  const attempts = Object.fromEntries(Object.entries(expect.attempts).sort());
  const wanted = { ...expect, remaining: [...expect.remaining].sort(), attempts };
  const order = ["calls", "remaining", "attempts", "sweep_completed"] as const;
  for (const name of order) {
    const [left, right] = [JSON.stringify(got[name]), JSON.stringify(wanted[name])];
    if (left !== right) return `${name}: expected ${right}, got ${left}`;
  }
  return null;
}
