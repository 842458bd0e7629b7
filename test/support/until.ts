/** Waits for what must come true, however slow or busy the machine is; the limits only end a test that hangs. */
import { setTimeout as sleep } from "node:timers/promises";

const LIMIT_MS = 60_000;
const EVERY_MS = 2;
const EVERY_MOST_MS = 20;

/** Waits until a claim holds; a function says it as it stands at the end. Errors: says what was claimed. */
export async function until(
  claim: string | (() => string),
  holds: () => Promise<boolean> | boolean,
  limitMs = LIMIT_MS,
): Promise<void> {
  const endAtMs = performance.now() + limitMs;
  for (let everyMs = EVERY_MS; !(await holds()); everyMs = Math.min(everyMs * 1.1, EVERY_MOST_MS)) {
    if (performance.now() > endAtMs) {
      const text = typeof claim === "string" ? claim : claim();
      throw new Error(`Not within ${limitMs} ms: ${text}`);
    }
    await sleep(everyMs);
  }
}

/** Like `until`, for a condition whose text says enough. */
export async function untilTrue(condition: () => Promise<boolean> | boolean): Promise<void> {
  await until(String(condition), condition);
}
