/**
 * From a request to its handler: routes are data, so an unknown path gets a suggestion, a wrong method the list of
 * right ones, and each request a bounded `route` label for the metrics.
 */
import { HearthError, type Logger, isHearthError, suggest } from "../base/index.ts";
import { refuseForeignOrigin } from "./foreign-page.ts";
import { errorResponse } from "./responses.ts";
import type { AdminHandler, AdminRequest, AdminResponse, Route } from "./types.ts";

export interface RouterModules {
  readonly routes: readonly Route[];
  readonly logger: Logger;
  /** An error with the addresses that HTTP clients use; left out: as it is. */
  readonly translate?: (error: HearthError) => HearthError;
  /** A handler threw what it should not have; it is in the log, too. */
  readonly onCrash?: () => void;
}

export interface RoutedResponse {
  readonly response: AdminResponse;
  /** Path of the route, or "other": never the path of the request, which anybody can make up. */
  readonly route: string;
}

interface CompiledRoute {
  readonly route: Route;
  readonly segments: readonly string[];
}

interface Match {
  readonly route: Route;
  readonly handle: AdminHandler;
  readonly parameters: Readonly<Record<string, string>>;
}

/** Label of requests that no route took. */
const OTHER_ROUTE = "other";

export class Router {
  readonly #compiled: readonly CompiledRoute[];
  readonly #logger: Logger;
  readonly #translate: (error: HearthError) => HearthError;
  readonly #onCrash: () => void;

  constructor(modules: RouterModules) {
    this.#logger = modules.logger;
    this.#onCrash = modules.onCrash ?? (() => {});
    this.#translate = modules.translate ?? ((error) => error);
    this.#compiled = modules.routes.map((route) => ({ route, segments: splitPath(route.path) }));
  }

  get routes(): readonly Route[] {
    return this.#compiled.map(({ route }) => route);
  }

  /** Never rejects: whatever a handler throws becomes an answer. */
  async dispatch(request: AdminRequest): Promise<RoutedResponse> {
    const matches = this.#matchPath(request.path);
    if (matches.length === 0) return { response: this.#notFound(request), route: OTHER_ROUTE };
    // HEAD is GET without a body; the server leaves the body out.
    const method = request.method === "HEAD" ? "GET" : request.method;
    const match = matches.find((candidate) => candidate.route.method === method);
    const path = (matches[0] as Match).route.path;
    if (match === undefined) return { response: methodNotAllowed(request, matches), route: path };
    try {
      if (method !== "GET") refuseForeignOrigin(request);
      return { response: await match.handle(request, match.parameters), route: match.route.path };
    } catch (error) {
      if (!isHearthError(error)) {
        this.#onCrash();
        this.#logger.error("http handler failed", {
          route: match.route.path,
          requestId: request.requestId,
          error: error instanceof Error ? (error.stack ?? error.message) : String(error),
        });
      }
      const told = isHearthError(error) ? this.#translate(error) : error;
      return { response: errorResponse(told, request.requestId), route: match.route.path };
    }
  }

  #matchPath(path: string): Match[] {
    const wanted = splitPath(path);
    const matches: Match[] = [];
    for (const { route, segments } of this.#compiled) {
      const parameters = matchSegments(segments, wanted);
      if (parameters !== null) matches.push({ route, handle: route.handle, parameters });
    }
    return matches;
  }

  #notFound(request: AdminRequest): AdminResponse {
    const near = suggest(
      request.path,
      this.#compiled.map(({ route }) => route.path),
    );
    const next = near === null ? "GET / lists all paths" : `Did you mean ${near}?`;
    const error = new HearthError("not_found", `There is nothing at ${request.path}`, {
      reason: "unknown_path",
      next,
    });
    return errorResponse(error, request.requestId);
  }
}

function methodNotAllowed(request: AdminRequest, matches: readonly Match[]): AdminResponse {
  const allowed = [...new Set(matches.map((match) => match.route.method))].join(", ");
  const error = new HearthError(
    "invalid_argument",
    `${request.method} is not possible at ${request.path}`,
    { reason: "wrong_method", next: `Use ${allowed}` },
  );
  const response = errorResponse(error, request.requestId, 405);
  return { ...response, headers: { ...response.headers, allow: allowed } };
}

function splitPath(path: string): string[] {
  return path.split("/").slice(1);
}

/** Parameters of a match, or null. An empty segment never fills a parameter: `/tenants/` is not a tenant. */
function matchSegments(
  pattern: readonly string[],
  wanted: readonly string[],
): Record<string, string> | null {
  const parameters: Record<string, string> = {};
  for (let i = 0; i < pattern.length; i++) {
    const part = pattern[i] as string;
    const value = wanted[i];
    if (part.endsWith("...}")) {
      const rest = wanted.slice(i).join("/");
      if (rest === "") return null;
      parameters[part.slice(1, -4)] = rest;
      return parameters;
    }
    if (value === undefined) return null;
    if (part.startsWith("{")) {
      if (value === "") return null;
      parameters[part.slice(1, -1)] = decodeSegment(value);
    } else if (part !== value) {
      return null;
    }
  }
  return pattern.length === wanted.length ? parameters : null;
}

/** A tenant may hold a slash, so segments are decoded one by one, after the path was split. */
function decodeSegment(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    // Not an encoding of ours: what stands there is the name.
    return segment;
  }
}
