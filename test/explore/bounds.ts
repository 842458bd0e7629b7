/** How often each disturbance may happen in one run: part of the state, packed into one word. */

import { ACTION, type ActionKind } from "./actions.ts";

/** Each at most 7. */
export interface Bounds {
  readonly duplicates: number;
  readonly crashes: number;
  readonly campaigns: number;
  readonly lapses: number;
  readonly beats: number;
  readonly proposals: number;
  readonly reads: number;
  readonly changes: number;
  readonly transfers: number;
}

export const NO_BOUNDS: Bounds = {
  duplicates: 0,
  crashes: 0,
  campaigns: 0,
  lapses: 0,
  beats: 0,
  proposals: 0,
  reads: 0,
  changes: 0,
  transfers: 0,
};

/** Three bits each, from the lowest on. */
const FIELDS = Object.keys(NO_BOUNDS) as (keyof Bounds)[];
const FIELD_MAX = 7;

/** The bound that an action uses up. */
const BOUND_OF: Partial<Record<ActionKind, keyof Bounds>> = {
  [ACTION.deliverAgain]: "duplicates",
  [ACTION.crash]: "crashes",
  [ACTION.campaign]: "campaigns",
  [ACTION.lapse]: "lapses",
  [ACTION.beat]: "beats",
  [ACTION.propose]: "proposals",
  [ACTION.read]: "reads",
  [ACTION.change]: "changes",
  [ACTION.transfer]: "transfers",
};

/** Actions that a member may take out of itself while their bound lasts. */
export const OWN_ACTIONS: readonly { kind: ActionKind; bound: keyof Bounds }[] = [
  { kind: ACTION.campaign, bound: "campaigns" },
  { kind: ACTION.lapse, bound: "lapses" },
  { kind: ACTION.beat, bound: "beats" },
  { kind: ACTION.propose, bound: "proposals" },
  { kind: ACTION.read, bound: "reads" },
  { kind: ACTION.change, bound: "changes" },
  { kind: ACTION.transfer, bound: "transfers" },
];

export function packBounds(bounds: Bounds): number {
  return FIELDS.reduce((word, field, position) => {
    const value = bounds[field];
    if (value > FIELD_MAX) throw new Error(`Bound ${field} is ${value}, at most ${FIELD_MAX}`);
    return word + value * 8 ** position;
  }, 0);
}

export function boundIn(word: number, field: keyof Bounds): number {
  return Math.floor(word / 8 ** FIELDS.indexOf(field)) % 8;
}

/** The bounds after one such action. */
export function spend(word: number, kind: ActionKind): number {
  const field = BOUND_OF[kind];
  return field === undefined ? word : word - 8 ** FIELDS.indexOf(field);
}
