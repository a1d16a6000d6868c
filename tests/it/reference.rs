//! `docs/cli.md` is what the tool says of itself.

use std::fmt::Write as _;

use camino::Utf8Path;
use clap::Command;

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
    }
    let path = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs/cli.md");
    if std::env::var_os("NEWCOL_BLESS").is_some() && std::env::var_os("CI").is_none() {
        std::fs::write(&path, &text).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(there == text, "{path} is stale: NEWCOL_BLESS=1 cargo test -p newcol-tests reference");
}
