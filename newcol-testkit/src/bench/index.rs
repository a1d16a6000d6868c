//! Writes and reads with and without the index, in turn.

use std::time::Instant;

use newcol_core::{
    backend::Backend,
    bench::{
        blocks::Pairs,
        run::{Built, Paid},
    },
    db::{DatabaseUrl, Session},
    plan::StageKind,
    render::text,
    watch::cost::Traffic,
};

use super::{
    BenchError,
    arena::{Arena, Copy, open},
    counters,
    fill::{self, GoOn},
    requests::{MadeUp, literal},
    settle, trees,
};
use crate::life::Life;

/// Rows inserted in a block, each in a transaction of its own.
const INSERTS: u32 = 200;
/// Values looked for in a block.
const LOOKUPS: u32 = 20;
/// Rows that a lookup returns at most, as a page of a list.
const PAGE: u32 = 100;
/// Values of which each is looked for, and inserted, as often as rows have it.
const VALUES: u32 = 1_000;

/// Builds the index, and says what that cost.
pub(super) fn built(life: &Life, url: &DatabaseUrl) -> Result<Option<Built>, BenchError> {
    if life.plan.stage(StageKind::Index).is_none() {
        return Ok(None);
    }
    let mut session = open(url)?;
    let indexes = |session: &mut Session| {
        let bytes = index_bytes(life);
        bytes.map(|sql| counters::numbers(session, &sql)).transpose()
    };
    let bytes = indexes(&mut session)?;
    let before = counters::log(&mut session)?;
    let started = Instant::now();
    fill::stage(life, StageKind::Index, url)?;
    let seconds = started.elapsed().as_secs_f64();
    let log = counters::log(&mut session)?.zip(before).map(|(after, before)| after - before);
    let first = |numbers: Option<Vec<f64>>| numbers.and_then(|all| all.first().copied());
    let grown = first(indexes(&mut session)?).zip(first(bytes)).map(|(after, then)| after - then);
    Ok(Some(Built { seconds, log, bytes: grown }))
}

/// Returns the question for the bytes of all indexes, where the engine knows them at once.
fn index_bytes(life: &Life) -> Option<String> {
    let table = counters::quoted(life.plan.contract.table());
    (life.plan.backend() == Backend::Postgres)
        .then(|| format!("SELECT pg_indexes_size('{table}'::regclass)"))
}

/// One of the two copies of the table.
struct Side<'a> {
    _copy: Copy<'a>,
    session: Session,
    made: MadeUp,
}

/// What one block measured, of one operation.
struct Block {
    insert: f64,
    lookup: f64,
    log: Option<f64>,
}

/// Measures blocks; `None` where no row has a value to look for.
pub(super) fn paid(
    arena: &Arena,
    life: &Life,
    build: &dyn Fn(&DatabaseUrl) -> Result<(), BenchError>,
    (rows, blocks, seed): (u64, u32, u64),
    go_on: GoOn<'_>,
) -> Result<Option<Paid>, BenchError> {
    let side = |indexed: bool| {
        let copy = arena.copy(build)?;
        fill::stage(life, StageKind::Expand, &copy.url)?;
        let mut session = open(&copy.url)?;
        fill::update(&mut session, &life.plan)?;
        if indexed {
            fill::stage(life, StageKind::Index, &copy.url)?;
        }
        settle(&mut session, life.plan.contract.table())?;
        let made = MadeUp::new(&mut session, life.plan.contract.path(), rows)?;
        Ok::<_, BenchError>(Side { _copy: copy, session, made })
    };
    let (mut with, mut without) = (side(true)?, side(false)?);
    let backend = arena.backend();
    let name = text::name(backend, life.plan.contract.column());
    let values = with.values(life, backend, &name)?;
    if values.is_empty() {
        return Ok(None);
    }
    let contract = &life.plan.contract;
    let tree = match backend {
        Backend::Postgres => {
            with.session.batch("CHECKPOINT")?;
            trees::index(&mut with.session, contract.table(), contract.column().as_str())?
        }
        Backend::Mysql | Backend::Sqlite => None,
    };
    let table = text::table(backend, contract.table());
    let mut random = fastrand::Rng::with_seed(seed);
    let mut paid = Paid {
        inserts: INSERTS,
        lookups: LOOKUPS,
        insert_time: Pairs::default(),
        lookup_time: Pairs::default(),
        insert_log: None,
        predicted_log: tree.map(|tree| {
            let entries = f64::from(INSERTS);
            let traffic = Traffic { already: entries, entries: entries * f64::from(blocks) };
            tree.cost(traffic).per_entry()
        }),
    };
    let mut logs = Pairs::default();
    // The first one warms both up, and counts for nothing.
    for number in 0..=blocks {
        if !go_on() {
            return Err(BenchError::Stopped);
        }
        let mut picked = || values[random.usize(..values.len())].clone();
        let inserted: Vec<_> = (0..INSERTS).map(|_| picked()).collect();
        let wanted: Vec<_> = (0..LOOKUPS).map(|_| picked()).collect();
        let block = |side: &mut Side<'_>| side.block(&table, &name, &inserted, &wanted);
        // Neither is always the one that comes after the other.
        let (a, b) = if number % 2 == 0 {
            (block(&mut with)?, block(&mut without)?)
        } else {
            let b = block(&mut without)?;
            (block(&mut with)?, b)
        };
        if number > 0 {
            paid.insert_time.blocks.push((a.insert, b.insert));
            paid.lookup_time.blocks.push((a.lookup, b.lookup));
            logs.blocks.extend(a.log.zip(b.log));
        }
    }
    paid.insert_log = (!logs.blocks.is_empty()).then_some(logs);
    Ok(Some(paid))
}

impl Side<'_> {
    /// Returns literals of the column, each as often as rows have it.
    fn values(
        &mut self,
        life: &Life,
        backend: Backend,
        name: &str,
    ) -> Result<Vec<String>, BenchError> {
        let random = match backend {
            Backend::Postgres => "hashtextextended(ctid::text, 7)",
            Backend::Mysql => "rand(7)",
            Backend::Sqlite => "random()",
        };
        let rows = self.session.query(&format!(
            "SELECT {} FROM {} WHERE {name} IS NOT NULL ORDER BY {random} LIMIT {VALUES}",
            literal(backend, name),
            text::table(backend, life.plan.contract.table()),
        ))?;
        Ok(rows.into_iter().flatten().flatten().collect())
    }

    fn block(
        &mut self,
        table: &str,
        name: &str,
        inserted: &[String],
        wanted: &[String],
    ) -> Result<Block, BenchError> {
        let statements: Vec<String> = inserted
            .iter()
            .map(|value| self.made.insert(self.made.next(), Some((name, value))))
            .collect::<Result<_, _>>()?;
        let before = counters::log(&mut self.session)?;
        let started = Instant::now();
        for sql in &statements {
            self.session.batch(sql)?;
        }
        let insert = started.elapsed().as_secs_f64() * 1e3 / statements.len().max(1) as f64;
        let log = counters::log(&mut self.session)?.zip(before);
        let started = Instant::now();
        for value in wanted {
            let sql = format!("SELECT * FROM {table} WHERE {name} = {value} LIMIT {PAGE}");
            self.session.query(&sql)?;
        }
        let lookup = started.elapsed().as_secs_f64() * 1e3 / wanted.len().max(1) as f64;
        let log = log.map(|(after, before)| (after - before) / statements.len().max(1) as f64);
        Ok(Block { insert, lookup, log })
    }
}
