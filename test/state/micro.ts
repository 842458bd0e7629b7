import { BlockReader, EntryWriter } from "../../src/protocol/index.ts";
import { checkBlock } from "../../src/state/index/check-block.ts";
import { BlockIds } from "../../src/state/index/block-ids.ts";
import { Dictionary } from "../../src/state/index/dictionary.ts";
import { StateFixture, ulidAt, WINDOW_MS, wireBlock } from "./support.ts";
const names = Array.from({ length: 50 }, (_, i) => `service-number-${i}`);
const ws = Array.from({ length: 64 }, (_, n) => wireBlock({ id: ulidAt(WINDOW_MS + 1000 + n, n), shard: 1 + n % 4, createdBy: "segment-writer-" + n % 3, datasets: [0, 1, 2].map((k) => ({ tenant: "tenant-a", name: names[(n * 3 + k) % 50]!, sets: [[["service_name", names[(n * 3 + k) % 50]!], ["__profile_type__", "process_cpu:cpu:nanoseconds:cpu:nanoseconds"]]] })) }));
const all = new Uint8Array(ws.reduce((a, w) => a + w.length, 0));
const offs: number[] = []; let at = 0;
for (const w of ws) { all.set(w, at); offs.push(at); at += w.length; }
const r = new BlockReader(); const ids = new BlockIds(); const ew = new EntryWriter();
const f = new StateFixture();
f.db.write(() => {
  const d = Dictionary.create(f.db, 1, 0, 1);
  const time = (name: string, fn: (i: number) => void) => {
    for (let k = 0; k < 3; k++) {
      const c0 = process.cpuUsage(); const t0 = performance.now();
      for (let i = 0; i < 300000; i++) fn(i & 63);
      const c = process.cpuUsage(c0);
      if (k === 2) console.log(name, ((performance.now() - t0) / 0.3).toFixed(0), "ns", ((c.user + c.system) / 0.3 / 1000).toFixed(0), "cpu ns");
    }
  };
  for (let i = 0; i < 64; i++) { r.reset(all, offs[i]!, ws[i]!.length); ids.resolve(r, d, "add"); }
  time("reset", (i) => { r.tryReset(all, offs[i]!, ws[i]!.length); });
  time("reset+check", (i) => { r.tryReset(all, offs[i]!, ws[i]!.length); checkBlock(r); });
  time("reset+resolve", (i) => { r.tryReset(all, offs[i]!, ws[i]!.length); ids.resolve(r, d, "find"); });
  time("reset+write", (i) => { r.tryReset(all, offs[i]!, ws[i]!.length); ew.write(r, ids); });
});
await f.close();
