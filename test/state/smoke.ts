import { readFileSync } from "node:fs";
const io = () => { const t = readFileSync("/proc/self/io", "utf8"); return [Number(/wchar: (\d+)/.exec(t)![1]), Number(/syscw: (\d+)/.exec(t)![1])] as const; };
import { StateFixture, ulidAt, WINDOW_MS, wireBlock, entry, batchOf } from "./support.ts";
const f = new StateFixture();
const raw = new StateFixture();
const B = Number(process.env.B ?? 64), ROUND = 12800, DS = 3, S = Number(process.env.S ?? 50);
const names = Array.from({ length: S }, (_, i) => `service-number-${i}`);
let next = 0;
let rawNext = 0;
const key = new Uint8Array(20); const dv = new DataView(key.buffer); const value = new Uint8Array(112 + 40 * DS + 8 + 24 * DS);
for (let round = 0; round < Number(process.env.R ?? 8); round++) {
  const batches = [];
  const first = f.state.appliedIndex + 1;
  for (let i = 0; i < ROUND; i += B) {
    const es = [];
    for (let j = 0; j < B; j++) {
      const n = next++;
      es.push(entry.addBlocks(wireBlock({ id: ulidAt(WINDOW_MS + 1000 + n, n), shard: 1 + n % 4, createdBy: "segment-writer-" + n % 3, datasets: [0, 1, 2].map((k) => ({ tenant: "tenant-a", name: names[(n * 3 + k) % S]!, sets: [[["service_name", names[(n * 3 + k) % S]!], ["__profile_type__", "process_cpu:cpu:nanoseconds:cpu:nanoseconds"]]] })) })));
    }
    batches.push(batchOf(es, { firstIndex: first + i }));
  }
  const c0 = process.cpuUsage(); const t0 = performance.now();
  const io0 = io();
  for (const b of batches) f.state.apply([b]);
  const io1 = io();
  const t = (performance.now() - t0) * 1000 / ROUND; const c = process.cpuUsage(c0);
  const rc0 = process.cpuUsage(); const rt0 = performance.now();
  for (let i = 0; i < ROUND; i += B) raw.db.write(() => { for (let j = 0; j < B; j++) { const n = rawNext++; dv.setUint32(0, 1 + n % 4); dv.setUint32(4, n); raw.db.putNew("blocks", key, value); } });
  const rt = (performance.now() - rt0) * 1000 / ROUND; const rc = process.cpuUsage(rc0);
  console.log("KB/txn", ((io1[0] - io0[0]) / batches.length / 1024).toFixed(0), "calls", ((io1[1] - io0[1]) / batches.length).toFixed(1), "apply us", t.toFixed(2), "cpu", ((c.user + c.system) / ROUND).toFixed(2), "| raw put+commit us", rt.toFixed(2), "cpu", ((rc.user + rc.system) / ROUND).toFixed(2));
}
await f.close(); await raw.close();
