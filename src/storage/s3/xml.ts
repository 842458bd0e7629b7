/**
 * The little XML that S3 answers with: flat elements without attributes that matter, read by their names. No entity but
 * the five of XML itself and numbers is known, so nothing can be made to expand.
 */

const NAMED: Readonly<Record<string, string>> = {
  amp: "&",
  lt: "<",
  gt: ">",
  quot: '"',
  apos: "'",
};

/** Inner text of every element of that name, in order. */
export function elements(xml: string, name: string): string[] {
  const found: string[] = [];
  const open = `<${name}`;
  const close = `</${name}>`;
  for (let at = xml.indexOf(open); at >= 0; at = xml.indexOf(open, at + 1)) {
    const next = xml[at + open.length];
    if (next !== ">" && next !== " ") continue;
    const start = xml.indexOf(">", at) + 1;
    const end = xml.indexOf(close, start);
    if (start === 0 || end < 0) break;
    found.push(xml.slice(start, end));
    at = end;
  }
  return found;
}

/** Text of the first element of that name; "" when there is none. */
export function textOf(xml: string, name: string): string {
  return unescaped(elements(xml, name)[0] ?? "");
}

function unescaped(text: string): string {
  return text.replace(/&(#x[0-9a-fA-F]{1,6}|#\d{1,7}|[a-z]+);/g, (whole, name: string) => {
    if (!name.startsWith("#")) return NAMED[name] ?? whole;
    const code = name[1] === "x" ? Number.parseInt(name.slice(2), 16) : Number(name.slice(1));
    return code <= 0x10_ffff ? String.fromCodePoint(code) : whole;
  });
}
