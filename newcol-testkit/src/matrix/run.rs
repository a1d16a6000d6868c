//! Walks the moments and runs the cells.

use std::{
    collections::{BTreeMap, VecDeque},
    error::Error,
};

use newcol_core::{
    contract::OldRows,
    db::Session,
    plan::{Gate, StageKind},
};

use super::{
    Cell, Direction, Matrix, MatrixError, MatrixReport, Moment, MomentReport, Outcome, SessionAge,
    Side, Window,
    between::Watch,
    judge::shown,
    promise::{self, Follows, Holds},
    view::{Key, Look, View, rows},
};
use crate::{
    dump::{differences, schema_dump},
    life::{self, Action, Life, LifeError},
    program::{ActError, Operation, Program, Running, Said},
    scratch::error::chain,
};

/// Rows that one batch insert writes.
const BATCH: u64 = 2;

/// A matrix on its way.
pub(super) struct Run<'a> {
    matrix: &'a Matrix<'a>,
    life: &'a Life,
    url: &'a str,
    programs: &'a [(Side, &'a dyn Program)],
    warm: Vec<(Side, Box<dyn Running + 'a>)>,
    control: Session,
    rows: Numbered,
}

/// The numbered rows and where they are.
#[derive(Default)]
pub(super) struct Numbered {
    last: u64,
    /// Keys of the rows that were there before the column and are left alone.
    settled: Vec<Key>,
    /// The first of them that has a number.
    from_before: Option<u64>,
    /// Rows that were there before the column and wait to be changed, one at each moment.
    worn: VecDeque<u64>,
    /// Where a row is, where that is known.
    pub(super) keys: BTreeMap<u64, Key>,
    /// Who inserted a row, for rows that are there.
    pub(super) alive: BTreeMap<u64, Side>,
}

impl Numbered {
    fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// Returns the newest rows of a side, those whose place is known if there are such.
    fn newest(&self, side: Side, count: usize) -> Vec<u64> {
        let of_side = self.alive.iter().rev().filter(|(_, of)| **of == side).map(|(row, _)| *row);
        let known = of_side.clone().filter(|row| self.keys.contains_key(row));
        let known: Vec<u64> = known.take(count).collect();
        if known.is_empty() { of_side.take(count).collect() } else { known }
    }
}

