use insta::assert_snapshot;

use crate::desk::{self, newcol};

#[test]
fn a_page_is_printed() {
    let project = desk::one_crate("postgres").build().unwrap();
    let output = newcol(&project, &["man", "undo"]).success();
    assert_snapshot!(newcol_testkit::redact::redact(&output.stdout), @r#"
    .ie \n(.g .ds Aq \(aq
    .el .ds Aq '
    .TH cargo-newcol-undo 1  "undo " 
    .SH NAME
    cargo\-newcol\-undo \- Take back the last stage: its files, or with `\-\-live` what it did to a database
    .SH SYNOPSIS
    \fBcargo newcol undo\fR [\fB\-\-database\-url\fR] [\fB\-\-manifest\-path\fR] [\fB\-\-live\fR] [\fB\-p\fR|\fB\-\-package\fR] [\fB\-\-engine\fR] [\fB\-\-export\fR] [\fB\-\-accept\-loss\fR] [\fB\-\-locked\fR] [\fB\-\-offline\fR] [\fB\-\-yes\fR] [\fB\-\-dry\-run\fR] [\fB\-\-message\-format\fR] [\fB\-\-color\fR] [\fB\-\-lock\-timeout\fR] [\fB\-\-max\-wait\fR] [\fB\-q\fR|\fB\-\-quiet\fR]... [\fB\-\-index\-wait\fR] [\fB\-v\fR|\fB\-\-verbose\fR]... [\fB\-\-blockers\fR] [\fB\-\-other\-runner\fR] [\fB\-h\fR|\fB\-\-help\fR] <\fICOLUMN\fR> 
    .SH DESCRIPTION
    Take back the last stage: its files, or with `\-\-live` what it did to a database
    .PP
    First in each database that has the stage, with `\-\-live`: the `down.sql` of its migrations is run as `apply` runs `up.sql`, and holds nobody up. Values that would be gone with the column are counted, and exported where you say so; unless there are none it wants `\-\-accept\-loss`. Then the files, without `\-\-live`: the stage\*(Aqs migrations and its edit of schema.rs. A database given with `\-\-database\-url` is only asked then, and must not have the stage. Taking back the first stage removes the contract too, and the test unless it has been changed.
    .SH OPTIONS
    .TP
    \fB\-\-database\-url\fR \fI<URL>\fR
    Database to take the stage back in; without `\-\-live` it is asked, never changed
    .TP
    \fB\-\-live\fR
    Take the last stage back that the database has, there; files stay as they are
    .TP
    \fB\-\-export\fR \fI<FILE>\fR
    Write the values that would be lost to a new file first: `.csv`, or `.sql` to put them back
    .TP
    \fB\-\-accept\-loss\fR
    Go on though values are lost
    .TP
    \fB\-\-yes\fR
    Do not ask; without `\-\-live`: the stage is applied nowhere
    .TP
    \fB\-\-dry\-run\fR
    Show what would be done and lost, files as a diff; changes nothing
    .TP
    \fB\-h\fR, \fB\-\-help\fR
    Print help (see a summary with \*(Aq\-h\*(Aq)
    .TP
    <\fICOLUMN\fR>
    Column to take back, as `table.column`
    .SH WAITING
    .TP
    \fB\-\-lock\-timeout\fR \fI<TIME>\fR [default: [DURATION]]
    Wait so long for a lock before leaving the queue
    .TP
    \fB\-\-max\-wait\fR \fI<TIME>\fR [default: 15m]
    Try again for so long while others hold the table
    .TP
    \fB\-\-index\-wait\fR \fI<TIME>\fR [default: 4h]
    Let an index that is built or dropped concurrently wait so long for older transactions
    .TP
    \fB\-\-blockers\fR \fI<BLOCKERS>\fR [default: wait]
    What to do about others that hold what a migration needs
    .br

    .br
    \fIPossible values:\fR
    .RS 14
    .IP \(bu 2
    show: Say who they are, and leave
    .IP \(bu 2
    wait: Ask again and again until they are done
    .IP \(bu 2
    cancel: End their statement or idle transaction; never those of superusers, replicas and vacuums
    .RE
    .TP
    \fB\-\-other\-runner\fR \fI<OTHER_RUNNER>\fR [default: wait]
    What to do about another runner
    .br

    .br
    \fIPossible values:\fR
    .RS 14
    .IP \(bu 2
    wait: Wait until it is done
    .IP \(bu 2
    leave: Leave
    .RE
    .SH PROJECT
    .TP
    \fB\-\-manifest\-path\fR \fI<PATH>\fR
    Path to Cargo.toml
    .TP
    \fB\-p\fR, \fB\-\-package\fR \fI<SPEC>\fR
    Package whose schema is meant, in a workspace with several Diesel packages
    .TP
    \fB\-\-engine\fR \fI<NAME>\fR
    Engine of the project, where its manifest does not tell
    .TP
    \fB\-\-locked\fR
    Do not let Cargo change Cargo.lock
    .TP
    \fB\-\-offline\fR
    Do not let Cargo use the network
    .SH OUTPUT
    .TP
    \fB\-\-message\-format\fR \fI<FMT>\fR [default: human]
    Form of the output on stdout
    .br

    .br
    \fIPossible values:\fR
    .RS 14
    .IP \(bu 2
    human: For people
    .IP \(bu 2
    short: For people, one line per finding of `audit`
    .IP \(bu 2
    json: One JSON object per line
    .IP \(bu 2
    sarif: Findings of `audit` as SARIF 2.1.0
    .IP \(bu 2
    github: Findings of `audit` as annotations of GitHub Actions
    .RE
    .TP
    \fB\-\-color\fR \fI<WHEN>\fR [default: auto]
    When to use color
    .br

    .br
    \fIPossible values:\fR
    .RS 14
    .IP \(bu 2
    auto: On a terminal that has it
    .IP \(bu 2
    always: Always
    .IP \(bu 2
    never: Never
    .RE
    .TP
    \fB\-q\fR, \fB\-\-quiet\fR
    Say less; twice: errors only
    .TP
    \fB\-v\fR, \fB\-\-verbose\fR
    Say more
    .SH EXTRA
    Examples:
      cargo newcol undo users.locale \-\-live \-\-database\-url postgres://db/app \-\-dry\-run
      cargo newcol undo users.locale \-\-live \-\-database\-url postgres://db/app \-\-export lost.sql \-\-accept\-loss \-\-yes
      cargo newcol undo users.locale \-\-database\-url postgres://db/app
      cargo newcol undo users.locale \-\-yes
    "#);
}

#[test]
fn every_page_is_written() {
    let project = desk::one_crate("postgres").build().unwrap();
    std::fs::create_dir(project.root().join("man")).unwrap();
    drop(newcol(&project, &["man", "--out-dir", "man"]).success());
    let pages = project.files().unwrap();
    let pages: Vec<&str> =
        pages.keys().filter(|p| p.starts_with("man")).map(|p| p.as_str()).collect();
    for verb in ["add", "plan", "status", "next", "undo", "explain", "completions", "man"] {
        assert!(pages.contains(&format!("man/cargo-newcol-{verb}.1").as_str()), "{pages:?}");
    }
    assert!(pages.contains(&"man/cargo-newcol-watch-report.1"), "{pages:?}");
    assert!(!pages.iter().any(|page| page.contains("-help")), "{pages:?}");
}
