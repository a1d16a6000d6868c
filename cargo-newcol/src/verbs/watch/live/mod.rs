//! `watch live`: one screen for the hour after a deploy.

mod screen;
#[cfg(test)]
mod tests;

use std::{
    io::{self, IsTerminal as _},
    sync::mpsc::{RecvTimeoutError, TryRecvError},
    time::Duration,
};

use clap::Args;
use ratatui::{
    DefaultTerminal,
    crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers},
};
use serde::Serialize;

use self::screen::{Look as Screen, Marks, Row, draw};
use super::{
    Look as LookArgs, file,
    looking::{Look, Looking},
    take::Source,
};
use crate::{
    context::{Context, Project, env},
    error::{CliError, Exit},
    interrupt,
    output::{Output, ascii::speaks_unicode},
    verbs::when,
};

/// How long nobody asks for a key, or whether it is over.
const PAUSE: Duration = Duration::from_millis(200);

#[derive(Debug, Args)]
pub(super) struct LiveArgs {
    #[command(flatten)]
    look: LookArgs,
    /// Take a snapshot this often
    #[arg(long, value_name = "TIME", value_parser = when::duration, default_value = "10s")]
    every: Duration,
    /// End after so many snapshots
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    count: Option<u32>,
    /// Print a line for each snapshot, as is done where stdout is no terminal
    #[arg(long)]
    plain: bool,
}

#[derive(Debug, Serialize)]
struct LineJson<'a> {
    column: &'a str,
    at: Option<f64>,
    verdict: Option<&'a str>,
    figures: Vec<FigureJson>,
    alerts: Vec<AlertJson<'a>>,
    error: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct FigureJson {
    name: &'static str,
    value: Option<f64>,
    unit: &'static str,
}

#[derive(Debug, Serialize)]
struct AlertJson<'a> {
    alert: &'a str,
    sentence: &'a str,
}

pub(super) fn run(
    ctx: &Context,
    out: &mut Output,
    project: &Project,
    args: &LiveArgs,
) -> Result<Exit, CliError> {
    let column = &args.look.asked.of.column;
    let path = file(project, column)?;
    let source = Source::of(ctx, project, &args.look)?;
    interrupt::install();
    let mut screen = Screen::of(column, &source.url.describe());
    let looking = Looking::begin(source, (path, column.clone()), args.every, args.count)
        .map_err(|error| CliError::failed(format!("could not begin: {error}")))?;
    let is_plain = args.plain
        || out.is_json()
        || !io::stdout().is_terminal()
        || !io::stdin().is_terminal()
        || env("TERM").is_none_or(|term| term == "dumb");
    let done = if is_plain {
        plain(out, &looking, &mut screen)
    } else {
        let marks = Marks { color: out.colors(), ascii: !speaks_unicode() };
        drawn(&looking, &mut screen, marks)
    };
    looking.end();
    done
}

/// Prints a line for each snapshot; a series of failures is a failure.
fn plain(out: &mut Output, looking: &Looking, screen: &mut Screen) -> Result<Exit, CliError> {
    let mut taken = 0_u32;
    while !interrupt::requested() {
        let look = match looking.looks.recv_timeout(PAUSE) {
            Ok(look) => look,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => break,
        };
        taken += u32::from(matches!(look, Look::Taken(_)));
        screen.take(look);
        out.json("newcol-watch-live", &line(screen));
        match &screen.error {
            Some(error) => out.warn(&format!("no snapshot: {error}")),
            None => out.say(&screen.line()),
        }
    }
    // Who saw nothing is told so by the exit code as well.
    match &screen.error {
        Some(error) if taken == 0 => Err(CliError::failed(format!("no snapshot: {error}"))),
        _ => Ok(Exit::Done),
    }
}

fn line(screen: &Screen) -> LineJson<'_> {
    let figure = |row: &Row| FigureJson { name: row.name, value: row.last(), unit: row.unit };
    LineJson {
        column: &screen.column,
        at: screen.at,
        verdict: screen.verdict.as_ref().map(|(word, _)| *word),
        figures: screen.rows.iter().map(figure).collect(),
        alerts: screen
            .alerts
            .iter()
            .map(|(alert, sentence)| AlertJson { alert, sentence })
            .collect(),
        error: screen.error.as_deref(),
    }
}

/// Draws the screen until a key ends it; the terminal is as it was afterwards, come what may.
fn drawn(looking: &Looking, screen: &mut Screen, marks: Marks) -> Result<Exit, CliError> {
    let failed =
        |error: io::Error| CliError::failed(format!("could not draw: {error}")).hint("use --plain");
    let mut terminal = ratatui::try_init().map_err(failed)?;
    let done = until_ended(&mut terminal, looking, screen, marks);
    let restored = ratatui::try_restore();
    done.and(restored).map_err(failed)?;
    Ok(Exit::Done)
}

fn until_ended(
    terminal: &mut DefaultTerminal,
    looking: &Looking,
    screen: &mut Screen,
    marks: Marks,
) -> io::Result<()> {
    loop {
        terminal.draw(|frame| draw(frame, screen, marks))?;
        if interrupt::requested() {
            return Ok(());
        }
        if event::poll(PAUSE)?
            && let Event::Key(key) = event::read()?
            && key.kind == KeyEventKind::Press
        {
            let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
            match key.code {
                KeyCode::Char('q') | KeyCode::Esc => return Ok(()),
                KeyCode::Char('c') if is_control => return Ok(()),
                _ => {}
            }
        }
        loop {
            match looking.looks.try_recv() {
                Ok(look) => screen.take(look),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return Ok(()),
            }
        }
    }
}
