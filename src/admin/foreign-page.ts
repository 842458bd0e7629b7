/**
 * Keeps web pages of other origins from changing anything here. A browser sends a form or a plain request to any
 * address that its user can reach, this network included; what it cannot do is hide where the page came from, or add a
 * JSON content type or a header of ours without asking first, which nobody here answers.
 */
import { HearthError } from "../base/index.ts";
import type { AdminRequest } from "./types.ts";

/** For requests without a body: any value says that a program of ours, or a person with curl, meant it. */
export const ACTION_HEADER = "x-hearth-action";

/** Errors: `permission_denied` when a browser says that the request comes from a page of another origin. */
export function refuseForeignOrigin({ headers }: AdminRequest): void {
  const site = headers["sec-fetch-site"];
  if (site !== undefined && site !== "same-origin" && site !== "none")
    throw foreign(`a ${site} page`);
  const { origin, host } = headers;
  if (origin === undefined) return;
  const originHost = URL.canParse(origin) ? new URL(origin).host : "";
  if (originHost === "" || originHost !== host) throw foreign(`a page of ${origin.slice(0, 128)}`);
}

/** Errors: `permission_denied` for a request that a foreign page could have made without being asked first. */
export function requireDeliberate({ headers }: AdminRequest): void {
  const type = (headers["content-type"] ?? "").split(";")[0]?.trim().toLowerCase();
  if (type === "application/json" || headers[ACTION_HEADER] !== undefined) return;
  throw new HearthError("permission_denied", "This changes the cluster, so it must be meant", {
    reason: "not_deliberate",
    next: `Send content-type: application/json, or the header ${ACTION_HEADER}: 1`,
  });
}

function foreign(what: string): HearthError {
  return new HearthError("permission_denied", `Refused: the request comes from ${what}`, {
    reason: "foreign_page",
    next: "Use the hearth command, or a page that this node serves",
  });
}
