import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parser as lezerParser } from "@prometheus-io/lezer-promql";
import fc from "fast-check";
import { isHearthError } from "../../src/base/index.ts";
import { compileSelectorUncached } from "../../src/read/engine/selector.ts";
import { parseSelector } from "../../src/read/engine/selector-parser.ts";
import { compileSelector } from "../../src/read/index.ts";

function shown(text: string): string[] {
  return parseSelector(text).map(
    ({ name, operator, value }) =>
      `${Buffer.from(name).toString("latin1")}${operator}${Buffer.from(value).toString("latin1")}`,
  );
}

function refuses(text: string, reason = "bad_selector"): void {
  assert.throws(
    () => compileSelectorUncached(text),
    (error) => isHearthError(error) && error.code === "invalid_argument" && error.reason === reason,
    `accepted ${JSON.stringify(text)}`,
  );
}

const ACCEPTED: readonly (readonly [text: string, matchers: readonly string[]])[] = [
  ["{}", []],
  [" \t\r\n{ \t\r\n} ", []],
  ["m", ["__name__=m"]],
  ["m{}", ["__name__=m"]],
  ["m {}", ["__name__=m"]],
  ["a:b", ["__name__=a:b"]],
  [":", ["__name__=:"]],
  ["_", ["__name__=_"]],
  ["m1", ["__name__=m1"]],
  ['m{a="b"}', ["__name__=m", "a=b"]],
  ['m{__name__="n"}', ["__name__=m", "__name__=n"]],
  ['{a="b"}', ["a=b"]],
  ["{a='b'}", ["a=b"]],
  ["{a=`b`}", ["a=b"]],
  ['{a!="b"}', ["a!=b"]],
  ['{a=~"b"}', ["a=~b"]],
  ['{a!~"b"}', ["a!~b"]],
  ['{ a = "b" , c != "d" }', ["a=b", "c!=d"]],
  ['{a="b",}', ["a=b"]],
  ['{a="b" , }', ["a=b"]],
  ['{a="b",a="c"}', ["a=b", "a=c"]],
  ['{"m"}', ["__name__=m"]],
  ['{"m","n",a="b"}', ["__name__=m", "__name__=n", "a=b"]],
  ['{"m",}', ["__name__=m"]],
  ['{"service.name"="x"}', ["service.name=x"]],
  ["{'a b'=\"x\",`c d`='y'}", ["a b=x", "c d=y"]],
  ['{""="x"}', ["=x"]],
  ["# c\n{}", []],
  ["{}# c", []],
  ["{}#", []],
  ["#\r{}", []],
  ["{#c\n}", []],
  ['{a#c\n=#d\n"b"#e\n,#f\n}', ["a=b"]],
  ['{a="#b"}', ["a=#b"]],
  ["m # c\n {}", ["__name__=m"]],
  ["sum", ["__name__=sum"]],
  ["by", ["__name__=by"]],
  ["offset", ["__name__=offset"]],
  ["offset{}", ["__name__=offset"]],
  ["start", ["__name__=start"]],
  ["end{}", ["__name__=end"]],
  ["and", ["__name__=and"]],
  ["Infinity", ["__name__=Infinity"]],
  ["nan1", ["__name__=nan1"]],
  [
    '{on="x",bool="y",inf="z",NaN="a",atan2="b",group_left="c"}',
    ["on=x", "bool=y", "inf=z", "NaN=a", "atan2=b", "group_left=c"],
  ],
  ['{offset="x",by="y",start="z"}', ["offset=x", "by=y", "start=z"]],
  ['{a="日本😀"}', [`a=${Buffer.from("日本😀").toString("latin1")}`]],
  ["{a=`b\nc`}", ["a=b\nc"]],
  ["{a=`b\\n`}", ["a=b\\n"]],
  ['{a="\\a\\b\\f\\n\\r\\t\\v\\\\"}', ["a=\x07\b\f\n\r\t\v\\"]],
  ['{a="\\""}', ['a="']],
  ["{a='\\''}", ["a='"]],
  ['{a="\'`"}', ["a='`"]],
  ['{a="\\101\\377\\000"}', ["a=A\xff\0"]],
  ['{a="\\x41\\xfF"}', ["a=A\xff"]],
  ['{a="\\u00e9"}', ["a=\xc3\xa9"]],
  ['{a="\\U0001F600"}', ["a=\xf0\x9f\x98\x80"]],
  ['{a="\t"}', ["a=\t"]],
];

