/**
 * Makes the native WebSocket addon loadable on Linux x64 systems whose C library is older than glibc 2.38.
 *
 * Why: the prebuilt addons of uWebSockets.js were linked on a newer system, so that three calls (`sscanf`, `strtol`,
 * `strtoul`) were bound to their C23 variants `__isoc23_*`, which exist only since glibc 2.38. Debian 12 has 2.36 and
 * refuses to load them. The older variants do the same but for one detail (C23 also reads the prefix `0b` as binary,
 * which nothing here relies on), so we bind the three imports to them instead of demanding a newer system or a compiler.
 *
 * How: in the dynamic section of an ELF file an imported symbol is a name, and a version index beside it.
 *
 *   .dynstr          ... _ _ i s o c 2 3 _ s t r t o l \0 ...
 *   .dynsym   before     ^ st_name           after ^ st_name + 9      (the old name is a suffix of the new one)
 *   .gnu.version     index of GLIBC_2.38   ->  index of GLIBC_2.2.5   (the version the old names carry on x64)
 *   .gnu.version_r   entry  GLIBC_2.38     ->  a second entry GLIBC_2.2.5, so that nothing asks for 2.38 any more
 *
 * No byte moves and no size changes. The script is idempotent, touches nothing when the addon loads, checks every
 * step, tries the result in a child process before it replaces the file, and replaces it by rename. It never fails
 * an installation: without a native addon the server runs on the `ws` package, and says so.
 *
 * Usage: node scripts/setup-native.mjs [--quiet] [--strict]
 *   --quiet   says nothing when there is nothing to do
 *   --strict  exits with 1 when the addon cannot be loaded in the end
 */

import { spawnSync } from "node:child_process";
import {
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const PACKAGE = "uWebSockets.js";
const MISSING_VERSION = "GLIBC_2.38";
const BASE_VERSION = "GLIBC_2.2.5";
const C_LIBRARY = "libc.so.6";
const NEW_PREFIX = "__isoc23_";

/**
 * Rebinds the C23 imports of one ELF image in place.
 *
 * @param {Buffer} bytes a whole x86-64 little-endian ELF file; changed only when the result is "rebound"
 * @returns {{ outcome: "rebound", symbols: string[] } | { outcome: "not_needed" }}
 * @throws Error when the file is not what we know how to change; the bytes are then untouched
 */
export function rebindImports(bytes) {
  const image = readDynamicTables(bytes);
  const versions = findVersions(image);
  if (versions.missing === null) return { outcome: "not_needed" };
  if (versions.base === null) throw new Error(`No import of ${BASE_VERSION} to bind to`);
  const imports = importsOfVersion(image, versions.missing.index);
  // Checked as a whole before the first byte changes: half a rebind would load and crash later.
  for (const { name } of imports) {
    if (!name.startsWith(NEW_PREFIX))
      throw new Error(`Import "${name}" of ${MISSING_VERSION} has no older form`);
  }
  for (const { symbolOffset, versionOffset } of imports) {
    bytes.writeUInt32LE(bytes.readUInt32LE(symbolOffset) + NEW_PREFIX.length, symbolOffset);
    bytes.writeUInt16LE(versions.base.index, versionOffset);
  }
  bytes.writeUInt32LE(versions.base.hash, versions.missing.offset);
  bytes.writeUInt32LE(versions.base.nameOffset, versions.missing.offset + 8);
  if (findVersions(readDynamicTables(bytes)).missing !== null)
    throw new Error("The rebind did not take");
  return { outcome: "rebound", symbols: imports.map(({ name }) => name.slice(NEW_PREFIX.length)) };
}

const ELF64_LITTLE_ENDIAN = Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1]);
const MACHINE_X86_64 = 62;
const SECTION_DYNSYM = 11;
const SECTION_VERSION_NEEDED = 0x6ffffffe;
const SECTION_VERSION_OF_SYMBOL = 0x6fffffff;
const SYMBOL_BYTES = 24;

/** Finds the four sections that describe imports. Reads past the end throw (Buffer checks every offset). */
function readDynamicTables(bytes) {
  if (bytes.length < 64 || !bytes.subarray(0, 6).equals(ELF64_LITTLE_ENDIAN)) {
    throw new Error("Not a 64-bit little-endian ELF file");
  }
  if (bytes.readUInt16LE(18) !== MACHINE_X86_64) throw new Error("Not an x86-64 ELF file");
  const tableOffset = Number(bytes.readBigUInt64LE(40));
  const entryBytes = bytes.readUInt16LE(58);
  const sections = [];
  for (let i = 0; i < bytes.readUInt16LE(60); i++) {
    const at = tableOffset + i * entryBytes;
    sections.push({
      type: bytes.readUInt32LE(at + 4),
      offset: Number(bytes.readBigUInt64LE(at + 24)),
      sizeBytes: Number(bytes.readBigUInt64LE(at + 32)),
      link: bytes.readUInt32LE(at + 40),
      info: bytes.readUInt32LE(at + 44),
    });
  }
  const symbols = sections.find((section) => section.type === SECTION_DYNSYM);
  const symbolVersions = sections.find((section) => section.type === SECTION_VERSION_OF_SYMBOL);
  const versionsNeeded = sections.find((section) => section.type === SECTION_VERSION_NEEDED);
  const strings = symbols === undefined ? undefined : sections[symbols.link];
  if (!symbols || !symbolVersions || !versionsNeeded || !strings)
    throw new Error("No dynamic symbol tables");
  return { bytes, symbols, strings, symbolVersions, versionsNeeded };
}

