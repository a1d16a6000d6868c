//! The model, and the machine that holds a database to it.

use std::collections::BTreeMap;

use newcol_core::{
    backend::Backend,
    db::Session,
    plan::{Gate, StageKind},
};
use newcol_testkit::{
    ScratchDb,
    life::{Action, Life},
    schema_dump,
    wait::wait_for,
};

use super::{
    client::{Client, LIMIT, chain, open},
    moves::{End, Move, Who},
    rows::{Holds, Row, Rules},
};

pub(crate) struct Machine<'a> {
    pub(super) life: &'a Life,
    pub(super) db: &'a ScratchDb,
    pub(super) control: Session,
    actions: Vec<(StageKind, &'a Action)>,
    done: usize,
    rules: Rules,
    old: Client,
    new: Client,
    rows: BTreeMap<u64, Row>,
    changes: u64,
}

/// Where a stage goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Up,
    Down,
}

impl<'a> Machine<'a> {
    pub(crate) fn new(life: &'a Life, db: &'a ScratchDb) -> Self {
        Self {
            life,
            db,
            control: open(db.url()),
            actions: life.actions().collect(),
            done: 0,
            rules: Rules::of(&life.plan.contract, life.plan.backend()),
            old: Client::new(db.url()),
            new: Client::new(db.url()),
            rows: BTreeMap::new(),
            changes: 0,
        }
    }

    /// Makes all moves, goes on to the end, and takes everything back.
    pub(crate) fn history(mut self, moves: &[Move]) -> Result<(), String> {
        let before = schema_dump(self.db.url()).map_err(|error| error.to_string())?;
        for step in moves {
            self.make(*step).map_err(|error| format!("{step:?}: {error}"))?;
            self.check().map_err(|error| format!("after {step:?}: {error}"))?;
        }
        self.end_all(End::Commit)?;
        while self.done < self.actions.len() {
            self.forward().map_err(|error| format!("to the end: {error}"))?;
            self.check().map_err(|error| format!("on the way to the end: {error}"))?;
        }
        while self.done > 0 {
            self.back().map_err(|error| format!("all back: {error}"))?;
            self.check().map_err(|error| format!("on the way back: {error}"))?;
        }
        let after = schema_dump(self.db.url()).map_err(|error| error.to_string())?;
        // A replaced column comes back at the end of its table and bare, as the plan warns.
        let is_left = |line: &&str| {
            !before.lines().any(|old| old == *line)
                && (!self.rules.replaces || line.contains("newcol"))
        };
        let left: Vec<&str> = after.lines().filter(is_left).collect();
        let is_whole = self.rules.replaces || before == after;
        if left.is_empty() && is_whole {
            Ok(())
        } else {
            Err(format!("the schema is\n{after}\nnot\n{before}"))
        }
    }

    fn make(&mut self, step: Move) -> Result<(), String> {
        match step {
            Move::Insert(who, id) | Move::Update(who, id) | Move::Delete(who, id)
                if self.lives(who) && !self.is_taken(who, id) =>
            {
                self.write(step, who, id)
            }
            Move::Begin(who) if self.lives(who) && self.client(who).open.is_none() => {
                let client = self.client(who);
                client.open = Some(BTreeMap::new());
                client.run("BEGIN")
            }
            Move::End(who, end) => self.end(who, end),
            Move::Kill(Who::Old) => self.old.kill(&mut self.control).map_err(|e| chain(&e)),
            Move::Kill(Who::New) => self.new.kill(&mut self.control).map_err(|e| chain(&e)),
            Move::Fill(batches) if self.fills() => self.fill(batches),
            Move::FillThatDies if self.fills() => self.fill_that_dies(),
            Move::FillThatIsKilled if self.fills() => self.fill_that_is_killed(),
            Move::FillThroughACrash if self.fills() => {
                self.forget_transactions();
                self.fill_through_a_crash()?;
                self.connect();
                Ok(())
            }
            Move::Crash => {
                self.forget_transactions();
                self.db.crash_server().map_err(|error| chain(&error))?;
                self.connect();
                Ok(())
            }
            Move::Forward if self.done < self.actions.len() => self.forward(),
            Move::ForwardThatDies if self.done < self.actions.len() => {
                self.dies(self.actions[self.done].1)
            }
            Move::Back if self.done > 0 => self.back(),
            Move::Insert(..)
            | Move::Update(..)
            | Move::Delete(..)
            | Move::Begin(_)
            | Move::Fill(_)
            | Move::FillThatDies
            | Move::FillThatIsKilled
            | Move::FillThroughACrash
            | Move::Forward
            | Move::ForwardThatDies
            | Move::Back => Ok(()),
        }
    }

