//! Faults while a stage is taken back.
//!
//! After each of them Diesel's table says what is there, and the next run of `undo` takes the rest
//! back.

use std::{ops::Range, time::Instant};

use newcol_core::{
    backend::{Backend, Product},
    plan::StageKind,
    render::migrations,
};
use newcol_testkit::{Want, wait::wait_until};

use super::{app::App, cut_off, faults, wanted};
use crate::{
    chance::{self, Chance},
    relay::{End, Relay},
};

#[test]
fn postgres_is_taken_back_from_any_statement() {
    sweep(Want::postgres());
}

#[test]
fn mariadb_is_taken_back_from_any_statement() {
    sweep(Want::mysql().product(Product::Mariadb));
}

#[test]
fn sqlite_is_taken_back_from_any_moment() {
    let Some(app) = App::new(Want::sqlite()) else { return };
    let mut chance = Chance::of(chance::seed());
    let mut late = 0;
    let stages = app.stages();
    let count = faults(8, 1, 2);
    let mut whole = None;
    for at in 0..count as usize {
        let stage = &stages[at % stages.len()];
        if stage.start == stages[0].start {
            app.reset();
        }
        app.apply(stage.end);
        let whole = *whole.get_or_insert_with(|| {
            let began = Instant::now();
            assert!(app.start_back(app.db.url()).wait().success(), "{}", app.words());
            app.apply(stage.end);
            began.elapsed()
        });
        let moment = whole.mul_f64(chance.below(1000) as f64 / 1000.0);
        let mut run = app.start_back(app.db.url());
        drop(wait_until("the moment", moment, || run.over().is_some()));
        late += u64::from(run.over().is_some());
        run.kill();
        take_back(&app, stage, &format!("{stage:?} after {moment:?}"));
    }
    eprintln!("sqlite: {count} faults, of which {late} came late");
}

/// Ends the talk at one statement after the other, in each stage.
fn sweep(want: Want) {
    let Some(app) = App::new(want) else { return };
    let backend = app.db.backend();
    let mut chance = Chance::of(chance::seed());
    let (mut tries, mut all) = (0, 0);
    app.reset();
    for stage in app.stages() {
        app.apply(stage.end);
        let relay = Relay::new(backend, app.db.url(), End::Before, 0);
        assert!(app.start_back(&relay.url).wait().success(), "{}", app.words());
        let whole = relay.statements();
        all += whole;
        for end in [End::Kill, End::Before, End::After] {
            let step = if wanted().is_some_and(|wanted| wanted >= 300) { 1 } else { whole };
            let mut at = 1 + chance.below(step.max(1));
            while at <= whole {
                app.apply(stage.end);
                cut_off(&app, end, at, App::start_back);
                take_back(&app, &stage, &format!("{stage:?}, {end:?} at {at}"));
                tries += 1;
                at += step.max(1);
            }
        }
    }
    eprintln!("{backend}: {tries} ends of the talk, {all} statements");
}

/// Checks what is left, takes the rest of the stage back, and checks all.
fn take_back(app: &App, stage: &Range<usize>, after: &str) {
    app.until_left();
    app.check_left_back(stage, after);
    while app.recorded().len() > stage.start {
        let mut run = app.start_back(app.db.url());
        let status = run.wait();
        assert!(status.success(), "after {after}: {status}: {}", run.words());
        app.until_left();
    }
    app.check_back(stage.start, after);
}

impl App {
    /// Returns where each stage begins and ends among the migrations.
    fn stages(&self) -> Vec<Range<usize>> {
        let stage = |up: &str| migrations::owner(up).map(|(_, kind)| kind);
        let of = |kind: StageKind| {
            let has = |at: &usize| stage(&self.migrations[*at].up) == Some(kind);
            let mut its = (0..self.migrations.len()).filter(has);
            let first = its.next()?;
            Some(first..its.next_back().unwrap_or(first) + 1)
        };
        StageKind::ALL.into_iter().filter_map(of).collect()
    }

    /// What is written down is there; and where the engine can, nothing else is.
    fn check_left_back(&self, stage: &Range<usize>, after: &str) {
        let recorded = self.recorded();
        assert!(self.versions().starts_with(&recorded), "after {after}: {recorded:?}");
        let count = recorded.len();
        assert!((stage.start..=stage.end).contains(&count), "after {after}: {recorded:?}");
        let is_whole = match self.db.backend() {
            Backend::Postgres | Backend::Sqlite => self.migrations[count - 1].in_transaction,
            Backend::Mysql => count == stage.start,
        };
        if is_whole {
            // A helper check that comes back is not proven again: that would hold writers up, and it
            // goes with the rest of its stage.
            let plain = |schema: &str| schema.replace(" not-validated", "");
            assert_eq!(plain(&self.schema()), plain(&self.clean[count]), "after {after}");
            self.check_names();
        }
    }

    /// So many migrations are there and nothing of later ones, and no value is lost.
    fn check_back(&self, count: usize, after: &str) {
        assert_eq!(self.recorded(), self.versions()[..count], "after {after}");
        assert_eq!(self.schema(), self.clean[count], "after {after}");
        self.check_names();
    }
}
