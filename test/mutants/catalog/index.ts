/** Every mutant, by the part of the system that it breaks. */

import type { Mutant } from "../types.ts";
import { ELECTION_MUTANTS } from "./elections.ts";
import { MEMBERSHIP_MUTANTS } from "./membership.ts";
import { READ_MUTANTS } from "./reads.ts";
import { REPLICATION_MUTANTS } from "./replication.ts";
import { SESSION_MUTANTS } from "./sessions.ts";
import { STORAGE_MUTANTS } from "./storage.ts";

/** Anything that still looks at commits finds it. */
export const CANARY = "commit-quorum-minus-one";

export const MUTANTS: readonly Mutant[] = [
  ...ELECTION_MUTANTS,
  ...REPLICATION_MUTANTS,
  ...READ_MUTANTS,
  ...MEMBERSHIP_MUTANTS,
  ...SESSION_MUTANTS,
  ...STORAGE_MUTANTS,
];
