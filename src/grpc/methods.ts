/**
 * The methods of the contract (grpc-contract 2): what each does with its request, over the services that the binary
 * protocol uses. A method throws what refuses a call at once; everything else comes through the call.
 */

import { HearthError, invalidArgument } from "../base/index.ts";
import {
  type ByteSink,
  decodeAddBlockProto,
  decodeBlockListProto,
  decodeEmptyProto,
  decodeMemberProto,
  decodePollProto,
  decodePollReply,
  decodeQueryProto,
  decodeTenantProto,
  putNodeInfo,
  putPollReply,
  putReadIndex,
  putTenants,
  putTenantStats,
} from "../protocol/index.ts";
import {
  type EdgeServices,
  type MemberCall,
  pollInParts,
  type SingleReply,
} from "../service/index.ts";
import type { MethodKind } from "./status.ts";

/** A call as methods see it. */
export interface MethodCall extends SingleReply {
  checkpoint(): void;
  answersWith(encode: (payload: Uint8Array, sink: ByteSink) => void): void;
  reply(write: (sink: ByteSink) => void): void;
}

export interface Method {
  /** Full name: the path of its requests. */
  readonly path: string;
  readonly kind: MethodKind;
  /** `message` is borrowed until it returns. */
  readonly handle: (message: Uint8Array, call: MethodCall) => void;
}

export interface MethodModules {
  readonly services: EdgeServices;
  readonly sendMaxBytes: number;
  /** Unix ms. */
  readonly nowMs: () => number;
}

export function createMethods(modules: MethodModules): Method[] {
  return [
    ...indexMethods(modules),
    compactionMethod(modules),
    ...queryMethods(modules),
    ...tenantMethods(modules),
    ...raftNodeMethods(modules),
  ];
}

function indexMethods({ services, sendMaxBytes }: MethodModules): Method[] {
  const { engine, reads, writes } = services;
  const service = "/metastore.v1.IndexService/";
  return [
    {
      path: `${service}AddBlock`,
      kind: "write",
      handle: (message, call) => {
        const block = decodeAddBlockProto(message);
        if (block === null) throw missing("block");
        call.answersWith(nothing);
        writes.addBlock(block, call);
      },
    },
    {
      path: `${service}GetBlockMetadata`,
      kind: "lookUp",
      handle: (message, call) => {
        const list = decodeBlockListProto(message);
        if (list === null) throw missing("block list");
        reads.run("strong", call, () =>
          call.reply((sink) =>
            engine.getBlockMetadataProto(list, { sink, maxBytes: sendMaxBytes }),
          ),
        );
      },
    },
  ];
}

function compactionMethod({ services, nowMs }: MethodModules): Method {
  return {
    path: "/metastore.v1.CompactionService/PollCompactionJobs",
    kind: "poll",
    handle: (message, call) => {
      const { capacity, reports } = decodePollProto(message);
      // Workers of the contract name neither themselves nor their polls, and wait for nothing.
      const poll = { worker: "", requestId: 0, capacity, waitMs: 0, reports };
      call.answersWith((payload, sink) => putPollReply(sink, decodePollReply(payload), nowMs()));
      pollInParts(services.main, poll, call);
    },
  };
}

function queryMethods({ services, sendMaxBytes }: MethodModules): Method[] {
  const { engine, reads } = services;
  const service = "/metastore.v1.MetadataQueryService/";
  return [
    {
      path: `${service}QueryMetadata`,
      kind: "query",
      handle: (message, call) => {
        const request = decodeQueryProto(message);
        reads.run("strong", call, () =>
          call.reply((sink) => {
            const answer = { sink, maxBytes: sendMaxBytes };
            engine.queryMetadataProto(request, answer, () => call.checkpoint());
          }),
        );
      },
    },
    {
      path: `${service}QueryMetadataLabels`,
      kind: "query",
      handle: (message, call) => {
        const request = decodeQueryProto(message);
        reads.run("strong", call, () =>
          call.reply((sink) => {
            const answer = { sink, maxBytes: sendMaxBytes };
            engine.queryMetadataLabelsProto(request, answer, () => call.checkpoint());
          }),
        );
      },
    },
  ];
}

function tenantMethods({ services }: MethodModules): Method[] {
  const { engine, reads } = services;
  const service = "/metastore.v1.TenantService/";
  return [
    {
      path: `${service}GetTenants`,
      kind: "query",
      handle: (message, call) => {
        decodeEmptyProto(message);
        reads.run("strong", call, () => {
          const tenants = engine.getTenants();
          call.reply((sink) => putTenants(sink, tenants));
        });
      },
    },
    {
      path: `${service}GetTenant`,
      kind: "query",
      handle: (message, call) => {
        const tenant = decodeTenantProto(message);
        reads.run("strong", call, () => {
          const stats = engine.getTenant(tenant);
          call.reply((sink) => putTenantStats(sink, stats));
        });
      },
    },
    {
      path: `${service}DeleteTenant`,
      kind: "write",
      handle: (message, call) => {
        const tenant = decodeTenantProto(message);
        call.answersWith(nothing);
        services.writes.deleteTenant(tenant, call);
      },
    },
  ];
}

function raftNodeMethods({ services }: MethodModules): Method[] {
  const { main, reads } = services;
  const service = "/raft_node.RaftNodeService/";
  const change = (name: string, kind: Exclude<MemberCall["kind"], "info">): Method => ({
    path: `${service}${name}`,
    kind: "member",
    handle: (message, call) => {
      const wish = decodeMemberProto(message);
      main.memberCall({ kind, ...wish }, (result) => {
        if (result.ok) call.reply(nothing);
        else call.fail(result.error);
      });
    },
  });
  return [
    {
      path: `${service}ReadIndex`,
      kind: "readIndex",
      handle: (message, call) => {
        decodeEmptyProto(message);
        reads.grant(call, (index, term) => call.reply((sink) => putReadIndex(sink, index, term)));
      },
    },
    {
      path: `${service}NodeInfo`,
      kind: "member",
      handle: (message, call) => {
        decodeEmptyProto(message);
        main.memberCall({ kind: "info" }, (result) => {
          const node = result.ok ? result.node : null;
          if (node !== null) call.reply((sink) => putNodeInfo(sink, node));
          else call.fail(result.ok ? noNodeInfo() : result.error);
        });
      },
    },
    change("AddNode", "add"),
    change("RemoveNode", "remove"),
    change("PromoteToLeader", "promote"),
    change("DemoteLeader", "demote"),
  ];
}

/** Of an answer without fields. */
function nothing(): void {}

function noNodeInfo(): HearthError {
  return new HearthError("internal", "The node has nothing to say about itself");
}

function missing(what: string): Error {
  return invalidArgument("missing_field", `The request has no ${what}`);
}
