/** All faults by name. */

import { KILL_ALL, KILL_LEADER } from "./kill.ts";
import { LEADER_CHANGE } from "./leader-change.ts";
import { MEMBERSHIP } from "./membership.ts";
import { NET } from "./net.ts";
import { NONE } from "./none.ts";
import { PAUSE } from "./pause.ts";
import { ROLLING_RESTART } from "./rolling-restart.ts";
import type { Fault } from "./types.ts";

export const FAULTS: readonly Fault[] = [
  KILL_LEADER,
  KILL_ALL,
  PAUSE,
  NET,
  LEADER_CHANGE,
  MEMBERSHIP,
  ROLLING_RESTART,
  NONE,
];
