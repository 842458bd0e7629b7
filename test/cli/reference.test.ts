import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { describe, it } from "node:test";
import { referencePages } from "../../src/cli/reference/markdown.ts";
import { inRoot } from "../support/project.ts";

/** `UPDATE_GOLDENS=1 npm test` writes them anew; read the difference before you commit it. */
const isUpdating = process.env.UPDATE_GOLDENS === "1";

describe("docs/reference", () => {
  for (const [file, content] of referencePages()) {
    it(`${file} is what the program says of itself`, () => {
      const path = inRoot("docs", "reference", file);
      if (isUpdating) {
        mkdirSync(inRoot("docs", "reference"), { recursive: true });
        writeFileSync(path, content);
      }
      assert.equal(
        readFileSync(path, "utf8"),
        content,
        `${file} is stale: UPDATE_GOLDENS=1 npm test`,
      );
    });
  }
});
