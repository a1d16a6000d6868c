//! The only place that writes to the terminal: data to stdout, all else to stderr.

pub(crate) mod ascii;
mod json;
pub(crate) mod progress;
mod text;

use std::io::{self, IsTerminal, Write};

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use ascii::Spelled;
pub(crate) use json::{DatabaseJson, GateJson, MarkerJson, StageStatusJson, StatusJson};
use json::{ErrorJson, FileJson, PlanJson};
use newcol_core::{
    plan::{Plan, StageKind},
    render::patch::FilePatch,
};
use serde::Serialize;

use crate::{
    cli::{Color, Global, MessageFormat},
    context,
    error::{CliError, Exit},
};

/// Version of the JSON form; raised when a field changes its meaning or goes away.
const JSON_VERSION: u32 = 1;

/// How much a line of data matters; decides its color.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    Error,
    Warning,
    Note,
}

/// How something turned out; decides the color of its first word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    Good,
    Bad,
    /// Not looked at.
    Idle,
}

pub(crate) struct Output {
    stdout: Spelled<AutoStream<io::Stdout>>,
    stderr: Spelled<AutoStream<io::Stderr>>,
    format: MessageFormat,
    quiet: u8,
    verbose: u8,
}

const HEADING: Style = AnsiColor::Green.on_default().bold();
const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default().bold();
const GOOD: Style = AnsiColor::Green.on_default();
const DIM: Style = Style::new().dimmed();

impl Output {
    pub(crate) fn new(global: &Global) -> Self {
        let choice = match global.color {
            Color::Auto => ColorChoice::Auto,
            Color::Always => ColorChoice::Always,
            Color::Never => ColorChoice::Never,
        };
        Self {
            stdout: Spelled::new(AutoStream::new(io::stdout(), choice), &io::stdout()),
            stderr: Spelled::new(AutoStream::new(io::stderr(), choice), &io::stderr()),
            format: global.message_format,
            quiet: global.quiet,
            verbose: global.verbose,
        }
    }

    /// Reports whether somebody can answer questions.
    pub(crate) fn interactive(&self) -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Reports whether a line that changes can be drawn on stderr.
    pub(crate) fn draws(&self) -> bool {
        let can = context::env("TERM").is_none_or(|term| term != "dumb");
        can && self.quiet == 0 && !self.is_json() && io::stderr().is_terminal()
    }

    pub(crate) fn is_json(&self) -> bool {
        self.format == MessageFormat::Json
    }

    pub(crate) fn format(&self) -> MessageFormat {
        self.format
    }

    /// Returns how many columns stdout has, where it is a terminal.
    pub(crate) fn width(&self) -> Option<usize> {
        let (width, _) = terminal_size::terminal_size_of(io::stdout())?;
        Some(usize::from(width.0))
    }

    /// Reports whether stdout is colored.
    pub(crate) fn colors(&self) -> bool {
        self.stdout.stream.current_choice() != ColorChoice::Never
    }

    /// Reports whether somebody looks closer than most.
    pub(crate) fn is_verbose(&self) -> bool {
        self.verbose > 0
    }

    /// Writes data for people; nothing when the output is for programs.
    pub(crate) fn say(&mut self, text: &str) {
        if matches!(self.format, MessageFormat::Human | MessageFormat::Short) {
            // A closed pipe is the reader's way of saying "enough".
            drop(writeln!(self.stdout, "{text}"));
        }
    }

