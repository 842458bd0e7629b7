/** Blocks per level over time as one SVG file: readable in light and dark, with a title and a description for those who cannot see it. */

export interface LevelSample {
  /** Since the first segment. */
  readonly atMs: number;
  /** Blocks in the index by level. */
  readonly blocks: readonly number[];
}

export interface PlotOptions {
  readonly title: string;
  readonly samples: readonly LevelSample[];
  /** Moments to mark, with their names. */
  readonly marks: readonly { readonly atMs: number; readonly text: string }[];
}

const WIDTH = 960;
const HEIGHT = 420;
const LEFT = 64;
const RIGHT = 120;
const TOP = 48;
const BOTTOM = 48;
const LEVELS = [0, 1, 2, 3];
/** Distinct also for those who see few colours: they differ in lightness and dash as well. */
const STROKES = ["#1f77b4", "#d95f02", "#1b9e77", "#7b3294"];
const DASHES = ["", "6 3", "2 3", "8 3 2 3"];
const GRID_LINES = 4;

export function plotLevels({ title, samples, marks }: PlotOptions): string {
  const endMs = Math.max(1_000, ...samples.map(({ atMs }) => atMs));
  const most = niceCeiling(Math.max(1, ...samples.flatMap(({ blocks }) => blocks)));
  const x = (atMs: number): number => LEFT + (atMs / endMs) * (WIDTH - LEFT - RIGHT);
  const y = (count: number): number => HEIGHT - BOTTOM - (count / most) * (HEIGHT - TOP - BOTTOM);
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" font-family="sans-serif" font-size="12">`,
    `<title>${escapeText(title)}</title>`,
    `<desc>${escapeText(describe(samples))}</desc>`,
    "<style>svg{background:#fff;color:#222}@media(prefers-color-scheme:dark){svg{background:#161616;color:#ddd}}</style>",
    `<text x="${LEFT}" y="24" font-size="15" fill="currentColor">${escapeText(title)}</text>`,
  ];
  for (let i = 0; i <= GRID_LINES; i++) {
    const count = (most * i) / GRID_LINES;
    const at = round(y(count));
    parts.push(
      `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${at}" y2="${at}" stroke="currentColor" stroke-opacity="0.15"/>`,
      `<text x="${LEFT - 8}" y="${at + 4}" text-anchor="end" fill="currentColor">${Math.round(count)}</text>`,
    );
    const atMs = (endMs * i) / GRID_LINES;
    parts.push(
      `<text x="${round(x(atMs))}" y="${HEIGHT - BOTTOM + 20}" text-anchor="middle" fill="currentColor">${Math.round(atMs / 1_000)} s</text>`,
    );
  }
  for (const { atMs, text } of marks) {
    const at = round(x(atMs));
    parts.push(
      `<line x1="${at}" x2="${at}" y1="${TOP}" y2="${HEIGHT - BOTTOM}" stroke="currentColor" stroke-dasharray="3 3"/>`,
      `<text x="${at + 4}" y="${TOP + 12}" fill="currentColor">${escapeText(text)}</text>`,
    );
  }
  for (const level of LEVELS) {
    const points = samples.map(
      ({ atMs, blocks }) => `${round(x(atMs))},${round(y(blocks[level] ?? 0))}`,
    );
    const last = samples.at(-1)?.blocks[level] ?? 0;
    const stroke = STROKES[level] as string;
    const legendY = TOP + 20 * level + 12;
    parts.push(
      `<polyline fill="none" stroke="${stroke}" stroke-width="2" stroke-dasharray="${DASHES[level]}" points="${points.join(" ")}"/>`,
      `<text x="${WIDTH - RIGHT + 8}" y="${legendY}" fill="${stroke}">level ${level}: ${last}</text>`,
    );
  }
  parts.push("</svg>");
  return `${parts.join("\n")}\n`;
}

function describe(samples: readonly LevelSample[]): string {
  const last = samples.at(-1);
  if (last === undefined) return "No samples";
  const levels = LEVELS.map((level) => `${last.blocks[level] ?? 0} of level ${level}`);
  return `Blocks in the index by level over ${Math.round(last.atMs / 1_000)} seconds; at the end ${levels.join(", ")}`;
}

/** The next of 1, 2, 4, 5, 10 times a power of ten: quarters of it are round numbers, too. */
function niceCeiling(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  const factor = [1, 2, 4, 5, 10].find((step) => step * power >= value) ?? 10;
  return Math.max(4, factor * power);
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function escapeText(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
