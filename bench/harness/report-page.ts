/**
 * The report as one page without scripts or network: for each goal a line on a logarithmic axis with every pair as
 * a dot, the median as a bar and the bound as a mark; and the same numbers as tables.
 */

import { type BenchReport, formatBound, formatNumber } from "./report.ts";
import type { CaseResult, GoalResult } from "./types.ts";

const PLOT_WIDTH = 720;
const ROW_HEIGHT = 26;
const LABEL_WIDTH = 360;

const STYLE = `
  :root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
  body { max-width: 1140px; margin: 2rem auto; padding: 0 1rem; }
  table { border-collapse: collapse; margin: .5rem 0 1.5rem; }
  th, td { text-align: right; padding: .15rem .8rem .15rem 0; font-variant-numeric: tabular-nums; }
  th:first-child, td:first-child { text-align: left; }
  svg text { font: 12px system-ui, sans-serif; fill: currentColor; }
  .met { --c: #2a7f4f; } .missed { --c: #c0392b; } .info { --c: #5b6b7b; }
  .dot { fill: var(--c); opacity: .45; } .bar { stroke: var(--c); stroke-width: 3; }
  .bound { stroke: currentColor; stroke-dasharray: 3 2; } .axis { stroke: currentColor; opacity: .25; }
`;

/** The page as text. */
export function renderPage(report: BenchReport): string {
  const facts = [
    `commit ${report.commit}`,
    `Node.js ${report.node}`,
    `${report.cores} x ${report.cpu}`,
    `${(report.memoryBytes / 1024 ** 3).toFixed(0)} GiB`,
    `Linux ${report.kernel}`,
    `seed ${report.seed}`,
  ];
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Hearth benchmarks</title><style>${STYLE}</style></head>
<body>
<h1>Hearth benchmarks</h1>
<p>${escapeText(report.startedAt)} · ${facts.map(escapeText).join(" · ")}</p>
<p>Every dot is one interleaved pair, the bar is the median, the dashed line is the goal. The axis is logarithmic.</p>
${renderPlot(report.results)}
${report.results.map(renderCase).join("\n")}
</body></html>
`;
}

function renderPlot(results: readonly CaseResult[]): string {
  const rows = results.flatMap((result) => result.goals.map((goal) => ({ result, goal })));
  if (rows.length === 0) return "<p>No results.</p>";
  const height = rows.length * ROW_HEIGHT + 24;
  const lines = rows.map(({ result, goal }, i) => renderRow(result.name, goal, i));
  const label = `${rows.length} ratios with their goals; the tables below hold the same numbers`;
  return `<svg role="img" aria-label="${label}" width="${LABEL_WIDTH + PLOT_WIDTH}" height="${height}">
${lines.join("\n")}
</svg>`;
}

/** Each row has its own scale, one decade to each side of the goal or median: rows differ by orders of magnitude. */
function renderRow(name: string, result: GoalResult, row: number): string {
  const bound = result.goal.atLeast ?? result.goal.atMost ?? result.median;
  const center = bound > 0 ? bound : Math.max(Math.abs(result.median), 1e-9);
  const x = (value: number): number => {
    const decades = Math.log10(Math.max(value, 1e-12) / center);
    return LABEL_WIDTH + (PLOT_WIDTH - 120) * (0.5 + Math.max(-1, Math.min(1, decades)) / 2);
  };
  const y = row * ROW_HEIGHT + 18;
  const state = result.isMet === null ? "info" : result.isMet ? "met" : "missed";
  const dots = result.values.map(
    (value) => `<circle class="dot" cx="${x(value).toFixed(1)}" cy="${y}" r="4"/>`,
  );
  const middle = x(result.median).toFixed(1);
  const label = `${name} · ${result.goal.metric} ${result.goal.form}`;
  return `<g class="${state}"><title>${escapeText(label + formatBound(result))}</title>
<line class="axis" x1="${LABEL_WIDTH}" x2="${LABEL_WIDTH + PLOT_WIDTH - 120}" y1="${y}" y2="${y}"/>
<text x="0" y="${y + 4}">${escapeText(shorten(label, 52))}</text>
<line class="bound" x1="${x(bound).toFixed(1)}" x2="${x(bound).toFixed(1)}" y1="${y - 9}" y2="${y + 9}"/>
${dots.join("")}
<line class="bar" x1="${middle}" x2="${middle}" y1="${y - 8}" y2="${y + 8}"/>
<text x="${LABEL_WIDTH + PLOT_WIDTH - 110}" y="${y + 4}">${formatNumber(result.median)} ${state}</text></g>`;
}

function renderCase(result: CaseResult): string {
  const sides = [result.ours, result.limit]
    .filter((side) => side !== null)
    .map((side) => {
      const cells = [side.rate, side.wallUs, side.cpuUs, side.p50Us, side.p99Us];
      const numbers = cells.map((cell) => `<td>${cell === null ? "-" : formatNumber(cell)}</td>`);
      return `<tr><td>${escapeText(side.name)}</td>${numbers.join("")}</tr>`;
    });
  const goals = result.goals.map(
    (goal) =>
      `<tr><td>${escapeText(`${goal.goal.metric} ${goal.goal.form}`)}</td><td>${formatNumber(goal.median)}</td>` +
      `<td>${formatNumber(Math.min(...goal.values))}</td><td>${formatNumber(Math.max(...goal.values))}</td>` +
      `<td>${escapeText(formatBound(goal).replace(", goal ", ""))}</td>` +
      `<td>${goal.isMet === null ? "info" : goal.isMet ? "met" : "missed"}</td></tr>`,
  );
  const facts = Object.entries(result.facts).map(
    ([name, value]) =>
      `<li>${escapeText(name)}: ${escapeText(typeof value === "number" ? formatNumber(value) : value)}</li>`,
  );
  return `<section><h2>${escapeText(result.name)}</h2><p>${escapeText(result.about)}</p>
${result.isLeftOut ? "<p>Left out: the time was used up.</p>" : ""}${result.failure === null ? "" : `<pre>${escapeText(result.failure)}</pre>`}
<table><tr><th>subject</th><th>per second</th><th>wall us</th><th>cpu us</th><th>p50 us</th><th>p99 us</th></tr>${sides.join("")}</table>
<table><tr><th>goal</th><th>median</th><th>min</th><th>max</th><th>bound</th><th></th></tr>${goals.join("")}</table>
<ul>${facts.join("")}</ul></section>`;
}

function shorten(text: string, lengthMax: number): string {
  return text.length <= lengthMax ? text : `${text.slice(0, lengthMax - 1)}…`;
}

function escapeText(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}
