//! Snapshots of what applications have measured themselves, beside what the database says of the
//! table.

use std::collections::BTreeMap;

use super::{
    collect::{Purpose, Settings, Taken, WatchError, keep},
    identity::PROCESSES,
    moments::Cumulative,
    report::STATEMENT,
    series::QueryId,
    session::{Reading, Watcher},
    snapshot::{Counters, Measure, PROCESS, Snapshot, push},
    store::Store,
};
use crate::{
    backend::Product,
    db::{DatabaseUrl, DbError, OpenOptions},
    ident::ColumnPath,
    measure::Measured,
};

/// Takes a snapshot of what processes have measured, at a time by our clock.
///
/// # Errors
///
/// Where the database does not answer, or the file of the watch cannot be written.
pub fn take_measured(
    measured: &[Measured],
    (url, options): (&DatabaseUrl, &OpenOptions),
    store: &mut Store,
    column: &ColumnPath,
    (purpose, local): (Purpose, f64),
    settings: Settings,
) -> Result<Taken, WatchError> {
    let mut watcher = Watcher::open(url, options)?;
    store.change(|store| {
        let last = store.last()?;
        let snapshot = watcher.read(|reading| reading.measured(measured, column, local))?;
        let busy_ms = watcher.busy().as_secs_f64() * 1000.0;
        keep(store, last.as_ref(), &snapshot, (purpose, busy_ms), settings)
    })
}

impl Reading<'_> {
    fn measured(
        &mut self,
        measured: &[Measured],
        column: &ColumnPath,
        local: f64,
    ) -> Result<Snapshot, DbError> {
        let mut sight = self.sight(column)?;
        let mut measures = Vec::new();
        let of_table =
            |text: &&str| text.to_lowercase().contains(&column.table.name.as_str().to_lowercase());
        let all = measured.iter().flat_map(|one| &one.statements);
        let texts: BTreeMap<QueryId, String> =
            all.map(|one| (id(&one.text), one.text.clone())).collect();
        let (mut identity, taken, mut catalog) = match self.server().product {
            Product::Postgres => {
                self.postgres_surroundings(column, &sight, local, &mut measures)?
            }
            Product::Mariadb | Product::Mysql => {
                self.mysql_surroundings(column, &sight, local, &mut measures)?
            }
            Product::Sqlite => {
                let (identity, taken) = self.sqlite_identity(&sight, local)?;
                let catalog = sight.has_table.then(|| self.sqlite_catalog(column)).transpose()?;
                if sight.has_table {
                    let texts: Vec<&str> =
                        texts.values().map(String::as_str).filter(of_table).collect();
                    self.sqlite_measures(column, &texts, &mut measures)?;
                }
                (identity, taken, catalog)
            }
        };
        // Their numbers are those of texts: another source than the server's own, and no proof.
        identity.system = Some(format!("{PROCESSES}{}", identity.system.unwrap_or_default()));
        (identity.stats_reset, identity.evictions) = (None, Some(0));
        if let Some(catalog) = &mut catalog {
            catalog.proves = false;
        }
        percentiles(measured, &mut measures);
        let uncounted: u64 = measured.iter().map(|one| one.uncounted).sum();
        push(&mut measures, "", "uncounted", Some(uncounted as f64));
        sight.is_measured = true;
        Ok(Snapshot {
            identity,
            taken,
            sight,
            statements: Some(counters(measured)),
            hidden: 0,
            texts: Some(texts),
            catalog,
            measures,
            indexes: Vec::new(),
        })
    }
}

/// Returns the counters of each process: they end with it.
fn counters(measured: &[Measured]) -> Vec<Counters> {
    let of = |one: &Measured| {
        let caller = format!("{PROCESS}{}", one.process);
        let counters = |statement: &crate::measure::MeasuredStatement| Counters {
            id: id(&statement.text),
            caller: caller.clone(),
            is_top: true,
            times: Cumulative {
                calls: statement.calls,
                total_ms: statement.total_ms,
                mean_ms: statement.mean_ms,
                stddev_ms: Some(statement.stddev_ms),
            },
            rows: 0,
            blocks: 0,
            wal_bytes: None,
            since: None,
        };
        let ran = one.statements.iter().filter(|statement| statement.calls > 0);
        ran.map(counters).collect::<Vec<_>>()
    };
    measured.iter().flat_map(of).collect()
}

/// Notes percentiles since each process began; of several processes those of the slowest.
fn percentiles(measured: &[Measured], measures: &mut Vec<Measure>) {
    let mut all: BTreeMap<QueryId, [f64; 3]> = BTreeMap::new();
    for statement in measured.iter().flat_map(|one| &one.statements) {
        let worst = all.entry(id(&statement.text)).or_default();
        for (of, value) in
            worst.iter_mut().zip([statement.p50_ms, statement.p95_ms, statement.p99_ms])
        {
            *of = of.max(value);
        }
    }
    for (id, values) in all {
        for (name, value) in ["p50_ms", "p95_ms", "p99_ms"].into_iter().zip(values) {
            push(measures, &format!("{STATEMENT}{id}"), name, Some(value));
        }
    }
}

/// Numbers a text (FNV-1a, 64 bits).
fn id(text: &str) -> QueryId {
    let number = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    QueryId(number.cast_signed())
}
