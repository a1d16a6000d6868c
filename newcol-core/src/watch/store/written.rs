//! Rows of the file as values.

use std::collections::{BTreeMap, BTreeSet};

use super::{Statement, Stored};
use crate::{
    db::Row,
    watch::{
        identity::{Identity, Taken},
        involve::{Involvement, Layer, role_of},
        moments::Cumulative,
        series::{QueryId, Role, Window},
        session::Fields,
        snapshot::Counters,
    },
};

/// What is done with a statement's counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::watch) enum Track {
    /// It is on the table.
    Table,
    /// It is compared with.
    Control,
    /// Its text is not read yet.
    Unread,
    /// It is ours.
    Own,
    /// It is of no interest.
    Ignored,
}

impl Track {
    pub(in crate::watch) fn name(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Control => "control",
            Self::Unread => "unread",
            Self::Own => "own",
            Self::Ignored => "ignored",
        }
    }

    fn of(name: &str) -> Self {
        let all = [Self::Table, Self::Control, Self::Own, Self::Ignored];
        all.into_iter().find(|track| track.name() == name).unwrap_or(Self::Unread)
    }

    /// Reports whether its counters are kept from snapshot to snapshot.
    pub(in crate::watch) fn is_kept(self) -> bool {
        match self {
            Self::Table | Self::Control | Self::Unread => true,
            Self::Own | Self::Ignored => false,
        }
    }
}

/// What is known of a statement from earlier snapshots.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::watch) struct Known {
    /// The column's number when it was first seen; `None` while there was no column.
    pub(in crate::watch) first_column: Option<i32>,
    pub(in crate::watch) text: Option<String>,
    pub(in crate::watch) track: Track,
    /// What was found of it: its use and the evidence.
    pub(in crate::watch) judged: Option<(String, String)>,
    pub(in crate::watch) is_of_old: bool,
    /// Its fingerprint, set where it is judged.
    pub(in crate::watch) lineage: Option<String>,
}

/// A counter's statement, caller and level.
pub(in crate::watch) type Key = (QueryId, String, bool);

/// The last snapshot.
#[derive(Debug)]
pub(in crate::watch) struct Last {
    pub(in crate::watch) stored: Stored,
    /// When texts were last read, by the server's clock.
    pub(in crate::watch) texts_at: Option<f64>,
    /// When the column was last seen not to be there.
    pub(in crate::watch) absent_at: Option<f64>,
    pub(in crate::watch) counters: BTreeMap<Key, Counters>,
    pub(in crate::watch) statements: BTreeMap<QueryId, Known>,
}

pub(super) fn snapshot(row: Row) -> Stored {
    let mut fields = Fields::from(row);
    let (id, epoch) = (fields.number(), fields.number());
    let taken = Taken { server: fields.number(), local: fields.number() };
    let is_baseline = fields.number::<i32>() != 0;
    let (busy_ms, all_ms, own_ms) = (fields.number(), fields.number(), fields.number());
    let hidden = fields.number();
    let has_statements = fields.number::<i32>() != 0;
    let identity = Identity {
        system: fields.maybe(),
        database: fields.text(),
        version: fields.number(),
        started: fields.number(),
        timeline: fields.maybe_number(),
        extension: fields.maybe(),
        stats_reset: fields.maybe_number(),
        evictions: fields.maybe_number(),
        table: fields.maybe(),
        column: fields.maybe_number(),
    };
    Stored {
        id,
        epoch,
        identity,
        taken,
        is_baseline,
        busy_ms,
        all_ms,
        own_ms,
        hidden,
        has_statements,
    }
}

pub(super) fn counters(row: Row) -> Counters {
    let mut fields = Fields::from(row);
    let id = QueryId(fields.number());
    let (caller, is_top) = (fields.text(), fields.number::<i32>() != 0);
    let times = Cumulative {
        calls: fields.number(),
        total_ms: fields.number(),
        mean_ms: fields.number(),
        stddev_ms: fields.maybe_number(),
    };
    let (rows, blocks, wal_bytes) = (fields.number(), fields.number(), fields.maybe_number());
    let since = fields.maybe_number();
    Counters { id, caller, is_top, times, rows, blocks, wal_bytes, since }
}

pub(super) fn known(row: Row) -> (QueryId, Known) {
    let mut fields = Fields::from(row);
    let id = QueryId(fields.number());
    let first_column = fields.maybe_number();
    let is_absent = fields.number::<i32>() != 0;
    let (text, track, of_old) = (fields.maybe(), Track::of(&fields.text()), fields.number::<i32>());
    let known = Known {
        first_column: first_column.filter(|_| !is_absent),
        text,
        track,
        is_of_old: of_old != 0,
        lineage: None,
        judged: fields.maybe().map(|role| (role, fields.text())),
    };
    (id, known)
}

pub(super) fn statement(row: Row) -> Statement {
    let mut fields = Fields::from(row);
    let id = QueryId(fields.number());
    let text = fields.maybe();
    let is_of_old = fields.number::<i32>() != 0;
    let role = fields.maybe();
    let (layer, uses, why) = (fields.text(), fields.text(), fields.maybe());
    let on_table = fields.number::<i32>() != 0;
    let lineage = fields.maybe();
    let involvement = role.map(|_| Involvement {
        uses: uses.split_whitespace().map(role_of).collect::<BTreeSet<Role>>(),
        layer: layer_of(&layer),
        on_table,
        is_command: false,
        why,
    });
    Statement { id, text, is_of_old, involvement, lineage, history: window(&mut fields) }
}

pub(super) fn window(fields: &mut Fields) -> Window {
    Window {
        from: fields.number(),
        to: fields.number(),
        calls: fields.number(),
        total_ms: fields.number(),
        sd_ms: fields.maybe_number(),
        rows: fields.number(),
        blocks: fields.number(),
        wal_bytes: fields.maybe_number(),
    }
}

fn layer_of(name: &str) -> Layer {
    let all = [Layer::Number, Layer::Text, Layer::Catalog];
    all.into_iter().find(|layer| layer.name() == name).unwrap_or(Layer::Nothing)
}

/// Returns a number as SQLite reads it.
pub(super) fn number(value: f64) -> String {
    if value.is_finite() { format!("{value:?}") } else { "NULL".to_owned() }
}
