//! The model, and the machine that holds a database to it.

use std::collections::BTreeMap;

use newcol_core::{
    backend::Backend,
    db::{DatabaseUrl, OpenOptions, Session},
    plan::{Gate, StageKind},
};
use newcol_testkit::{
    life::{Action, Life},
    schema_dump,
};

/// What happens next; a move that is not possible then does nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Move {
    OldInsert(u64),
    OldUpdate(u64),
    OldDelete(u64),
    NewInsert(u64),
    NewUpdate(u64),
    NewDelete(u64),
    /// A batch of the backfill: one row.
    Fill,
    /// A batch whose session ends before it commits.
    FillThatDies,
    /// The next migration or job, old code leaving where a gate waits for that.
    Forward,
    /// The last one is taken back.
    Back,
}

/// What the column of a row may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Holds {
    /// Nobody has written it: NULL, or the fill of the row as it is.
    Pending,
    /// This and nothing else.
    Exactly(String),
}

#[derive(Debug, Clone)]
struct Row {
    name: String,
    holds: Holds,
}

pub(crate) struct Machine<'a> {
    life: &'a Life,
    actions: Vec<(StageKind, &'a Action)>,
    done: usize,
    url: &'a str,
    old: Session,
    new: Session,
    control: Session,
    rows: BTreeMap<u64, Row>,
    changes: u64,
}

fn open(url: &str) -> Session {
    Session::open(&DatabaseUrl::parse(url).unwrap(), &OpenOptions::write()).unwrap()
}

impl<'a> Machine<'a> {
    pub(crate) fn new(life: &'a Life, url: &'a str) -> Self {
        Self {
            life,
            actions: life.actions().collect(),
            done: 0,
            url,
            old: open(url),
            new: open(url),
            control: open(url),
            rows: BTreeMap::new(),
            changes: 0,
        }
    }

    /// Makes all moves, goes on to the end, and takes everything back.
    pub(crate) fn history(mut self, moves: &[Move]) -> Result<(), String> {
        let before = schema_dump(self.url).map_err(|error| error.to_string())?;
        for step in moves {
            self.make(*step).map_err(|error| format!("{step:?}: {error}"))?;
            self.check().map_err(|error| format!("after {step:?}: {error}"))?;
        }
        while self.done < self.actions.len() {
            self.forward().map_err(|error| format!("to the end: {error}"))?;
            self.check().map_err(|error| format!("on the way to the end: {error}"))?;
        }
        while self.done > 0 {
            self.back().map_err(|error| format!("all back: {error}"))?;
        }
        self.check().map_err(|error| format!("all back: {error}"))?;
        let after = schema_dump(self.url).map_err(|error| error.to_string())?;
        if before == after { Ok(()) } else { Err(format!("the schema is\n{after}\nnot\n{before}")) }
    }

    fn make(&mut self, step: Move) -> Result<(), String> {
        match step {
            Move::OldInsert(id) if self.old_lives() && !self.rows.contains_key(&id) => {
                let name = self.name(id);
                let sql = format!("INSERT INTO users (id, name) VALUES ({id}, '{name}')");
                run(&mut self.old, &sql)?;
                let holds = self.inserted_by_old(&name);
                self.rows.insert(id, Row { name, holds });
            }
            Move::OldUpdate(id) if self.old_lives() && self.rows.contains_key(&id) => {
                let name = self.name(id);
                run(&mut self.old, &format!("UPDATE users SET name = '{name}' WHERE id = {id}"))?;
                self.rows.entry(id).and_modify(|row| row.name = name);
            }
            Move::OldDelete(id) if self.old_lives() && self.rows.contains_key(&id) => {
                run(&mut self.old, &format!("DELETE FROM users WHERE id = {id}"))?;
                self.rows.remove(&id);
            }
            Move::NewInsert(id) if self.new_lives() && !self.rows.contains_key(&id) => {
                let (name, locale) = (self.name(id), self.name(id + 100));
                let sql = format!(
                    "INSERT INTO users (id, name, locale) VALUES ({id}, '{name}', '{locale}')"
                );
                run(&mut self.new, &sql)?;
                self.rows.insert(id, Row { name, holds: Holds::Exactly(locale) });
            }
            Move::NewUpdate(id) if self.new_lives() && self.rows.contains_key(&id) => {
                let locale = self.name(id + 100);
                let sql = format!("UPDATE users SET locale = '{locale}' WHERE id = {id}");
                run(&mut self.new, &sql)?;
                self.rows.entry(id).and_modify(|row| row.holds = Holds::Exactly(locale));
            }
            Move::NewDelete(id) if self.new_lives() && self.rows.contains_key(&id) => {
                run(&mut self.new, &format!("DELETE FROM users WHERE id = {id}"))?;
                self.rows.remove(&id);
            }
            Move::Fill if self.fills() => {
                let batch = self.batch();
                run(&mut self.control, &batch)?;
            }
            Move::FillThatDies if self.fills() => {
                let mut session = open(self.url);
                run(&mut session, "BEGIN")?;
                run(&mut session, &self.batch())?;
                // Gone without a word.
                drop(session);
            }
            Move::Forward if self.done < self.actions.len() => self.forward()?,
            Move::Back if self.done > 0 => self.back()?,
            _ => {}
        }
        Ok(())
    }

