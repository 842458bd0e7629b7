/** The page at `/`: what this is, whether it is well, and every path with its sentence. */
import type { CheckOutcome } from "./health.ts";
import { html } from "./responses.ts";
import type { Route } from "./types.ts";

export interface LandingModules {
  readonly routes: () => readonly Route[];
  readonly title: () => string;
  readonly readiness: () => readonly CheckOutcome[];
}

export function landingRoute(modules: LandingModules): Route {
  return {
    method: "GET",
    path: "/",
    summary: "This page",
    handle: () => html(page(modules)),
  };
}

const STYLE =
  "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}" +
  "table{border-collapse:collapse}td,th{text-align:left;padding:.2rem 1rem .2rem 0;vertical-align:top}code{white-space:nowrap}";

function page(modules: LandingModules): string {
  const failed = modules.readiness().find((outcome) => outcome.result.state === "failed");
  const reason = failed?.result.state === "failed" ? failed.result.reason : null;
  const state = reason === null ? "This node is ready." : `This node is not ready: ${reason}.`;
  const rows = modules.routes().map(routeRow).join("\n");
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${escapeHtml(modules.title())}</title><style>${STYLE}</style></head>
<body><main>
<h1>${escapeHtml(modules.title())}</h1>
<p>${escapeHtml(state)}</p>
<h2>Paths</h2>
<table><thead><tr><th scope="col">Method</th><th scope="col">Path</th><th scope="col">What it does</th></tr></thead>
<tbody>
${rows}
</tbody></table>
</main></body></html>
`;
}

function routeRow(route: Route): string {
  const isLink = route.method === "GET" && !route.path.includes("{");
  const path = `<code>${escapeHtml(route.path)}</code>`;
  const cell = isLink ? `<a href="${escapeHtml(route.path)}">${path}</a>` : path;
  return `<tr><td>${route.method}</td><td>${cell}</td><td>${escapeHtml(route.summary)}</td></tr>`;
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
};

function escapeHtml(raw: string): string {
  return raw.replaceAll(/[&<>"]/g, (character) => ENTITIES[character] ?? character);
}
