//! Every format, of findings made by hand.

mod as_sarif;

use newcol_core::{
    audit::{
        Acknowledged, Baseline, Edit, Finding, Fix, Judged, Remark, Report, Scope, SourceFile,
        Texts, Where,
        rules::{FROZEN_VIEW, INSERT_WITHOUT_LIST, POSITIONAL_QUERYABLE, REPLACE_INTO},
    },
    plan::StageKind,
    schema::Place,
};

use super::*;

const RUST: &str = "use crate::schema::users;

#[derive(Queryable)]
struct User {
    id: i32,
}

fn save(ünion: &User) {
    replace_into(users::table).values(ünion);
}
";

const SQL: &str = "INSERT INTO users VALUES (1);\r\nSELECT 1; -- newcol:allow(NC105)\r\n";

/// No other column needs a comment.
#[expect(clippy::unnecessary_wraps, reason = "it stands for an audit that can fail")]
fn others() -> Option<Vec<Finding>> {
    Some(Vec::new())
}

fn files() -> Vec<SourceFile> {
    let file = |path: &str, text: &str| SourceFile { path: path.into(), text: text.to_owned() };
    vec![file("src/a b.rs", RUST), file("seed.sql", SQL)]
}

fn place(path: &str, text: &str, what: &str) -> Where {
    let at = text.find(what).unwrap();
    Where::File { path: path.into(), at: Place::new(text, at..at + what.len()) }
}

/// One finding of each class, of each place, with fix, reason and help.
fn findings() -> Vec<Finding> {
    let rust = |what| place("src/a b.rs", RUST, what);
    let derive = RUST.find("Queryable").unwrap() + "Queryable".len();
    let attribute = RUST.find("struct").unwrap();
    vec![
        Finding {
            rule: &POSITIONAL_QUERYABLE,
            class: POSITIONAL_QUERYABLE.class,
            due: StageKind::Expand,
            place: rust("#[derive(Queryable)]\nstruct User"),
            message: "`User` is read by position and has no field for `locale`".to_owned(),
            help: None,
            fix: Some(Fix {
                path: None,
                message: "derive `Selectable`".to_owned(),
                edits: vec![
                    Edit { range: derive..derive, text: ", Selectable".to_owned() },
                    Edit {
                        range: attribute..attribute,
                        text: "#[diesel(table_name = users)]\n".to_owned(),
                    },
                ],
            }),
        },
        Finding {
            rule: &REPLACE_INTO,
            class: REPLACE_INTO.class,
            due: StageKind::Constrain,
            place: rust("replace_into(users::table).values(ünion)"),
            message: "every write resets `locale` to its default: 100% lost".to_owned(),
            help: Some("write `insert_into` with `on_conflict`".to_owned()),
            fix: None,
        },
        Finding {
            rule: &INSERT_WITHOUT_LIST,
            class: INSERT_WITHOUT_LIST.class,
            due: StageKind::Expand,
            place: place("seed.sql", SQL, "INSERT INTO users VALUES (1);"),
            message: "the columns are not listed".to_owned(),
            help: None,
            fix: None,
        },
        Finding {
            rule: &FROZEN_VIEW,
            class: FROZEN_VIEW.class,
            due: StageKind::Contract,
            place: Where::Database("view active_users".to_owned()),
            message: "it does not show `locale`".to_owned(),
            help: None,
            fix: None,
        },
        Finding::unread("odd.sql".into(), "it is not UTF-8"),
    ]
}