const REFUSED: readonly string[] = [
  "",
  " ",
  "#",
  "#{}",
  "{",
  "}",
  "{,}",
  '{a="b",,}',
  '{,a="b"}',
  '{a="b"',
  '{a="b"}}',
  'a="b"',
  "{a}",
  "{a=}",
  "{a=b}",
  '{a=="b"}',
  '{a= ~"b"}',
  '{a! ="b"}',
  '{a!"b"}',
  '{a~"b"}',
  '{="x"}',
  '{a:b="c"}',
  '{:="c"}',
  '{1="x"}',
  '{é="x"}',
  '{a.b="c"}',
  '{a="b" c="d"}',
  '{a="b";}',
  '{"a":"b"}',
  "on",
  "ON",
  "bool",
  "ignoring",
  "group_left",
  "group_right{}",
  "atan2",
  "inf",
  "Inf{}",
  "nan",
  "NaN",
  "1",
  "é",
  "m.a",
  "m n",
  "m m{}",
  "{}{}",
  "{{}}",
  "({})",
  "-m",
  "m+m",
  "{}[5m]",
  "m[5m]",
  "m offset 5m",
  "m @ 5",
  "sum(m)",
  "sum by (a) (m)",
  '"s"',
  "\u00a0{}",
  "{}\u00a0",
  "\u2003{}",
  "\f{}",
  "{}\v",
  "\ufeff{}",
  "{}\0",
  '{a="b}',
  "{a='b\"}",
  '{a="\n"}',
  "{a='\n'}",
  "{a=`b}",
  '{a="\\\'"}',
  "{a='\\\"'}",
  '{a="\\`"}',
  '{a="\\q"}',
  '{a="\\8"}',
  '{a="\\1"}',
  '{a="\\01"}',
  '{a="\\400"}',
  '{a="\\08z"}',
  '{a="\\x4"}',
  '{a="\\x4g"}',
  '{a="\\u004"}',
  '{a="\\ud800"}',
  '{a="\\udfff"}',
  '{a="\\U0000d800"}',
  '{a="\\U00110000"}',
  '{a="\\U0001F60"}',
  '{a="\\"}',
  '{a="\\',
];

describe("selector grammar", () => {
  for (const [text, matchers] of ACCEPTED) {
    it(`accepts ${JSON.stringify(text)}`, () => assert.deepEqual(shown(text), matchers));
  }
  for (const text of REFUSED) it(`refuses ${JSON.stringify(text)}`, () => refuses(text));

  it("bounds text and matchers", () => {
    const matchers = Array.from({ length: 256 }, (_, i) => `l${i}="x"`).join(",");
    assert.equal(parseSelector(`{${matchers}}`).length, 256);
    refuses(`{${matchers},z="x"}`, "selector_too_large");
    const value = "x".repeat(64 * 1024 - 6);
    assert.equal(parseSelector(`{a="${value}"}`).length, 1);
    refuses(`{a="${value}x"}`, "selector_too_large");
    refuses(`{a="${"é".repeat(40_000)}"}`, "selector_too_large");
  });

  it("agrees with the editor's grammar on random text, up to the known differences", () => {
    const token = fc.constantFrom(
      ...'{ } , = != =~ !~ a b_1 m:n "x" \'y\' `z` "" \n # ( ) [ 5 on sum start bool == ! ~ + - by'.split(
        " ",
      ),
      " ",
    );
    const texts = fc.array(token, { maxLength: 9 }).map((tokens) => tokens.join(""));
    fc.assert(
      fc.property(texts, (text) => {
        assert.equal(parses(text), lezerAccepts(text), JSON.stringify(text));
      }),
      { numRuns: 20_000, seed: 7 },
    );
  });
});

function parses(text: string): boolean {
  try {
    parseSelector(text);
    return true;
  } catch {
    // Refusal is the answer here; which one is tested above.
    return false;
  }
}

