/** A member that leads: retention and deletion, by a clock of its own. */
import type { RetentionCleaner } from "../../../src/leader/index.ts";
import type { DeletionRig, Leader } from "../../support/deletion.ts";
import type { Settings } from "./draw.ts";

/** Right when the member begins to lead. */
export interface MemberClock {
  readonly beganAtMs: number;
  offsetMs: number;
}

export interface Member {
  readonly clock: MemberClock;
  readonly leader: Leader;
  readonly cleaner: RetentionCleaner;
}

/** How far a jumped clock may be believed to be ahead: allowance and slew of the steady clock. */
const STEP_MAX_MS = 10_000;
const SLEW_RATIO = 0.01;

/** In the rig's term. `newestForeignEntryAtMs`: 0 when nobody wrote before. */
export function newMember(
  rig: DeletionRig,
  settings: Settings,
  newestForeignEntryAtMs: number,
): Member {
  const clock: MemberClock = { beganAtMs: rig.nowMs(), offsetMs: 0 };
  const leader = rig.leader({ nowMs: () => rig.nowMs() + clock.offsetMs });
  return { clock, leader, cleaner: newCleaner(rig, settings, { clock, newestForeignEntryAtMs }) };
}

export function newCleaner(
  rig: DeletionRig,
  settings: Settings,
  {
    clock,
    newestForeignEntryAtMs,
  }: { readonly clock: MemberClock; readonly newestForeignEntryAtMs: number },
): RetentionCleaner {
  const { graceMs, shardsPerPassMax } = settings;
  const cleaner = rig.cleaner(
    { intervalMs: 1, graceMs, shardsPerPassMax },
    {
      clock: { nowMs: () => rig.nowMs() + clock.offsetMs },
      periods: () => settings,
      newestForeignEntryAtMs: () => newestForeignEntryAtMs,
    },
  );
  cleaner.begin(rig.term);
  return cleaner;
}

/** The latest time that it may go by. */
export function latestMs({ offsetMs, beganAtMs }: MemberClock, nowMs: number): number {
  return offsetMs <= 0 ? nowMs : nowMs + STEP_MAX_MS + SLEW_RATIO * (nowMs - beganAtMs);
}
