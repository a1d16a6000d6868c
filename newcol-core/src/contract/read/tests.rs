use super::*;

/// Reads `lines` below a header that is right, and prints every complaint.
fn complaints(text: &str) -> String {
    let Err(complaints) = read(text) else { return "fine".to_owned() };
    let lines = complaints.into_iter().flat_map(|Complaint { span, message, hint }| {
        let (line, column) = line_col(text, span.start);
        let guilty = text.get(span).expect("a span of the text");
        let place = (!guilty.is_empty()).then(|| format!("    at {guilty}"));
        let help = hint.map(|hint| format!("    help: {hint}"));
        [Some(format!("{line}:{column} {message}")), place, help]
    });
    lines.flatten().collect::<Vec<_>>().join("\n")
}

fn with(lines: &str) -> String {
    const HEAD: &str = r#"format = 1
table = "users"
column = "locale"
why = "mails go out in the reader's language"
type = "text"
"#;
    complaints(&format!("{HEAD}{lines}"))
}

#[test]
fn missing_keys() {
    insta::assert_snapshot!(with(""), @r##"
    1:1 `required` is missing
        help: write `required = true` for NOT NULL, `required = false` for a column that may be NULL
    "##);
    insta::assert_snapshot!(with("required = true\n[default]\nkeep = false"), @r##"
    7:2 `default.value` is missing
        at default
        help: write `value = "'en'"`: SQL, so text has its own quotes
    "##);
    insta::assert_snapshot!(with("required = true\n[old_rows]\n"), @r##"
    7:2 `[old_rows]` says neither `fill` nor `rust`
        at old_rows
        help: leave the section out if old rows get the default or NULL
    "##);
    insta::assert_snapshot!(with("required = false\n[old_writers]\n"), @r##"
    7:2 `old_writers.by` is missing
        at old_writers
        help: write `by = "default"`, `"trigger"` or `"nobody"`
    "##);
    insta::assert_snapshot!(with("required = false\n[check]\n"), @r##"
    7:2 `check.expr` is missing
        at check
        help: write `expr = "locale <> ''"`
    "##);
}

#[test]
fn wrong_types() {
    insta::assert_snapshot!(with("required = \"true\""), @r##"
    6:12 `required` must be true or false, found a string
        at "true"
        help: write true without quotes
    "##);
    insta::assert_snapshot!(with("required = false\n[index]\ninclude = [\"a\", 1]\nunique = 1"), @r##"
    8:17 `index.include` must be an array of strings, but holds an integer
        at 1
    9:10 `index.unique` must be true or false, found an integer
        at 1
    "##);
    insta::assert_snapshot!(with("required = false\n[[index]]\nunique = true"), @r##"
    7:3 `index` must be a section, found an array of tables
        at index
        help: write `[index]` on a line of its own, its keys below
    "##);
    insta::assert_snapshot!(with("required = false\nindex = true"), @r##"
    7:1 `index` must be a section, found a boolean
        at index
        help: write `[index]` on a line of its own, its keys below
    "##);
    insta::assert_snapshot!(with("required = false\n[retire]\nby = 3"), @r##"
    8:6 `retire.by` must be a date, found an integer
        at 3
    "##);
}

#[test]
fn unknown_keys() {
    insta::assert_snapshot!(with("requird = true"), @r##"
    1:1 `required` is missing
        help: write `required = true` for NOT NULL, `required = false` for a column that may be NULL
    6:1 unknown key `requird`
        at requird
        help: did you mean `required`?
    "##);
    insta::assert_snapshot!(with("required = true\n[old_rows]\nfil = \"1\"\n"), @r##"
    7:2 `[old_rows]` says neither `fill` nor `rust`
        at old_rows
        help: leave the section out if old rows get the default or NULL
    8:1 unknown key `old_rows.fil`
        at fil
        help: did you mean `fill`?
    "##);
    insta::assert_snapshot!(with("required = false\n[postgres]\nwhere = \"x\"\nback = \"b\"\nkeep = true\n"), @r##"
    8:1 `postgres.where` belongs to `[index]`, which is missing
        at where
        help: add `[index]`, or remove `where`
    9:1 `postgres.back` belongs to `[replaces]`, which is missing
        at back
        help: add `[replaces]`, or remove `back`
    10:1 unknown key `postgres.keep`
        at keep
        help: `keep` belongs to `[default]`
    "##);
    insta::assert_snapshot!(with("required = false\n[default]\nvalue = \"1\"\nrequired = true"), @r##"
    9:1 unknown key `default.required`
        at required
        help: `required` belongs above the first `[section]`
    "##);
    insta::assert_snapshot!(with("required = false\n[index]\nuniqe = true\ninclude = \"a\"\nmethod = \"\""), @r##"
    8:1 unknown key `index.uniqe`
        at uniqe
        help: did you mean `unique`?
    9:11 `index.include` must be an array of strings, found a string
        at "a"
        help: write ["a"]
    10:10 `index.method` is not a name: a name in `` is empty
        at ""
    "##);
    insta::assert_snapshot!(with("required = false\n[confirmations]\nx = 1"), @"
    7:2 unknown key `confirmations`
        at confirmations
        help: known here: format, postgres, mysql, sqlite, table, column, why, type, diesel, required, old_rows, old_writers, default, generated, index, references, check, replaces, retire, measured, confirmed
    ");
    insta::assert_snapshot!(with("required = false\ncheck.expr = \"a\"\nindex = { unique = true, foo = 1 }\n"), @r##"
    8:26 unknown key `index.foo`
        at foo
        help: known here: name, method, unique, where, include
    "##);
}

#[test]
fn wrong_values() {
    insta::assert_snapshot!(with("required = true\n[old_rows]\nrust = \"not a path\"\n[old_writers]\nby = \"nobody\""), @r##"
    8:8 `old_rows.rust` must be a path to Rust code, found `not a path`
        at "not a path"
        help: write a path such as `crate::backfill::locale`
    "##);
    insta::assert_snapshot!(with("required = true\n[old_rows]\nfill = \"1); drop table users\"\n"), @r#"
    8:8 `old_rows.fill` is no SQL that fits a statement: `)` has no partner
        at "1); drop table users"
        help: close every bracket that you open
    "#);
    insta::assert_snapshot!(with("required = true\n[default]\nvalue=\"1\"\n[references]\ntable = \"a.b.c\"\non_delete = \"set nul\""), @r##"
    9:2 `references.column` is missing
        at references
        help: name its key, for example "id"
    10:9 `a.b.c` is not of the form `table` or `schema.table`
        at "a.b.c"
        help: put a name that holds a dot in double quotes: '"my.table"'
    11:13 `references.on_delete` must be one of restrict, cascade, set null, set default, no action, found "set nul"
        at "set nul"
        help: did you mean "set null"?
    "##);
    insta::assert_snapshot!(with("required = false\n[old_writers]\nby = \"triger\""), @r##"
    8:6 `old_writers.by` must be one of default, trigger, nobody, found "triger"
        at "triger"
        help: did you mean "trigger"?
    "##);
    insta::assert_snapshot!(with("required = false\n[retire]\nby = 2027-02-30"), @r##"
    8:6 this is not TOML: invalid date, expected day between 01 and 28
        at 2027-02-30
    "##);
    insta::assert_snapshot!(with("required = false\n[retire]\nby = 2027-02-03T10:00:00Z"), @r##"
    8:6 `retire.by` must be a date, found `2027-02-03T10:00:00Z`
        at 2027-02-03T10:00:00Z
        help: write 2027-03-01
    "##);
    insta::assert_snapshot!(with("required = false\n[retire]\nby = 2027-02-03"), @"fine");
    insta::assert_snapshot!(with("required = false\n[retire]\nby = \"soon\""), @r##"
    8:6 `retire.by` must be a date, found `soon`
        at "soon"
        help: write 2027-03-01
    "##);
    insta::assert_snapshot!(with("required = false\ndiesel = \"Nullable<Text>\""), @r##"
    7:10 `diesel` is written without `Nullable`
        at "Nullable<Text>"
        help: `required = false` makes it nullable
    "##);
    insta::assert_snapshot!(with("required = false\ndiesel = \"text[\""), @r##"
    7:10 `diesel` must be a Rust type such as `Text`, found `text[`
        at "text["
        help: name a type of `diesel::sql_types` or a path to your own
    "##);
    insta::assert_snapshot!(with("required = false\ndiesel = \"crate::sql_types::Mood\""), @"fine");
    insta::assert_snapshot!(with("required = false\n[measured]\ntype_rewrites = 1\ndefault_volatility = \"imutable\""), @r##"
    7:2 `measured.server` is missing
        at measured
        help: `cargo newcol` writes this section; remove it to measure again
    8:17 `measured.type_rewrites` must be true or false, found an integer
        at 1
    9:22 `measured.default_volatility` must be one of immutable, stable, volatile, found "imutable"
        at "imutable"
        help: did you mean "immutable"?
    "##);
}

#[test]
fn contradictions() {
    insta::assert_snapshot!(with("required = true"), @r##"
    6:12 `users.locale` is required, but nothing says what the rows that exist already get
        at true
        help: add `[default]` for one value, `[old_rows]` for a computed one, or write `required = false`
    "##);
    insta::assert_snapshot!(with("required = true\n[default]\nvalue = \"NULL\""), @r##"
    8:9 `users.locale` is required, but its default is NULL
        at "NULL"
        help: give a value, or write `required = false`
    "##);
    insta::assert_snapshot!(with("required = true\n[old_rows]\nfill = \"lower(email)\"\nrust = \"crate::x\""), @r##"
    9:8 old rows are filled by SQL and by Rust at once
        at "crate::x"
        help: keep either `fill` or `rust`
    "##);
    insta::assert_snapshot!(with("required = true\n[old_rows]\nrust = \"crate::x\""), @r##"
    8:8 `users.locale` is filled by Rust code: say who fills it for old writers
        at "crate::x"
        help: add `[old_writers]` with `by = "default"` or `by = "nobody"`: a trigger cannot run Rust
    "##);
    insta::assert_snapshot!(with("required = true\n[default]\nvalue=\"1\"\n[references]\ntable = \"a\"\ncolumn=\"id\"\non_delete = \"set null\""), @r##"
    12:13 `users.locale` is required, so its foreign key cannot set it to NULL on delete
        at "set null"
        help: choose "restrict", "cascade" or "no action"
    "##);
    insta::assert_snapshot!(with("required = true\n[default]\nvalue=\"1\"\nkeep=false\n[references]\ntable = \"a\"\ncolumn=\"id\"\non_delete = \"set default\""), @r##"
    13:13 the foreign key of `users.locale` sets a default on delete, but none is kept
        at "set default"
        help: add `[default]` and leave `keep` at true
    "##);
    insta::assert_snapshot!(with("required = false\n[old_writers]\nby = \"trigger\""), @r##"
    8:6 old writers of `users.locale` are to be served by a trigger, but there is no SQL fill
        at "trigger"
        help: add `fill` to `[old_rows]`, or write `by = "default"` or `by = "nobody"`
    "##);
    insta::assert_snapshot!(with("required = false\n[old_writers]\nby = \"default\""), @r##"
    8:6 old writers of `users.locale` are to be served by its default, but it has none
        at "default"
        help: add `[default]`, or write `by = "trigger"` or `by = "nobody"`
    "##);
    insta::assert_snapshot!(with("required = false\n[generated]\nas = \"lower(email)\"\n[default]\nvalue = \"1\""), @r##"
    8:6 `users.locale` is generated, so it cannot have a default too
        at "lower(email)"
        help: drop one of the two
    "##);
    insta::assert_snapshot!(with("required = false\n[replaces]\ncolumn = \"locale\"\nback=\"1\""), @r##"
    8:10 `users.locale` cannot replace itself
        at "locale"
        help: name the column that goes away
    "##);
    insta::assert_snapshot!(with("required = false\n[replaces]\ncolumn = \"old\"\nback=\"1\""), @r##"
    8:10 `users.locale` replaces `old`, but no SQL fill computes it from there
        at "old"
        help: add `fill` to `[old_rows]` with the new value over the old row
    "##);
}

#[test]
fn whole_files() {
    insta::assert_snapshot!(complaints(""), @r##"
    1:1 `format` is missing
        help: write `format = 1`
    1:1 `table` is missing
        help: write `table = "users"`
    1:1 `column` is missing
        help: write `column = "locale"`
    1:1 `why` is missing
        help: say why the column exists: `why = "..."`
    1:1 `type` is missing
        help: write `type = "text"`, as the engine spells the type
    1:1 `required` is missing
        help: write `required = true` for NOT NULL, `required = false` for a column that may be NULL
    "##);
    insta::assert_snapshot!(complaints("\u{feff}format = 1\r\ntable = \"a.b.c\"\r\ncolumn = 3\r\n"), @r##"
    1:1 `why` is missing
        help: say why the column exists: `why = "..."`
    1:1 `type` is missing
        help: write `type = "text"`, as the engine spells the type
    1:1 `required` is missing
        help: write `required = true` for NOT NULL, `required = false` for a column that may be NULL
    2:9 `a.b.c` is not of the form `table` or `schema.table`
        at "a.b.c"
        help: put a name that holds a dot in double quotes: '"my.table"'
    3:10 `column` must be a string, found an integer
        at 3
    "##);
    insta::assert_snapshot!(complaints("format = 2\nfoo = 1"), @r##"
    1:10 format 2 was written by a newer cargo newcol; this one reads 1
        at 2
        help: update with `cargo install cargo-newcol`
    "##);
    insta::assert_snapshot!(complaints("format = 0"), @r##"
    1:10 there is no format 0; this cargo newcol reads 1
        at 0
        help: write `format = 1`
    "##);
    insta::assert_snapshot!(complaints("format = \"1\""), @r##"
    1:1 `table` is missing
        help: write `table = "users"`
    1:1 `column` is missing
        help: write `column = "locale"`
    1:1 `why` is missing
        help: say why the column exists: `why = "..."`
    1:1 `type` is missing
        help: write `type = "text"`, as the engine spells the type
    1:1 `required` is missing
        help: write `required = true` for NOT NULL, `required = false` for a column that may be NULL
    1:10 `format` must be a number, found a string
        at "1"
        help: write `format = 1`
    "##);
    insta::assert_snapshot!(complaints("format = 1\ntable = \"users\ncolumn=1"), @r#"2:15 this is not TOML: invalid basic string, expected `"`"#);
    insta::assert_snapshot!(complaints("format = 1\n<<<<<<< HEAD\ntable = \"a\"\n=======\ntable = \"b\"\n>>>>>>> b\n"), @r##"
    2:1 this file holds an unresolved merge conflict
        at <<<<<<< HEAD
        help: keep one side, and remove the lines with <<<, === and >>>
    "##);
    insta::assert_snapshot!(complaints("format = 1\ntable=\"a\"\ntable=\"b\""), @r##"
    3:1 this is not TOML: duplicate key
        at table
    "##);
    insta::assert_snapshot!(complaints("format = 1\ntable=\"\"\ncolumn=\"\"\nwhy=\"\"\ntype=\"\"\nrequired=false"), @r#"
    2:7 `table` is not a name: a name in `` is empty
        at ""
    3:8 `column` is not a name: a name in `` is empty
        at ""
    5:6 `type` is no SQL that fits a statement: it is empty
        at ""
        help: write SQL, or leave it out
    "#);
    insta::assert_snapshot!(complaints("format = 1\ntable=\"a\"\ncolumn=\"b\"\nwhy=\" \"\ntype=\"text not null\"\nrequired=false"), @r##"
    5:6 `type` is no SQL that fits a statement: `not` is not part of a type
        at "text not null"
        help: `required` decides about NULL
    "##);
    insta::assert_snapshot!(complaints("format = 1\ntable=\"a\"\ncolumn=\"b\"\nwhy=\" \"\ntype=\"text\"\nrequired=false"), @r##"
    4:5 `a.b` needs a reason: it becomes the column's comment
        at " "
        help: say why the column exists: `why = "..."`
    "##);
}

#[test]
fn offsets_become_lines_and_columns() {
    let text = "\u{feff}ä = 1\r\nb = 2\n";
    let places: Vec<_> = [0, 3, 5, 11, 12, 17, 99].map(|at| line_col(text, at)).into();
    assert_eq!(places, [(1, 1), (1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (3, 1)]);
}
