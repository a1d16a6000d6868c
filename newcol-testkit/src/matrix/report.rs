//! The matrix as a value: every cell, what it shows, and what was promised.

use std::fmt;

use newcol_core::{backend::Server, ident::ColumnPath, plan::StageKind};

use crate::program::Operation;

/// Which release of the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// Built before the application learned of the column.
    Old,
    /// Built after the first stage: writes the column, and reads it as it is by then.
    New,
    /// Built after the last change of `schema.rs`: relies on the finished column.
    Relying,
}

impl Side {
    /// Every side, oldest first.
    pub const ALL: [Self; 3] = [Self::Old, Self::New, Self::Relying];

    /// Returns the word used in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Old => "old",
            Self::New => "new",
            Self::Relying => "relying",
        }
    }
}

/// When a session was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SessionAge {
    /// Before the first stage, and used ever since.
    Warm,
    /// At this moment.
    Fresh,
}

impl SessionAge {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Warm, Self::Fresh];

    /// Returns the word used in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Warm => "warm",
            Self::Fresh => "fresh",
        }
    }
}

/// A state of the database in which programs run: between two migrations, at any of which a
/// deployment may rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// The stage that has begun last; `None` before the first.
    pub stage: Option<StageKind>,
    /// How many of its actions are done, and how many it has.
    pub done: (usize, usize),
    /// The action that led here, or was taken back.
    pub action: Option<String>,
    /// Which way.
    pub direction: Direction,
}

/// Which way the stages are walked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Forwards.
    Up,
    /// Taking them back.
    Down,
}

impl Moment {
    /// Reports whether a stage is wholly done.
    pub(super) fn is_after(&self, stage: StageKind) -> bool {
        self.stage.is_some_and(|now| now > stage || (now == stage && self.done.0 == self.done.1))
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let back = match self.direction {
            Direction::Up => "",
            Direction::Down => "back to ",
        };
        match (self.stage, self.done) {
            (None, _) => write!(f, "{back}before"),
            (Some(stage), (done, all)) if done == all => write!(f, "{back}{}", stage.name()),
            (Some(stage), (done, all)) => write!(f, "{back}{} {done}/{all}", stage.name()),
        }
    }
}

/// What a cell shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It works, and the column holds what it should.
    Works,
    /// It works, and leaves the column as it was.
    Preserves,
    /// It seems to work, but what is then there, or was read, is something else.
    WrongValue {
        /// What should be there.
        expected: String,
        /// What is.
        found: String,
    },
    /// It ends with an error.
    Fails {
        /// The whole chain of messages.
        error: String,
    },
    /// The program has no such code, or there was no row for it.
    Absent,
}

impl Outcome {
    /// Returns the word used in machine-readable reports.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Works => "works",
            Self::Preserves => "preserves",
            Self::WrongValue { .. } => "wrong-value",
            Self::Fails { .. } => "fails",
            Self::Absent => "absent",
        }
    }

    /// Reports whether it is nothing to worry about.
    pub fn is_good(&self) -> bool {
        match self {
            Self::Works | Self::Preserves | Self::Absent => true,
            Self::WrongValue { .. } | Self::Fails { .. } => false,
        }
    }
}

/// One cell of the matrix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// Which release.
    pub side: Side,
    /// In which session.
    pub session: SessionAge,
    /// Doing what.
    pub operation: Operation,
    /// What it shows.
    pub outcome: Outcome,
}

/// All cells of a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MomentReport {
    /// When.
    pub moment: Moment,
    /// The cells, in the order in which they ran; empty if the database did not get there.
    pub cells: Vec<Cell>,
    /// Which sides are promised to work.
    pub promised: Vec<Side>,
    /// Why the database did not get there.
    pub failed: Option<String>,
    /// What the action that led here did to rows that it should have left alone.
    pub damage: Vec<String>,
    /// What is wrong with rows that were there before the column.
    pub old_rows: Option<String>,
}

/// The whole matrix of one column on one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatrixReport {
    /// The column.
    pub column: ColumnPath,
    /// The server.
    pub server: Server,
    /// Every moment, in order.
    pub moments: Vec<MomentReport>,
    /// Each line by which the schema differs after everything was taken back; empty if it does
    /// not, or nothing was taken back.
    pub left_behind: Vec<String>,
    /// From where to where the releases may run.
    pub window: Window,
}

/// Which release may run at which stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// The stage after which the new release may start.
    pub new_from: StageKind,
    /// The stage before which the old release must be gone; `None`: it may stay.
    pub old_until: Option<StageKind>,
    /// The stage after which a release may rely on the finished column; `None`: there is none such.
    pub relying_from: Option<StageKind>,
    /// The stage before which releases that use the replaced column must be gone.
    pub new_until: Option<StageKind>,
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the new release may start after {}", self.new_from.name())?;
        match self.old_until {
            Some(stage) => {
                write!(f, " and must have replaced every older one before {}", stage.name())?;
            }
            None => f.write_str("; older ones may stay")?,
        }
        if let Some(stage) = self.new_until {
            write!(f, "; it must itself be gone before {}", stage.name())?;
        }
        if let Some(stage) = self.relying_from {
            let when = if self.new_until == Some(stage) { "with" } else { "after" };
            write!(f, "; code may rely on the finished column {when} {}", stage.name())?;
        }
        Ok(())
    }
}

