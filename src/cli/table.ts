/** Tables for people: two spaces between columns, no frames, numbers to the right, `-` not applicable, `?` unknown. */
import { formatCount } from "../base/index.ts";

export interface Column {
  readonly title: string;
  readonly align: "left" | "right";
}

/** null is "does not apply", undefined is "not known". */
export type Cell = string | number | null | undefined;

/** Lines without trailing spaces, the header first. */
export function formatTable(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
): string[] {
  const texts = [columns.map((column) => column.title), ...rows.map((row) => row.map(cellText))];
  const widths = columns.map((_, i) => Math.max(...texts.map((row) => (row[i] ?? "").length)));
  return texts.map((row) =>
    columns
      .map(({ align }, i) => {
        const text = row[i] ?? "";
        const width = widths[i] ?? 0;
        return align === "right" ? text.padStart(width) : text.padEnd(width);
      })
      .join("  ")
      .trimEnd(),
  );
}

function cellText(cell: Cell): string {
  if (cell === null) return "-";
  if (cell === undefined) return "?";
  return typeof cell === "number" ? formatCount(cell) : cell;
}
