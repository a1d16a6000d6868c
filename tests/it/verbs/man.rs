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
    cargo\-newcol\-undo \- Take back the last released stage: remove its migrations and its edit of schema.rs
    .SH SYNOPSIS
    \fBcargo newcol undo\fR [\fB\-\-database\-url\fR] [\fB\-\-manifest\-path\fR] [\fB\-p\fR|\fB\-\-package\fR] [\fB\-\-yes\fR] [\fB\-\-dry\-run\fR] [\fB\-\-engine\fR] [\fB\-\-locked\fR] [\fB\-\-offline\fR] [\fB\-\-message\-format\fR] [\fB\-\-color\fR] [\fB\-q\fR|\fB\-\-quiet\fR]... [\fB\-v\fR|\fB\-\-verbose\fR]... [\fB\-h\fR|\fB\-\-help\fR] <\fICOLUMN\fR> 
    .SH DESCRIPTION
    Take back the last released stage: remove its migrations and its edit of schema.rs
    .PP
    Only for a stage that is not applied anywhere that matters; a database given with `\-\-database\-url` is asked. What is applied is undone by `diesel migration revert` first. Taking back the first stage removes the contract too, and the test unless it has been changed.
    .SH OPTIONS
    .TP
    \fB\-\-database\-url\fR \fI<URL>\fR
    Database that must not have the stage: asked, never changed
    .TP
    \fB\-\-yes\fR
    The stage is applied nowhere
    .TP
    \fB\-\-dry\-run\fR
    Show the files as a diff and write nothing
    .TP
    \fB\-h\fR, \fB\-\-help\fR
    Print help (see a summary with \*(Aq\-h\*(Aq)
    .TP
    <\fICOLUMN\fR>
    Column to take back, as `table.column`
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
    json: One JSON object per line
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
}