    /// Old code leaves before the stage that waits for its end, and comes back when that is undone.
    fn old_lives(&self) -> bool {
        let stages = &self.life.plan.stages;
        let waits = stages.iter().find(|stage| stage.gates.contains(&Gate::OldWritersGone));
        waits.is_none_or(|stage| self.stage().is_none_or(|now| now < stage.kind))
    }

    fn new_lives(&self) -> bool {
        self.is_expanded()
    }

    fn is_expanded(&self) -> bool {
        let expand = self.actions.iter().filter(|(kind, _)| *kind == StageKind::Expand).count();
        self.done >= expand
    }

    fn stage(&self) -> Option<StageKind> {
        self.done.checked_sub(1).map(|at| self.actions[at].0)
    }

    fn fills(&self) -> bool {
        self.is_expanded() && self.life.plan.stage(StageKind::Backfill).is_some()
    }

    /// Fills one row, as the job would: the first that is pending.
    fn batch(&self) -> String {
        let pending = "SELECT id FROM users WHERE locale IS NULL ORDER BY id LIMIT 1";
        let pending = match self.life.plan.backend() {
            // It refuses to read the table that it changes, unless that is done before.
            Backend::Mysql => format!("SELECT id FROM ({pending}) AS first"),
            Backend::Postgres | Backend::Sqlite => pending.to_owned(),
        };
        format!("UPDATE users SET locale = lower(name) WHERE id = ({pending}) AND locale IS NULL")
    }

    fn forward(&mut self) -> Result<(), String> {
        let (_, action) = self.actions[self.done];
        let was_there = self.has_column()?;
        action.run(&mut open(self.url)).map_err(|error| chain(&error))?;
        self.done += 1;
        if !was_there && self.has_column()? {
            // Rows that were there get the default at once, where there is one.
            let default = self.default();
            for row in self.rows.values_mut() {
                row.holds = default.clone().map_or(Holds::Pending, Holds::Exactly);
            }
        }
        Ok(())
    }

    fn back(&mut self) -> Result<(), String> {
        let (_, action) = self.actions[self.done - 1];
        action.undo(&mut open(self.url)).map_err(|error| chain(&error))?;
        self.done -= 1;
        Ok(())
    }

    fn default(&self) -> Option<String> {
        let default = self.life.plan.contract.default(self.life.plan.backend());
        default.map(|expr| expr.as_str().trim_matches('\'').to_owned())
    }

    fn inserted_by_old(&self, name: &str) -> Holds {
        let has_trigger =
            self.life.plan.contract.old_writers() == newcol_core::contract::OldWriters::Trigger;
        match self.default() {
            Some(default) => Holds::Exactly(default),
            None if has_trigger && self.is_expanded() => Holds::Exactly(name.to_lowercase()),
            None => Holds::Pending,
        }
    }

    /// A name that no row has had.
    fn name(&mut self, id: u64) -> String {
        self.changes += 1;
        format!("User {id} {}", self.changes)
    }

    /// Holds every row of the table to the model.
    fn check(&mut self) -> Result<(), String> {
        let has_column = self.has_column()?;
        let column = if has_column { "locale" } else { "NULL" };
        let sql = format!("SELECT id, name, {column} FROM users ORDER BY id");
        let found = self.control.query(&sql).map_err(|error| chain(&error))?;
        let ids: Vec<u64> = found.iter().filter_map(|row| row[0].as_ref()?.parse().ok()).collect();
        if !ids.iter().eq(self.rows.keys()) {
            return Err(format!("there are rows {ids:?} instead of {:?}", self.rows.keys()));
        }
        let constrained = self.life.plan.contract.required()
            && self.stage().is_some_and(|now| now > StageKind::Constrain);
        for (found, (id, row)) in found.into_iter().zip(&mut self.rows) {
            if found[1].as_ref() != Some(&row.name) {
                return Err(format!(
                    "name of row {id} is {:?} instead of {:?}",
                    found[1], row.name
                ));
            }
            if !has_column {
                continue;
            }
            let filled = row.name.to_lowercase();
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

    fn has_column(&mut self) -> Result<bool, String> {
        let sql = match self.life.plan.backend() {
            Backend::Postgres => {
                "SELECT EXISTS (SELECT FROM pg_attribute \
                 WHERE attrelid = 'users'::regclass AND attname = 'locale')"
            }
            Backend::Mysql => {
                "SELECT count(*) FROM information_schema.columns WHERE table_schema = database() \
                 AND table_name = 'users' AND column_name = 'locale'"
            }
            Backend::Sqlite => {
                "SELECT count(*) FROM pragma_table_info('users') WHERE name = 'locale'"
            }
        };
        self.control.query_bool(sql).map_err(|error| chain(&error))
    }
}

fn run(session: &mut Session, sql: &str) -> Result<(), String> {
    session.batch(sql).map_err(|error| chain(&error))
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
