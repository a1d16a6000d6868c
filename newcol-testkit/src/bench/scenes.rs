//! The scenes of a benchmark: fills with nobody else there, the index, and users.

use std::time::Duration;

use newcol_core::{
    backend::Backend,
    bench::{
        load::Phase,
        run::{Fill, Loaded, Run, Way},
    },
    db::DatabaseUrl,
    plan::StageKind,
};

use super::{
    BenchError,
    arena::{Arena, Copy, open},
    drive::{Conductor, Requests, Users},
    fill::{self, GoOn},
    index,
    lag::Lagging,
    looks::{self, Look},
    requests::{MadeUp, OfWorkload},
    run::{Bench, Pressure, Scene},
    table::Filled,
    trees,
    waits::Waiting,
};
use crate::{life::Life, scratch::Standby};

/// How long it is looked what the server can answer.
const CAPACITY: Duration = Duration::from_secs(3);

/// How long all right ways of filling may take for them to be gone again.
const REPEATED: Duration = Duration::from_secs(60);

/// Rows of which a workload's values are drawn, and new values for it.
const VALUES: (u64, u64) = (10_000, 100_000);

/// Returns the address of a database's copy.
fn standby_url(standby: &Standby, url: &DatabaseUrl) -> Result<DatabaseUrl, BenchError> {
    let url = standby.url_of(url.database().unwrap_or_default());
    DatabaseUrl::parse(&url).map_err(BenchError::Url)
}

/// What all scenes share.
#[derive(Clone, Copy)]
pub(super) struct Scenes<'a> {
    pub(super) bench: &'a Bench<'a>,
    pub(super) arena: &'a Arena,
    pub(super) life: &'a Life,
    pub(super) build: &'a dyn Fn(&DatabaseUrl) -> Result<(), BenchError>,
    pub(super) go_on: GoOn<'a>,
}

pub(super) type Begin<'a> = &'a dyn Fn(Scene) -> Result<(), BenchError>;

