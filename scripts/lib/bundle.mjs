/**
 * Puts the program together for its start: src/ and the packages written in JavaScript, as a few files in dist/app instead
 * of a thousand small ones. Finding, reading and linking those took longer than running them. The files are:
 *
 *   main.js          what bin/hearth.js starts; each command is a file that is loaded when it is called,
 *   chunk-*.js       and what several of them share is in chunks, named by content
 *   NAME-thread.js   a thread, named as its source is, with all that it needs and nothing else: it shares no chunk,
 *                    because a chunk is made for all that use it, and threads share no module anyway
 *   client.js        hearth/client; its types are those of dist/src/client
 *   *.js.map         where each line comes from: the log names sources in its stacks
 *   LICENSES.txt     of the packages inside
 *
 * All lie in one folder, since a thread is started as `./NAME-thread.js` beside whatever chunk its starter is in.
 */

import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { inRoot } from "./project.mjs";

/** Where it goes, relative to the root. */
const APP_FOLDER = "dist/app";
const LICENSES_FILE = "LICENSES.txt";

/**
 * Packages that stay as they are: native code, files that they find beside their own, or loaded by `createRequire` because
 * they are seldom needed.
 */
const EXTERNAL = [
  "@bokuweb/zstd-wasm",
  "@node-rs/crc32",
  "lmdb",
  "piscina",
  "protobufjs",
  "uWebSockets.js",
  // Optional accelerators that ws looks for. We do not install them.
  "bufferutil",
  "utf-8-validate",
];

/** CommonJS packages ask for Node.js's own modules by `require`, which ES modules do not have. */
const REQUIRE =
  'import { createRequire as createAppRequire } from "node:module";' +
  "const require = createAppRequire(import.meta.url);";

/** For all that is bundled. */
const OPTIONS = {
  absWorkingDir: inRoot(),
  outdir: APP_FOLDER,
  entryNames: "[name]",
  chunkNames: "[name]-[hash]",
  bundle: true,
  splitting: true,
  format: "esm",
  platform: "node",
  target: "node20.19",
  // Packages that have both forms: ES modules need no wrapping.
  mainFields: ["module", "main"],
  external: EXTERNAL,
  banner: { js: REQUIRE },
  sourcemap: true,
  sourcesContent: false,
  metafile: true,
  write: false,
  logLevel: "warning",
};

/**
 * Bundles src/ into dist/app, and removes what is not part of it any more.
 *
 * `threads` are the sources of threads, "src/.../NAME-thread.ts". What is imported is written before what is started, and
 * the old chunks are removed last, so that a program which starts meanwhile finds a whole.
 * Errors: two sources of one name; whatever keeps esbuild from bundling.
 */
export async function bundleApp(threads) {
  const entries = entryPoints(threads);
  // Here, because the other functions of the build run before anything is installed.
  const { build } = await import("esbuild");
  const results = await Promise.all(
    Object.entries(entries).map(([out, path]) =>
      build({ ...OPTIONS, entryPoints: [{ in: path, out }] }),
    ),
  );
  const files = results.flatMap(({ outputFiles }) => outputFiles);
  const isStarted = ({ path }) => basename(path, ".js") in entries;
  mkdirSync(inRoot(APP_FOLDER), { recursive: true });
  for (const file of [...files.filter((f) => !isStarted(f)), ...files.filter(isStarted)])
    replaceFile(file.path, file.contents);
  const inputs = results.flatMap(({ metafile }) => Object.keys(metafile.inputs));
  writeFileSync(inRoot(APP_FOLDER, LICENSES_FILE), licenses(inputs));
  removeOthers(new Set([...files.map(({ path }) => basename(path)), LICENSES_FILE]));
}

/** Sources by the names of their files in dist/app. */
function entryPoints(threads) {
  const entries = { main: "src/cli/main.ts", client: "src/client/index.ts" };
  for (const path of threads) {
    const name = basename(path, ".ts");
    if (name in entries) throw new Error(`${path} and ${entries[name]} have the same name`);
    entries[name] = path;
  }
  return entries;
}

function replaceFile(path, contents) {
  writeFileSync(`${path}.new`, contents);
  renameSync(`${path}.new`, path);
}

function removeOthers(current) {
  for (const name of readdirSync(inRoot(APP_FOLDER)))
    if (!current.has(name)) rmSync(inRoot(APP_FOLDER, name), { recursive: true });
}

/** The licence of each package that is inside, with its name and version above. */
function licenses(inputs) {
  const folders = new Set(
    inputs.flatMap((path) => path.match(/^node_modules\/(?:@[^/]+\/)?[^/]+/)?.[0] ?? []),
  );
  const texts = [...folders].sort().map((folder) => {
    const { name, version, license } = JSON.parse(
      readFileSync(inRoot(folder, "package.json"), "utf8"),
    );
    const file = readdirSync(inRoot(folder)).find((item) => /^licen[cs]e/i.test(item));
    const text = file === undefined ? "" : `\n\n${readFileSync(inRoot(folder, file), "utf8")}`;
    return `${name} ${version}, ${license}${text.trimEnd()}\n`;
  });
  return `dist/app contains these packages.\n\n${texts.join(`\n${"-".repeat(80)}\n\n`)}`;
}