/// A promise of the contract that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// When.
    pub moment: Moment,
    /// Which code did what; `None` where the stage itself or its rows are at fault.
    pub code: Option<(Side, SessionAge, Operation)>,
    /// What happened.
    pub what: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { moment, code, what } = self;
        match code {
            Some((side, session, operation)) => {
                let (side, session) = (side.name(), session.name());
                write!(f, "{moment}: {side} code, {session} session, {operation}: {what}")
            }
            None => write!(f, "{moment}: {what}"),
        }
    }
}

impl MatrixReport {
    /// Returns every promise that did not hold, in the order of the moments.
    pub fn broken(&self) -> Vec<Broken> {
        let mut all = Vec::new();
        for report in &self.moments {
            let moment = || report.moment.clone();
            let action = report.moment.action.as_deref().unwrap_or_default();
            if let Some(error) = &report.failed {
                let what = match report.moment.direction {
                    Direction::Up => format!("`{action}` fails: {error}"),
                    Direction::Down => format!("taking `{action}` back fails: {error}"),
                };
                all.push(Broken { moment: moment(), code: None, what });
            }
            all.extend(report.damage.iter().map(|damage| {
                let what = match report.moment.direction {
                    Direction::Up => format!("`{action}` {damage}"),
                    Direction::Down => format!("taking `{action}` back {damage}"),
                };
                Broken { moment: moment(), code: None, what }
            }));
            if let Some(what) = &report.old_rows {
                let what = format!("rows from before the column: {what}");
                all.push(Broken { moment: moment(), code: None, what });
            }
            for cell in report.cells.iter().filter(|cell| report.promised.contains(&cell.side)) {
                let what = match &cell.outcome {
                    Outcome::Works | Outcome::Preserves | Outcome::Absent => continue,
                    Outcome::WrongValue { expected, found } => {
                        format!("expected {expected}, found {found}")
                    }
                    Outcome::Fails { error } => format!("fails: {error}"),
                };
                let code = Some((cell.side, cell.session, cell.operation));
                all.push(Broken { moment: moment(), code, what });
            }
        }
        if !self.left_behind.is_empty()
            && let Some(last) = self.moments.last()
        {
            let what = format!(
                "the schema is not what it was before:\n  {}",
                self.left_behind.join("\n  ")
            );
            all.push(Broken { moment: last.moment.clone(), code: None, what });
        }
        all
    }

    /// Ends the test unless every promise held.
    ///
    /// # Panics
    ///
    /// With the whole matrix, when a promise did not hold.
    #[expect(clippy::panic, reason = "fails the calling test, which is its purpose")]
    pub fn assert_kept(&self) {
        if !self.broken().is_empty() {
            panic!("{self}");
        }
    }
}

/// The word for an outcome.
fn word(outcome: &Outcome, promised: bool) -> &'static str {
    match (outcome, promised) {
        (Outcome::Works, _) => "ok",
        (Outcome::Preserves, _) => "keeps",
        (Outcome::Absent, _) => "-",
        (Outcome::WrongValue { .. }, true) => "WRONG",
        (Outcome::Fails { .. }, true) => "FAILS",
        (Outcome::WrongValue { .. }, false) => "(wrong)",
        (Outcome::Fails { .. }, false) => "(fails)",
    }
}

impl fmt::Display for MatrixReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} on {}", self.column, self.server)?;
        write!(f, "\n{:<20} {:<8}", "after", "code")?;
        let names = Operation::ALL.map(|operation| format!("{:<12}", operation.name())).concat();
        writeln!(f, "{}", names.trim_end())?;
        let mut last: Option<Vec<String>> = None;
        let mut skipped = 0;
        for report in &self.moments {
            let lines = report.lines();
            // Moments that show the same as the one before are only counted.
            if report.failed.is_none() && last.as_ref() == Some(&lines) {
                skipped += 1;
                continue;
            }
            same_as_before(f, &mut skipped)?;
            for (at, line) in lines.iter().enumerate() {
                let moment = if at == 0 { report.moment.to_string() } else { String::new() };
                writeln!(f, "{moment:<20} {line}")?;
            }
            if report.failed.is_some() {
                writeln!(f, "{:<20} FAILS", report.moment.to_string())?;
            }
            last = Some(lines);
        }
        same_as_before(f, &mut skipped)?;
        let broken = self.broken();
        if broken.is_empty() {
            return writeln!(f, "\nDeployment window: {}.", self.window);
        }
        writeln!(f, "\nBroken promises:")?;
        broken.iter().try_for_each(|broken| writeln!(f, "- {broken}"))
    }
}

fn same_as_before(f: &mut fmt::Formatter<'_>, count: &mut usize) -> fmt::Result {
    if *count > 0 {
        let s = if *count == 1 { "" } else { "s" };
        writeln!(f, "{:<20} the same at {count} more moment{s}", "")?;
        *count = 0;
    }
    Ok(())
}

impl MomentReport {
    /// One line per side: a word per operation, two where warm and fresh sessions differ.
    fn lines(&self) -> Vec<String> {
        let sides = Side::ALL.into_iter().filter(|s| self.cells.iter().any(|c| c.side == *s));
        sides
            .map(|side| {
                let promised = self.promised.contains(&side);
                let words = Operation::ALL.map(|operation| {
                    let of = |age| {
                        let same =
                            |c: &&Cell| (c.side, c.session, c.operation) == (side, age, operation);
                        self.cells.iter().find(same).map_or("-", |c| word(&c.outcome, promised))
                    };
                    let [warm, fresh] = SessionAge::ALL.map(of);
                    let both =
                        if warm == fresh { warm.to_owned() } else { format!("{warm}/{fresh}") };
                    format!("{both:<12}")
                });
                format!("{:<8}{}", side.name(), words.concat().trim_end())
            })
            .collect()
    }
}
