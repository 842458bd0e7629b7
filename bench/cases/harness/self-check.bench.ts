/**
 * Checks the harness itself: work against twice that work has a ratio of two, whatever the machine. A run in which
 * this case misses measured noise, and its other figures should not be believed.
 */

import { type BenchCase, repeat } from "../../harness/index.ts";

const BYTES = new Uint8Array(16_384).fill(7);

function sumBytes(rounds: number): number {
  let sum = 0;
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < BYTES.length; i++) sum = (sum + (BYTES[i] as number)) | 0;
  }
  return sum;
}

export const cases: readonly BenchCase[] = [
  {
    name: "harness/self-check/double-work",
    about: "The same loop once and twice: the ratio must be two, or this run measured noise.",
    goals: [
      { metric: "cpuUs", form: "limit/ours", atLeast: 1.8 },
      { metric: "cpuUs", form: "limit/ours", atMost: 2.2 },
    ],
    prepare() {
      return {
        ours: repeat("once", () => sumBytes(1)),
        limit: repeat("twice", () => sumBytes(2)),
      };
    },
  },
];
