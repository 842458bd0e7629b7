/** A mutant: a known bug of a consensus system, put back into our sources for the length of one run. */

/** One replacement in one file. `find` has to occur exactly once: the code has moved on otherwise. */
export interface Edit {
  /** From the repository root. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

/**
 * A command that has to fail on the mutant. `expect` matches the reason it must fail for; a run that fails for another
 * reason kills nothing.
 */
export type Killer =
  | {
      readonly kind: "sim";
      /** Arguments besides seeds, such as `--profile membership`. */
      readonly args: readonly string[];
      readonly seedsMax: number;
      readonly expect: RegExp;
    }
  | { readonly kind: "explore"; readonly args: readonly string[]; readonly expect: RegExp }
  | { readonly kind: "crashpoints"; readonly args: readonly string[]; readonly expect: RegExp }
  /** A test file, for what a simulator of the whole system cannot see by its nature; `why` says so. */
  | {
      readonly kind: "test";
      readonly file: string;
      readonly why: string;
      /** Matches the name of the failing test. */
      readonly expect: RegExp;
    };

export interface Mutant {
  readonly id: string;
  /** Where the bug was found in the wild. */
  readonly reference: string;
  /** What the mutant does, in one sentence. */
  readonly does: string;
  readonly edits: readonly Edit[];
  /** Tried in order until one kills. */
  readonly killers: readonly Killer[];
}

export interface Kill {
  readonly id: string;
  readonly killedBy: string;
  /** What was violated, in the words of the command that found it. */
  readonly reason: string;
  /** Simulated seeds up to the first violation; 0 where the killer has no seeds. */
  readonly seeds: number;
  readonly seconds: number;
}

export interface Survivor {
  readonly id: string;
  readonly seconds: number;
  /** What each killer said instead. */
  readonly because: readonly string[];
}
