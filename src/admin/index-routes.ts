/** What the index of this member holds, page by page, for `hearth index verify`. Reads only. */
import { HearthError, invalidArgument } from "../base/index.ts";
import { ASKED_IDS_MAX, type BlockListing, LISTED_BLOCKS_MAX } from "../service/index.ts";
import { integerField, readJsonObject, refuseUnknownFields, textField } from "./json-input.ts";
import { readCount, refuseUnknownParameters } from "./query-input.ts";
import { json } from "./responses.ts";
import type { AdminRequest, AdminResponse, Route } from "./types.ts";

export interface IndexRouteModules {
  /** Null until the index is open. */
  readonly listing: () => BlockListing | null;
}

export function indexRoutes({ listing }: IndexRouteModules): Route[] {
  const open = (): BlockListing => {
    const found = listing();
    if (found !== null) return found;
    throw new HearthError("unavailable", "The index of this node is not open yet", {
      reason: "not_serving",
      next: "GET /ready says what it is doing",
      retryAfterMs: 1_000,
    });
  };
  return [
    {
      method: "GET",
      path: "/api/v1/index/shards",
      summary: "Owners and shards with their blocks on this member; ?from= the `next` of a page",
      handle: (request) => {
        refuseUnknownParameters(request, ["from"]);
        const page = open().shards(readCount(request, "from", 0));
        return json(200, { schema: "hearth/index-shards/v1", ...page });
      },
    },
    {
      method: "GET",
      path: "/api/v1/index/blocks",
      summary: "Blocks of one owner and shard by id; ?tenant, ?shard, ?after, ?limit",
      handle: (request) => listBlocks(request, open()),
    },
    {
      method: "POST",
      path: "/api/v1/index/states",
      summary: "Whether blocks are there, were removed or are not known ({tenant, shard, ids})",
      handle: (request) => askStates(request, open()),
    },
  ];
}

function listBlocks(request: AdminRequest, listing: BlockListing): AdminResponse {
  refuseUnknownParameters(request, ["tenant", "shard", "after", "limit"]);
  const { query } = request;
  const limit = Math.min(LISTED_BLOCKS_MAX, readCount(request, "limit", LISTED_BLOCKS_MAX));
  const shard = readCount(request, "shard", 0);
  const blocks = listing.blocks(query.get("tenant") ?? "", shard, query.get("after") ?? "", limit);
  return json(200, { schema: "hearth/index-blocks/v1", blocks });
}

function askStates(request: AdminRequest, listing: BlockListing): AdminResponse {
  refuseUnknownParameters(request, []);
  const body = readJsonObject(request);
  refuseUnknownFields(body, ["tenant", "shard", "ids"]);
  const ids: unknown = body["ids"];
  const isGood =
    Array.isArray(ids) && ids.length <= ASKED_IDS_MAX && ids.every((id) => typeof id === "string");
  if (!isGood)
    throw invalidArgument("bad_ids", `ids: at most ${ASKED_IDS_MAX} block ids in a list`);
  const tenant = textField(body, "tenant", "");
  const states = listing.states(tenant, integerField(body, "shard", 0), ids as string[]);
  return json(200, { schema: "hearth/index-states/v1", states });
}
