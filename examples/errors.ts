/**
 * What can go wrong and what a program can do about it: codes, `sent`, time limits, and the state of the connection.
 *
 *   node dist/examples/errors.js [endpoint]
 */
// In your program: import { ... } from "hearth/client";
import { connect, type HearthClient, isHearthError } from "../src/client/index.ts";

const endpoint = process.argv[2] ?? "127.0.0.1:4041";

/** Says in words what an error means for the caller. */
function explain(error: unknown): string {
  if (!isHearthError(error)) return `not ours, passed on unchanged: ${String(error)}`;
  const { code, reason, sent, retryable, attempts, next } = error;
  const advice = next === null ? "" : `; next: ${next}`;
  return `${code} (${reason}), sent: ${sent}, retryable: ${retryable}, attempts: ${attempts}: ${error.message}${advice}`;
}

/** A write that may be repeated by hand only when no server can have acted. */
async function writeCarefully(hearth: HearthClient, entries: Uint8Array): Promise<void> {
  try {
    await hearth.rawCommand(entries, { timeoutMs: 2_000 });
  } catch (error) {
    if (!isHearthError(error)) throw error;
    if (error.sent === "no") console.log("raw command: nothing was sent, try again at will");
    else if (error.sent === "maybe") console.log("raw command: look before you repeat it");
    else console.log(`raw command: the server refused it, ${explain(error)}`);
  }
}

async function watch(hearth: HearthClient): Promise<void> {
  for await (const status of hearth.status()) {
    const detail = status.kind === "disconnected" ? `: ${status.reason.message}` : "";
    console.log(`connection ${status.kind}${detail}`);
  }
}

try {
  const hearth = await connect({ endpoints: [endpoint], connectTimeoutMs: 2_000 });
  const watching = watch(hearth);
  try {
    // A request that can never succeed is invalid_argument, and repeating it is useless.
    const query = { tenants: ["acme"], selector: "{broken", startAtMs: 0, endAtMs: 1 };
    for await (const batch of hearth.queryMetadata(query)) console.log(batch.blockCount);
  } catch (error) {
    console.log(`bad selector: ${explain(error)}`);
  }
  try {
    // An abort rejects with its own reason.
    await hearth.getTenants({ signal: AbortSignal.abort("changed my mind") });
  } catch (error) {
    console.log(`abort: ${explain(error)}`);
  }
  await writeCarefully(hearth, new Uint8Array(0));
  await hearth.drain(); // lets open calls finish; close() would end them
  await watching;
} catch (error) {
  // Nobody there: the reason of every endpoint.
  console.log(`connect: ${explain(error)}`);
  process.exitCode = 1;
}
