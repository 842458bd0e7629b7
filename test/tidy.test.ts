/**
 * Keeps the house rules that a program can check: layers, walls, determinism, sizes, leftovers. The rules are data in
 * support/tidy/rules.ts; each test lists every offender, so that one run shows all there is to do.
 */

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { before, describe, it } from "node:test";
import { inRoot } from "./support/project.ts";
import { ImportGraph } from "./support/tidy/graph.ts";
import {
  CLOSED_FOLDERS,
  DETERMINISM_EXCEPTIONS,
  DETERMINISTIC_ROOTS,
  ENTRY_POINTS,
  TEST_TOOLS,
  FILE_LINES_MAX,
  FILE_LINES_RATCHET,
  GENERATED,
  INDETERMINATE,
  LAYERS,
  PRIVATE_FOLDERS,
  RAFT_TYPE_IMPORTERS,
  UNUSED_DEPENDENCIES,
  WALLS,
} from "./support/tidy/rules.ts";
import { listFiles, readSources, readText, type SourceFile } from "./support/tidy/sources.ts";

let paths: string[] = [];
let sources: SourceFile[] = [];
let own: SourceFile[] = [];

before(() => {
  paths = listFiles();
  sources = readSources(paths);
  own = sources.filter(({ path }) => path.startsWith("src/") && !path.startsWith(GENERATED));
});

function noneOf(offenders: readonly string[]): void {
  if (offenders.length > 0) assert.fail(`\n${offenders.join("\n")}`);
}

/** Folder of src/ that a path lies in, or null. */
function folderOf(path: string): string | null {
  return /^src\/([^/]+)\//.exec(path)?.[1] ?? null;
}

function levelOf(folder: string): number {
  return LAYERS.findIndex((folders) => folders.includes(folder));
}

describe("layers", () => {
  it("every folder of src has a level", () => {
    const folders = new Set(own.map(({ path }) => folderOf(path) ?? path));
    noneOf([...folders].filter((folder) => levelOf(folder) < 0));
  });

  it("imports between folders point down", () => {
    noneOf(
      crossings()
        .filter(({ isAllowed }) => !isAllowed)
        .map(describeCrossing),
    );
  });

  it("other folders are imported through their index.ts", () => {
    const offenders = crossings().filter(({ from, to, target }) => {
      const isOptions = from === "config" && /\/(options|limits)\.ts$/.test(target);
      return target !== `src/${to}/index.ts` && !isOptions;
    });
    noneOf(offenders.map(describeCrossing));
  });

  it("src imports nothing from test, bench or examples", () => {
    noneOf(
      own.flatMap(({ path, imports }) =>
        imports
          .filter(({ target }) => target !== null && !target.startsWith("src/"))
          .map(({ target }) => `${path} imports ${target}`),
      ),
    );
  });

  it("nothing imports in a circle", () => {
    noneOf(new ImportGraph(sources).cycles().map((cycle) => cycle.join(" <-> ")));
  });

  it("packages stay behind their walls", () => {
    noneOf(
      own.flatMap(({ path, imports }) =>
        imports
          .filter(({ specifier }) => !isInsideWall(path, specifier))
          .map(({ specifier }) => `${path} imports ${specifier}`),
      ),
    );
  });
});

function isInsideWall(path: string, specifier: string): boolean {
  const rule = Object.entries(WALLS).find(
    ([name]) => specifier === name || specifier.startsWith(`${name}/`),
  );
  return rule === undefined || rule[1].some((place) => path.startsWith(place));
}

interface Crossing {
  readonly path: string;
  readonly from: string;
  readonly to: string;
  readonly target: string;
  readonly isAllowed: boolean;
}

function crossings(): Crossing[] {
  const found: Crossing[] = [];
  for (const { path, imports } of own) {
    const from = folderOf(path);
    if (from === null) continue;
    for (const { target, isTypeOnly } of imports) {
      const to = target === null ? null : folderOf(target);
      if (target === null || to === null || to === from) continue;
      found.push({ path, from, to, target, isAllowed: isAllowedCrossing(from, to, isTypeOnly) });
    }
  }
  return found;
}

function isAllowedCrossing(from: string, to: string, isTypeOnly: boolean): boolean {
  if (to === "raft" && isTypeOnly && RAFT_TYPE_IMPORTERS.includes(from)) return true;
  if (CLOSED_FOLDERS[from]?.includes(to) === false) return false;
  if (PRIVATE_FOLDERS[to]?.includes(from) === false) return false;
  return levelOf(from) > levelOf(to);
}

function describeCrossing({ path, target }: Crossing): string {
  return `${path} imports ${target}`;
}

describe("determinism", () => {
  it("raft and what apply reaches use no clock, randomness, process, timer or promise", () => {
    const reached = new ImportGraph(sources).reach(DETERMINISTIC_ROOTS, { withTypes: false });
    const files = own.filter(({ path }) => {
      const isExcepted = DETERMINISM_EXCEPTIONS.some((place) => path.startsWith(place));
      return path.startsWith("src/raft/") || (reached.has(path) && !isExcepted);
    });
    noneOf(files.flatMap((file) => findInCode(file, INDETERMINATE)));
  });

  it("the roots of that rule exist", () => {
    noneOf(DETERMINISTIC_ROOTS.filter((root) => !own.some(({ path }) => path === root)));
  });
});

function findInCode({ path, code }: SourceFile, patterns: readonly RegExp[]): string[] {
  return code
    .split("\n")
    .flatMap((line, i) =>
      patterns
        .filter((pattern) => pattern.test(line))
        .map((pattern) => `${path}:${i + 1}: ${pattern.source}`),
    );
}