fn with<T>(check: impl FnOnce(&Audited<'_>) -> T) -> T {
    let (column, files): (ColumnPath, _) = ("users.locale".parse().unwrap(), files());
    let known = (&column, &Baseline::default());
    let mut report = Report::new(findings(), &files, known, Scope::TEXTS, others);
    report.findings[2].acknowledged = Some(Acknowledged::Baseline);
    report.findings[3].acknowledged =
        Some(Acknowledged::Comment { reason: "nobody reads it".to_owned() });
    let texts = Texts::of(&files);
    check(&Audited {
        column: &column,
        report: &report,
        captures: &[],
        texts,
        files: files.len(),
        prefix: "services/app".into(),
    })
}

fn each(audited: &Audited<'_>, draw: impl Fn(&Judged) -> String) -> String {
    audited.report.findings.iter().map(|judged| format!("{}\n\n", draw(judged))).collect()
}

#[test]
fn people_see_the_source() {
    let text = with(|audited| {
        let mut text = each(audited, |judged| print::finding(audited, judged, Some(80)));
        for remark in &audited.report.remarks {
            text.push_str(&print::remark(audited, remark, Some(80)));
        }
        format!("{text}\n\n{}", Tally::of(audited.report).sentence())
    });
    let plain = anstream::adapter::strip_str(&text).to_string();
    assert_ne!(plain, text, "there is color to take away");
    insta::assert_snapshot!(plain, @"
    compile[NC001]: `User` is read by position and has no field for `locale`
     --> src/a b.rs:3:1
      |
    3 | / #[derive(Queryable)]
    4 | | struct User {
      | |___________^
      |
      = note: to be dealt with before `expand` is released
    help: derive `Selectable`
      |
    3 ~ #[derive(Queryable, Selectable)]
    4 + #[diesel(table_name = users)]
      |

    silent[NC009]: every write resets `locale` to its default: 100% lost
     --> src/a b.rs:9:5
      |
    9 |     replace_into(users::table).values(ünion);
      |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = note: to be dealt with before `constrain` is released
      = help: write `insert_into` with `on_conflict`

    runtime[NC105]: the columns are not listed
     --> seed.sql:1:1
      |
    1 | INSERT INTO users VALUES (1);
      | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = note: to be dealt with before `expand` is released
      = note: acknowledged in the baseline

    silent[NC110]: it does not show `locale`
    --> view active_users
     = note: to be dealt with before `contract` is released
     = note: acknowledged: nobody reads it

    unknown[NC203]: the file was left out: it is not UTF-8
    --> odd.sql
     = note: to be looked at before `expand` is released

    warning: the comment gives no reason, and acknowledges nothing without one
     --> seed.sql:2:14
      |
    2 | SELECT 1; -- newcol:allow(NC105)
      |              ^^^^^^^^^^^^^^^^^^^
      |
      = help: write `newcol:allow(NC009): reason`

    2 places to act on (1 compile, 1 silent); 1 unknown; 2 acknowledged
    ");
}

#[test]
fn a_line_per_finding() {
    let text = with(|audited| {
        let remarks: String = audited.report.remarks.iter().map(print::short_remark).collect();
        each(audited, print::short).replace("\n\n", "\n") + &remarks
    });
    insta::assert_snapshot!(text, @"
    src/a b.rs:3:1: compile[NC001]: `User` is read by position and has no field for `locale`
    src/a b.rs:9:5: silent[NC009]: every write resets `locale` to its default: 100% lost
    seed.sql:1:1: runtime[NC105]: the columns are not listed
    view active_users: silent[NC110]: it does not show `locale`
    odd.sql:1:1: unknown[NC203]: the file was left out: it is not UTF-8
    seed.sql:2:14: warning: the comment gives no reason, and acknowledges nothing without one
    ");
}

#[test]
fn github_shows_annotations() {
    insta::assert_snapshot!(with(github::commands), @"
    ::error file=services/app/src/a b.rs,line=3,endLine=4,title=compile[NC001]%3A positional-queryable::`User` is read by position and has no field for `locale`%0Ato be dealt with before `expand` is released
    ::error file=services/app/src/a b.rs,line=9,endLine=9,col=5,endColumn=45,title=silent[NC009]%3A replace-into::every write resets `locale` to its default: 100%25 lost%0Ato be dealt with before `constrain` is released%0Ahelp: write `insert_into` with `on_conflict`
    ::warning file=services/app/odd.sql,line=1,endLine=1,col=1,endColumn=1,title=unknown[NC203]%3A unreadable-sql::the file was left out: it is not UTF-8%0Ato be dealt with before `expand` is released
    ::warning file=services/app/seed.sql,line=2,endLine=2,col=14,endColumn=33,title=newcol%3Aallow::the comment gives no reason, and acknowledges nothing without one%0Ahelp: write `newcol:allow(NC009): reason`
    ");
}

#[test]
fn json_lines_say_all() {
    let text = with(|audited| {
        let line = |line: json::Line<'_>| {
            format!("{} {}\n", line.reason, serde_json::to_string_pretty(&line.body).unwrap())
        };
        json::lines(audited, None).into_iter().map(line).collect::<String>()
    });
    insta::assert_snapshot!(text, @r##"
    newcol-audit-finding {
      "column": "users.locale",
      "rule": "NC001",
      "name": "positional-queryable",
      "class": "compile",
      "due": "expand",
      "message": "`User` is read by position and has no field for `locale`",
      "help": null,
      "place": {
        "kind": "file",
        "file_name": "src/a b.rs",
        "byte_start": 27,
        "byte_end": 59,
        "line_start": 3,
        "line_end": 4,
        "column_start": 1,
        "column_end": 12
      },
      "acknowledged": null,
      "fix": {
        "message": "derive `Selectable`",
        "spans": [
          {
            "file_name": "src/a b.rs",
            "byte_start": 45,
            "byte_end": 45,
            "line_start": 3,
            "line_end": 3,
            "column_start": 19,
            "column_end": 19,
            "suggested_replacement": ", Selectable",
            "suggestion_applicability": "MachineApplicable"
          },
          {
            "file_name": "src/a b.rs",
            "byte_start": 48,
            "byte_end": 48,
            "line_start": 4,
            "line_end": 4,
            "column_start": 1,
            "column_end": 1,
            "suggested_replacement": "#[diesel(table_name = users)]\n",
            "suggestion_applicability": "MachineApplicable"
          }
        ]
      },
      "fingerprint": "a97c5e0239727c1a"
    }
    newcol-audit-finding {
      "column": "users.locale",
      "rule": "NC009",
      "name": "replace-into",
      "class": "silent",
      "due": "constrain",
      "message": "every write resets `locale` to its default: 100% lost",
      "help": "write `insert_into` with `on_conflict`",
      "place": {
        "kind": "file",
        "file_name": "src/a b.rs",
        "byte_start": 107,
        "byte_end": 148,
        "line_start": 9,
        "line_end": 9,
        "column_start": 5,
        "column_end": 45
      },
      "acknowledged": null,
      "fix": null,
      "fingerprint": "64a8bf7ca699486f"
    }
    newcol-audit-finding {
      "column": "users.locale",
      "rule": "NC105",
      "name": "insert-without-list",
      "class": "runtime",
      "due": "expand",
      "message": "the columns are not listed",
      "help": null,
      "place": {
        "kind": "file",
        "file_name": "seed.sql",
        "byte_start": 0,
        "byte_end": 29,
        "line_start": 1,
        "line_end": 1,
        "column_start": 1,
        "column_end": 30
      },
      "acknowledged": {
        "by": "baseline",
        "reason": null
      },
      "fix": null,
      "fingerprint": "7d45dd9a59e81cc6"
    }
    newcol-audit-finding {
      "column": "users.locale",
      "rule": "NC110",
      "name": "frozen-view",
      "class": "silent",
      "due": "contract",
      "message": "it does not show `locale`",
      "help": null,
      "place": {
        "kind": "database",
        "object": "view active_users"
      },
      "acknowledged": {
        "by": "comment",
        "reason": "nobody reads it"
      },
      "fix": null,
      "fingerprint": "05102e2e4c932705"
    }
    newcol-audit-finding {
      "column": "users.locale",
      "rule": "NC203",
      "name": "unreadable-sql",
      "class": "unknown",
      "due": "expand",
      "message": "the file was left out: it is not UTF-8",
      "help": null,
      "place": {
        "kind": "file",
        "file_name": "odd.sql",
        "byte_start": 0,
        "byte_end": 0,
        "line_start": 1,
        "line_end": 1,
        "column_start": 1,
        "column_end": 1
      },
      "acknowledged": null,
      "fix": null,
      "fingerprint": "2cac74a73cac007c"
    }
    newcol-audit-remark {
      "message": "the comment gives no reason, and acknowledges nothing without one",
      "help": "write `newcol:allow(NC009): reason`",
      "place": {
        "kind": "file",
        "file_name": "seed.sql",
        "byte_start": 44,
        "byte_end": 63,
        "line_start": 2,
        "line_end": 2,
        "column_start": 14,
        "column_end": 33
      }
    }
    newcol-audit-summary {
      "column": "users.locale",
      "stage": null,
      "files": 2,
      "compiler": false,
      "database": false,
      "compile": 1,
      "runtime": 0,
      "silent": 1,
      "unknown": 1,
      "acknowledged": 2,
      "stale": 0
    }
    "##);
}

#[test]
fn a_statement_is_a_place_in_every_form() {
    let sql = format!("INSERT INTO users VALUES ({}?)", "?, ".repeat(60));
    let found = Finding {
        place: Where::Statement { sql: sql.clone(), from: Vec::new() },
        ..findings().remove(2)
    };
    let (column, files): (ColumnPath, _) = ("users.locale".parse().unwrap(), files());
    let known = (&column, &Baseline::default());
    let report = Report::new(vec![found], &files, known, Scope::TEXTS, others);
    let (texts, prefix) = (Texts::of(&files), Utf8PathBuf::new());
    let audited =
        Audited { column: &column, report: &report, captures: &[], texts, files: 2, prefix };
    let short = print::short(&report.findings[0]);
    assert!(short.starts_with("statement INSERT INTO users VALUES (?, "), "{short}");
    assert!(short.ends_with("…: runtime[NC105]: the columns are not listed"), "{short}");
    let drawn = print::finding(&audited, &report.findings[0], None);
    assert!(drawn.contains("statement INSERT INTO users"), "{drawn}");
    assert!(github::commands(&audited).starts_with("::error title=runtime[NC105]"));
    let sarif: serde_json::Value = serde_json::from_str(&sarif::document(&audited)).unwrap();
    let place = &sarif["runs"][0]["results"][0]["locations"][0]["logicalLocations"][0];
    assert_eq!(place["fullyQualifiedName"], sql.as_str());
}

#[test]
fn a_release_is_refused_for_what_fails_or_is_lost() {
    let error = with(|audited| gate::refusal(audited.column, audited.report, StageKind::Constrain));
    let CliError { exit, message, causes, hints, .. } = error.unwrap();
    assert_eq!(exit, Exit::GateShut);
    let said = [&[message][..], &causes, &hints].concat().join("\n");
    insta::assert_snapshot!(said, @"
    `constrain` of `users.locale` cannot be released yet
    src/a b.rs:9:5: silent[NC009]: every write resets `locale` to its default: 100% lost
    see them: `cargo newcol audit users.locale --stage constrain`
    what may stay gets a comment at its place, `// newcol:allow(NC009): reason`, or goes into the baseline with all the others: `cargo newcol audit users.locale --write-baseline`
    ");
}

#[test]
fn fixes_are_a_patch() {
    let audit = |files: &[SourceFile]| match files[0].text.contains("Selectable") {
        true => Vec::new(),
        false => findings(),
    };
    let (mended, patch) = fix::changes(&files(), audit);
    assert_eq!(mended.applied, 1);
    let diffs: String = patch.changes().iter().map(|change| change.diff()).collect();
    insta::assert_snapshot!(diffs, @"
    --- a/src/a b.rs
    +++ b/src/a b.rs
    @@ -1,6 +1,7 @@
     use crate::schema::users;

    -#[derive(Queryable)]
    +#[derive(Queryable, Selectable)]
    +#[diesel(table_name = users)]
     struct User {
         id: i32,
     }
    ");
}

#[test]
fn what_does_not_compile_or_is_unknown_refuses_nothing() {
    let column: ColumnPath = "users.locale".parse().unwrap();
    let files = files();
    let mut found = findings();
    found.retain(|finding| matches!(finding.class, Class::Compile | Class::Unknown));
    let known = (&column, &Baseline::default());
    let report = Report::new(found, &files, known, Scope::TEXTS, others);
    assert_eq!(report.findings.len(), 2);
    assert!(gate::refusal(&column, &report, StageKind::Contract).is_none());
}

#[test]
fn any_place_can_be_drawn() {
    for text in ["", "\n", "a", "é\u{feff}\t\r\n\u{202e}b\u{0}"] {
        let files = [SourceFile { path: "a.rs".into(), text: text.to_owned() }];
        let column: ColumnPath = "users.locale".parse().unwrap();
        for start in 0..=text.len() + 1 {
            for end in start..=text.len() + 2 {
                let at = Place { range: start..end, line: 1, column: 1 };
                let place = Where::File { path: "a.rs".into(), at };
                let edits = vec![Edit { range: start..end, text: "x\n".to_owned() }];
                let fix = Some(Fix { message: "mend\nit".to_owned(), path: None, edits });
                let found = Finding { place, fix, ..findings().remove(1) };
                let known = (&column, &Baseline::default());
                let report = Report::new(vec![found], &files, known, Scope::TEXTS, others);
                let texts = Texts::of(&files);
                let audited = Audited {
                    column: &column,
                    report: &report,
                    captures: &[],
                    texts,
                    files: 1,
                    prefix: Utf8PathBuf::new(),
                };
                let judged = &report.findings[0];
                assert!(print::finding(&audited, judged, None).contains("NC009"));
                assert!(sarif::document(&audited).contains("NC009"));
                assert_eq!(github::commands(&audited).lines().count(), 1);
                assert_eq!(json::lines(&audited, None).len(), 2);
            }
        }
    }
}

#[test]
fn a_remark_is_one_line() {
    let at = Place { range: 0..0, line: 1, column: 1 };
    let (message, help) = ("a\r\nb".to_owned(), String::new());
    let remark = Remark { path: "a.rs".into(), at, message, help };
    assert_eq!(print::short_remark(&remark), "a.rs:1:1: warning: a  b");
}
