//! Compares what a database shows of a column with what its applied stages planned.
//!
//! Both sides are put as one text for each part, so that a comparison is one of texts. What the
//! server prints in words of its own (types, defaults, checks, indexes) is compared with what it
//! prints of an empty copy of the table, on which the same steps were carried out; where there can
//! be no such copy, the part is left out. Bodies of triggers must stand in the files of the column's
//! migrations. To miss something is better than to stop somebody for nothing.

mod mysql;
mod postgres;
mod sqlite;

use std::{collections::BTreeMap, fmt};

use crate::{
    backend::{Backend, Product},
    db::{DbError, Session, facts::FactsError},
    ident::{ColumnPath, Ident},
    plan::{Landed, Migration, Plan, Stage},
    render::names::Names,
};

/// Something that is not as planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drift {
    path: ColumnPath,
    part: Part,
    /// What it is about, in words.
    what: String,
    /// What was planned; `None` where nothing is.
    planned: Option<String>,
    /// What is there.
    found: Option<String>,
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = |side: &Option<String>| side.clone().unwrap_or_else(|| "none".to_owned());
        write!(f, "{}: planned {}, found {}", self.what, said(&self.planned), said(&self.found))
    }
}

impl Drift {
    /// Reports whether the column itself is missing, so that nothing can be asked of its values.
    pub fn is_missing_column(&self) -> bool {
        self.part == Part::Column && self.found.is_none()
    }

    /// Returns how to mend it.
    pub fn hint(&self) -> String {
        let Self { path, what, planned, found, .. } = self;
        match (planned, found) {
            (Some(_), None) => format!(
                "make {what} again as `up.sql` does; or take the stage back with `cargo newcol undo {path} --live` and apply it again"
            ),
            (None, _) => {
                format!("take {what} away: no stage that is applied here leaves it there")
            }
            (Some(_), Some(_)) => format!(
                "change {what} to what is planned; or take the stage back with `cargo newcol undo {path} --live` and apply it again"
            ),
        }
    }
}

/// A comparison.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Compared {
    /// What is not as planned.
    pub drifts: Vec<Drift>,
    /// What could not be looked at, in words.
    pub unseen: Vec<&'static str>,
}

/// How far a migration is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The plan has it.
    Planned,
    /// Its files are there.
    Released,
    /// The database has it, by Diesel's table.
    Applied,
}

/// Compares a column with its plan, given how far its migrations are and the texts of those that are
/// released. Leaves nothing in the database.
pub fn compare(
    session: &mut Session,
    plan: &Plan,
    progress: &dyn Fn(&Stage, &Migration) -> Progress,
    scripts: &[&str],
) -> Result<Compared, FactsError> {
    let subject = Subject {
        plan,
        product: session.server().product,
        names: Names::of(&plan.contract),
        scripts: scripts.concat().replace('\r', ""),
    };
    let is_applied = |stage: &Stage, m: &Migration| progress(stage, m) == Progress::Applied;
    let landed = plan.landed(is_applied);
    let mut seen = match plan.backend() {
        Backend::Postgres => postgres::look(session, &subject, &landed)?,
        Backend::Mysql => mysql::look(session, &subject, &landed)?,
        Backend::Sqlite => sqlite::look(session, &subject, &landed)?,
    };
    if plan.backend() == Backend::Mysql {
        // It commits before Diesel's table can say so: what the stage that is under way brings may
        // have landed, and `apply` finds out.
        let is_pending = |stage: &&Stage| {
            stage.migrations.iter().any(|m| progress(stage, m) == Progress::Released)
        };
        let under_way = plan.stages.iter().find(is_pending);
        for migration in under_way.iter().flat_map(|stage| &stage.migrations) {
            let next = plan.landed(|stage, other| {
                is_applied(stage, other) || (Some(stage) == under_way && other == migration)
            });
            let next = mysql::planned(&subject, &next);
            let both: Vec<Part> = seen.planned.keys().chain(next.keys()).copied().collect();
            let open = both.into_iter().filter(|part| seen.planned.get(part) != next.get(part));
            seen.leave_out(&open.collect::<Vec<_>>());
        }
    }
    Ok(seen.compared(&subject))
}

/// What is compared of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Column,
    Type,
    Null,
    Default,
    Generated,
    Comment,
    Fill,
    Sync,
    NotNullCheck,
    Check,
    ForeignKey,
    Index,
    Replaced,
}

type Parts = BTreeMap<Part, String>;

/// Said of what has no text of its own.
const THERE: &str = "there";

/// Said of triggers that do what they were released to do.
const AS_RELEASED: &str = "as released";

/// Both sides of a comparison.
#[derive(Debug, Default)]
struct Seen {
    planned: Parts,
    found: Parts,
    unseen: Vec<&'static str>,
}

impl Seen {
    /// Leaves parts out on both sides.
    fn leave_out(&mut self, parts: &[Part]) {
        for part in parts {
            self.planned.remove(part);
            self.found.remove(part);
        }
    }

