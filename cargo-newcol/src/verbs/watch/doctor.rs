//! `watch doctor`.

use newcol_core::watch::{
    collect::can_watch,
    doctor::{State, needs},
    session::Watcher,
};
use serde::Serialize;

use super::{Asked, file, watched};
use crate::{
    context::{Context, Project},
    error::{CliError, Exit},
    output::{Level, Output},
};

#[derive(Debug, Serialize)]
struct NeedJson<'a> {
    need: &'static str,
    state: &'static str,
    sentence: &'a str,
    remedy: Option<&'a str>,
}

pub(super) fn run(
    ctx: &Context,
    out: &mut Output,
    project: &Project,
    asked: &Asked,
) -> Result<Exit, CliError> {
    let column = &asked.of.column;
    file(project, column)?;
    let (url, options) = watched(ctx, project, &asked.database_url)?;
    let failed = |error| CliError::from(error).at("--database-url");
    let mut watcher = Watcher::open(&url, &options).map_err(failed)?;
    can_watch(watcher.server().product)?;
    let sight = watcher.sight(column).map_err(failed)?;
    let needs = needs(&sight, column);
    for need in &needs {
        let (level, state) = match need.state {
            State::Met => (Level::Note, "met"),
            State::Lacking => (Level::Warning, "lacking"),
            State::Missing => (Level::Error, "missing"),
        };
        out.json(
            "newcol-watch-need",
            &NeedJson {
                need: need.name,
                state,
                sentence: &need.sentence,
                remedy: need.remedy.as_deref(),
            },
        );
        out.label(level, need.name, &need.sentence);
        if let Some(remedy) = &need.remedy {
            out.say(&format!("  {remedy}"));
        }
    }
    let is_missing = needs.iter().any(|need| need.state == State::Missing);
    Ok(if is_missing { Exit::Findings } else { Exit::Done })
}
