//! What a file holds, snapshot by snapshot, for those who look at the last of them.

use std::collections::BTreeMap;

use super::{
    identity::Gap,
    report::STATEMENT,
    series::{QueryId, Role, Window},
    store::{Store, StoreError},
};

/// All snapshots of the last epoch, oldest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    /// Snapshots.
    pub moments: Vec<Moment>,
    /// How statements use the column; those that are compared with are [`Role::Control`].
    pub roles: BTreeMap<QueryId, Role>,
}

/// One snapshot, and what happened since the one before.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Moment {
    /// When, by the server's clock.
    pub at: f64,
    /// Whether the column was there.
    pub has_column: bool,
    /// What statements did since the snapshot before; nothing where a gap hides it.
    pub windows: BTreeMap<QueryId, Window>,
    /// Counters and states of table, indexes and server, by object and name.
    pub measures: BTreeMap<(String, String), f64>,
    /// What stands between it and the one before.
    pub gaps: Vec<Gap>,
    /// Time of all statements that the server counted since the one before, and that of those that are
    /// followed, in ms.
    pub counted_ms: (f64, f64),
}

impl Moment {
    /// Returns what was measured of an object, or of the table and server where its name is empty.
    pub fn measure(&self, object: &str, name: &str) -> Option<f64> {
        self.measures.get(&(object.to_owned(), name.to_owned())).copied()
    }

    /// Returns the names of the indexes.
    pub fn indexes(&self) -> impl Iterator<Item = &str> {
        let of = self.measures.keys().filter(|(_, name)| name == "is_valid");
        of.map(|(object, _)| object.as_str())
    }

    /// Returns how far a counter went since `before`; `None` where it fell.
    pub fn growth(&self, before: &Self, object: &str, name: &str) -> Option<f64> {
        let (from, to) = (before.measure(object, name)?, self.measure(object, name)?);
        (to >= from && !self.gaps.iter().any(Gap::hides_all)).then_some(to - from)
    }
}

impl History {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read.
    pub fn of(store: &mut Store) -> Result<Self, StoreError> {
        let snapshots = store.snapshots()?;
        let Some(epoch) = snapshots.last().map(|last| last.epoch) else {
            return Ok(Self::default());
        };
        let mut moments: BTreeMap<i64, Moment> = BTreeMap::new();
        let mut before = None;
        for snapshot in snapshots.iter().filter(|snapshot| snapshot.epoch == epoch) {
            let all = before.map_or(0.0, |all: f64| (snapshot.all_ms - all).max(0.0));
            before = Some(snapshot.all_ms);
            moments.insert(
                snapshot.id,
                Moment {
                    at: snapshot.taken.server,
                    has_column: snapshot.identity.column.is_some(),
                    counted_ms: (all, 0.0),
                    ..Moment::default()
                },
            );
        }
        for found in store.measures()? {
            let measure = found.measure;
            if let Some(moment) = moments.get_mut(&found.snapshot)
                && !measure.object.starts_with(STATEMENT)
            {
                moment.measures.insert((measure.object, measure.name), measure.value);
            }
        }
        for found in store.gaps()? {
            if let Some(moment) = moments.get_mut(&found.snapshot)
                && found.statement.is_none()
            {
                moment.gaps.push(found.gap);
            }
        }
        let mut history = Self { moments: moments.into_values().collect(), ..Self::default() };
        for series in store.series()? {
            history.roles.insert(series.id, series.role);
            for window in series.windows {
                let ended = |moment: &&mut Moment| (moment.at - window.to).abs() < 1e-3;
                if let Some(moment) = history.moments.iter_mut().find(ended) {
                    moment.counted_ms.1 += window.total_ms;
                    moment.windows.insert(series.id, window);
                }
            }
        }
        Ok(history)
    }
}
