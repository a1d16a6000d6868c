//! Takes a snapshot, holds it against the last one, and keeps what happened in between.

mod delta;
mod judge;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use self::{
    delta::{Delta, history},
    judge::judge,
};
use super::{
    identity::{Gap, Identity, compare},
    plans::{self, Budget, Explain, Planned},
    series::QueryId,
    session::{Sight, Watcher},
    snapshot::{Counters, Depth, Snapshot},
    store::{Known, Last, Store, StoreError, Stored, Track},
};
use crate::{
    backend::{Backend, Product},
    db::{DatabaseUrl, DbError, OpenOptions},
    ident::ColumnPath,
};

/// How a snapshot is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Texts, which lie in one file of the server, are read again for new statements this often.
    pub texts_every: Duration,
    /// How many statements of other tables are kept to compare with.
    pub controls: usize,
    /// Which statements are planned, to see whether they use the index.
    pub explain: Explain,
    /// How many of them in a minute.
    pub plans_a_minute: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            texts_every: Duration::from_secs(600),
            controls: 200,
            explain: Explain::Reads,
            plans_a_minute: 10,
        }
    }
}

/// What a snapshot is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To prove later which statements are older than the column.
    Baseline,
    /// To see what happened since the last one.
    Snap,
}

/// What a snapshot has brought.
#[derive(Debug, Clone, PartialEq)]
pub struct Taken {
    /// The snapshot.
    pub stored: Stored,
    /// What stands between it and the last one.
    pub gaps: Vec<(Option<QueryId>, Gap)>,
    /// Statements on the table that are known by now.
    pub on_table: usize,
    /// Statements whose text is not read yet.
    pub unread: usize,
    /// Whether an earlier snapshot, or this one, knew the table without the column.
    pub has_baseline: bool,
    /// What the role may see.
    pub sight: Sight,
    /// What was done for plans.
    pub planned: Planned,
}

/// Why no snapshot was taken.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The engine keeps no statistics that this can read.
    #[error("{}", engine_sentence(*.0))]
    Engine(Product),
    /// The file.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The server.
    #[error(transparent)]
    Db(#[from] DbError),
}

fn engine_sentence(product: Product) -> &'static str {
    match product {
        Product::Postgres => "PostgreSQL is watched",
        Product::Mariadb => "MariaDB is watched",
        Product::Mysql => "MySQL is watched",
        Product::Sqlite => {
            "SQLite runs inside of the application and keeps no statistics that another program could read"
        }
    }
}

/// Reports whether a server's statistics are read.
///
/// # Errors
///
/// Where they are not.
pub fn can_watch(product: Product) -> Result<(), WatchError> {
    match product {
        Product::Postgres | Product::Mariadb | Product::Mysql => Ok(()),
        Product::Sqlite => Err(WatchError::Engine(product)),
    }
}

impl WatchError {
    /// Returns the way out where there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Engine(Product::Postgres | Product::Mariadb | Product::Mysql) => None,
            Self::Engine(Product::Sqlite) => Some(
                "let the application measure its statements (docs/watch.md), and use --from"
                    .to_owned(),
            ),
            Self::Store(error) => error.hint(),
            Self::Db(error) => error.hint(),
        }
    }
}

/// Takes a snapshot over a connection of its own, at a time by our clock.
///
/// Whatever the server says of permissions, a snapshot holds what can be seen and names the rest.
///
/// # Errors
///
/// Where the server does not answer, or the file cannot be written: then it is as it was.
pub fn take(
    (url, options): (&DatabaseUrl, &OpenOptions),
    store: &mut Store,
    column: &ColumnPath,
    (purpose, local): (Purpose, f64),
    settings: Settings,
) -> Result<Taken, WatchError> {
    if url.backend() == Backend::Sqlite {
        can_watch(Product::Sqlite)?;
    }
    let mut watcher = Watcher::open(url, options)?;
    can_watch(watcher.server().product)?;
    // Nobody else writes between what was last seen and what is seen now.
    let mut taken: Taken = store.change(|store| {
        let last = store.last()?;
        let wants = |identity: &Identity, now: f64, counters: &[Counters]| {
            depth(last.as_ref(), (purpose, now), settings, identity, counters)
        };
        let mut snapshot = watcher.read(|reading| reading.snapshot(column, local, wants))?;
        if let Some(last) = &last {
            snapshot.identity.round_as(&last.stored.identity);
        }
        let busy_ms = watcher.busy().as_secs_f64() * 1000.0;
        keep(store, last.as_ref(), &snapshot, (purpose, busy_ms), settings)
    })?;
    if watcher.server().product != Product::Postgres {
        return Ok(taken);
    }
    // The snapshot stays, whatever happens to plans.
    let budget = Budget { explain: settings.explain, per_minute: settings.plans_a_minute };
    taken.planned =
        store.change(|store| plans::collect::<WatchError>(&mut watcher, store, column, budget))?;
    Ok(taken)
}

