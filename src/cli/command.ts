/**
 * Commands as data. Help, completion, the reference page, the tests and the dispatcher read the same values; the code
 * of a command is a leaf module that is loaded when it runs, so that `--help` stays quick.
 */

export const EXIT = {
  done: 0,
  failed: 1,
  misuse: 2,
  unreachable: 3,
  bad: 4,
  refused: 5,
  /** Server only: a durable write failed; a restart lets a healthy disk go on. */
  durableWriteFailed: 74,
  interrupted: 130,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** The table of ux, 2. */
export const EXIT_MEANINGS: Readonly<Record<ExitCode, string>> = {
  0: "done, or healthy",
  1: "tried and failed",
  2: "wrong use or wrong configuration; nothing was tried",
  3: "no node reachable in time",
  4: "it worked, and the answer is bad: unhealthy, differences found, check failed",
  5: "refused: confirmation, rights, two leaders seen, unsafe state",
  74: "(server) a durable write failed; a restart lets a healthy disk go on",
  130: "interrupted; a second Ctrl-C stops at once",
};

export interface FlagSpec {
  /** Long name without dashes. */
  readonly name: string;
  /** Placeholder of the value in help; absent for a switch. */
  readonly value?: string;
  readonly isRepeatable?: boolean;
  /** What holds without the flag, as text for the help. */
  readonly whenAbsent?: string;
  /** One sentence without a final period. */
  readonly help: string;
}

export interface Example {
  readonly command: string;
  readonly comment: string;
}

export interface CommandSpec {
  readonly path: readonly [string, ...string[]];
  /** One line, no final period. */
  readonly summary: string;
  /** What follows the path and the flags: `'<selector>'`. */
  readonly operands?: string;
  readonly operandCount: readonly [least: number, most: number];
  /** More than the summary says, in sentences. */
  readonly details?: string;
  readonly flags: readonly FlagSpec[];
  /** Go-style flags of the server follow; nothing is parsed by the command line. */
  readonly takesServerFlags?: boolean;
  /**
   * Flags of every command that this one does not have, and what serves here: a server says what it says in its log, which
   * has settings.
   */
  readonly replaced?: Readonly<Record<string, string>>;
  /** Ends in order at a signal by itself, as a server does. */
  readonly handlesSignals?: boolean;
  /** Talks to a node: the flags that say which one apply. */
  readonly usesNode?: boolean;
  /** Longest wait where the flag and the variable are absent, as text; 5s when left out. */
  readonly timeout?: string;
  /**
   * It changes something: `mild` does it, `moderate` asks or takes --yes, `severe` takes only --confirm=<name>. All of
   * them have --dry-run.
   */
  readonly danger?: "mild" | "moderate" | "severe";
  /** Name and version of the JSON it prints with --json. */
  readonly schema?: string;
  readonly examples: readonly Example[];
  readonly exitCodes: readonly ExitCode[];
  readonly load: () => Promise<{ readonly run: CommandRunner }>;
}

export type CommandRunner = (context: CommandContext) => Promise<ExitCode>;

/** Everything a command may touch: no command looks at `process` itself. */
export interface CommandContext {
  readonly spec: CommandSpec;
  readonly operands: readonly string[];
  readonly flags: ParsedFlags;
  /** For commands that take server flags: what was given, global switches taken out. */
  readonly serverArguments: readonly string[];
  readonly globals: GlobalFlags;
  readonly terminal: Terminal;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Aborts at the first Ctrl-C. */
  readonly signal: AbortSignal;
  /** Unix ms. */
  readonly nowMs: () => number;
}

export interface ParsedFlags {
  has(name: string): boolean;
  /** Last value given, or null. */
  text(name: string): string | null;
  list(name: string): readonly string[];
}

export interface GlobalFlags {
  /** HTTP addresses of nodes, in the order they are tried. */
  readonly endpoints: readonly string[];
  readonly isJson: boolean;
  readonly isQuiet: boolean;
  readonly timeoutMs: number;
  readonly progress: ProgressMode;
}

export type ProgressMode = "auto" | "bar" | "text" | "json" | "none";

/** stdout is data, stderr is talk. */
export interface Terminal {
  /** Data, with its line end. */
  out(text: string): void;
  /** Talk, with its line end. */
  talk(text: string): void;
  /** Replaces the current line of stderr; only where `isTalkTty`. */
  redraw(text: string): void;
  /** Empties the screen of stdout; only where `isOutTty`. */
  clear(): void;
  /** Asks a person and resolves with the answer; null where nobody can answer, or nothing was typed at all. */
  ask(question: string, signal: AbortSignal): Promise<string | null>;
  readonly isOutTty: boolean;
  readonly isTalkTty: boolean;
  readonly hasColor: boolean;
  /** Resolves when all data has left the process: exiting before it would cut a pipe. */
  flush(): Promise<void>;
}

/** Wrong use: exit 2, and a line that says how it is meant. */
export class UsageError extends Error {
  override readonly name = "UsageError";
  readonly next: string | null;

  constructor(message: string, next: string | null = null) {
    super(message);
    this.next = next;
  }
}

/** The work is done and said; only the exit code is left to tell. */
export function commandName(spec: CommandSpec): string {
  return `hearth ${spec.path.join(" ")}`;
}
