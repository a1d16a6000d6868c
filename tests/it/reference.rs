//! `docs/cli.md` and `docs/rules` show what the tool says.

use std::fmt::Write as _;

use camino::{Utf8Path, Utf8PathBuf};
use clap::Command;
use newcol_core::audit::rules::{RULES, Rule};

fn page(text: &mut String, command: &mut Command) {
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name()).to_owned();
    let _ = write!(text, "\n## `{name}`\n\n```text\n{}\n```\n", help(command));
}

/// The long help, without trailing blanks.
fn help(command: &mut Command) -> String {
    let help = command.clone().term_width(100).render_long_help().to_string();
    help.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").trim_end().to_owned()
}

#[test]
fn the_reference_is_what_help_says() {
    let mut command = cargo_newcol::command();
    command.build();
    let mut text = "# Command line\n\nMade from the tool's own help: `NEWCOL_BLESS=1 cargo test -p newcol-tests reference`.\n".to_owned();
    page(&mut text, &mut command);
    for verb in command.get_subcommands_mut().filter(|c| c.get_name() != "help") {
        page(&mut text, verb);
        for part in verb.get_subcommands_mut().filter(|c| c.get_name() != "help") {
            page(&mut text, part);
        }
    }
    check("cli.md", &text);
}

#[test]
fn the_rules_are_what_explain_says() {
    let mut index = "# Rules of the audit\n\n`cargo newcol explain NC009` prints a page. \
                     [audit.md](../audit.md) says what classes are.\n\n| rule | name | class |\n|-|-|-|\n"
        .to_owned();
    for Rule { id, name, class, text } in RULES {
        let _ = writeln!(index, "| [{id}]({id}.md) | {name} | {} |", class.name());
        check(&format!("rules/{id}.md"), text);
    }
    check("rules/README.md", &index);
    let pages = docs().join("rules").read_dir_utf8().unwrap().count();
    assert_eq!(pages, RULES.len() + 1, "a page is of no rule");
}

fn docs() -> Utf8PathBuf {
    Utf8Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs")
}

/// Compares a page with what it is made from, or makes it.
#[track_caller]
fn check(name: &str, text: &str) {
    let path = docs().join(name);
    if std::env::var_os("NEWCOL_BLESS").is_some() && std::env::var_os("CI").is_none() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(there == text, "{path} is stale: NEWCOL_BLESS=1 cargo test -p newcol-tests reference");
}
