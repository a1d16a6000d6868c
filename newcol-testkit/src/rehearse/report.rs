//! What a rehearsal found.

use std::fmt;

use newcol_core::{backend::Backend, plan::Plan};

use super::{FailedStatement, Law, OldReleaseAt, OldReleaseRun, Traced, Traffic};
use crate::matrix::MatrixReport;

/// What a running rehearsal tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress<'a> {
    /// A part begins.
    Begins(Scene),
    /// The old release's command begins.
    OldRelease {
        /// Where it runs.
        at: OldReleaseAt,
    },
    /// The command printed a line.
    Line(&'a str),
    /// The command still runs; told several times a second.
    Alive,
}

/// A part of a rehearsal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scene {
    /// The project's migrations make the schema.
    Schema,
    /// Old and new code at every moment.
    Matrix,
    /// Up, down and up again.
    Laws,
    /// All at once.
    Traffic,
    /// The old release's own tests.
    OldRelease,
}

impl Scene {
    /// Returns its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Schema => "schema",
            Self::Matrix => "matrix",
            Self::Laws => "laws",
            Self::Traffic => "traffic",
            Self::OldRelease => "old release",
        }
    }
}

/// A promise that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where it was seen.
    pub scene: Scene,
    /// What was seen, with stage, side and operation.
    pub what: String,
}

/// What a rehearsal found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RehearsalReport {
    /// The plan that was rehearsed.
    pub plan: Plan,
    /// Old and new code at every moment, up and down.
    pub matrix: MatrixReport,
    /// Up, down and up again, with what each migration did to the table.
    pub laws: Law,
    /// Old and new code at work while the stages passed by.
    pub traffic: Traffic,
    /// The old release's own command at every stage; empty where none was given.
    pub old_release: Vec<OldReleaseRun>,
}

impl RehearsalReport {
    /// Returns everything that did not hold, scene by scene.
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut found = |scene, what| faults.push(Fault { scene, what });
        for broken in self.matrix.broken() {
            found(Scene::Matrix, broken.to_string());
        }
        for broken in &self.laws.broken {
            found(Scene::Laws, broken.clone());
        }
        if let Some(stopped) = &self.traffic.stopped {
            found(Scene::Traffic, stopped.clone());
        }
        for (failed, count) in self.traffic.kinds() {
            let FailedStatement { during, side, operation, error } = failed;
            let side = side.name();
            let times = if count == 1 { String::new() } else { format!(" ({count} times)") };
            found(
                Scene::Traffic,
                format!("{during}: {side} code, {operation}: fails{times}: {error}"),
            );
        }
        for fault in self.old_release.iter().filter_map(OldReleaseRun::fault) {
            found(Scene::OldRelease, fault);
        }
        faults
    }
}

impl Traffic {
    /// Returns one failed statement of each kind, and how many were like it.
    pub fn kinds(&self) -> Vec<(&FailedStatement, usize)> {
        let mut kinds: Vec<(&FailedStatement, usize)> = Vec::new();
        for failed in &self.failed {
            let like = |other: &&mut (&FailedStatement, usize)| {
                let of = |f: &FailedStatement| (f.during.clone(), f.side, f.operation);
                of(other.0) == of(failed)
            };
            match kinds.iter_mut().find(like) {
                Some((_, count)) => *count += 1,
                None => kinds.push((failed, 1)),
            }
        }
        kinds
    }
}

impl Traced {
    fn write_batches(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.batches {
            None => Ok(()),
            Some(1) => write!(f, ", in 1 batch"),
            Some(batches) => write!(f, ", in {batches} batches"),
        }
    }
}

impl fmt::Display for Traced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rewritten.is_none() && self.locks.is_empty() {
            write!(f, "{:<10} {}", self.stage.name(), self.name)?;
            return self.write_batches(f);
        }
        let locks: Vec<&str> = self.locks.iter().map(|lock| lock.0.as_str()).collect();
        let locks = if locks.is_empty() { "-".to_owned() } else { locks.join(", ") };
        let rewritten = match self.rewritten {
            None => "",
            Some(true) => "rewritten",
            Some(false) => "no rewrite",
        };
        let scans = match self.scans {
            None => String::new(),
            Some(0) => "no scan".to_owned(),
            Some(1) => "1 scan".to_owned(),
            Some(n) => format!("{n} scans"),
        };
        write!(
            f,
            "{:<10} {:<44} {rewritten:<11} {scans:<8} {locks}",
            self.stage.name(),
            self.name
        )?;
        self.write_batches(f)
    }
}

impl fmt::Display for RehearsalReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.matrix)?;
        let told = match self.plan.backend() {
            Backend::Postgres => "what it did to the table and the locks it held on it",
            Backend::Mysql => "each asserts its own algorithm and lock",
            Backend::Sqlite => "each takes the one write lock there is",
        };
        writeln!(f, "Every migration and job, on {} rows ({told}):", self.laws.rows)?;
        self.laws.traced.iter().try_for_each(|traced| writeln!(f, "  {traced}"))?;
        let Traffic { statements, retries, batch_retries, longest, failed, .. } = &self.traffic;
        let (failed, longest) = (failed.len(), longest.as_secs_f64() * 1e3);
        writeln!(
            f,
            "\nOld and new code at work meanwhile: {statements} statements, {failed} failed, \
             longest {longest:.0} ms; tried again: {retries} migrations, {batch_retries} batches."
        )?;
        if !self.old_release.is_empty() {
            writeln!(f, "\nThe old release's own command:")?;
            self.old_release.iter().try_for_each(|run| writeln!(f, "  {run}"))?;
        }
        let faults = self.faults();
        if faults.is_empty() {
            return writeln!(f, "\nEvery promise holds.");
        }
        writeln!(f, "\nBroken promises:")?;
        for fault in &faults {
            writeln!(f, "- [{}] {}", fault.scene.name(), fault.what)?;
        }
        Ok(())
    }
}