/** Looks up the two versions of the C library among the versions the file needs. */
function findVersions({ bytes, strings, versionsNeeded }) {
  let missing = null;
  let base = null;
  let fileAt = versionsNeeded.offset;
  for (let i = 0; i < versionsNeeded.info; i++) {
    const library = readName(bytes, strings, bytes.readUInt32LE(fileAt + 4));
    let at = fileAt + bytes.readUInt32LE(fileAt + 8);
    for (let k = 0; k < bytes.readUInt16LE(fileAt + 2); k++) {
      const found = {
        offset: at,
        hash: bytes.readUInt32LE(at),
        index: bytes.readUInt16LE(at + 6),
        nameOffset: bytes.readUInt32LE(at + 8),
      };
      const name = readName(bytes, strings, found.nameOffset);
      if (library === C_LIBRARY && name === MISSING_VERSION) missing = found;
      if (library === C_LIBRARY && name === BASE_VERSION && base === null) base = found;
      at += bytes.readUInt32LE(at + 12);
    }
    fileAt += bytes.readUInt32LE(fileAt + 12);
  }
  return { missing, base };
}

/** The imported symbols that carry this version index. */
function importsOfVersion({ bytes, symbols, strings, symbolVersions }, versionIndex) {
  const found = [];
  for (let i = 0; i < symbols.sizeBytes / SYMBOL_BYTES; i++) {
    const versionOffset = symbolVersions.offset + 2 * i;
    // The highest bit marks hidden symbols and is not part of the index.
    if ((bytes.readUInt16LE(versionOffset) & 0x7fff) !== versionIndex) continue;
    const symbolOffset = symbols.offset + SYMBOL_BYTES * i;
    const name = readName(bytes, strings, bytes.readUInt32LE(symbolOffset));
    found.push({ name, symbolOffset, versionOffset });
  }
  return found;
}

function readName(bytes, strings, nameOffset) {
  const start = strings.offset + nameOffset;
  const end = bytes.indexOf(0, start);
  if (nameOffset >= strings.sizeBytes || end < 0)
    throw new Error("A name lies outside the string table");
  return bytes.toString("latin1", start, end);
}

/**
 * Loads the addon, rebinding its imports when (and only when) they are what keeps it from loading.
 *
 * @returns {{ ok: boolean, changed: boolean, message: string }} message: one line for the operator
 */
export function setUpNative() {
  const require = createRequire(import.meta.url);
  let entry;
  try {
    entry = require.resolve(PACKAGE);
  } catch {
    return {
      ok: false,
      changed: false,
      message: `${PACKAGE} is not installed; the server will use the ws package`,
    };
  }
  const before = tryLoad(entry);
  if (before === null)
    return { ok: true, changed: false, message: `${PACKAGE} loads; nothing to do` };
  if (!before.includes(MISSING_VERSION)) {
    return {
      ok: false,
      changed: false,
      message: `${PACKAGE} cannot load (${before}); the server will use the ws package`,
    };
  }
  try {
    const rebound = rebindPackage(dirname(entry));
    const after = tryLoad(entry);
    if (after !== null) throw new Error(after);
    const message = `${PACKAGE} needed glibc 2.38: bound ${rebound.symbols.join(", ")} to their older forms in ${rebound.files.join(", ")}`;
    return { ok: true, changed: true, message };
  } catch (error) {
    return {
      ok: false,
      changed: false,
      message: `${PACKAGE} cannot be repaired (${error.message}); the server will use the ws package`,
    };
  }
}

/** Rebinds the builds of every Node.js version, so that changing Node.js later needs no new installation. */
function rebindPackage(directory) {
  const files = readdirSync(directory).filter((name) => /^uws_linux_x64_\d+\.node$/.test(name));
  const done = { files: [], symbols: [] };
  for (const name of files) {
    const path = join(directory, name);
    const bytes = readFileSync(path);
    const result = rebindImports(bytes);
    if (result.outcome === "not_needed") continue;
    replaceFile(path, bytes);
    done.files.push(name);
    done.symbols = result.symbols;
  }
  return done;
}

/** Writes beside the file, tries the copy if this Node.js can load it, and renames: never a half-written addon. */
function replaceFile(path, bytes) {
  const copy = `${path}.${process.pid}.tmp.node`;
  try {
    writeFileSync(copy, bytes, { mode: statSync(path).mode });
    if (basename(path) === `uws_linux_x64_${process.versions.modules}.node`) {
      const failure = tryLoad(copy);
      if (failure !== null) throw new Error(failure);
    }
    renameSync(copy, path);
  } finally {
    rmSync(copy, { force: true });
  }
}

/** Loads in a child: a native module that crashes while it loads must not take the installation down. */
function tryLoad(path) {
  const child = spawnSync(process.execPath, ["-e", `require(${JSON.stringify(path)})`], {
    encoding: "utf8",
  });
  if (child.status === 0) return null;
  const lines = (child.stderr ?? "").split("\n").filter((line) => /Error:/.test(line));
  return (lines.at(-1) ?? `signal ${child.signal}, status ${child.status}`).trim();
}

function main(flags) {
  const result = setUpNative();
  if (result.changed || !flags.includes("--quiet")) console.log(`setup-native: ${result.message}`);
  else if (!result.ok) console.warn(`setup-native: ${result.message}`);
  if (!result.ok && flags.includes("--strict")) process.exitCode = 1;
}

if (
  process.argv[1] !== undefined &&
  realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)
) {
  main(process.argv.slice(2));
}