function lezerAccepts(text: string): boolean {
  const tree = lezerParser.parse(text);
  let hasError = false;
  tree.iterate({
    enter: (node) => {
      hasError ||= node.type.isError;
    },
  });
  const children: string[] = [];
  for (let child = tree.topNode.firstChild; child !== null; child = child.nextSibling) {
    if (child.name !== "LineComment") children.push(child.name);
  }
  return !hasError && children.length === 1 && children[0] === "VectorSelector";
}

describe("selector evaluation", () => {
  const sets = {
    absent: [["other", "x"]],
    empty: [["env", ""]],
    x: [["env", "x"]],
  } as const;
  const rows: readonly (readonly [matcher: string, absent: boolean, empty: boolean, x: boolean])[] =
    [
      ["", true, true, true],
      ['env=""', false, true, false],
      ['env="x"', false, false, true],
      ['env!=""', true, false, true],
      ['env!="x"', true, true, false],
      ['env=~""', false, true, false],
      ['env=~".*"', false, true, true],
      ['env=~".+"', false, false, true],
      ['env!~""', true, false, true],
      ['env!~".*"', true, false, false],
      ['env!~".+"', true, true, false],
    ];
  for (const [matcher, absent, empty, x] of rows) {
    it(`follows the truth table for {${matcher}}`, () => {
      const selector = compileSelector(`{${matcher}}`);
      assert.equal(selector.matchesSet(sets.absent), absent);
      assert.equal(selector.matchesSet([]), absent);
      assert.equal(selector.matchesSet(sets.empty), empty);
      assert.equal(selector.matchesSet(sets.x), x);
    });
  }

  it("counts only the first pair of a repeated name", () => {
    const set = [
      ["a", "1"],
      ["a", "2"],
    ] as const;
    assert.equal(compileSelector('{a="1"}').matchesSet(set), true);
    assert.equal(compileSelector('{a="2"}').matchesSet(set), false);
    assert.equal(compileSelector('{a!="2"}').matchesSet(set), true);
  });

  it("ignores matchers with an empty name, but checks their expression", () => {
    assert.equal(compileSelector('{""="x"}').matchesSet([]), true);
    refuses('{""=~"("}', "bad_regex");
  });

  it("never equals a value that is not UTF-8", () => {
    const set = [["a", "\ufffd"]] as const;
    assert.equal(compileSelector('{a="\\xff"}').matchesSet(set), false);
    assert.equal(compileSelector('{a!="\\xff"}').matchesSet(set), true);
    refuses('{a=~"\\xff"}', "bad_regex");
  });

  it("has one canonical form for reordered and repeated matchers", () => {
    const canonical = (text: string): string => compileSelectorUncached(text).canonical;
    assert.equal(canonical('{a="1",b="2"}'), canonical("{b='2',a=`1`,a=\"1\"}"));
    assert.notEqual(canonical('{a="1"}'), canonical('{a=~"1"}'));
    assert.notEqual(canonical('{a="1:b=1:2"}'), canonical('{a="1",b="2"}'));
  });
});

