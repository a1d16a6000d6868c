//! Walks the moments, runs the cells and judges them.

use std::collections::BTreeMap;

use newcol_core::{
    contract::OldRows,
    db::Session,
    plan::{Gate, StageKind},
};

use super::{
    Cell, Direction, Matrix, MatrixError, MatrixReport, Moment, MomentReport, Outcome, SessionAge,
    Side, Window,
    promise::{self, Holds},
    view::{Key, Look, View, rows},
};
use crate::{
    dump::schema_dump,
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
struct Numbered {
    last: u64,
    /// Keys of the rows that were there before the column and are left alone.
    settled: Vec<Key>,
    /// Where a row is, where that is known.
    keys: BTreeMap<u64, Key>,
    /// Who inserted a row, for rows that are there.
    alive: BTreeMap<u64, Side>,
}

impl Numbered {
    fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// Returns the newest row of a side.
    fn newest(&self, side: Side) -> Option<u64> {
        self.alive.iter().rev().find(|(_, of)| **of == side).map(|(number, _)| *number)
    }
}

/// What there is to see at a moment.
struct Scene {
    look: Look,
    /// The table as it is.
    view: View,
    inserted: Holds,
    /// The column is there, and code without it is promised something of it.
    derived: bool,
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
        let mut reports = vec![self.moment(before.clone())?];
        let mut reached = 0;
        for (at, moment) in moments.iter().enumerate() {
            match self.forward(at) {
                Ok(()) => reports.push(self.moment(moment.clone())?),
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
                match self.backward(at) {
                    Ok(()) => reports.push(self.moment(to)?),
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

    /// Inserts, by old code, the rows that will be there before the column.
    fn settle(&mut self) -> Result<(), MatrixError> {
        let Some(at) = self.programs.iter().position(|(side, _)| *side == Side::Old) else {
            return Ok(());
        };
        if !self.programs[at].1.can(Operation::Insert) {
            return Ok(());
        }
        let mut scene = self.scene(&Moment {
            stage: None,
            done: (0, 0),
            action: None,
            direction: Direction::Up,
        })?;
        for _ in 0..self.matrix.old_rows {
            let row = self.rows.next();
            let done = self.warm[at].1.act(Operation::Insert, &[row]);
            done.map_err(|error| MatrixError::OldRows { row, source: error.into() })?;
            let after = scene.look.read(&mut self.control)?;
            let new = after.since(&scene.view).new;
            scene.view = after;
            if let Some(key) = new.first() {
                self.rows.keys.insert(row, key.clone());
            }
            self.rows.settled.extend(new);
        }
        Ok(())
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

    /// Runs an action in a session of its own, as the Diesel CLI would.
    fn forward(&self, step: usize) -> Result<(), String> {
        match (self.action(step), &self.matrix.backfill) {
            (Some(Action::Job { .. }) | None, Some(run)) => {
                run(self.url).map_err(|error| chain(&*error))
            }
            (Some(action), _) => {
                let mut session = life::open(self.url).map_err(|error| chain(&error))?;
                action.run(&mut session).map_err(|error| chain(&error))
            }
            (None, None) => Ok(()),
        }
    }

    fn backward(&self, step: usize) -> Result<(), String> {
        let Some(action) = self.action(step) else { return Ok(()) };
        let mut session = life::open(self.url).map_err(|error| chain(&error))?;
        action.undo(&mut session).map_err(|error| chain(&error))
    }

    fn scene(&mut self, moment: &Moment) -> Result<Scene, LifeError> {
        let plan = &self.life.plan;
        let inserted = promise::inserted(plan, moment);
        let settled = match moment.direction {
            Direction::Up => promise::settled(plan, moment),
            // Filled rows stay filled until the column goes.
            Direction::Down => Holds::Anything,
        };
        let look = Look::new(&mut self.control, self.matrix.contract, &inserted, &settled)?;
        let derived = plan.contract.answers().replaces.is_some()
            || plan.contract.answers().generated.get(plan.backend()).is_some();
        let view = look.read(&mut self.control)?;
        Ok(Scene { look, view, inserted, derived })
    }

    /// Runs all cells of a moment.
    fn moment(&mut self, moment: Moment) -> Result<MomentReport, MatrixError> {
        let mut scene = self.scene(&moment)?;
        let old_rows = self.old_rows(&scene, &moment);
        let mut cells = Vec::new();
        let programs = self.programs;
        for (at, (side, program)) in programs.iter().enumerate() {
            for age in SessionAge::ALL {
                let mut fresh = match age {
                    SessionAge::Warm => None,
                    SessionAge::Fresh => match program.open(self.url) {
                        Ok(session) => Some(session),
                        Err(error) => {
                            let error = format!("could not connect: {}", chain(&*error));
                            let outcome = Outcome::Fails { error };
                            cells.extend(Operation::ALL.map(|operation| Cell {
                                side: *side,
                                session: age,
                                operation,
                                outcome: outcome.clone(),
                            }));
                            continue;
                        }
                    },
                };
                for operation in Operation::ALL {
                    let outcome = if program.can(operation) {
                        self.cell(&mut scene, at, fresh.as_deref_mut(), operation)?
                    } else {
                        Outcome::Absent
                    };
                    cells.push(Cell { side: *side, session: age, operation, outcome });
                }
            }
        }
        let plan = &self.life.plan;
        let promised = programs
            .iter()
            .map(|(side, _)| *side)
            .filter(|side| promise::is_promised(plan, *side, &moment))
            .collect();
        Ok(MomentReport { moment, cells, promised, failed: None, old_rows })
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
    ) -> Result<Outcome, MatrixError> {
        let side = self.programs[at].0;
        let mut best = Outcome::Absent;
        for numbers in self.targets(side, operation) {
            let session: &mut dyn Running = match &mut fresh {
                Some(session) => &mut **session,
                None => &mut *self.warm[at].1,
            };
            let done = session.act(operation, &numbers);
            let after = scene.look.read(&mut self.control)?;
            let before = std::mem::replace(&mut scene.view, after);
            let outcome = match done {
                Ok(said) => {
                    let act = Act { side, operation, numbers: &numbers, said: &said };
                    self.judge(scene, &act, &before)
                }
                Err(ActError::Different { expected, found }) => {
                    Outcome::WrongValue { expected, found }
                }
                Err(error @ ActError::Failed(_)) => Outcome::Fails { error: chain(&error) },
            };
            if !outcome.is_good() {
                return Ok(outcome);
            }
            if best != Outcome::Preserves {
                best = outcome;
            }
        }
        Ok(best)
    }

    /// Chooses rows: for inserts new ones, else the newest of each side and one from before.
    fn targets(&mut self, side: Side, operation: Operation) -> Vec<Vec<u64>> {
        let newest = || {
            let own = self.rows.newest(side);
            let others = Side::ALL.into_iter().filter(|other| *other != side);
            own.into_iter().chain(others.filter_map(|other| self.rows.newest(other)))
        };
        match operation {
            Operation::Insert => vec![vec![self.rows.next()]],
            Operation::BatchInsert => vec![(0..BATCH).map(|_| self.rows.next()).collect()],
            Operation::Update | Operation::Upsert => newest().map(|row| vec![row]).collect(),
            Operation::Read => {
                let from_before = (self.matrix.old_rows > 0).then_some(1);
                newest().chain(from_before).map(|row| vec![row]).collect()
            }
            Operation::List => vec![self.rows.alive.keys().copied().collect()],
            Operation::Delete => {
                // Others still need the newest.
                let own = self.rows.alive.iter().filter(|(_, of)| **of == side);
                let mut own: Vec<u64> = own.map(|(number, _)| *number).collect();
                let newest = own.pop();
                let row = own.pop().or(newest);
                row.into_iter().map(|row| vec![row]).collect()
            }
        }
    }

    /// Holds what was done against what is there.
    fn judge(&mut self, scene: &Scene, act: &Act<'_>, before: &View) -> Outcome {
        let after = &scene.view;
        let difference = after.since(before);
        let counts = difference.counts();
        let n = act.numbers.len();
        let wanted = match act.operation {
            Operation::Insert | Operation::BatchInsert => [n, 0, 0],
            Operation::Update => [0, n, 0],
            // One that finds nothing to change is right to change nothing.
            Operation::Upsert if counts == [0, 0, 0] => counts,
            Operation::Upsert => [0, n, 0],
            Operation::Read | Operation::List => [0, 0, 0],
            Operation::Delete => [0, 0, n],
        };
        if counts != wanted {
            let [new, changed, gone] = wanted;
            let expected = match act.operation {
                Operation::Insert | Operation::BatchInsert => rows(new, "new"),
                Operation::Update | Operation::Upsert => rows(changed, "changed"),
                Operation::Delete => rows(gone, "gone"),
                Operation::Read | Operation::List => "no row touched".to_owned(),
            };
            return Outcome::WrongValue { expected, found: difference.describe() };
        }
        match act.operation {
            Operation::Insert | Operation::BatchInsert => {
                for number in act.numbers {
                    self.rows.alive.insert(*number, act.side);
                }
                if let ([number], [key]) = (act.numbers, difference.new.as_slice()) {
                    self.rows.keys.insert(*number, key.clone());
                }
                judge_new(scene, act, &difference.new)
            }
            Operation::Update | Operation::Upsert => {
                self.forget(act);
                judge_changed(scene, act, &difference.changed, before)
            }
            Operation::Read => {
                let key = act.numbers.first().and_then(|number| self.rows.keys.get(number));
                let seen = key.and_then(|key| after.rows.get(key));
                match (seen.and_then(|seen| seen.column.as_ref()), act.said.first()) {
                    (Some(found), Some(Said::Column(said))) if found != said => {
                        Outcome::WrongValue {
                            expected: shown(Some(found)),
                            found: format!("{} in what was read", shown(Some(said))),
                        }
                    }
                    _ => Outcome::Works,
                }
            }
            Operation::List => Outcome::Works,
            Operation::Delete => {
                self.forget(act);
                for number in act.numbers {
                    self.rows.alive.remove(number);
                    self.rows.keys.remove(number);
                }
                Outcome::Works
            }
        }
    }

    /// Tells the other programs that rows have changed under them.
    fn forget(&self, act: &Act<'_>) {
        for (side, program) in self.programs {
            if *side != act.side {
                act.numbers.iter().for_each(|number| program.forget(*number));
            }
        }
    }

    /// Returns the lines by which two schemas differ. A replaced column comes back at the end of
    /// the table and without its indexes and constraints, as the plan says, so there only what is
    /// new counts.
    fn differences(&self, first: &str, last: &str) -> Vec<String> {
        let gone = first.lines().filter(|line| !last.lines().any(|other| other == *line));
        let new = last.lines().filter(|line| !first.lines().any(|other| other == *line));
        if self.matrix.contract.answers().replaces.is_some() {
            return new.filter(|line| line.contains("newcol")).map(|l| format!("+{l}")).collect();
        }
        let gone = gone.map(|line| format!("-{line}"));
        gone.chain(new.map(|line| format!("+{line}"))).collect()
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
struct Act<'a> {
    side: Side,
    operation: Operation,
    numbers: &'a [u64],
    said: &'a [Said],
}

fn did_not_get_there(moment: Moment, error: String) -> MomentReport {
    let (cells, promised) = (Vec::new(), Vec::new());
    MomentReport { moment, cells, promised, failed: Some(error), old_rows: None }
}

/// Judges new rows: by what is promised if the code does not know the column, by its own word
/// if it does.
fn judge_new(scene: &Scene, act: &Act<'_>, keys: &[Key]) -> Outcome {
    let seen: Vec<_> = keys.iter().filter_map(|key| scene.view.rows.get(key)).collect();
    if act.side == Side::Old {
        return match seen.iter().find(|row| !row.inserted) {
            Some(row) => Outcome::WrongValue {
                expected: scene.inserted.describe(),
                found: shown(row.column.as_ref()),
            },
            None => Outcome::Works,
        };
    }
    let said: Option<Vec<&Option<String>>> = act
        .said
        .iter()
        .map(|said| match said {
            Said::Column(value) => Some(value),
            Said::Nothing => None,
        })
        .collect();
    let found: Option<Vec<&Option<String>>> = seen.iter().map(|row| row.column.as_ref()).collect();
    let (Some(mut said), Some(mut found)) = (said, found) else { return Outcome::Works };
    // Which new row is which is not known.
    said.sort();
    found.sort();
    match said.iter().zip(&found).find(|(said, found)| said != found) {
        Some((said, found)) => {
            Outcome::WrongValue { expected: shown(Some(said)), found: shown(Some(found)) }
        }
        None => Outcome::Works,
    }
}

/// Judges changed rows: code that does not know the column leaves it alone, unless the database
/// derives it from what was changed.
fn judge_changed(scene: &Scene, act: &Act<'_>, keys: &[Key], before: &View) -> Outcome {
    let after = &scene.view;
    if act.side != Side::Old {
        return Outcome::Works;
    }
    for key in keys {
        let (Some(old), Some(new)) = (before.rows.get(key), after.rows.get(key)) else { continue };
        if old.column == new.column || (scene.derived && new.inserted) {
            continue;
        }
        let expected = if scene.derived {
            scene.inserted.describe()
        } else {
            format!("{} as before", shown(old.column.as_ref()))
        };
        return Outcome::WrongValue { expected, found: shown(new.column.as_ref()) };
    }
    if keys.iter().any(|key| after.rows.get(key).is_some_and(|row| row.column.is_some())) {
        Outcome::Preserves
    } else {
        Outcome::Works
    }
}

fn shown(value: Option<&Option<String>>) -> String {
    match value {
        None => "no column".to_owned(),
        Some(None) => "NULL".to_owned(),
        Some(Some(text)) => format!("{text:?}"),
    }
}
