import assert from "node:assert/strict";
import { before, describe, test } from "node:test";

type Rebind = (
  bytes: Buffer,
) => { outcome: "not_needed" } | { outcome: "rebound"; symbols: string[] };

let rebindImports: Rebind;

before(async () => {
  // Plain JavaScript without types: it runs before anything is built.
  const script = new URL("../../../scripts/setup-native.mjs", import.meta.url).href;
  ({ rebindImports } = (await import(script)) as { rebindImports: Rebind });
});

interface ImageOptions {
  readonly symbols?: readonly string[];
  readonly versions?: readonly string[];
  readonly machine?: number;
}

const NAMES = [
  "libc.so.6",
  "GLIBC_2.38",
  "GLIBC_2.2.5",
  "__isoc23_strtol",
  "__isoc23_sscanf",
  "memcpy",
  "memmove_new",
];

/** The smallest ELF image with imports: header, four sections, a table of them. Symbols carry version 2 = 2.38. */
function image({
  symbols = ["__isoc23_strtol", "__isoc23_sscanf"],
  versions = ["GLIBC_2.38", "GLIBC_2.2.5"],
  machine = 62,
}: ImageOptions = {}): Buffer {
  const bytes = Buffer.alloc(2048);
  const at = { strings: 64, symbols: 512, versionOf: 1024, needed: 1200, table: 1536 };
  const nameAt = new Map<string, number>();
  let end = 1;
  for (const name of NAMES) {
    nameAt.set(name, end);
    end += bytes.write(`${name}\0`, at.strings + end, "latin1");
  }
  Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]).copy(bytes);
  bytes.writeUInt16LE(machine, 18);
  bytes.writeBigUInt64LE(BigInt(at.table), 40);
  bytes.writeUInt16LE(64, 58);
  bytes.writeUInt16LE(5, 60);
  ["", "memcpy", ...symbols].forEach((name, i) => {
    bytes.writeUInt32LE(nameAt.get(name) ?? 0, at.symbols + i * 24);
    bytes.writeUInt16LE(name === "" ? 0 : name === "memcpy" ? 3 : 2, at.versionOf + i * 2);
  });
  bytes.writeUInt16LE(1, at.needed);
  bytes.writeUInt16LE(versions.length, at.needed + 2);
  bytes.writeUInt32LE(nameAt.get("libc.so.6") ?? 0, at.needed + 4);
  bytes.writeUInt32LE(16, at.needed + 8);
  versions.forEach((name, i) => {
    const entry = at.needed + 16 + i * 16;
    bytes.writeUInt32LE(0x1000 + i, entry);
    bytes.writeUInt16LE(name === "GLIBC_2.38" ? 2 : 3, entry + 6);
    bytes.writeUInt32LE(nameAt.get(name) ?? 0, entry + 8);
    bytes.writeUInt32LE(i + 1 < versions.length ? 16 : 0, entry + 12);
  });
  const sections: [number, number, number, number, number][] = [
    [0, 0, 0, 0, 0],
    [3, at.strings, end, 0, 0],
    [11, at.symbols, (2 + symbols.length) * 24, 1, 0],
    [0x6fffffff, at.versionOf, (2 + symbols.length) * 2, 2, 0],
    [0x6ffffffe, at.needed, 64, 1, 1],
  ];
  sections.forEach(([type, offset, size, link, info], i) => {
    const entry = at.table + i * 64;
    bytes.writeUInt32LE(type, entry + 4);
    bytes.writeBigUInt64LE(BigInt(offset), entry + 24);
    bytes.writeBigUInt64LE(BigInt(size), entry + 32);
    bytes.writeUInt32LE(link, entry + 40);
    bytes.writeUInt32LE(info, entry + 44);
  });
  return bytes;
}

describe("rebinding the imports of the native addon", () => {
  test("gives the C23 imports their older names and version, and is done once", () => {
    const bytes = image();
    const result = rebindImports(bytes);
    assert.deepEqual(result, { outcome: "rebound", symbols: ["strtol", "sscanf"] });
    const name = (symbol: number): string => {
      const start = 64 + bytes.readUInt32LE(512 + symbol * 24);
      return bytes.toString("latin1", start, bytes.indexOf(0, start));
    };
    assert.deepEqual([name(1), name(2), name(3)], ["memcpy", "strtol", "sscanf"]);
    for (const symbol of [1, 2, 3]) assert.equal(bytes.readUInt16LE(1024 + symbol * 2), 3);
    const once = Buffer.from(bytes);
    assert.deepEqual(rebindImports(bytes), { outcome: "not_needed" });
    assert.deepEqual(bytes, once);
  });

  test("does nothing to a file that does not need the newer version", () => {
    const bytes = image({ symbols: [], versions: ["GLIBC_2.2.5"] });
    const untouched = Buffer.from(bytes);
    assert.deepEqual(rebindImports(bytes), { outcome: "not_needed" });
    assert.deepEqual(bytes, untouched);
  });

  const refusals: [string, RegExp, () => Buffer][] = [
    [
      "an import that has no older form",
      /no older form/,
      () => image({ symbols: ["__isoc23_strtol", "memmove_new"] }),
    ],
    [
      "no older version to bind to",
      /No import of GLIBC_2.2.5/,
      () => image({ versions: ["GLIBC_2.38"] }),
    ],
    ["another machine", /Not an x86-64/, () => image({ machine: 183 })],
    ["something that is not ELF", /Not a 64-bit/, () => Buffer.alloc(2048)],
    ["a file that is cut off", /range|string table|tables/, () => image().subarray(0, 1300)],
    ["an empty file", /Not a 64-bit/, () => Buffer.alloc(0)],
  ];
  for (const [name, message, make] of refusals) {
    test(`refuses ${name} and leaves the bytes as they were`, () => {
      const bytes = make();
      const untouched = Buffer.from(bytes);
      assert.throws(() => rebindImports(bytes), message);
      assert.deepEqual(bytes, untouched);
    });
  }
});
