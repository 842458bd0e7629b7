/**
 * Brings a fresh or outdated clone into a state in which it can run: packages installed as the lock file says, the
 * native listener loadable on this machine, dist/ built from the sources that are there: the program in dist/app, and
 * each module by itself in dist/src, dist/test and so on.
 *
 * Every step looks first and does nothing when there is nothing to do, so that `npm start` on a current clone costs
 * some tens of milliseconds.
 */

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bundleApp } from "./bundle.mjs";
import { inRoot, readJson, runProgram, say } from "./project.mjs";

/** The oldest Node.js that CI runs; the same number stands in package.json, "engines". */
const NODE_VERSION_MIN = [20, 19];

/** Folders that the compiler reads, with tsconfig.json. */
const SOURCE_FOLDERS = ["src", "test", "bench", "examples"];

/**
 * What dist/ is made of, in two parts, since most changes are to tests: which files each is made from, and where it keeps
 * the digest of those that it was made from.
 */
const MODULES = {
  stamp: inRoot("dist", ".sources"),
  isSource: (path) => path.endsWith(".ts") || path === "tsconfig.json",
  make: compile,
};
const APP = {
  stamp: inRoot("dist", ".app-sources"),
  isSource: (path) => path.startsWith("src/") || !path.endsWith(".ts"),
  make: () => bundleApp(sourceFiles().filter((path) => /^src\/.*-thread\.ts$/.test(path))),
};

/** Both parts depend on the packages. The rest says how to compile and how to bundle. */
const LOCK = "package-lock.json";
const RULES = ["tsconfig.json", "package.json", "scripts/lib/bundle.mjs"];

/** All of it, in order. */
export async function ensureReady() {
  assertNodeVersion();
  await ensureInstalled();
  await ensureNative();
  await ensureBuilt();
}

export function assertNodeVersion() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  const [majorMin, minorMin] = NODE_VERSION_MIN;
  if (major > majorMin || (major === majorMin && minor >= minorMin)) return;
  throw new Error(
    `Node.js ${process.versions.node} is too old: ${NODE_VERSION_MIN.join(".")} or newer is needed`,
  );
}

/** Runs `npm ci` when node_modules does not hold what package-lock.json names. */
export async function ensureInstalled() {
  const reason = reasonToInstall();
  if (reason === null) return;
  say(`installing packages: ${reason}`);
  const npm = process.platform === "win32" ? "npm.cmd" : "npm";
  await runProgram(npm, ["ci", "--no-audit", "--no-fund"]);
}

/** Why packages have to be installed, or null. */
export function reasonToInstall() {
  const lock = readJson(inRoot("package-lock.json"));
  // A published package has no lock file; its packages were installed with it.
  if (lock === null) return null;
  const installed = readJson(inRoot("node_modules", ".package-lock.json"));
  if (installed === null) return "node_modules is missing";
  for (const [path, entry] of Object.entries(lock.packages)) {
    if (path === "") continue;
    const version = installed.packages[path]?.version;
    if (version === entry.version) continue;
    // Builds for other platforms are in the lock file, never in node_modules.
    if (version === undefined && (entry.optional || entry.peer)) continue;
    return `${path} is ${version ?? "missing"}, package-lock.json wants ${entry.version}`;
  }
  return null;
}

/** Lets the project's own step adapt the native listener to an older C library; see docs/dependencies.md. */
export async function ensureNative() {
  const script = inRoot("scripts", "setup-native.mjs");
  if (!existsSync(script)) return;
  try {
    await runProgram(process.execPath, [script, "--quiet"]);
  } catch (error) {
    say(`native listener not set up, the slower fallback will serve: ${error.message}`);
  }
}

/** Builds the parts of dist/ whose sources are not the ones that they were built from. */
export async function ensureBuilt() {
  const outdated = partsByDigest().filter(([part, digest]) => readStamp(part) !== digest);
  if (outdated.length === 0) return;
  say("building");
  await makeParts(outdated);
}

/** Builds all of dist/. */
export async function build() {
  await makeParts(partsByDigest());
}

async function makeParts(parts) {
  for (const [{ stamp }] of parts) rmSync(stamp, { force: true });
  mkdirSync(inRoot("dist"), { recursive: true });
  await Promise.all(
    parts.map(async ([part, digest]) => {
      await part.make();
      writeFileSync(part.stamp, `${digest}\n`);
    }),
  );
}

/**
 * Compiles all modules and removes what has no source any more: a deleted test would otherwise go on running for ever.
 */
async function compile() {
  removeOrphans();
  await runProgram(process.execPath, [
    inRoot("node_modules", "typescript", "bin", "tsc"),
    "-p",
    ".",
  ]);
}

function readStamp({ stamp }) {
  return existsSync(stamp) ? readFileSync(stamp, "utf8").trim() : null;
}

/** Content, not modification times: those lie after a checkout, a copy or a change of the clock. */
function partsByDigest() {
  const parts = [MODULES, APP].map((part) => ({ part, hash: createHash("sha256") }));
  for (const path of sourceFiles()) {
    const content = readFileSync(inRoot(path));
    for (const { part, hash } of parts) {
      if (path === LOCK || part.isSource(path)) hash.update(`${path}\0`).update(content);
    }
  }
  return parts.map(({ part, hash }) => [part, hash.digest("hex")]);
}

/** Repository-relative paths of everything that dist/ is made from, sorted. */
export function sourceFiles() {
  const files = [LOCK, ...RULES].filter((path) => existsSync(inRoot(path)));
  for (const folder of SOURCE_FOLDERS) collectFiles(folder, ".ts", files);
  return files.sort();
}

function collectFiles(folder, suffix, files) {
  if (!existsSync(inRoot(folder))) return;
  for (const item of readdirSync(inRoot(folder), { withFileTypes: true })) {
    const path = join(folder, item.name);
    if (item.isDirectory()) collectFiles(path, suffix, files);
    else if (item.name.endsWith(suffix)) files.push(path);
  }
}

function removeOrphans() {
  const outputs = [];
  for (const folder of SOURCE_FOLDERS) collectFiles(join("dist", folder), "", outputs);
  for (const path of outputs) {
    const source = path.slice("dist/".length).replace(/(\.d\.ts|\.js\.map|\.js)$/, ".ts");
    if (!existsSync(inRoot(source))) rmSync(inRoot(path));
  }
}
