/** All faults by name. */

import { KILL_ALL, KILL_LEADER } from "./kill.ts";
import { PAUSE } from "./pause.ts";
import type { Fault } from "./types.ts";

export const FAULTS: readonly Fault[] = [KILL_LEADER, KILL_ALL, PAUSE];