impl Scenes<'_> {
    pub(super) fn fills(&self, run: &mut Run, begin: Begin<'_>) -> Result<(), BenchError> {
        let plan = &self.life.plan;
        if plan.stage(StageKind::Backfill).is_none() {
            run.notes.push(
                "there are no old rows to fill: adding the column is all that is done".to_owned(),
            );
            return Ok(());
        }
        for way in self.bench.ways.iter().copied().filter(|way| fill::can(*way, plan)) {
            begin(Scene::Fill(way))?;
            let copy = self.arena.copy(self.build)?;
            fill::stage(self.life, StageKind::Expand, &copy.url)?;
            let predicted = self.predicted(way, &copy.url)?;
            let done = fill::measured(way, self.life, &copy.url, self.go_on)?;
            run.fills.push(Fill { predicted: predicted.map(|per| per * done.rows as f64), ..done });
            if way == Way::Stride && run.built.is_none() {
                run.built = index::built(self.life, &copy.url)?;
            }
        }
        if self.again(&mut run.fills, &|| begin(Scene::Again), &|| self.arena.copy(self.build))? {
            run.notes.push(
                "filling took so long that it was done once: speed has no interval".to_owned(),
            );
        }
        Ok(())
    }

    /// Goes the right ways again, in turn; reports whether that was left out because it takes long.
    pub(super) fn again<'c>(
        &self,
        fills: &mut [Fill],
        begin: &dyn Fn() -> Result<(), BenchError>,
        copy: &dyn Fn() -> Result<Copy<'c>, BenchError>,
    ) -> Result<bool, BenchError> {
        let right = |fill: &Fill| !fill.way.is_mistake();
        let once: f64 = fills.iter().filter(|fill| right(fill)).map(|fill| fill.seconds).sum();
        if once > REPEATED.as_secs_f64() {
            return Ok(self.bench.times > 1);
        }
        for _ in 1..self.bench.times {
            begin()?;
            for fill in fills.iter_mut().filter(|fill| right(fill)) {
                let copy = copy()?;
                fill::stage(self.life, StageKind::Expand, &copy.url)?;
                let done = fill::measured(fill.way, self.life, &copy.url, self.go_on)?;
                fill.took_again(done.seconds);
            }
        }
        Ok(false)
    }

    /// Returns the bytes of log that a row will cost, where there is a model.
    fn predicted(&self, way: Way, url: &DatabaseUrl) -> Result<Option<f64>, BenchError> {
        let plan = &self.life.plan;
        let (Backend::Postgres, Some(fill)) = (self.arena.backend(), plan.fill()) else {
            return Ok(None);
        };
        let mut session = open(url)?;
        let (heap, column) =
            trees::heap(&mut session, self.bench.contract.table(), &fill.to_string())?;
        let column = (way == Way::IndexFirst).then_some(&column);
        Ok(Some(heap.log_per_row(way, column)))
    }

    pub(super) fn index(
        &self,
        run: &mut Run,
        filled: &Filled,
        begin: Begin<'_>,
    ) -> Result<(), BenchError> {
        let plan = &self.life.plan;
        if self.bench.blocks == 0 || plan.stage(StageKind::Index).is_none() {
            return Ok(());
        }
        if plan.fill().is_none() {
            run.notes
                .push("whether the index pays is not measured: no row has a value yet".to_owned());
            return Ok(());
        }
        begin(Scene::Index)?;
        let size = (filled.rows, self.bench.blocks, self.bench.seed);
        run.paid = index::paid(self.arena, self.life, self.build, size, self.go_on)?;
        Ok(())
    }

    pub(super) fn load(
        &self,
        run: &mut Run,
        filled: &Filled,
        begin: Begin<'_>,
    ) -> Result<(), BenchError> {
        let Some(pressure) = self.bench.pressure else { return Ok(()) };
        let rate = match pressure {
            Pressure::Rate(rate) => rate,
            Pressure::Share(share) => {
                begin(Scene::Capacity)?;
                // On a copy of its own: what it writes is in nobody's way.
                let copy = self.arena.copy(self.build)?;
                let requests = self.requests(&copy.url, filled)?;
                let users = self.users(&copy.url, &*requests);
                let capacity = users.capacity(CAPACITY, self.go_on)?;
                run.conditions.capacity = Some(capacity);
                share * capacity
            }
        };
        run.conditions.rate = Some(rate);
        let copy = self.arena.copy(self.build)?;
        fill::stage(self.life, StageKind::Expand, &copy.url)?;
        let requests = self.requests(&copy.url, filled)?;
        let users = self.users(&copy.url, &*requests);
        let standby = self.standby(begin)?;
        let mut waiting = Waiting::at(&copy.url)?;
        let mut lagging = match &standby {
            Some(standby) => Some(Lagging::at(&copy.url, &standby_url(standby, &copy.url)?)?),
            None => None,
        };
        let looks = waiting.as_mut().map(|one| one as &mut dyn Look).into_iter();
        let looks = looks.chain(lagging.as_mut().map(|one| one as &mut dyn Look));
        let (load, done) = looks::during(looks.collect(), || {
            users.during(rate, |conductor| {
                (conductor.started(), self.phases(conductor, &copy.url, begin))
            })
        })?;
        let (started, done) = done;
        done?;
        let replica = lagging.as_ref().and_then(|lagging| lagging.seen(started, &load.phases));
        if standby.is_some() && replica.is_none() {
            run.notes.push("the standby was lost on the way: nothing is said of its lag".into());
        }
        let waits = waiting.and_then(|waiting| waiting.seen);
        run.load = Some(Loaded { way: Way::Stride, load, waits, replica });
        Ok(())
    }

    fn standby(&self, begin: Begin<'_>) -> Result<Option<Standby>, BenchError> {
        if !self.bench.standby {
            return Ok(None);
        }
        begin(Scene::Standby)?;
        self.arena.standby().map(Some)
    }

    /// Goes through the phases while users come.
    fn phases(
        &self,
        conductor: &Conductor<'_>,
        url: &DatabaseUrl,
        begin: Begin<'_>,
    ) -> Result<(), BenchError> {
        let enter = |phase| {
            begin(Scene::Load(phase))?;
            conductor.enter(phase);
            Ok::<_, BenchError>(())
        };
        let rest = || match conductor.rest(self.bench.time, &|| (self.go_on)()) {
            true => Ok(()),
            false => Err(BenchError::Stopped),
        };
        let plan = &self.life.plan;
        enter(Phase::Idle)?;
        rest()?;
        if plan.stage(StageKind::Backfill).is_some() {
            enter(Phase::Backfill)?;
            fill::gently(self.bench.contract, url, self.go_on)?;
        }
        if plan.stage(StageKind::Index).is_some() {
            enter(Phase::Index)?;
            fill::stage(self.life, StageKind::Index, url)?;
        }
        enter(Phase::After)?;
        rest()
    }

    fn users<'u>(&'u self, url: &'u DatabaseUrl, requests: &'u dyn Requests) -> Users<'u> {
        Users { url, requests, connections: self.bench.connections, seed: self.bench.seed }
    }

    fn requests(
        &self,
        url: &DatabaseUrl,
        filled: &Filled,
    ) -> Result<Box<dyn Requests + '_>, BenchError> {
        let mut session = open(url)?;
        Ok(match &self.bench.workload {
            Some((workload, _)) => {
                let values = filled.drawn(&mut session, VALUES, self.bench.seed)?;
                Box::new(OfWorkload::new(workload, self.arena.backend(), values)?)
            }
            None => Box::new(MadeUp::new(&mut session, self.bench.contract.path(), filled.rows)?),
        })
    }
}
