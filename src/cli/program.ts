/** What this program is: read from its own package file, so that a version has one place. */
import { readFileSync } from "node:fs";

/** What `--version` says: "hearth 0.1.0 (Node.js v20.19.0)". */
export function programTitle(): string {
  return `hearth ${programVersion()} (Node.js ${process.version})`;
}

/** Version of the package; "unknown" where the file was not shipped. */
export function programVersion(): string {
  // Two places: from dist/app and beside the sources, and one level further down in dist/src.
  for (const path of ["../../package.json", "../../../package.json"]) {
    try {
      const text = readFileSync(new URL(path, import.meta.url), "utf8");
      const { name, version } = JSON.parse(text) as { name?: string; version?: string };
      if (name === "hearth" && version !== undefined) return version;
    } catch {
      // Not here: the next place.
    }
  }
  return "unknown";
}
