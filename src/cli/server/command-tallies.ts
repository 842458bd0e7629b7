/** What commands cost to apply and how large they are, by the numbers that the reference has for them. */
import {
  COMMAND_BYTES_BUCKETS,
  type MetricRegistry,
  STATE_SECONDS_BUCKETS,
  Tally,
} from "../../metrics/index.ts";
import { COMMAND, type CommittedBatch, iterateEntries } from "../../protocol/index.ts";
import { Increases } from "./increases.ts";

/** Our numbers whose effect has another number in the reference; others keep ours. */
const REFERENCE_NUMBERS: Readonly<Record<number, string>> = {
  [COMMAND.addBlocks]: "1",
  [COMMAND.replaceBlocks]: "3",
  [COMMAND.completeJobs]: "3",
  [COMMAND.updateCompactionPlan]: "3",
  [COMMAND.truncateIndex]: "4",
};

interface CommandTally {
  readonly seconds: Tally;
  readonly bytes: Tally;
  /** In the range that is being noted. */
  count: number;
}

export class CommandTallies {
  readonly #commands = new Map<string, CommandTally>();

  constructor(metrics: MetricRegistry) {
    const increases = new Increases(metrics);
    metrics.onCollect(() => {
      for (const [command, { seconds, bytes }] of this.#commands) {
        const labels = { command };
        increases.takeTally(`${FSM}_duration_seconds`, seconds, labels);
        increases.takeTally(`${FSM}_size_bytes`, bytes, labels);
      }
    });
  }

  /** A range that took `seconds`: each of its entries took its share, since they are not timed one by one. */
  note(batches: readonly CommittedBatch[], seconds: number): void {
    let entryCount = 0;
    for (const { body, bodyBytes } of batches) {
      entryCount += iterateEntries(body, bodyBytes, (command, _version, _offset, payloadBytes) => {
        const tally = this.#tallyOf(command);
        tally.bytes.add(payloadBytes);
        tally.count += 1;
      });
    }
    for (const tally of this.#commands.values()) {
      if (tally.count > 0) tally.seconds.add(seconds / entryCount, tally.count);
      tally.count = 0;
    }
  }

  #tallyOf(command: number): CommandTally {
    const label = REFERENCE_NUMBERS[command] ?? String(command);
    const known = this.#commands.get(label);
    if (known !== undefined) return known;
    const tally = {
      seconds: new Tally(STATE_SECONDS_BUCKETS),
      bytes: new Tally(COMMAND_BYTES_BUCKETS),
      count: 0,
    };
    this.#commands.set(label, tally);
    return tally;
  }
}

const FSM = "pyroscope_metastore_fsm_apply_command";
