/** One member of a cluster in memory: its core, its disk, its state machine and its snapshot files. */

import {
  type AppendWork,
  BATCH_KIND,
  createOutput,
  type NodeId,
  type Output,
  type RaftCore,
} from "../../../src/raft/index.ts";
import { Disk } from "./disk.ts";

/** The state machine: digests of all entries in order; it survives crashes up to `keptIndex`. */
export interface AppState {
  index: number;
  /** By position: index - 1. */
  digests: string[];
}

export class Node {
  readonly id: NodeId;
  readonly disk = new Disk();
  core!: RaftCore;
  readonly out: Output = createOutput();
  /** Handed out by the core, not durable yet. */
  work: AppendWork[] = [];
  app: AppState = { index: 0, digests: [] };
  isUp = true;
  isDiskHeld = false;
  /** Local reads that wait, with the commit index that they have to see. */
  readonly reads = new Map<number, number>();
  readonly granted: { readonly id: number; readonly index: number }[] = [];
  nextRead = 1;
  /** Snapshot files by id; those that are arriving, too. */
  readonly files = new Map<string, Uint8Array>();
  readonly partial = new Map<string, Uint8Array[]>();
  loads: NodeId[] = [];

  constructor(id: NodeId) {
    this.id = id;
  }

  /** Texts of the applied entries, without no-ops and configurations. */
  get values(): string[] {
    return this.app.digests.flatMap((digest) => {
      const [kind, , , ...body] = digest.split("/");
      if (kind !== String(BATCH_KIND.entries)) return [];
      const bytes = Buffer.from(body.join("/"), "base64");
      const length = bytes.readUInt32LE(0);
      return length === 0 ? [] : [bytes.toString("latin1", 16, 16 + length)];
    });
  }
}