    /// Writes data as it is, in both formats.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        drop(self.stdout.stream.write_all(bytes));
        drop(self.stdout.stream.flush());
    }

    /// Writes a heading, then text.
    pub(crate) fn heading(&mut self, heading: &str, text: &str) {
        self.say(&format!("{HEADING}{heading}{HEADING:#} {text}"));
    }

    /// Writes data after a label that stands out as much as it matters.
    pub(crate) fn label(&mut self, level: Level, label: &str, text: &str) {
        let style = match level {
            Level::Error => ERROR,
            Level::Warning => WARNING,
            Level::Note => HINT,
        };
        self.say(&format!("{style}{label}{style:#}: {text}"));
    }

    /// Writes an indented line of data whose first word says how something turned out.
    pub(crate) fn outcome(&mut self, mark: Mark, word: &str, text: &str) {
        let style = match mark {
            Mark::Good => GOOD,
            Mark::Bad => ERROR,
            Mark::Idle => DIM,
        };
        // What pads the word is no part of it.
        let room = " ".repeat(8_usize.saturating_sub(word.len()));
        self.say(&format!("  {style}{word}{style:#}{room} {text}"));
    }

    /// Writes one JSON line `{"reason": "newcol-…", "version": 1, …}`.
    pub(crate) fn json<T: Serialize>(&mut self, reason: &str, body: &T) {
        #[derive(Serialize)]
        struct Line<'a, T> {
            reason: &'a str,
            version: u32,
            #[serde(flatten)]
            body: &'a T,
        }
        if self.is_json() {
            let line = Line { reason, version: JSON_VERSION, body };
            let text = serde_json::to_string(&line).expect("our own types have JSON forms");
            // A program reads it, whatever the terminal can show.
            drop(writeln!(self.stdout.stream, "{text}"));
        }
    }

    /// Tells what is going on.
    pub(crate) fn status(&mut self, text: &str) {
        if self.quiet == 0 {
            drop(writeln!(self.stderr, "{text}"));
        }
    }

    /// Tells what only the curious want to know.
    pub(crate) fn detail(&mut self, text: &str) {
        if self.verbose > 0 {
            self.status(text);
        }
    }

    pub(crate) fn warn(&mut self, text: &str) {
        if self.quiet < 2 {
            drop(writeln!(self.stderr, "{WARNING}warning{WARNING:#}: {text}"));
        }
    }

    /// Reports an error and returns its exit code.
    pub(crate) fn error(&mut self, error: &CliError) -> Exit {
        if self.is_json() {
            self.json("newcol-error", &ErrorJson::of(error));
        }
        let err = &mut self.stderr;
        drop(writeln!(err, "{ERROR}error{ERROR:#}: {}", error.message));
        if let Some(place) = &error.place {
            drop(writeln!(err, "  {DIM}-->{DIM:#} {place}"));
        }
        for cause in &error.causes {
            // Some causes draw a picture over several lines.
            let cause = cause.replace('\n', "\n    ");
            drop(writeln!(err, "  {DIM}because{DIM:#}: {cause}"));
        }
        for other in &error.also {
            drop(writeln!(err, "  {DIM}also{DIM:#}: {other}"));
        }
        for hint in &error.hints {
            drop(writeln!(err, "{HINT}help{HINT:#}: {hint}"));
        }
        error.exit
    }

    /// Shows a plan.
    pub(crate) fn plan(&mut self, plan: &Plan) {
        if self.is_json() {
            self.json("newcol-plan", &PlanJson::of(plan));
        } else {
            let text = text::plan(plan);
            self.say(&text);
        }
    }

    /// Shows the files of a command: as a diff, or by name.
    pub(crate) fn files(&mut self, patch: &FilePatch, dry_run: bool) {
        if self.is_json() {
            for change in patch.changes() {
                self.json("newcol-file", &FileJson::of(change, dry_run));
            }
        }
        if dry_run {
            for change in patch.changes() {
                let diff = change.diff();
                self.say(diff.trim_end());
            }
        } else {
            for change in patch.changes() {
                let what = match (&change.before, &change.after) {
                    (None, _) => "created",
                    (_, None) => "removed",
                    (Some(_), Some(_)) => "changed",
                };
                self.heading(&format!("{what:>9}"), change.path.as_str());
            }
        }
    }

    /// Says what the user does next.
    pub(crate) fn next_steps(&mut self, steps: &[String]) {
        for step in steps {
            self.status(&format!("{HINT}next{HINT:#}: {step}"));
        }
    }
}

/// Returns a stage's name with its place in the plan: `expand (1 of 4)`.
pub(crate) fn stage_place(plan: &Plan, kind: StageKind) -> String {
    let at = plan.stages.iter().position(|s| s.kind == kind).map_or(0, |at| at + 1);
    format!("{} ({at} of {})", kind.name(), plan.stages.len())
}
