//! A table of one column, written and read by real derives.

/// Makes the module of a column: its `table!`, its row, and its property.
///
/// The column allows NULL; the mapping is without `Nullable`, and a second reader's is with it, as
/// before and after a column becomes required.
macro_rules! columns {
    ($conn:ty, $product:expr; $($name:ident $sql:literal, [$($diesel:tt)+], $rust:ty;)+) => {
        $(pub(crate) mod $name {
            use super::*;

            mod new {
                diesel::table! {
                    use diesel::sql_types::*;
                    use diesel::pg::sql_types::*;
                    $name (id) { id -> BigInt, c -> $($diesel)+, }
                }
            }

            mod old {
                diesel::table! {
                    use diesel::sql_types::*;
                    use diesel::pg::sql_types::*;
                    $name (id) { id -> BigInt, c -> Nullable<$($diesel)+>, }
                }
            }

            use new::$name;

            #[derive(Clone, Insertable, Queryable, Selectable)]
            #[diesel(table_name = $name)]
            struct Row {
                id: i64,
                c: $rust,
            }

            pub(crate) fn insert(conn: &mut $conn, rows: &[(i64, $rust)]) -> QueryResult<usize> {
                let row = |(id, c): (i64, $rust)| Row { id, c };
                let rows: Vec<Row> = rows.iter().cloned().map(row).collect();
                diesel::insert_into($name::table).values(rows).execute(conn)
            }

            pub(crate) fn load(conn: &mut $conn) -> QueryResult<Vec<(i64, $rust)>> {
                let rows: Vec<Row> = $name::table.select(Row::as_select()).load(conn)?;
                Ok(rows.into_iter().map(|row| (row.id, row.c)).collect())
            }

            fn load_old(conn: &mut $conn) -> QueryResult<Vec<(i64, Option<$rust>)>> {
                old::$name::table.load(conn)
            }

            /// Creates the table and states the property.
            pub(crate) fn property<'a>(conn: &mut $conn) -> Roundtrip<'a, $conn, $rust> {
                const TABLE: &str = stringify!($name);
                let null = if $product == Product::Sqlite { "" } else { "NULL" };
                conn.batch_execute(&format!(
                    "CREATE TABLE {TABLE} (id bigint PRIMARY KEY, c {} {null})", $sql
                ))
                .unwrap();
                let ty = ColumnType::new($product, $sql);
                let column = Column { table: TABLE, id: "id", name: "c", ty };
                Roundtrip::new(column, insert, load)
                    .unwrap()
                    .reader("Nullable", load_old, |wrote, read| {
                        format!("{:?}", Some(wrote)) == format!("{read:?}")
                    })
            }
        })+
    };
}

/// Batches of each property here, of which there are many; about 2000 values.
pub(crate) const CASES: u32 = 24;

/// Checks the property of each column, with what it declares; collects the silent changes.
macro_rules! holds {
    ($conn:ident; $($name:ident $(. $method:ident ($($arg:expr),*))*;)+) => {{
        let mut broken: Vec<String> = Vec::new();
        $({
            let property = $name::property(&mut $conn).cases(CASES) $(.$method($($arg),*))*;
            match { property }.run(&mut $conn) {
                Ok(report) => {
                    // Most values must pass, or the property says little.
                    if report.equal + report.lost < report.refused.len() * 4 {
                        broken.push(format!("{}: {report:?}", stringify!($name)));
                    }
                }
                Err(error) => broken.push(error.to_string()),
            }
        })+
        assert!(broken.is_empty(), "{}", broken.join("\n\n"));
    }};
}

/// Judges edges, written by Diesel and by plain SQL; returns a line for each that does not come
/// back equal: `| SQL type | Rust type | value | written by | fate |`.
macro_rules! fates {
    ($conn:ident, $product:expr; $($name:ident $sql:literal $rust:literal
        [$($edge:literal => $value:expr),*];)+) => {{
        let mut lines = String::new();
        $({
            let mut property = $name::property(&mut $conn);
            let mut add = |edge: &str, by: &str, verdict: Verdict| {
                if let Some(fate) = fate(&verdict) {
                    lines += &format!("| `{}` | `{}` | {edge} | {by} | {fate} |\n", $sql, $rust);
                }
            };
            $(add($edge, "Diesel", property.judge(&mut $conn, &$value).unwrap());)*
            for edge in values::edges(&ColumnType::new($product, $sql)).unwrap() {
                // Diesel 2.3 panics in `months * 30` here, and wraps without overflow checks.
                if $rust == "chrono::Duration" && edge.edge == Some("longest") {
                    continue;
                }
                add(edge.edge.unwrap(), "SQL", property.judge_sql(&mut $conn, &edge).unwrap());
            }
        })+
        lines
    }};
}

/// Returns what became of a value in a few words; `None` if it came back equal.
pub(crate) fn fate(verdict: &newcol_testkit::roundtrip::Verdict) -> Option<String> {
    use newcol_testkit::roundtrip::{At, How, Verdict};
    let brief = |text: &str| {
        let text: String =
            text.chars().map(|c| if c == '|' || c == '\n' { ' ' } else { c }).collect();
        if text.chars().count() > 60 {
            text.chars().take(57).chain("...".chars()).collect()
        } else {
            text
        }
    };
    Some(match verdict {
        Verdict::Equal => return None,
        Verdict::Lost(loss) => format!("lost: {loss:?}"),
        Verdict::Known(edge) => format!("known: {edge}"),
        Verdict::Refused { at: At::Write, .. } => "refused by the server".to_owned(),
        Verdict::Refused { at, .. } => format!("refused: {at:?}"),
        Verdict::Changed { how: How::Literal { theirs, ours, .. }, .. } => {
            format!("**silent**: stored `{}`, not `{}`", brief(ours), brief(theirs))
        }
        Verdict::Changed { how: How::Rewritten { before, after }, .. } => {
            format!("**silent**: `{}` is read and written as `{}`", brief(before), brief(after))
        }
        Verdict::Changed { read, .. } => format!("**silent**: read as `{}`", brief(read)),
    })
}

/// Compares a table with the one in the documentation.
pub(crate) fn assert_documented(heading: &str, lines: &str) {
    let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/values.md");
    let docs = std::fs::read_to_string(docs).unwrap();
    let section = docs.split("\n## ").find(|section| section.starts_with(heading)).unwrap_or("");
    let rows: String = section
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| format!("{line}\n"))
        .collect();
    assert!(rows == lines, "docs/values.md should say under `{heading}`:\n{lines}");
}
