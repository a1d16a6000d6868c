//! Types whose values are one text with a number in it.

/// A type and the text of its values.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    /// Name of the type.
    name: &'static str,
    /// Text of a value, `{n}` standing for the number.
    text: &'static str,
    /// How many numbers give distinct values.
    pub(super) capacity: u64,
    /// Whether the text is an expression rather than something to quote.
    pub(super) expression: bool,
    /// Values that programs get wrong.
    pub(super) edges: &'static [&'static str],
}

/// Whole numbers that a binary fraction holds.
const EXACT: u64 = 1 << 53;

impl Pattern {
    /// Returns the value for a number.
    pub(super) fn of(&self, n: u64) -> String {
        self.text.replace("{n}", &(n % self.capacity).to_string())
    }

    const fn quoted(name: &'static str, text: &'static str, capacity: u64) -> Self {
        Self { name, text, capacity, expression: false, edges: &[] }
    }

    const fn edges(self, edges: &'static [&'static str]) -> Self {
        Self { edges, ..self }
    }

    const fn point(name: &'static str, text: &'static str) -> Self {
        Self { name, text, capacity: EXACT, expression: true, edges: &[] }
    }
}

/// PostgreSQL's `"char"`: one byte.
pub(super) const BYTE: Pattern = Pattern::quoted("char", "{n}", 10).edges(&["", "\\351"]);

/// PostgreSQL's own types, and those of its usual extensions.
pub(super) const POSTGRES: &[Pattern] = &[
    // Whole units: where the decimal point stands depends on the server's locale.
    Pattern::quoted("money", "{n}", 92_233_720_368_547_758).edges(&["-1", "92233720368547758"]),
    Pattern::quoted("xml", "<n>{n}</n>", u64::MAX).edges(&["", "<n>&#233;</n>", " <n/> "]),
    Pattern::quoted("tsvector", "v{n}", u64::MAX).edges(&["", "a:1A,2 b", "'it''s'"]),
    Pattern::quoted("tsquery", "v{n}", u64::MAX).edges(&["", "a & !b <-> c:*A"]),
    Pattern::quoted("jsonpath", "$.v{n}", u64::MAX).edges(&["$", "strict $.\"a b\"[*] ? (@ > 1)"]),
    Pattern::quoted("point", "({n},0)", EXACT).edges(&["(NaN,0)", "(-0,Infinity)", "(0.1,5e-324)"]),
    Pattern::quoted("line", "{1,0,-{n}}", EXACT).edges(&["{0.1,0.2,0}"]),
    Pattern::quoted("lseg", "[({n},0),({n},1)]", EXACT).edges(&["[(0,0),(0,0)]"]),
    Pattern::quoted("box", "({n},1),({n},0)", EXACT).edges(&["(0,0),(1,1)"]),
    Pattern::quoted("path", "[({n},0),({n},1)]", EXACT).edges(&["((0,0))", "[(0,0)]"]),
    Pattern::quoted("polygon", "(({n},0),({n},1),(0,1))", EXACT).edges(&["((0,0))"]),
    Pattern::quoted("circle", "<({n},0),1>", EXACT).edges(&["<(0,0),0>"]),
    Pattern::quoted("xid", "{n}", 1 << 32).edges(&["0", "4294967295"]),
    Pattern::quoted("cid", "{n}", 1 << 32).edges(&["0", "4294967295"]),
    Pattern::quoted("xid8", "{n}", u64::MAX).edges(&["0", "18446744073709551615"]),
    Pattern::quoted("tid", "({n},1)", 1 << 32).edges(&["(4294967295,65535)"]),
    Pattern::quoted("hstore", "\"n\"=>\"{n}\"", u64::MAX).edges(&["", "a=>NULL", "\"\"=>\"\""]),
    Pattern::quoted("ltree", "v{n}", u64::MAX).edges(&["", "a.b.c"]),
    Pattern::quoted("cube", "({n})", EXACT).edges(&["(0,0),(1,1)"]),
];

/// MySQL's and MariaDB's own types.
pub(super) const MYSQL: &[Pattern] = &[
    Pattern::point("geometry", "ST_GeomFromText('POINT({n} 0)')"),
    Pattern::point("point", "ST_GeomFromText('POINT({n} 0)')"),
    Pattern::point("linestring", "ST_GeomFromText('LINESTRING({n} 0,{n} 1)')"),
    Pattern::point("polygon", "ST_GeomFromText('POLYGON((0 0,{n} 1,{n} 2,0 0))')"),
    Pattern::point("multipoint", "ST_GeomFromText('MULTIPOINT({n} 0,{n} 1)')"),
    Pattern::point("multilinestring", "ST_GeomFromText('MULTILINESTRING(({n} 0,{n} 1))')"),
    Pattern::point("multipolygon", "ST_GeomFromText('MULTIPOLYGON(((0 0,{n} 1,{n} 2,0 0)))')"),
    Pattern::point("geometrycollection", "ST_GeomFromText('GEOMETRYCOLLECTION(POINT({n} 0))')"),
];

/// Returns the pattern of a type.
pub(super) fn find(patterns: &'static [Pattern], name: &str) -> Option<&'static Pattern> {
    patterns.iter().find(|pattern| pattern.name == name)
}
