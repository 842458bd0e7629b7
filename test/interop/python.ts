/** A Python with a gRPC implementation that is not the one under test: one that is there, or one that can be installed. */

import { spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export type Python =
  | { readonly path: string; readonly version: string }
  | { readonly path: null; readonly reason: string };

const PROBE =
  "import grpc, google.protobuf as p; print('grpcio', grpc.__version__, 'protobuf', p.__version__)";
const PROBE_LIMIT_MS = 20_000;
/** A mirror that does not answer must not hold up the whole run. */
const INSTALL_LIMIT_MS = 180_000;
/** Kept between runs of one machine. */
const ENVIRONMENT = join(tmpdir(), "hearth-interop-python");

/** `mayInstall`: takes Debian's packages as root, else makes an environment of its own from PyPI's. */
export async function findPython(mayInstall: boolean): Promise<Python> {
  const there = await probeAll();
  if (there !== null) return there;
  if (!mayInstall) {
    const reason =
      "no Python here has grpcio and protobuf (Debian: python3-grpcio, python3-protobuf)";
    return { path: null, reason: `${reason}; --install tries to install them` };
  }
  const tried: string[] = [];
  for (const [what, install] of INSTALLERS) {
    const problem = await install();
    const found = problem === null ? await probeAll() : null;
    if (found !== null) return found;
    tried.push(`${what}: ${problem ?? "installed, and still not usable"}`);
  }
  return { path: null, reason: `grpcio for Python could not be installed. ${tried.join("; ")}` };
}

async function probeAll(): Promise<Python | null> {
  const given = process.env.INTEROP_PYTHON;
  const candidates = [given, "python3", "/usr/bin/python3", join(ENVIRONMENT, "bin", "python")];
  for (const path of candidates) {
    if (path === undefined) continue;
    const { code, output } = await run([path, "-c", PROBE], PROBE_LIMIT_MS);
    if (code === 0) return { path, version: output.trim() };
  }
  return null;
}

/** Null: done. Else what went wrong. */
type Installer = () => Promise<string | null>;

const INSTALLERS: readonly (readonly [string, Installer])[] = [
  ["Debian packages", installByApt],
  ["PyPI", installByPip],
];

async function installByApt(): Promise<string | null> {
  if (process.getuid?.() !== 0) return "not root";
  const packages = ["python3", "python3-grpcio", "python3-protobuf"];
  const install = ["apt-get", "install", "--yes", "--no-install-recommends", ...packages];
  if ((await run(install, INSTALL_LIMIT_MS)).code === 0) return null;
  await run(["apt-get", "update"], INSTALL_LIMIT_MS);
  return failureOf(await run(install, INSTALL_LIMIT_MS));
}

async function installByPip(): Promise<string | null> {
  mkdirSync(ENVIRONMENT, { recursive: true });
  const made = await run(["python3", "-m", "venv", ENVIRONMENT], INSTALL_LIMIT_MS);
  if (made.code !== 0) return failureOf(made);
  const pip = [join(ENVIRONMENT, "bin", "python"), "-m", "pip", "install", "--quiet"];
  return failureOf(await run([...pip, "grpcio", "protobuf"], INSTALL_LIMIT_MS));
}

interface Ran {
  /** Null: it could not be started, or ran past its limit. */
  readonly code: number | null;
  readonly output: string;
}

function failureOf({ code, output }: Ran): string | null {
  return code === 0 ? null : (output.trim().split("\n").at(-1) ?? `status ${code}`);
}

const OUTPUT_MAX_CHARS = 4_096;

function run([command = "", ...args]: readonly string[], limitMs: number): Promise<Ran> {
  return new Promise((resolve) => {
    const environment = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
    const child = spawn(command, args, { env: environment, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    const note = (part: Buffer): void => {
      output = (output + part.toString()).slice(-OUTPUT_MAX_CHARS);
    };
    child.stdout.on("data", note);
    child.stderr.on("data", note);
    const timer = setTimeout(() => child.kill("SIGKILL"), limitMs);
    const end = (code: number | null): void => {
      clearTimeout(timer);
      resolve({ code, output });
    };
    child.once("error", (error) => {
      output = error.message;
      end(null);
    });
    child.once("close", end);
  });
}
