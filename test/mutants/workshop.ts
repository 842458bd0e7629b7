/**
 * Where mutants are made: a compiled copy of the sources in a temporary folder, in which one file at a time is
 * exchanged. Nothing in src/ knows about it.
 */

import { spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { inRoot, ROOT } from "../support/project.ts";
import type { Edit, Mutant } from "./types.ts";

/** Why an edit no longer fits the sources, or null. */
export function staleReason(edit: Edit): string | null {
  if (!existsSync(inRoot(edit.file))) return `${edit.file} does not exist`;
  const count = readFileSync(inRoot(edit.file), "utf8").split(edit.find).length - 1;
  if (count === 1) return null;
  return `the text to replace occurs ${count} times in ${edit.file}: ${firstLine(edit.find)}`;
}

function firstLine(text: string): string {
  return JSON.stringify(text.trim().split("\n", 1)[0] ?? "");
}

/** The mutated text of every file that the mutant touches. */
export function mutate(mutant: Mutant): Map<string, string> {
  const texts = new Map<string, string>();
  for (const edit of mutant.edits) {
    const text = texts.get(edit.file) ?? readFileSync(inRoot(edit.file), "utf8");
    const parts = text.split(edit.find);
    if (parts.length !== 2) {
      throw new Error(`Mutant ${mutant.id} is stale: ${staleReason(edit) ?? "edits overlap"}`);
    }
    texts.set(edit.file, parts.join(edit.replace));
  }
  return texts;
}

/** One compiled copy. Two copies are independent: each takes one mutant at a time. */
export class Workshop {
  readonly folder: string;
  readonly #compiledMutants: string;
  readonly #patched: string[] = [];

  private constructor(folder: string, compiledMutants: string) {
    this.folder = folder;
    this.#compiledMutants = compiledMutants;
  }

  /** Compiles the sources and all mutants once; `count` copies share the work. */
  static create(mutants: readonly Mutant[], count: number): Workshop[] {
    const base = mkdtempSync(join(tmpdir(), "hearth-mutants-"));
    const first = join(base, "1");
    mkdirSync(first);
    linkRest(first);
    const dist = join(first, "dist");
    compile(["-p", inRoot("tsconfig.json"), "--noCheck", "--declaration", "false"], dist);
    const compiledMutants = compileMutants(base, mutants);
    const workshops = [new Workshop(first, compiledMutants)];
    for (let i = 2; i <= count; i++) {
      const folder = join(base, String(i));
      mkdirSync(folder);
      linkRest(folder);
      cpSync(dist, join(folder, "dist"), { recursive: true });
      workshops.push(new Workshop(folder, compiledMutants));
    }
    return workshops;
  }

  /** Absolute path of a compiled file. */
  compiled(source: string): string {
    return join(this.folder, "dist", source.replace(/\.ts$/, ".js"));
  }

  /** Puts the mutant in the place of the original. */
  install(mutant: Mutant): void {
    this.restore();
    for (const file of new Set(mutant.edits.map((edit) => edit.file))) {
      const path = this.compiled(file);
      cpSync(path, `${path}.original`);
      this.#patched.push(path);
      cpSync(join(this.#compiledMutants, mutant.id, file.replace(/\.ts$/, ".js")), path);
    }
  }

  restore(): void {
    for (const path of this.#patched) cpSync(`${path}.original`, path);
    this.#patched.length = 0;
  }

  /** Removes this copy and, with the last one, the compiled mutants. */
  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
    const base = dirname(this.folder);
    const isLast = readdirSync(base).every((name) => !/^\d+$/.test(name));
    if (isLast) rmSync(base, { recursive: true, force: true });
  }
}

/** Programs find the rest of the repository where they expect it. */
function linkRest(folder: string): void {
  for (const item of readdirSync(ROOT)) {
    if (item === "dist" || item === ".git") continue;
    symlinkSync(join(ROOT, item), join(folder, item));
  }
}

/** All mutated files in one run of the compiler: without resolving imports it takes a fraction of a second. */
function compileMutants(base: string, mutants: readonly Mutant[]): string {
  const sources = join(base, "sources");
  const compiled = join(base, "compiled");
  mkdirSync(sources);
  // Says that the files are ES modules.
  writeFileSync(join(sources, "package.json"), '{"type":"module"}\n');
  for (const mutant of mutants) {
    for (const [file, text] of mutate(mutant)) {
      const path = join(sources, mutant.id, file);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, text);
    }
  }
  const config = join(sources, "tsconfig.json");
  const compilerOptions = {
    noCheck: true,
    noResolve: true,
    declaration: false,
    rootDir: sources,
    types: [],
  };
  const content = { extends: inRoot("tsconfig.json"), compilerOptions, include: [sources] };
  writeFileSync(config, JSON.stringify(content));
  compile(["-p", config], compiled);
  return compiled;
}

function compile(args: readonly string[], outFolder: string): void {
  const tsc = inRoot("node_modules", "typescript", "bin", "tsc");
  const result = spawnSync(process.execPath, [tsc, ...args, "--outDir", outFolder], {
    encoding: "utf8",
  });
  if (result.status !== 0) throw new Error(`Cannot compile: ${result.stdout}${result.stderr}`);
}
