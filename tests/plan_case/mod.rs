//! One folder of `fixtures/plan` on one engine: first without a server, then on one.

mod database;
mod folder;
mod snapshot;
mod text;

use std::error::Error;

use camino::Utf8Path;
use newcol_testkit::ScratchDb;

use self::{database::Databases, folder::Case, snapshot::Snapshots};

/// What a step of a test can fail with.
type Fallible<T> = Result<T, Box<dyn Error>>;

/// Runs the case of one `<engine>.sql`.
pub(crate) fn check(path: &Utf8Path) -> datatest_stable::Result<()> {
    case(path).map_err(|error| Failed(error.to_string()).into())
}

/// An error whose lines stay lines: the harness prints errors for debugging.
#[derive(thiserror::Error)]
#[error("{0}")]
struct Failed(String);

impl std::fmt::Debug for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "\n{}", self.0)
    }
}

fn case(path: &Utf8Path) -> Fallible<()> {
    let case = Case::load(path)?;
    let mut snapshots = Snapshots::of(&case);
    let server = ScratchDb::require(case.want).map(|db| Databases::start(&case, db)).transpose()?;
    if let Some(server) = &server {
        server.compare_schema_before(&mut snapshots)?;
    }
    let schema = snapshots.stored("schema.rs");
    let offline = text::offline(&case, schema.as_deref(), &mut snapshots)?;
    if let Some(server) = server {
        let wanted = offline.iter().find(|planned| planned.product == server.product());
        let planned = server.plan(schema.as_deref())?;
        if wanted.is_none_or(|wanted| wanted.text != planned.text) {
            snapshots.compare(&format!("{}.server.txt", planned.name), &planned.text);
        }
        server.live(planned, schema, &mut snapshots)?;
        snapshots.finish(snapshot::Scope::All)?;
    } else {
        snapshots.finish(snapshot::Scope::Offline)?;
    }
    Ok(())
}

/// Returns an error with all its causes on one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
