//! One folder of `fixtures/plan` on one engine: first without a server, then on one.

mod database;
mod folder;
mod snapshot;
mod text;

use std::error::Error;

use camino::Utf8Path;
use newcol_core::backend::Product;
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
    // What a server of MySQL's backend says is recorded on MariaDB; on MySQL itself only the laws hold.
    let recorded = server.as_ref().is_some_and(|server| server.product() != Product::Mysql);
    let schema = match &server {
        Some(server) => server.schema_before(recorded.then_some(&mut snapshots))?,
        None => snapshots.stored("schema.rs"),
    };
    let stored = if recorded { schema.clone() } else { snapshots.stored("schema.rs") };
    let offline = text::offline(&case, stored.as_deref(), &mut snapshots)?;
    let Some(server) = server else { return snapshots.finish(snapshot::Scope::Offline) };
    let planned = server.plan(schema.as_deref())?;
    if !recorded {
        server.live(planned, schema)?;
        return snapshots.finish(snapshot::Scope::Offline);
    }
    let wanted = offline.iter().find(|planned| planned.product == server.product());
    if wanted.is_none_or(|wanted| wanted.text != planned.text) {
        snapshots.compare(&format!("{}.server.txt", planned.name), &planned.text);
    }
    if let Some(history) = server.live(planned, schema)? {
        snapshots.compare_own("data.txt", &history);
    }
    snapshots.finish(snapshot::Scope::All)
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
