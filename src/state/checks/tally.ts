/**
 * Who reported what, and whom it condemns: the digest of more than half of the voters is right, whoever differs from it
 * is wrong. Without such a majority nobody is condemned: a member alone against another one may be the sound one.
 */

import type { Logger } from "../../base/index.ts";
import type { StateReport, TableDigests } from "../../protocol/index.ts";

/** A state that is not that of the majority. */
export interface Divergence {
  /** Log index of the mark. */
  readonly atIndex: number;
  /** Newest mark at which the states were equal; 0: none since the start of this process. */
  readonly lastEqualIndex: number;
  /** Tables whose rows differ. */
  readonly tables: readonly string[];
}

export interface TallyModules {
  readonly node: string;
  readonly voters: () => readonly string[];
  readonly logger: Logger;
  readonly onDiverged: (divergence: Divergence) => void;
}

/** Marks that are remembered; reports come within seconds of theirs. */
const MARKS_MAX = 4;

interface Mark {
  readonly index: number;
  readonly reports: Map<string, TableDigests>;
  own: TableDigests | null;
  /** Who was named already. */
  readonly named: Set<string>;
}

export class StateTally {
  readonly #modules: TallyModules;
  /** Oldest first. */
  #marks: Mark[] = [];
  lastEqualIndex = 0;
  mismatches = 0;

  constructor(modules: TallyModules) {
    this.#modules = modules;
  }

  noteMark(index: number): void {
    this.#marks.push({ index, reports: new Map(), own: null, named: new Set() });
    this.#marks = this.#marks.slice(-MARKS_MAX);
  }

  isMark(index: number): boolean {
    return this.#find(index) !== undefined;
  }

  noteOwn(index: number, tables: TableDigests): void {
    const mark = this.#find(index);
    if (mark === undefined) return;
    mark.own = tables;
    this.#judge(mark);
  }

  noteReport({ atIndex, node, tables }: StateReport): void {
    const mark = this.#find(atIndex);
    // Of a mark that this member was not there for, or that is long past.
    if (mark === undefined) return;
    mark.reports.set(node, tables);
    this.#judge(mark);
  }

  #find(index: number): Mark | undefined {
    return this.#marks.find((mark) => mark.index === index);
  }

  #judge(mark: Mark): void {
    const { node, voters, logger, onDiverged } = this.#modules;
    const electorate = voters();
    const reports = new Map(mark.reports);
    if (mark.own !== null) reports.set(node, mark.own);
    const right = majorityOf(reports, electorate);
    if (right === null) {
      this.#judgeUndecided(mark, reports, electorate);
      return;
    }
    for (const [other, tables] of reports) {
      const differing = differenceOf(tables, right);
      if (differing.length > 0 && !mark.named.has(other)) {
        this.#name(mark, other);
        const fields = { atIndex: mark.index, node: other, tables: differing.join(" ") };
        logger.error("the state of a member differs from that of the majority", fields);
        if (other === node)
          onDiverged({
            atIndex: mark.index,
            lastEqualIndex: this.lastEqualIndex,
            tables: differing,
          });
      }
    }
    const isEqual = mark.own !== null && differenceOf(mark.own, right).length === 0;
    if (isEqual && mark.index > this.lastEqualIndex) this.lastEqualIndex = mark.index;
  }

  /** Everybody has spoken and no majority agrees: somebody is wrong, and nobody knows who. */
  #judgeUndecided(
    mark: Mark,
    reports: ReadonlyMap<string, TableDigests>,
    electorate: readonly string[],
  ): void {
    if (mark.named.has("") || !electorate.every((voter) => reports.has(voter))) return;
    this.#name(mark, "");
    const fields = { atIndex: mark.index, lastEqualIndex: this.lastEqualIndex };
    this.#modules.logger.error("members have different states, and no majority agrees", fields);
  }

  #name(mark: Mark, who: string): void {
    if (mark.named.size === 0) this.mismatches += 1;
    mark.named.add(who);
  }
}

/** The digests that more than half of the voters have reported, or null. */
function majorityOf(
  reports: ReadonlyMap<string, TableDigests>,
  voters: readonly string[],
): TableDigests | null {
  for (const candidate of reports.values()) {
    const count = voters.filter((voter) => {
      const tables = reports.get(voter);
      return tables !== undefined && differenceOf(tables, candidate).length === 0;
    }).length;
    if (2 * count > voters.length) return candidate;
  }
  return null;
}

function differenceOf(a: TableDigests, b: TableDigests): string[] {
  const tables = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...tables].filter((table) => a[table] !== b[table]).sort();
}
