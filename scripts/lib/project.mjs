/**
 * Where the project is, and how its scripts run other programs. Plain Node without packages: these scripts are
 * what runs before anything is installed.
 */

import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** Absolute path of the repository root. */
export const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** Absolute path of something inside the repository. */
export function inRoot(...parts) {
  return join(ROOT, ...parts);
}

/** A line for people. stdout belongs to the program that a script starts. */
export function say(text) {
  process.stderr.write(`${text}\n`);
}

/**
 * Runs a program in the repository root and waits for its end.
 *
 * Output goes to our stderr, since stdout is for data, unless `stdout` says "inherit".
 * Errors: rejects when it cannot be started or ends with another status than 0.
 */
export function runProgram(command, args, { stdout = "stderr", env = process.env } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: ROOT,
      env,
      stdio: ["ignore", stdout === "inherit" ? "inherit" : 2, "inherit"],
    });
    child.on("error", (error) => reject(new Error(`Cannot run ${command}: ${error.message}`)));
    child.on("close", (code, signal) => {
      if (code === 0) resolve();
      else
        reject(new Error(`${command} ${args.join(" ")} ended with ${signal ?? `status ${code}`}`));
    });
  });
}

/**
 * Becomes a Node.js program as far as the caller can tell: same terminal, signals forwarded, its exit status ours.
 */
export function handOver(args) {
  const child = spawn(process.execPath, args, { cwd: ROOT, stdio: "inherit" });
  // The terminal sends Ctrl-C to the whole group; a supervisor signals only us. Forwarding twice is harmless: the
  // server ends at the first.
  for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  process.on("SIGINT", () => {});
  child.on("error", (error) => fail(error));
  child.on("close", (code, signal) => {
    process.exitCode = code ?? (signal === "SIGINT" ? 130 : 1);
  });
}

/** Ends the script with the reason and exit status 1. */
export function fail(error) {
  say(`hearth: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(1);
}

/** Parsed package.json or package-lock.json, or null when it is not there. */
export function readJson(path) {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    if (error.code === "ENOENT") return null;
    throw new Error(`Cannot read ${path}: ${error.message}`, { cause: error });
  }
}
