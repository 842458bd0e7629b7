/** How much memory a process takes. */

import { readFileSync } from "node:fs";

/**
 * Without the pages of mapped files: those are the system's to take back. Linux only; 0 elsewhere, and for a process that
 * has just ended.
 */
export function anonymousBytes(pid: number): number {
  try {
    const kib = /^RssAnon:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return Number(kib ?? 0) * 1024;
  } catch {
    return 0;
  }
}
