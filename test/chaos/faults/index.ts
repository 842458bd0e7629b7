/** All faults by name. */

import { DISK_STALL } from "./disk.ts";
import { DISK_FULL } from "./disk-full.ts";
import { HOSTILE } from "./hostile.ts";
import { INSTALL } from "./install.ts";
import { KILL_ALL, KILL_LEADER, KILL_MINORITY } from "./kill.ts";
import { LEADER_CHANGE } from "./leader-change.ts";
import { MEMBERSHIP } from "./membership.ts";
import { NET } from "./net.ts";
import { NONE } from "./none.ts";
import { OVERLOAD } from "./overload.ts";
import { PAUSE } from "./pause.ts";
import { ROLLING_RESTART } from "./rolling-restart.ts";
import type { Fault } from "./types.ts";

export const FAULTS: readonly Fault[] = [
  KILL_LEADER,
  KILL_MINORITY,
  KILL_ALL,
  PAUSE,
  NET,
  DISK_STALL,
  DISK_FULL,
  LEADER_CHANGE,
  MEMBERSHIP,
  INSTALL,
  HOSTILE,
  OVERLOAD,
  ROLLING_RESTART,
  NONE,
];
