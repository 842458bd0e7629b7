import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { PlacementSampler, type SampleBatch } from "../../../src/leader/index.ts";
import { TestScheduler } from "../support.ts";

const BUDGET = 1_000;

class Sampled {
  readonly scheduler = new TestScheduler();
  readonly batches: SampleBatch[] = [];
  readonly sampler: PlacementSampler;
  waiting: (() => void)[] = [];
  isSlow = false;

  constructor() {
    this.sampler = new PlacementSampler(
      { intervalMs: 1_000, budgetBytes: BUDGET },
      {
        scheduler: this.scheduler,
        send: async (batch) => {
          this.batches.push(batch);
          if (this.isSlow) await new Promise<void>((resolve) => this.waiting.push(resolve));
        },
      },
    );
    this.sampler.start();
  }

  propose(count: number, bytes: number): void {
    for (let i = 0; i < count; i++) {
      const copy = this.sampler.take(new Uint8Array(bytes).fill(1));
      if (copy !== null) this.sampler.keep(copy);
    }
  }

  async second(): Promise<void> {
    this.scheduler.advance(1_000);
    await new Promise((resolve) => setImmediate(resolve));
  }

  /** Bytes that the batches stand for. */
  get weighed(): number {
    return this.batches.reduce((sum, { body, weight }) => sum + body.length * weight, 0);
  }
}

describe("the placement's sampler", () => {
  it("takes everything within the budget", async () => {
    const sampled = new Sampled();
    for (let i = 0; i < 3; i++) {
      sampled.propose(9, 100);
      await sampled.second();
    }
    assert.deepEqual(
      sampled.batches.map(({ body, weight }) => [body.length, weight]),
      [
        [900, 1],
        [900, 1],
        [900, 1],
      ],
    );
  });

  it("takes a share above it, which stands for the rest", async () => {
    const sampled = new Sampled();
    for (let i = 0; i < 20; i++) {
      sampled.propose(200, 100);
      await sampled.second();
    }
    const last = sampled.batches.at(-1)!;
    assert.ok(last.body.length <= BUDGET, `${last.body.length} bytes in a second`);
    const share = sampled.weighed / (20 * 200 * 100);
    assert.ok(share > 0.95 && share < 1.05, `weighs ${share} of what was proposed`);
  });

  it("holds a bounded part of a sudden load, which stands for the rest", async () => {
    const sampled = new Sampled();
    sampled.propose(10_000, 100);
    await sampled.second();
    const [batch] = sampled.batches;
    assert.ok((batch?.body.length ?? 0) <= 4 * BUDGET);
    const share = sampled.weighed / 1_000_000;
    assert.ok(share > 0.9 && share < 1.1, `weighs ${share} of what was proposed`);
  });

  it("waits for a thread that is busy, without losing what came", async () => {
    const sampled = new Sampled();
    sampled.isSlow = true;
    sampled.propose(5, 100);
    await sampled.second();
    sampled.propose(5, 100);
    await sampled.second();
    assert.equal(sampled.batches.length, 1);
    for (const go of sampled.waiting.splice(0)) go();
    await new Promise((resolve) => setImmediate(resolve));
    await sampled.second();
    assert.equal(sampled.weighed, 1_000);
  });

  it("takes nothing before it is started, and after it was stopped", async () => {
    const sampled = new Sampled();
    sampled.propose(3, 100);
    sampled.sampler.stop();
    sampled.propose(3, 100);
    await sampled.second();
    assert.deepEqual(sampled.batches, []);
  });
});