    fn write(&mut self, step: Move, who: Who, id: u64) -> Result<(), String> {
        let (name, value) = self.texts(id);
        let found = self.seen_by(who, id);
        let (sql, row) = match (step, who, found) {
            (Move::Insert(..), Who::Old, None) => {
                let holds = if self.is_expanded() {
                    self.rules.inserted_by_old(&name)
                } else {
                    Holds::Pending
                };
                let sql = format!("INSERT INTO users (id, name) VALUES ({id}, '{name}')");
                (sql, Some(Row { name, holds }))
            }
            (Move::Insert(..), Who::New, None) if self.rules.replaces => {
                let sql = format!("INSERT INTO users (id, locale) VALUES ({id}, '{value}')");
                let name = self.rules.back(&value);
                (sql, Some(Row { name, holds: Holds::Exactly(value) }))
            }
            (Move::Insert(..), Who::New, None) => {
                let sql = format!(
                    "INSERT INTO users (id, name, locale) VALUES ({id}, '{name}', '{value}')"
                );
                (sql, Some(Row { name, holds: Holds::Exactly(value) }))
            }
            (Move::Update(..), Who::Old, Some(row)) => {
                let sql = format!("UPDATE users SET name = '{name}' WHERE id = {id}");
                let holds = if self.rules.replaces && self.is_expanded() {
                    Holds::Exactly(self.rules.fill(&name))
                } else {
                    row.holds
                };
                (sql, Some(Row { name, holds }))
            }
            (Move::Update(..), Who::New, Some(row)) => {
                let sql = format!("UPDATE users SET locale = '{value}' WHERE id = {id}");
                let name = if self.rules.replaces { self.rules.back(&value) } else { row.name };
                (sql, Some(Row { name, holds: Holds::Exactly(value) }))
            }
            (Move::Delete(..), _, Some(_)) => (format!("DELETE FROM users WHERE id = {id}"), None),
            _ => return Ok(()),
        };
        self.client(who).run(&sql)?;
        match &mut self.client(who).open {
            Some(rows) => {
                rows.insert(id, row);
            }
            None => set(&mut self.rows, id, row),
        }
        Ok(())
    }

    fn client(&mut self, who: Who) -> &mut Client {
        match who {
            Who::Old => &mut self.old,
            Who::New => &mut self.new,
        }
    }

    /// Returns a row as a writer sees it.
    fn seen_by(&mut self, who: Who, id: u64) -> Option<Row> {
        let own = self.client(who).open.as_ref().and_then(|rows| rows.get(&id)).cloned();
        own.unwrap_or_else(|| self.rows.get(&id).cloned())
    }

    /// Reports whether a writer would wait for the transaction of the other one.
    fn is_taken(&self, who: Who, id: u64) -> bool {
        let other = match who {
            Who::Old => &self.new,
            Who::New => &self.old,
        };
        match self.backend() {
            Backend::Postgres | Backend::Mysql => {
                other.open.as_ref().is_some_and(|rows| rows.contains_key(&id))
            }
            Backend::Sqlite => other.has_written(),
        }
    }

    fn end(&mut self, who: Who, end: End) -> Result<(), String> {
        let client = self.client(who);
        let Some(rows) = client.open.take() else { return Ok(()) };
        match end {
            End::Commit => {
                client.run("COMMIT")?;
                rows.into_iter().for_each(|(id, row)| set(&mut self.rows, id, row));
                Ok(())
            }
            End::Rollback => client.run("ROLLBACK"),
        }
    }

    pub(super) fn end_all(&mut self, end: End) -> Result<(), String> {
        self.end(Who::Old, end)?;
        self.end(Who::New, end)
    }

    /// A server that crashes takes them along.
    fn forget_transactions(&mut self) {
        (self.old.open, self.new.open) = (None, None);
    }

    fn connect(&mut self) {
        self.control = wait_for("server", LIMIT, || self.control.again().ok()).unwrap();
        (self.old, self.new) = (Client::new(self.db.url()), Client::new(self.db.url()));
    }

    pub(super) fn backend(&self) -> Backend {
        self.life.plan.backend()
    }

    pub(super) fn transactions_have_written(&self) -> bool {
        self.old.has_written() || self.new.has_written()
    }

    fn lives(&self, who: Who) -> bool {
        self.lives_after(who, self.done)
    }

    /// Old code leaves before the stage that waits for its end, and comes back when that is undone;
    /// new code comes when the first stage is done.
    fn lives_after(&self, who: Who, done: usize) -> bool {
        let stage = self.stage_after(done);
        match who {
            Who::Old => {
                let waits = |gate| {
                    let stages = &self.life.plan.stages;
                    stages.iter().find(|s| s.gates.contains(&gate)).map(|s| s.kind)
                };
                let gates = [Gate::OldWritersGone, Gate::ReplacedUnused].map(waits);
                gates.into_iter().flatten().all(|gate| stage.is_none_or(|now| now < gate))
            }
            Who::New => self.is_expanded_after(done),
        }
    }

    fn is_expanded(&self) -> bool {
        self.is_expanded_after(self.done)
    }