/// Says whether texts are wanted, too.
fn depth(
    last: Option<&Last>,
    (purpose, now): (Purpose, f64),
    settings: Settings,
    identity: &Identity,
    counters: &[Counters],
) -> Depth {
    let Some(last) = last else { return Depth::Texts };
    let was = &last.stored.identity;
    let is_other = was.column != identity.column
        || was.table != identity.table
        || was.system != identity.system
        || was.database != identity.database
        || last.texts_at.is_none();
    let is_new = |counters: &Counters| {
        last.statements.get(&counters.id).is_none_or(|known| known.track == Track::Unread)
    };
    let is_due = last.texts_at.is_some_and(|at| now - at >= settings.texts_every.as_secs_f64());
    if purpose == Purpose::Baseline || is_other || (is_due && counters.iter().any(is_new)) {
        Depth::Texts
    } else {
        Depth::Counters
    }
}

pub(super) fn keep(
    store: &mut Store,
    last: Option<&Last>,
    snapshot: &Snapshot,
    (purpose, busy_ms): (Purpose, f64),
    settings: Settings,
) -> Result<Taken, WatchError> {
    let Snapshot { identity, taken, .. } = snapshot;
    let between =
        last.map(|last| compare((&last.stored.identity, last.stored.taken), (identity, *taken)));
    let mut gaps = between.unwrap_or_default();
    let ended = gaps.iter().any(Gap::ends_epoch);
    let epoch = last.map_or(1, |last| last.stored.epoch + i64::from(ended));
    let last = last.filter(|_| !ended);
    if snapshot.statements.is_none() {
        gaps.push(Gap::NoStatements);
    }
    if identity.table.is_none() {
        gaps.push(Gap::NoTable);
    }
    let now = snapshot.statements.as_deref().unwrap_or_default();
    let mut statements = last.map(|last| last.statements.clone()).unwrap_or_default();
    let fresh = noted(&mut statements, now, identity);
    let mut delta = Delta::default();
    if let Some(last) = last.filter(|last| last.stored.has_statements)
        && snapshot.statements.is_some()
    {
        delta = Delta::between(last, snapshot, &statements);
        if identity.has_digests() {
            gaps.extend(delta.truncated(&gaps));
        } else if identity.evictions.is_none() {
            gaps.extend(delta.guessed(last));
        }
    }
    if gaps.iter().any(Gap::hides_all) {
        delta = Delta::default();
    }
    let judged = judge(&mut statements, snapshot, last, settings);
    let own = |counters: &&Counters| {
        statements.get(&counters.id).is_some_and(|known| known.track == Track::Own)
    };
    let sum = |all: &mut dyn Iterator<Item = &Counters>| -> f64 {
        all.filter(|counters| counters.is_top).map(|counters| counters.times.total_ms).sum()
    };
    let mut stored = Stored {
        id: 0,
        epoch,
        identity: identity.clone(),
        taken: *taken,
        is_baseline: purpose == Purpose::Baseline,
        busy_ms,
        all_ms: sum(&mut now.iter()),
        own_ms: sum(&mut now.iter().filter(own)),
        hidden: snapshot.hidden,
        has_statements: snapshot.statements.is_some(),
    };
    let gaps: Vec<(Option<QueryId>, Gap)> = gaps
        .into_iter()
        .map(|gap| (None, gap))
        .chain(delta.restarted.iter().map(|id| (Some(*id), Gap::Restarted)))
        .collect();
    stored.id = store.add_snapshot(&stored, snapshot.texts.is_some(), &snapshot.measures)?;
    store.add_gaps(stored.id, &gaps)?;
    store.replace_indexes(&snapshot.indexes)?;
    let history = history(now, snapshot);
    let fresh = fresh.iter().filter_map(|id| Some((*id, history.get(id)?)));
    store.add_statements((epoch, stored.id), identity.column, fresh)?;
    for (id, involvement) in &judged {
        if let Some(known) = statements.get(id) {
            store.judge(epoch, *id, known, involvement)?;
        }
    }
    store.add_windows(stored.id, delta.windows.iter().map(|(id, window)| (*id, window)))?;
    let is_kept = |counters: &&Counters| {
        statements.get(&counters.id).is_none_or(|known| known.track.is_kept())
    };
    store.replace_counters(epoch, now.iter().filter(is_kept))?;
    if !judged.is_empty() {
        store.forget_ignored()?;
    }
    let count = |track: Track| statements.values().filter(|known| known.track == track).count();
    Ok(Taken {
        gaps,
        on_table: count(Track::Table),
        unread: count(Track::Unread),
        has_baseline: (identity.column.is_none() && identity.table.is_some())
            || last.is_some_and(|last| last.absent_at.is_some()),
        sight: snapshot.sight.clone(),
        planned: Planned::default(),
        stored,
    })
}

/// Adds statements that were not seen before, and returns them.
fn noted(
    statements: &mut BTreeMap<QueryId, Known>,
    now: &[Counters],
    identity: &Identity,
) -> BTreeSet<QueryId> {
    let mut fresh = BTreeSet::new();
    for counters in now {
        statements.entry(counters.id).or_insert_with(|| {
            fresh.insert(counters.id);
            Known {
                first_column: identity.column,
                text: None,
                track: Track::Unread,
                judged: None,
                is_of_old: identity.column.is_none(),
                lineage: None,
            }
        });
    }
    fresh
}
