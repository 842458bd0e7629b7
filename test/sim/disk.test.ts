/** The rules of the simulated disk: what is promised, and what a crash may take. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { LogFile } from "../../src/log/index.ts";
import { Coverage } from "./coverage.ts";
import { SECTOR_BYTES, SimDisk } from "./disk.ts";
import { DiskFiles } from "./disk-files.ts";
import { EventLoop, Life } from "./event-loop.ts";
import { Streams } from "./random.ts";

class Rig {
  readonly loop = new EventLoop();
  readonly disk: SimDisk;
  life = new Life();

  constructor(seed: number) {
    const prng = new Streams(seed).stream("disk");
    this.disk = new SimDisk({ loop: this.loop, prng, coverage: new Coverage(), place: 0 });
  }

  get files() {
    return new DiskFiles(this.disk, this.life);
  }

  /** Lets time pass until the promise is settled. */
  async done<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false;
    const settle = (): void => {
      isSettled = true;
    };
    promise.then(settle, settle);
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve));
      if (isSettled) return promise;
      if (!this.loop.step()) throw new Error("Nothing happens any more");
    }
  }

  async create(path: string): Promise<LogFile> {
    const file = await this.done(this.files.open(path, "create"));
    await this.done(this.files.syncDirectory("/d"));
    return file;
  }

  write(file: LogFile, bytes: Uint8Array, position = 0): Promise<number> {
    return new Promise((resolve, reject) => {
      file.write(bytes, { start: 0, end: bytes.length }, position, (error, written) => {
        if (error === null) resolve(written);
        else reject(error);
      });
    });
  }

  async content(path: string, length: number): Promise<Uint8Array> {
    const file = await this.done(this.files.open(path, "read"));
    const target = new Uint8Array(length);
    const read = await this.done(file.read(target, 0));
    return target.subarray(0, read);
  }
}

const SEEDS = Array.from({ length: 40 }, (_, seed) => seed);
const BYTES = new Uint8Array(4 * SECTOR_BYTES).fill(7);

describe("simulated disk", () => {
  it("keeps a completed write over a power cut", async () => {
    for (const seed of SEEDS) {
      const rig = new Rig(seed);
      await rig.done(rig.write(await rig.create("/d/a"), BYTES));
      rig.disk.crashPower();
      assert.deepEqual(await rig.content("/d/a", 4 * SECTOR_BYTES), BYTES, `seed ${seed}`);
    }
  });

  it("keeps, loses or tears a write under way, whole sectors at a time", async () => {
    const seen = new Set<string>();
    for (const seed of SEEDS) {
      const rig = new Rig(seed);
      const file = await rig.create("/d/a");
      await rig.done(rig.write(file, new Uint8Array(BYTES.length).fill(1)));
      void rig.write(file, BYTES);
      rig.life.isAlive = false;
      rig.disk.crashPower();
      rig.life = new Life();
      const found = await rig.content("/d/a", BYTES.length);
      let news = 0;
      for (let sector = 0; sector < 4; sector++) {
        const part = found.subarray(sector * SECTOR_BYTES, (sector + 1) * SECTOR_BYTES);
        assert.equal(new Set(part).size, 1, `seed ${seed}: sector ${sector} is mixed`);
        if (part[0] === 7) news += 1;
      }
      seen.add(news === 0 ? "lost" : news === 4 ? "kept" : "torn");
    }
    assert.deepEqual([...seen].sort(), ["kept", "lost", "torn"]);
  });

  it("never lets a dead process hear of its writes", async () => {
    const rig = new Rig(1);
    const file = await rig.create("/d/a");
    let isDone = false;
    void rig.write(file, BYTES).then(() => {
      isDone = true;
    });
    rig.life.isAlive = false;
    rig.disk.crashProcess();
    while (rig.loop.step());
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(isDone, false);
  });

  it("may lose a name that was not synced, and keeps one that was", async () => {
    let lost = 0;
    for (const seed of SEEDS) {
      const rig = new Rig(seed);
      await rig.create("/d/a");
      await rig.done(rig.files.open("/d/b", "create"));
      rig.disk.crashPower();
      assert.ok(rig.disk.paths().includes("/d/a"));
      if (!rig.disk.paths().includes("/d/b")) lost += 1;
    }
    assert.ok(lost > 0 && lost < SEEDS.length, `${lost} lost`);
  });

  it("leaves nothing certain on the platter after a write error", async () => {
    let differing = 0;
    for (const seed of SEEDS) {
      const rig = new Rig(seed);
      const file = await rig.create("/d/a");
      rig.disk.state.failsNextWrite = true;
      await assert.rejects(rig.done(rig.write(file, BYTES)), /EIO/);
      const cached = await rig.content("/d/a", BYTES.length);
      rig.disk.crashPower();
      const left = await rig.content("/d/a", BYTES.length);
      if (Buffer.compare(cached, left) !== 0) differing += 1;
    }
    assert.ok(differing > 0);
  });

  it("refuses to grow when it is full, and works again afterwards", async () => {
    const rig = new Rig(3);
    const file = await rig.create("/d/a");
    rig.disk.state.capacityBytes = 100;
    await assert.rejects(rig.done(rig.write(file, BYTES)), /ENOSPC/);
    rig.disk.heal();
    assert.equal(await rig.done(rig.write(file, BYTES)), BYTES.length);
  });

  it("completes nothing while it is stalled", async () => {
    const rig = new Rig(4);
    const file = await rig.create("/d/a");
    rig.disk.state.stalledUntilUs = rig.loop.nowUs + 1_000_000;
    const startedAtUs = rig.loop.nowUs;
    await rig.done(rig.write(file, BYTES));
    assert.ok(rig.loop.nowUs >= startedAtUs + 1_000_000);
  });

  it("moves a directory with everything in it, as one change", async () => {
    for (const seed of SEEDS) {
      const rig = new Rig(seed);
      await rig.done(rig.files.createDirectory("/d/x"));
      for (const name of ["/d/x/1", "/d/x/2"]) await rig.done(rig.files.open(name, "create"));
      await rig.done(rig.files.syncDirectory("/d/x"));
      await rig.done(rig.files.rename("/d/x", "/d/y"));
      rig.disk.crashPower();
      const paths = rig.disk.paths().join(" ");
      assert.ok(["/d/x/1 /d/x/2", "/d/y/1 /d/y/2"].includes(paths), `seed ${seed}: ${paths}`);
    }
  });
});