describe("regular expressions", () => {
  const matches = (pattern: string, value: string): boolean =>
    compileSelectorUncached(`{a=~\`${pattern}\`}`).matchesSet([["a", value]]);
  const yes: readonly (readonly [string, string])[] = [
    ["a|ab", "ab"],
    ["a.b", "a\nb"],
    [".*", "\n"],
    [".", "😀"],
    ["(?i)aB", "Ab"],
    ["(?P<n>a)", "a"],
    ["[[:alpha:]]+", "ab"],
    ["\\pL+", "éb"],
    ["a\\z", "a"],
    ["\\Qa.b\\E", "a.b"],
    ["^a$", "a"],
    ["^(a|b)$", "b"],
    ["(?:a|b)", "a"],
    ["(a)(b)", "ab"],
    ["a\\.b|c", "a.b"],
    ["a\\|b", "a|b"],
    ["x.*", "x"],
    ["x.+", "xy"],
    [".*x", "yx"],
    [".+x", "yx"],
    [".*x.*", "axb"],
    [".+x.+", "axb"],
    ["", ""],
    ["a||b", ""],
    ["(|a)", ""],
    ["a{2}", "aa"],
    ["\\x{1F600}", "😀"],
    ["a$|b", "b"],
  ];
  const no: readonly (readonly [string, string])[] = [
    ["a|b", "ab"],
    ["we", "web"],
    ["a", "A"],
    ["a.b", "ab"],
    ["a\\.b", "axb"],
    ["x.+", "x"],
    [".+x", "x"],
    [".*x", "xy"],
    ["x.*", "yx"],
    [".+x.+", "xb"],
    [".+", ""],
    ["(?-s).", "\n"],
    ["^(a|b)$", "c"],
    ["a\\\\.*", "ab"],
    ["", "a"],
    ["(a)(b)", "a)(b"],
  ];
  for (const [pattern, value] of yes) {
    it(`${pattern} matches ${JSON.stringify(value)}`, () =>
      assert.equal(matches(pattern, value), true));
  }
  for (const [pattern, value] of no) {
    it(`${pattern} does not match ${JSON.stringify(value)}`, () =>
      assert.equal(matches(pattern, value), false));
  }
  const bad = [
    "(",
    ")",
    "a)(b",
    "[a",
    "a**",
    "a++",
    "(?=a)",
    "(?!a)",
    "(?<=a)b",
    "(a)\\1",
    "a\\Z",
    "a{1001}",
    "(?>a)",
    "\\",
    "*",
    "x{2,1}",
    "(a|b",
    "\\8",
    "(a{100}){100}",
    "a|*",
  ];
  for (const pattern of bad) {
    it(`refuses ${pattern}`, () => refuses(`{a=~\`${pattern}\`}`, "bad_regex"));
    it(`refuses the negation of ${pattern}`, () => refuses(`{a!~\`${pattern}\`}`, "bad_regex"));
  }

  it("takes a long list of names, and bounds other expressions", () => {
    const names = Array.from({ length: 6000 }, (_, i) => `svc-${i}`).join("|");
    assert.equal(matches(names, "svc-5999"), true);
    assert.equal(matches(names, "svc-6000"), false);
    refuses(`{a=~"${names}.*"}`, "selector_too_large");
    const big = 'a=~"(abcdefg.){999}",';
    assert.doesNotThrow(() => compileSelectorUncached(`{${big}}`));
    refuses(`{${big}b=~"(abcdefg.){999}"}`, "selector_too_large");
  });

  it("matches pathological expressions in linear time", () => {
    for (const pattern of ["(a|aa)*b", "(a*)*b", "(a|a)*b", "([a-z]+)*[0-9]", ".*.*.*.*=.*"]) {
      const selector = compileSelectorUncached(`{a=~"${pattern}"}`);
      const startMs = performance.now();
      assert.equal(selector.matchesSet([["a", "a".repeat(100_000)]]), false);
      const tookMs = performance.now() - startMs;
      // A backtracking engine would need longer than the universe has; the rest is room for a busy machine.
      assert.ok(tookMs < 30_000, `${pattern} took ${tookMs} ms`);
    }
  });
});

describe("hostile selectors", () => {
  it("random text is refused with invalid_argument or compiled, nothing else", () => {
    const piece = fc.oneof(
      fc.constantFrom(..."{}()[]|*+?.^$,=!~\"'`\\#\n a1{é😀".split("")),
      fc.constantFrom("a=~", '"', "{a=~`", "`}", "\\x", "\\p{", "(?i)", "[[:", "{9}", "\ud800"),
    );
    const texts = fc.array(piece, { maxLength: 14 }).map((pieces) => pieces.join(""));
    fc.assert(
      fc.property(texts, fc.boolean(), (text, isPattern) => {
        try {
          const selector = compileSelectorUncached(isPattern ? `{a=~'${text}'}` : text);
          selector.matchesSet([["a", text]]);
        } catch (error) {
          assert.ok(isHearthError(error) && error.code === "invalid_argument", String(error));
        }
      }),
      { numRuns: 20_000, seed: 11 },
    );
  });
});

describe("the cache of compiled selectors", () => {
  it("keeps what is in use, and makes room by what is not", () => {
    const first = compileSelector('{used="always"}');
    const rare = compileSelector('{used="once"}');
    for (let i = 0; i < 3_000; i++) {
      compileSelector(`{other="${i}"}`);
      assert.equal(compileSelector('{used="always"}'), first);
    }
    assert.notEqual(compileSelector('{used="once"}'), rare);
  });
});