/// What there is to see at a moment.
pub(super) struct Scene {
    look: Look,
    /// The table as it is.
    pub(super) view: View,
    pub(super) inserted: Holds,
    /// What the replaced column holds in rows of code that does not write it.
    pub(super) replaced: Holds,
    /// What the column follows when code without it changes a row.
    pub(super) follows: Follows,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        matrix: &'a Matrix<'a>,
        life: &'a Life,
        url: &'a str,
        programs: &'a [(Side, &'a dyn Program)],
    ) -> Result<Self, MatrixError> {
        let answers = matrix.contract.answers();
        if let (OldRows::Rust(path), None) = (&answers.old_rows, &matrix.backfill) {
            return Err(MatrixError::NoBackfill { path: path.clone() });
        }
        let control = life::open(url)?;
        let (warm, rows) = (Vec::new(), Numbered::default());
        Ok(Self { matrix, life, url, programs, warm, control, rows })
    }

    /// Walks all moments.
    pub(super) fn all(mut self) -> Result<MatrixReport, MatrixError> {
        let first = schema_dump(self.url).map_err(MatrixError::Dump)?;
        for (side, program) in self.programs {
            let opened = program.open(self.url);
            let session = opened.map_err(|source| MatrixError::Connect { side: *side, source })?;
            self.warm.push((*side, session));
        }
        self.settle()?;
        let mut moments = self.moments();
        let before = moments.remove(0);
        let mut reports = vec![self.moment(before.clone(), Vec::new())?];
        let mut reached = 0;
        for (at, moment) in moments.iter().enumerate() {
            match self.watched(|run| run.forward(at))? {
                Ok(damage) => reports.push(self.moment(moment.clone(), damage)?),
                Err(error) => {
                    reports.push(did_not_get_there(moment.clone(), error));
                    break;
                }
            }
            reached = at + 1;
        }
        let mut left_behind = Vec::new();
        if self.matrix.back && reached == moments.len() {
            let down = |moment: &Moment, action| Moment {
                direction: Direction::Down,
                action,
                ..moment.clone()
            };
            let mut failed = false;
            for at in (0..moments.len()).rev() {
                let to = if at == 0 { &before } else { &moments[at - 1] };
                let to = down(to, moments[at].action.clone());
                match self.watched(|run| run.backward(at))? {
                    Ok(damage) => reports.push(self.moment(to, damage)?),
                    Err(error) => {
                        reports.push(did_not_get_there(to, error));
                        failed = true;
                        break;
                    }
                }
            }
            if !failed {
                let last = schema_dump(self.url).map_err(MatrixError::Dump)?;
                left_behind = self.differences(&first, &last);
            }
        }
        Ok(MatrixReport {
            column: self.matrix.contract.path().clone(),
            server: self.life.server(),
            moments: reports,
            left_behind,
            window: self.window(),
        })
    }

    /// Inserts, by old code, the rows that will be there before the column. What is there already
    /// is as old.
    fn settle(&mut self) -> Result<(), MatrixError> {
        let moment = Moment { stage: None, done: (0, 0), action: None, direction: Direction::Up };
        let mut scene = self.scene(&moment)?;
        self.rows.settled.extend(scene.view.rows.keys().cloned());
        let Some(at) = self.programs.iter().position(|(side, _)| *side == Side::Old) else {
            return Ok(());
        };
        if self.matrix.old_rows == 0 || !self.programs[at].1.can(Operation::Insert) {
            return Ok(());
        }
        for _ in 0..self.matrix.old_rows {
            let row = self.insert_old(at)?;
            let after = scene.look.read(&mut self.control)?;
            let new = after.since(&scene.view).new;
            scene.view = after;
            if let Some(key) = new.first() {
                self.rows.keys.insert(row, key.clone());
                self.rows.from_before.get_or_insert(row);
            }
            self.rows.settled.extend(new);
        }
        let up = self.moments().len();
        let all = if self.matrix.back { up * 2 - 1 } else { up };
        for _ in 0..all {
            let row = self.insert_old(at)?;
            self.rows.worn.push_back(row);
        }
        Ok(())
    }

    fn insert_old(&mut self, at: usize) -> Result<u64, MatrixError> {
        let row = self.rows.next();
        let done = self.warm[at].1.act(Operation::Insert, &[row]);
        done.map_err(|error| MatrixError::OldRows { row, source: error.into() })?;
        Ok(row)
    }

    /// Reports whether no action follows.
    fn is_last(&self, moment: &Moment) -> bool {
        let last = self.steps().last().map(|(stage, at, ..)| (Some(*stage), at + 1));
        last == Some((moment.stage, moment.done.0))
    }

    /// Returns every moment, the one before the first stage included.
    fn moments(&self) -> Vec<Moment> {
        let mut moments =
            vec![Moment { stage: None, done: (0, 0), action: None, direction: Direction::Up }];
        for (kind, at, all, name) in self.steps() {
            moments.push(Moment {
                stage: Some(kind),
                done: (at + 1, all),
                action: Some(name.to_owned()),
                direction: Direction::Up,
            });
        }
        moments
    }

    /// Returns stage, place in the stage, length of the stage and name of every action. A backfill
    /// by application code is one without being in the stage's list.
    fn steps(&self) -> Vec<(StageKind, usize, usize, &str)> {
        let mut steps = Vec::new();
        for stage in &self.life.stages {
            let all = stage.actions.len();
            if all == 0 && stage.kind == StageKind::Backfill {
                steps.push((stage.kind, 0, 1, "backfill"));
            }
            let actions = stage.actions.iter().enumerate();
            steps.extend(actions.map(|(at, action)| (stage.kind, at, all, action.name())));
        }
        steps
    }

    fn action(&self, step: usize) -> Option<&'a Action> {
        let (kind, at, ..) = *self.steps().get(step)?;
        let stage = self.life.stages.iter().find(|stage| stage.kind == kind)?;
        stage.actions.get(at)
    }

    /// Does something to the schema and returns what that did to rows it should leave alone.
    fn watched(
        &mut self,
        act: impl FnOnce(&Self) -> Result<(), String>,
    ) -> Result<Result<Vec<String>, String>, MatrixError> {
        let plan = &self.life.plan;
        let watch = Watch::start(&mut self.control, plan)?;
        if let Err(error) = act(self) {
            return Ok(Err(error));
        }
        let effect = watch.end(&mut self.control, plan)?;
        if effect.filled {
            let all: Vec<u64> = (1..=self.rows.last).collect();
            self.forget(Side::Old, &all);
        }
        Ok(Ok(effect.damage))
    }

    /// Runs an action in a session of its own, as the Diesel CLI would.
    fn forward(&self, step: usize) -> Result<(), String> {
        match (self.action(step), &self.matrix.backfill) {
            (Some(Action::Backfill(_) | Action::Statements { .. }) | None, Some(run)) => {
                run(self.url).map_err(|error| chain(&*error))
            }
            (Some(action), backfill) => {
                // The job ends when no old writer is left, and old code goes on writing here.
                if let Some(run) = backfill
                    && self
                        .steps()
                        .get(step)
                        .is_some_and(|(kind, ..)| *kind == StageKind::Constrain)
                {
                    run(self.url).map_err(|error| chain(&*error))?;
                }
                let mut session = life::open(self.url).map_err(|error| chain(&error))?;
                action.run(&mut session).map_err(|error| said(&error))
            }
            (None, None) => Ok(()),
        }
    }

    fn backward(&self, step: usize) -> Result<(), String> {
        let Some(action) = self.action(step) else { return Ok(()) };
        let mut session = life::open(self.url).map_err(|error| chain(&error))?;
        action.undo(&mut session).map_err(|error| said(&error))
    }

    fn scene(&mut self, moment: &Moment) -> Result<Scene, LifeError> {
        let plan = &self.life.plan;
        let inserted = promise::inserted(plan, moment);
        let settled = match moment.direction {
            Direction::Up => promise::settled(plan, moment),
            // Filled rows stay filled until the column goes.
            Direction::Down => Holds::Anything,
        };
        let replaced = promise::replaced(plan, moment);
        let holds = [&inserted, &settled, &replaced];
        let look = Look::new(&mut self.control, self.matrix.contract, holds)?;
        let follows = promise::follows(plan, look.others());
        let view = look.read(&mut self.control)?;
        Ok(Scene { look, view, inserted, replaced, follows })
    }

    /// Runs all cells of a moment. Everybody has written before anybody reads.
    fn moment(&mut self, moment: Moment, damage: Vec<String>) -> Result<MomentReport, MatrixError> {
        let mut scene = self.scene(&moment)?;
        let old_rows = self.old_rows(&scene, &moment);
        let worn = self.rows.worn.pop_front();
        let programs = self.programs;
        let mut fresh: Vec<_> = programs.iter().map(|(_, p)| p.open(self.url)).collect();
        let mut cells = Vec::new();
        let plan = &self.life.plan;
        // A release that is gone writes nothing that later stages must cope with; only where none
        // follows does the report show why it had to go.
        let stages_follow = moment.direction == Direction::Down || !self.is_last(&moment);
        let rests = |side| stages_follow && promise::is_gone(plan, side, &moment);
        for operation in Operation::ALL {
            for (at, (side, program)) in programs.iter().enumerate() {
                for session in SessionAge::ALL {
                    let outcome = match (session, &mut fresh[at]) {
                        _ if rests(*side) || !program.can(operation) => Outcome::Absent,
                        (SessionAge::Fresh, Err(error)) => Outcome::Fails {
                            error: format!("could not connect: {}", chain(&**error)),
                        },
                        (SessionAge::Warm, _) => {
                            self.cell(&mut scene, at, None, operation, worn)?
                        }
                        (SessionAge::Fresh, Ok(fresh)) => {
                            self.cell(&mut scene, at, Some(&mut **fresh), operation, worn)?
                        }
                    };
                    cells.push(Cell { side: *side, session, operation, outcome });
                }
            }
        }
        let promised = programs
            .iter()
            .map(|(side, _)| *side)
            .filter(|side| promise::is_promised(plan, *side, &moment))
            .collect();
        Ok(MomentReport { moment, cells, promised, failed: None, damage, old_rows })
    }

    /// Looks at the rows from before the column.
    fn old_rows(&self, scene: &Scene, moment: &Moment) -> Option<String> {
        let rows_now = &scene.view.rows;
        let settled: Vec<_> = self.rows.settled.iter().map(|key| rows_now.get(key)).collect();
        let lost = settled.iter().filter(|row| row.is_none()).count();
        if lost > 0 {
            return Some(rows(lost, "lost"));
        }
        let wrong: Vec<_> = settled.into_iter().flatten().filter(|row| !row.settled).collect();
        wrong.first().map(|first| {
            let found = shown(first.column.as_ref());
            let expected = promise::settled(&self.life.plan, moment).describe();
            format!("{} {expected}, the first has {found}", rows(wrong.len(), "without"))
        })
    }

    /// Runs one operation of one program in one session, on every kind of row it may meet.
    fn cell(
        &mut self,
        scene: &mut Scene,
        at: usize,
        mut fresh: Option<&mut (dyn Running + '_)>,
        operation: Operation,
        worn: Option<u64>,
    ) -> Result<Outcome, MatrixError> {
        let side = self.programs[at].0;
        let numbers = self.targets(side, operation, worn);
        if numbers.is_empty() && operation != Operation::List {
            return Ok(Outcome::Absent);
        }
        let session: &mut dyn Running = match &mut fresh {
            Some(session) => &mut **session,
            None => &mut *self.warm[at].1,
        };
        let done = session.act(operation, &numbers);
        let after = scene.look.read(&mut self.control)?;
        let before = std::mem::replace(&mut scene.view, after);
        if !matches!(operation, Operation::Read | Operation::List) {
            self.forget(side, &numbers);
        }
        Ok(match done {
            Ok(said) => {
                let act = Act { side, operation, numbers: &numbers, said: &said };
                self.rows.judge(scene, &act, &before)
            }
            Err(ActError::Different { expected, found }) => Outcome::WrongValue { expected, found },
            Err(error @ ActError::Failed(_)) => Outcome::Fails { error: chain(&error) },
        })
    }

    /// Chooses rows: for inserts new ones, else the newest of each side and one from before.
    fn targets(&mut self, side: Side, operation: Operation, worn: Option<u64>) -> Vec<u64> {
        match operation {
            Operation::Insert => vec![self.rows.next()],
            Operation::BatchInsert => (0..BATCH).map(|_| self.rows.next()).collect(),
            Operation::Update | Operation::Upsert => self.newest(side, 1).chain(worn).collect(),
            // Of others also one that nobody has changed since.
            Operation::Read => self.newest(side, 2).chain(self.rows.from_before).collect(),
            Operation::List => self.rows.alive.keys().copied().collect(),
            Operation::Delete => {
                // Others still need the newest.
                let newest = self.rows.newest(side, 2);
                let own = self.rows.alive.iter().filter(|(_, of)| **of == side);
                let own = own.map(|(number, _)| *number).rfind(|number| !newest.contains(number));
                own.or_else(|| newest.last().copied()).into_iter().collect()
            }
        }
    }

    /// Returns the newest row of a side, and some of every other.
    fn newest(&self, side: Side, others: usize) -> impl Iterator<Item = u64> {
        let sides = Side::ALL.into_iter().filter(move |other| *other != side);
        let own = self.rows.newest(side, 1).into_iter();
        own.chain(sides.flat_map(move |side| self.rows.newest(side, others)))
    }

    /// Tells the other programs that rows may have changed under them.
    fn forget(&self, by: Side, numbers: &[u64]) {
        let others = self.programs.iter().filter(|(side, _)| *side != by);
        others.for_each(|(_, program)| numbers.iter().for_each(|row| program.forget(*row)));
    }

    /// Returns the lines by which two schemas differ. A replaced column comes back at the end of
    /// the table and without its indexes and constraints, as the plan says, so there only what is
    /// new counts.
    fn differences(&self, first: &str, last: &str) -> Vec<String> {
        let replaces = self.matrix.contract.answers().replaces.is_some();
        differences(first, last)
            .into_iter()
            .filter(|(sign, line)| !replaces || (*sign == '+' && line.contains("newcol")))
            .map(|(sign, line)| format!("{sign}{line}"))
            .collect()
    }

    fn window(&self) -> Window {
        let plan = &self.life.plan;
        let gated = |gate| plan.stages.iter().find(|s| s.gates.contains(&gate)).map(|s| s.kind);
        Window {
            new_from: StageKind::Expand,
            old_until: gated(Gate::OldWritersGone),
            relying_from: promise::relied_from(plan),
            new_until: gated(Gate::ReplacedUnused),
        }
    }
}

/// What was done.
pub(super) struct Act<'a> {
    pub(super) side: Side,
    pub(super) operation: Operation,
    pub(super) numbers: &'a [u64],
    pub(super) said: &'a [Said],
}

/// Returns what went wrong. Of a migration the report's reader knows which statement it was, and on
/// which database; of a job nothing.
fn said(error: &LifeError) -> String {
    match error {
        LifeError::Backfill(_) => chain(error),
        LifeError::Url(_)
        | LifeError::Facts { .. }
        | LifeError::Plan { .. }
        | LifeError::Database(_)
        | LifeError::Unfillable { .. }
        | LifeError::Stopped { .. }
        | LifeError::File { .. } => cause(error),
    }
}

/// Returns what the server said.
fn cause(error: &dyn Error) -> String {
    error.source().map_or_else(|| error.to_string(), cause)
}

fn did_not_get_there(moment: Moment, error: String) -> MomentReport {
    let (cells, promised) = (Vec::new(), Vec::new());
    let damage = Vec::new();
    MomentReport { moment, cells, promised, failed: Some(error), damage, old_rows: None }
}
