/** The types that programs rely on. What is checked here is checked by the compiler; running it proves little. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  type BlockMeta,
  type ConnectionStatus,
  type ConnectOptions,
  type HearthClient,
  type HearthCode,
  HearthError,
  isHearthError,
  type PlanBatch,
  type ReadOptions,
  type SentState,
} from "../../src/client/index.ts";

type Equal<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

/** Fails to compile unless the type is `true`. */
function holds<_T extends true>(): void {}

function describeStatus(status: ConnectionStatus): string {
  switch (status.kind) {
    case "connecting":
      return `${status.endpoint} ${status.attempt}`;
    case "connected":
      return `${status.endpoint} ${status.nodeId}`;
    case "disconnected":
      return `${status.reason.code} ${status.retryInMs}`;
    case "leaderChanged":
      return status.leader.id;
    case "serverDraining":
      return status.endpoint;
    case "closed":
      return status.reason;
    default: {
      const nothing: never = status;
      return nothing;
    }
  }
}

describe("types", () => {
  it("results, errors and options are as documented", () => {
    type Batches = ReturnType<HearthClient["queryMetadata"]>;
    holds<Equal<Batches, AsyncIterable<PlanBatch>>>();
    holds<Equal<ReturnType<HearthClient["getTenants"]>, Promise<string[]>>>();
    holds<Equal<HearthError["sent"], SentState>>();
    holds<Equal<SentState, "no" | "maybe" | "yes">>();
    holds<Equal<HearthError["code"], HearthCode>>();
    holds<Equal<HearthError["leader"], { readonly id: string; readonly address: string } | null>>();
    holds<Equal<BlockMeta["sizeBytes"], bigint>>();
    holds<Equal<Extract<keyof HearthClient, symbol>, typeof Symbol.asyncDispose>>();
    assert.ok(true);
  });

  it("wrong uses do not compile", () => {
    const uses = (client: HearthClient): void => {
      // @ts-expect-error endpoints are required
      const options: ConnectOptions = { name: "x" };
      // @ts-expect-error a consistency of that name does not exist
      const read: ReadOptions = { consistency: "eventual" };
      // @ts-expect-error the code list is closed
      const code: HearthCode = "not_a_code";
      // @ts-expect-error a query names its tenants
      client.queryMetadata({ selector: "{}", startAtMs: 0, endAtMs: 1 });
      // @ts-expect-error a write takes no consistency
      void client.addBlock(new Uint8Array(0), { consistency: "local" });
      void [options, read, code];
    };
    assert.equal(typeof uses, "function");
  });

  it("isHearthError narrows, also errors of another copy of the package", () => {
    const foreign: unknown = Object.assign(new Error("x"), {
      [Symbol.for("hearth.error")]: true,
      code: "unavailable",
    });
    assert.ok(isHearthError(foreign));
    const code: HearthCode = foreign.code;
    assert.equal(code, "unavailable");
    assert.ok(isHearthError(new HearthError("unknown", "x")));
    assert.ok(!isHearthError(new Error("x")));
    assert.equal(describeStatus({ kind: "closed", reason: "x" }), "x");
  });
});