    fn is_expanded_after(&self, done: usize) -> bool {
        done >= self.actions.iter().filter(|(kind, _)| *kind == StageKind::Expand).count()
    }

    fn stage_after(&self, done: usize) -> Option<StageKind> {
        done.checked_sub(1).map(|at| self.actions[at].0)
    }

    fn stage(&self) -> Option<StageKind> {
        self.stage_after(self.done)
    }

    /// The job belongs between the first stage and the one that needs its receipt, and does no harm
    /// until the last one.
    fn fills(&self) -> bool {
        self.is_expanded()
            && self.stage() < Some(StageKind::Contract)
            && self.life.plan.stage(StageKind::Backfill).is_some()
    }

    fn forward(&mut self) -> Result<(), String> {
        self.leave(self.done + 1)?;
        let was_there = self.has_column("locale")?;
        if !self.carry_out(self.actions[self.done].1, Way::Up)? {
            return Ok(());
        }
        self.done += 1;
        if !was_there && self.has_column("locale")? {
            // Rows that were there get the default at once, where there is one.
            for row in self.rows.values_mut() {
                row.holds = self.rules.old_rows();
            }
        }
        Ok(())
    }

    fn back(&mut self) -> Result<(), String> {
        self.leave(self.done - 1)?;
        if self.carry_out(self.actions[self.done - 1].1, Way::Down)? {
            self.done -= 1;
        }
        Ok(())
    }

    /// Sends code home that has no place there, when its transaction has ended.
    fn leave(&mut self, done: usize) -> Result<(), String> {
        for who in [Who::Old, Who::New] {
            if !self.lives_after(who, done) {
                self.end(who, End::Commit)?;
            }
        }
        Ok(())
    }

    /// A name that no row has had, and a value that none has had; now and then one that the fill
    /// makes of no name.
    fn texts(&mut self, id: u64) -> (String, String) {
        self.changes += 1;
        let number = self.changes;
        let who = if number.is_multiple_of(3) { "User" } else { "Person" };
        (format!("User {id} {number}"), format!("{who} {id} {number} too"))
    }

    /// Holds every row of the table to the model.
    fn check(&mut self) -> Result<(), String> {
        let has_column = self.has_column("locale")?;
        let has_name = !self.rules.replaces || self.has_column("name")?;
        let column = if has_column { "locale" } else { "NULL" };
        let name = if has_name { "name" } else { "NULL" };
        let sql = format!("SELECT id, {name}, {column} FROM users ORDER BY id");
        let found = self.control.query(&sql).map_err(|error| chain(&error))?;
        let ids: Vec<u64> = found.iter().filter_map(|row| row[0].as_ref()?.parse().ok()).collect();
        if !ids.iter().eq(self.rows.keys()) {
            return Err(format!("there are rows {ids:?} instead of {:?}", self.rows.keys()));
        }
        let constrained = self.life.plan.contract.required()
            && self.stage().is_some_and(|now| now > StageKind::Constrain);
        // Nobody reads it any more from then on.
        let reads_name = !self.rules.replaces || self.stage() != Some(StageKind::Contract);
        for (found, (id, row)) in found.into_iter().zip(&mut self.rows) {
            if reads_name && found[1].as_ref() != Some(&row.name) {
                return Err(format!(
                    "name of row {id} is {:?} instead of {:?}",
                    found[1], row.name
                ));
            }
            if !has_column {
                continue;
            }
            let filled = self.rules.fill(&row.name);
            match (&row.holds, &found[2]) {
                (Holds::Pending, None) if !constrained => {}
                // It was filled, and is not computed again.
                (Holds::Pending, Some(value)) if *value == filled => {
                    row.holds = Holds::Exactly(filled);
                }
                (Holds::Exactly(wanted), Some(value)) if wanted == value => {}
                (holds, value) => {
                    return Err(format!("row {id} holds {value:?} instead of {holds:?}"));
                }
            }
        }
        Ok(())
    }

    fn has_column(&mut self, name: &str) -> Result<bool, String> {
        let sql = match self.backend() {
            Backend::Postgres => format!(
                "SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'users'::regclass \
                 AND attname = '{name}' AND NOT attisdropped)"
            ),
            Backend::Mysql => format!(
                "SELECT count(*) FROM information_schema.columns WHERE table_schema = database() \
                 AND table_name = 'users' AND column_name = '{name}'"
            ),
            Backend::Sqlite => {
                format!("SELECT count(*) FROM pragma_table_info('users') WHERE name = '{name}'")
            }
        };
        self.control.query_bool(&sql).map_err(|error| chain(&error))
    }
}

fn set(rows: &mut BTreeMap<u64, Row>, id: u64, row: Option<Row>) {
    match row {
        Some(row) => {
            rows.insert(id, row);
        }
        None => {
            rows.remove(&id);
        }
    }
}