describe("sizes", () => {
  it("files stay within their line limit", () => {
    const offenders = sources.filter(({ path, lines }) => {
      if (path.startsWith(GENERATED)) return false;
      return lines > (FILE_LINES_RATCHET[path] ?? FILE_LINES_MAX);
    });
    noneOf(offenders.map(({ path, lines }) => `${path}: ${lines} lines`));
  });

  it("the list of longer files names only files that need it", () => {
    const lengths = new Map(sources.map(({ path, lines }) => [path, lines]));
    noneOf(
      Object.keys(FILE_LINES_RATCHET).filter((path) => (lengths.get(path) ?? 0) <= FILE_LINES_MAX),
    );
  });
});

describe("leftovers", () => {
  it("files are named in kebab-case", () => {
    const offenders = sources.filter(
      ({ path }) =>
        !path.startsWith(GENERATED) &&
        !/^([a-z0-9.-]+\/)*[a-z0-9-]+(\.fuzz)?(\.(test|bench))?\.ts$/.test(path),
    );
    noneOf(offenders.map(({ path }) => path));
  });

  it("tests end in .test.ts and nothing else does", () => {
    const offenders = sources.filter(({ path, imports }) => {
      const isTest = imports.some(({ specifier }) => specifier === "node:test");
      // Support code may take `TestContext` and hooks; it registers no tests of its own.
      if (path.startsWith("test/support/")) return path.endsWith(".test.ts");
      return isTest !== path.endsWith(".test.ts") || (isTest && !path.startsWith("test/"));
    });
    noneOf(offenders.map(({ path }) => path));
  });

  it("code of src is reached from an entry point, code of test from a test", () => {
    const roots = sources
      .map(({ path }) => path)
      .filter((path) => /\.(test|bench)\.ts$/.test(path) || /^(bench|examples)\//.test(path))
      .concat(TEST_TOOLS);
    const graph = new ImportGraph(sources);
    const live = graph.reach(ENTRY_POINTS, { withTypes: true });
    const used = graph.reach(roots, { withTypes: true });
    const offenders = sources.filter(({ path }) => {
      if (path.startsWith(GENERATED) || path.endsWith("/index.ts")) return false;
      return path.startsWith("src/")
        ? !live.has(path)
        : !used.has(path) && path.startsWith("test/");
    });
    noneOf(offenders.map(({ path }) => path));
  });

  it("no `any`, no enum, no default export", () => {
    const patterns = [
      /[:<|,] ?any\b(?!\()/,
      /\bas any\b/,
      /^\s*(export )?(const )?enum\b/,
      /^export default\b/,
    ];
    noneOf(
      [...own, ...sources.filter(({ path }) => /^(test|bench)\//.test(path))].flatMap((file) =>
        findInCode(file, patterns),
      ),
    );
  });

  it("every to-do names its issue", () => {
    const open = new RegExp(`\\bTO${"DO"}\\b(?!\\(#\\d+\\): )|\\bFIX${"ME"}\\b`);
    noneOf(findInText(open));
  });

  it("links between documents lead somewhere", () => {
    const documents = paths.filter((path) => path.endsWith(".md"));
    noneOf(
      documents.flatMap((path) =>
        [...(readText(path) ?? "").matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)[^)]*\)/g)]
          .map((match) => normalize(join(dirname(path), match[1] as string)))
          .filter((target) => !existsSync(inRoot(target)))
          .map((target) => `${path} links to ${target}`),
      ),
    );
  });

  it("no file holds a path or an address of the machine it was written on", () => {
    noneOf([
      ...findInText(new RegExp(`(^|[^A-Za-z0-9_.-])/${"(work|farm|root|home)"}/[A-Za-z0-9_]`)),
      ...findInText(new RegExp(`https?://${"registry"}\\.`)),
    ]);
  });
});

/** Tracked text of ours: no lock file, no test data. */
function findInText(pattern: RegExp): string[] {
  const names = paths.filter(
    (path) =>
      /\.(ts|mjs|js|json|md|fbs|proto|yaml|yml|sh)$|^\.ci\//.test(path) &&
      !/^(package-lock\.json|test\/vectors\/|examples\/blocks\/)/.test(path),
  );
  return names.flatMap((path) =>
    (readText(path) ?? "")
      .split("\n")
      .flatMap((line, i) => (pattern.test(line) ? [`${path}:${i + 1}: ${line.trim()}`] : [])),
  );
}

describe("dependencies", () => {
  const manifest = JSON.parse(readText("package.json") ?? "{}") as {
    dependencies: Record<string, string>;
    devDependencies: Record<string, string>;
  };

  it("what src imports is installed with the package, and nothing else is", () => {
    const used = new Set(
      own.flatMap(({ imports }) =>
        imports.filter(({ target, isTypeOnly }) => target === null && !isTypeOnly).map(packageOf),
      ),
    );
    const listed = Object.keys(manifest.dependencies);
    noneOf([
      ...[...used].filter((name) => !name.startsWith("node:") && !listed.includes(name)),
      ...listed.filter((name) => !used.has(name) && !(name in UNUSED_DEPENDENCIES)),
    ]);
  });

  it("each is explained in docs/dependencies.md", () => {
    const text = readText("docs/dependencies.md") ?? "";
    const names = Object.keys({ ...manifest.dependencies, ...manifest.devDependencies });
    noneOf(names.filter((name) => !text.includes(name)));
  });
});

/** "@scope/name/sub/path" -> "@scope/name". */
function packageOf({ specifier }: { readonly specifier: string }): string {
  const depth = specifier.startsWith("@") ? 2 : 1;
  return specifier.split("/").slice(0, depth).join("/");
}