    fn compared(mut self, subject: &Subject<'_>) -> Compared {
        if !(self.planned.contains_key(&Part::Column) && self.found.contains_key(&Part::Column)) {
            // Without a column there is nothing to be said of its parts.
            self.leave_out(&[
                Part::Type,
                Part::Null,
                Part::Default,
                Part::Generated,
                Part::Comment,
            ]);
        }
        let mut parts: Vec<Part> = self.planned.keys().chain(self.found.keys()).copied().collect();
        parts.sort_unstable();
        parts.dedup();
        let drifts = parts.into_iter().filter_map(|part| {
            let (planned, found) = (self.planned.remove(&part), self.found.remove(&part));
            let path = subject.plan.contract.path().clone();
            (planned != found).then(|| Drift {
                path,
                part,
                what: subject.what(part),
                planned,
                found,
            })
        });
        let drifts = drifts.collect();
        Compared { drifts, unseen: self.unseen }
    }
}

/// The column, and all that is needed to compare it.
struct Subject<'a> {
    plan: &'a Plan,
    /// What the server is: a plan may have been made without it.
    product: Product,
    names: Names,
    scripts: String,
}

/// A trigger as a catalog shows it.
struct Trigger {
    name: String,
    /// What it does, as it was written; `None` where it does nothing, or at another moment.
    body: Option<String>,
}

impl Subject<'_> {
    fn what(&self, part: Part) -> String {
        let path = self.plan.contract.path();
        let names = &self.names;
        match part {
            Part::Column => format!("the column `{path}`"),
            Part::Type => format!("the type of `{path}`"),
            Part::Null => format!("the NOT NULL of `{path}`"),
            Part::Default => format!("the default of `{path}`"),
            Part::Generated => format!("the expression of `{path}`"),
            Part::Comment => format!("the comment on `{path}`"),
            Part::Fill => format!("the trigger `{}`", names.fill),
            Part::Sync => format!("what keeps `{path}` and the replaced column equal"),
            Part::NotNullCheck => format!("the helper check `{}`", names.not_null_check),
            // Where it is part of the column, it has no name of ours.
            Part::Check if self.plan.backend() != Backend::Postgres => {
                format!("the check of `{path}`")
            }
            Part::Check => format!("the check `{}`", names.check),
            Part::ForeignKey if self.plan.backend() == Backend::Sqlite => {
                format!("the foreign key of `{path}`")
            }
            Part::ForeignKey => format!("the foreign key `{}`", names.foreign_key),
            Part::Index => format!("the index `{}`", names.index),
            Part::Replaced => match &self.plan.contract.answers().replaces {
                Some(replaces) => format!("the replaced column `{}`", replaces.column),
                None => "the replaced column".to_owned(),
            },
        }
    }

    /// What engines without a copy of the table are asked for alike.
    fn planned(&self, landed: &Landed) -> Parts {
        let mut planned = Parts::new();
        let mut there = |part, is_there: bool, text: &str| {
            if is_there {
                planned.insert(part, text.to_owned());
            }
        };
        there(Part::Column, landed.column.is_some(), THERE);
        there(Part::Fill, landed.fill, AS_RELEASED);
        there(Part::Sync, landed.sync, AS_RELEASED);
        let replaces = self.plan.contract.answers().replaces.is_some();
        there(Part::Replaced, replaces && !landed.replaced_is_gone, THERE);
        if let Some(shape) = &landed.column {
            there(Part::Null, true, null(shape.not_null));
            there(Part::Default, shape.default.is_some(), THERE);
            there(Part::Generated, shape.generated.is_some(), THERE);
        }
        planned
    }

    /// Says what became of triggers; `None` where none is there.
    fn triggers(&self, wanted: &[&Ident], there: &[Trigger]) -> Option<String> {
        let of = |name: &&Ident| there.iter().find(|trigger| trigger.name == name.as_str());
        let found: Vec<Option<&Trigger>> = wanted.iter().map(of).collect();
        if found.iter().all(Option::is_none) {
            return None;
        }
        let odd = wanted.iter().zip(found).find_map(|(name, trigger)| match trigger {
            None => Some(format!("no trigger `{name}`")),
            Some(Trigger { body: None, .. }) => {
                Some(format!("`{name}` switched off, or at another moment"))
            }
            Some(Trigger { body: Some(body), .. }) => {
                let body = body.replace('\r', "");
                let is_ours = !body.trim().is_empty() && self.scripts.contains(body.trim());
                (!is_ours).then(|| format!("`{name}` with another text than any migration of it"))
            }
        });
        Some(odd.unwrap_or_else(|| AS_RELEASED.to_owned()))
    }
}

fn null(not_null: bool) -> &'static str {
    if not_null { "NOT NULL" } else { "NULL allowed" }
}

/// Names the table where a question about it fails.
fn asked<T>(subject: &Subject<'_>, answer: Result<T, DbError>) -> Result<T, FactsError> {
    answer.map_err(|said| FactsError::Database {
        table: subject.plan.contract.table().clone(),
        source: said.into(),
    })
}
