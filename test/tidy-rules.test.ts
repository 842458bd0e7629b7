/** That the tidy test can see what it forbids: its parser and its graph, on sources made for the purpose. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ImportGraph } from "./support/tidy/graph.ts";
import { parseSource } from "./support/tidy/sources.ts";

describe("the tidy rules", () => {
  it("see imports, and not what only looks like one", () => {
    const { imports } = parseSource(
      "src/a/b.ts",
      [
        'import { type A, b as c } from "../x/index.ts";',
        'import type { D } from "./d.ts";',
        'export { e } from "./e.ts";',
        '// import { no } from "./comment.ts";',
        "const text = \"import { no } from './string.ts'\";",
        'const url = new URL("./thread.js", import.meta.url);',
        'const uws = createRequire(import.meta.url)("uWebSockets.js");',
      ].join("\n"),
    );
    assert.deepEqual(
      imports.map(({ target, specifier, names, isTypeOnly }) => [
        target ?? specifier,
        names,
        isTypeOnly,
      ]),
      [
        ["src/x/index.ts", ["A", "b"], false],
        ["src/a/d.ts", ["D"], true],
        ["src/a/e.ts", ["e"], false],
        ["src/a/thread.ts", null, false],
        ["uWebSockets.js", null, false],
      ],
    );
  });

  it("find a circle, and reach only what an index provides", () => {
    const graph = new ImportGraph([
      parseSource("src/a/index.ts", 'export { x } from "./x.ts";\nexport { y } from "./y.ts";'),
      parseSource("src/a/x.ts", "export const x = 1;"),
      parseSource("src/a/y.ts", 'import { z } from "./z.ts";\nexport const y = z;'),
      parseSource("src/a/z.ts", 'import { y } from "./y.ts";\nexport const z = y;'),
      parseSource("src/b/main.ts", 'import { x } from "../a/index.ts";'),
    ]);
    assert.deepEqual(graph.cycles(), [["src/a/y.ts", "src/a/z.ts"]]);
    assert.deepEqual(
      [...graph.reach(["src/b/main.ts"], { withTypes: true })],
      ["src/b/main.ts", "src/a/x.ts"],
    );
  });

  it("look at code, not at comments and strings", () => {
    const { code } = parseSource(
      "src/a.ts",
      'const a = "await"; // await\nconst b = `await ${await c}`;',
    );
    assert.equal(code.match(/await/g)?.length, 1);
  });
});
