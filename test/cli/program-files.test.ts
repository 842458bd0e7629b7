/** dist/app, the program as it is started and published: that it is whole, and that a command loads little. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join, normalize } from "node:path";
import { before, describe, it } from "node:test";
import { inRoot } from "../support/project.ts";
import { ENTRY_POINTS } from "../support/tidy/rules.ts";
import { listFiles } from "../support/tidy/sources.ts";

const APP = inRoot("dist", "app");

/** Specifiers of the static imports of a bundled file. The bundler writes each statement from the first column. */
function staticImports(file: string): string[] {
  const text = readFileSync(join(APP, file), "utf8");
  return [...text.matchAll(/^(?:import|export)\b(?:[^"'();]*\bfrom)? ?"([^"]+)";/gm)].map(
    ([, specifier = ""]) => specifier,
  );
}

/** Files that are loaded before `file` runs, and what else they import. */
function loadedWith(file: string): { files: Set<string>; packages: Set<string> } {
  const files = new Set<string>();
  const packages = new Set<string>();
  const waiting = [file];
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (files.has(name)) continue;
    files.add(name);
    for (const specifier of staticImports(name)) {
      if (specifier.startsWith("./")) waiting.push(specifier.slice(2));
      else packages.add(specifier);
    }
  }
  return { files, packages };
}

function sizeBytes(files: Iterable<string>): number {
  let sum = 0;
  for (const file of files) sum += readFileSync(join(APP, file)).length;
  return sum;
}

describe("the program's files", () => {
  it("have one for each thread, under the name of its source", () => {
    const threads = ENTRY_POINTS.filter((path) => path.endsWith("-thread.ts"));
    assert(threads.length > 0);
    for (const path of threads) {
      const file = basename(path).replace(/\.ts$/, ".js");
      assert(existsSync(join(APP, file)), file);
      assert.deepEqual([...loadedWith(file).files], [file], "a thread loads one file");
    }
  });

  it("have what the sources start", () => {
    const sources = listFiles().filter((path) => /^src\/.*\.ts$/.test(path));
    const started = sources.flatMap((path) => {
      const text = readFileSync(inRoot(path), "utf8");
      return [...text.matchAll(/new URL\(\s*`([^`$]+)\$\{import\.meta\.url/g)].map(
        ([, name = ""]) => ({
          path,
          name,
        }),
      );
    });
    assert(started.length > 5, "what starts threads is found");
    for (const { path, name } of started) {
      // Another folder would be another place in dist/app, which has only one.
      assert.match(name, /^\.\/[a-z-]+-thread$/, `${path} starts ${name}`);
      assert(existsSync(inRoot(dirname(path), `${name}.ts`)), `${path} starts ${name}`);
      assert(existsSync(join(APP, `${name}.js`)), `${path} starts ${name}`);
    }
  });

  it("have a map beside each", () => {
    const files = readdirSync(APP).filter((name) => name.endsWith(".js"));
    for (const file of files) assert(existsSync(join(APP, `${file}.map`)), file);
  });

  it("load no package and little code for a command", () => {
    const { files, packages } = loadedWith("main.js");
    assert(files.size > 1, "the imports of main.js are found");
    const foreign = [...packages].filter((name) => !name.startsWith("node:"));
    assert.deepEqual(foreign, []);
    // All commands' flags and help: 81 kB. The server is thirty times that.
    const size = sizeBytes(files);
    assert(size < 160_000, `${size} bytes: a command imports what it should load when it runs`);
  });

  it("name the licence of every package inside", () => {
    const text = readFileSync(join(APP, "LICENSES.txt"), "utf8");
    for (const name of ["flatbuffers", "prom-client", "re2js", "ws", "yaml"])
      assert.match(text, new RegExp(`^${name} \\d+\\.\\d+\\.\\d+, \\S+\\n\\n`, "m"));
  });
});

describe("the published package", () => {
  let published: Set<string>;

  before(() => {
    // The scripts would build again what is running here.
    const args = ["pack", "--dry-run", "--json", "--ignore-scripts"];
    const shell = process.platform === "win32";
    const output = execFileSync("npm", args, { cwd: inRoot(), encoding: "utf8", shell });
    const [{ files }] = JSON.parse(output) as [{ files: { path: string }[] }];
    published = new Set(files.map(({ path }) => path));
  });

  it("has the program, and no module of it twice", () => {
    for (const path of ["bin/hearth.js", "dist/app/main.js", "dist/app/LICENSES.txt"])
      assert(published.has(path), path);
    const modules = [...published].filter((path) => /^dist\/src\/.*\.js$/.test(path));
    assert.deepEqual(modules, []);
  });

  it("has the client's types, and what they import", () => {
    const waiting = ["dist/src/client/index.d.ts"];
    const seen = new Set<string>();
    for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
      if (seen.has(path)) continue;
      seen.add(path);
      assert(published.has(path), `${path} is not published`);
      const text = readFileSync(inRoot(path), "utf8");
      for (const [, specifier = ""] of text.matchAll(/(?:from|import\()\s*"(\.[^"]+)"/g)) {
        const target = normalize(join(dirname(path), specifier));
        waiting.push(target.replace(/\.(ts|js)$/, ".d.ts"));
      }
    }
    assert(seen.size > 20, "imports are followed");
  });

  it("gives the client by its name, with all that its source exports", async () => {
    // By a name that the compiler does not know: it would take the types of the sources.
    const name: string = "hearth/client";
    const bundled = (await import(name)) as object;
    const source = (await import("../../src/client/index.ts")) as object;
    assert.deepEqual(Object.keys(bundled).sort(), Object.keys(source).sort());
  });
});
