//! The command line: root, global flags, dispatch to the verbs.

use std::{ffi::OsString, process::ExitCode};

use camino::Utf8PathBuf;
use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand, ValueEnum};
use newcol_core::backend::Backend;

use crate::{
    context::Context,
    error::{CliError, Exit},
    interrupt,
    output::Output,
    verbs,
};

/// Cargo calls us as `cargo-newcol newcol …`; by hand the word may be left out.
#[derive(Debug, Parser)]
#[command(name = "cargo", bin_name = "cargo", styles = clap_cargo::style::CLAP_STYLING)]
enum Cargo {
    Newcol(Newcol),
}

/// Add a column to a production table of a Diesel project, in stages that break nothing
///
/// One column goes from the wish to the day when nothing but the column is left: `add` writes down
/// every decision and releases the first stage, `next` releases the following ones, one per
/// release of your application.
#[derive(Debug, Args)]
#[command(
    version,
    after_help = "Examples:\n  \
        cargo newcol tour\n  \
        cargo newcol add users.locale --type 'varchar(16)' --required --default \"'en'\" --why 'E-mails go out in the reader'\\''s language'\n  \
        cargo newcol plan users.locale\n  \
        cargo newcol next users.locale --database-url postgres://db/app"
)]
struct Newcol {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

/// Flags that every verb takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// Path to Cargo.toml
    #[arg(long, global = true, value_name = "PATH", help_heading = "Project")]
    pub(crate) manifest_path: Option<Utf8PathBuf>,
    /// Package whose schema is meant, in a workspace with several Diesel packages
    #[arg(short, long, global = true, value_name = "SPEC", help_heading = "Project")]
    pub(crate) package: Option<String>,
    /// Engine of the project, where its manifest does not tell
    #[arg(long, global = true, value_name = "NAME", help_heading = "Project", value_parser = backend)]
    pub(crate) engine: Option<Backend>,
    /// Do not let Cargo change Cargo.lock
    #[arg(long, global = true, help_heading = "Project")]
    pub(crate) locked: bool,
    /// Do not let Cargo use the network
    #[arg(long, global = true, help_heading = "Project")]
    pub(crate) offline: bool,
    /// Form of the output on stdout
    #[arg(
        long,
        global = true,
        value_name = "FMT",
        default_value = "human",
        help_heading = "Output"
    )]
    pub(crate) message_format: MessageFormat,
    /// When to use color
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        env = "CARGO_TERM_COLOR",
        help_heading = "Output"
    )]
    pub(crate) color: Color,
    /// Say less; twice: errors only
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = "Output")]
    pub(crate) quiet: u8,
    /// Say more
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = "Output")]
    pub(crate) verbose: u8,
}

fn backend(text: &str) -> Result<Backend, newcol_core::backend::UnknownBackend> {
    text.parse()
}

/// Form of the output on stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum MessageFormat {
    /// For people
    Human,
    /// For people, one line per finding of `audit`
    Short,
    /// One JSON object per line
    Json,
    /// Findings of `audit` as SARIF 2.1.0
    Sarif,
    /// Findings of `audit` as annotations of GitHub Actions
    Github,
}

/// When to use color.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal that has it
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Tour(verbs::tour::TourArgs),
    Add(Box<verbs::add::AddArgs>),
    Plan(verbs::plan::PlanArgs),
    Status(verbs::status::StatusArgs),
    Next(verbs::next::NextArgs),
    Apply(Box<verbs::apply::ApplyArgs>),
    Backfill(Box<verbs::backfill::BackfillArgs>),
    Verify(verbs::verify::VerifyArgs),
    Rehearse(verbs::rehearse::RehearseArgs),
    Audit(verbs::audit::AuditArgs),
    Bench(verbs::bench::BenchArgs),
    Watch(verbs::watch::WatchArgs),
    Undo(verbs::undo::UndoArgs),
    Finish(verbs::finish::FinishArgs),
    Doctor(verbs::doctor::DoctorArgs),
    Explain(verbs::explain::ExplainArgs),
    Completions(verbs::completions::CompletionsArgs),
    Man(verbs::man::ManArgs),
}

/// Returns the command line under the name of the program, for completions.
pub(crate) fn program() -> clap::Command {
    let cargo = Cargo::command();
    let newcol = cargo.find_subcommand("newcol").expect("the enum has that variant");
    newcol.clone().name("cargo-newcol").bin_name("cargo-newcol")
}

/// Returns the command line as data, for reference pages and manuals.
pub fn command() -> clap::Command {
    let mut cargo = Cargo::command();
    cargo.build();
    let newcol = cargo.find_subcommand("newcol").expect("the enum has that variant");
    newcol.clone().name("cargo-newcol").bin_name("cargo newcol")
}

pub(crate) fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let Newcol { global, verb } = match Cargo::try_parse_from(with_word(args)) {
        Ok(Cargo::Newcol(newcol)) => newcol,
        Err(error) => {
            let code = if error.use_stderr() { Exit::Usage } else { Exit::Done };
            drop(error.print());
            return code.into();
        }
    };
    interrupt::install();
    let mut out = Output::new(&global);
    match dispatch(&global, &verb, &mut out) {
        Ok(exit) => exit.into(),
        Err(error) => out.error(&error).into(),
    }
}

fn dispatch(global: &Global, verb: &Verb, out: &mut Output) -> Result<Exit, CliError> {
    match global.message_format {
        MessageFormat::Human | MessageFormat::Json => {}
        MessageFormat::Short | MessageFormat::Sarif | MessageFormat::Github => {
            if !matches!(verb, Verb::Audit(_)) {
                return Err(CliError::usage("only `audit` has findings in this form")
                    .at("--message-format")
                    .hint("every command knows `human` and `json`"));
            }
        }
    }
    let ctx = Context::new(global)?;
    let done = match verb {
        Verb::Tour(args) => verbs::tour::run(&ctx, out, args),
        Verb::Add(args) => verbs::add::run(&ctx, out, args),
        Verb::Plan(args) => verbs::plan::run(&ctx, out, args),
        Verb::Status(args) => verbs::status::run(&ctx, out, args),
        Verb::Next(args) => verbs::next::run(&ctx, out, args),
        Verb::Apply(args) => verbs::apply::run(&ctx, out, args),
        Verb::Backfill(args) => verbs::backfill::run(&ctx, out, args),
        Verb::Verify(args) => verbs::verify::run(&ctx, out, args),
        Verb::Rehearse(args) => verbs::rehearse::run(&ctx, out, args),
        Verb::Audit(args) => verbs::audit::run(&ctx, out, args),
        Verb::Bench(args) => verbs::bench::run(&ctx, out, args),
        Verb::Watch(args) => verbs::watch::run(&ctx, out, args),
        Verb::Undo(args) => verbs::undo::run(&ctx, out, args),
        Verb::Finish(args) => verbs::finish::run(&ctx, out, args),
        Verb::Doctor(args) => verbs::doctor::run(&ctx, out, args),
        Verb::Explain(args) => verbs::explain::run(&ctx, out, args),
        Verb::Completions(args) => verbs::completions::run(out, args),
        Verb::Man(args) => verbs::man::run(out, args),
    };
    done.map_err(|error| match ctx.root() {
        Some(root) => error.below(root),
        None => error,
    })
}

/// Inserts the word `newcol` where the binary was called by hand.
fn with_word(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut args: Vec<OsString> = args.into_iter().collect();
    if args.get(1).is_none_or(|word| word != "newcol") {
        args.insert(args.len().min(1), "newcol".into());
    }
    args
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cargo::command().debug_assert();
    }
}
