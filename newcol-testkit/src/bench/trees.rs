//! What the catalog of PostgreSQL says of a table, for the models of what writing costs.

use newcol_core::{
    bench::predict::Heap,
    db::{DbError, Session},
    ident::TableName,
    watch::cost::{Age, ColumnStatistics, Keys, Tree},
};

use super::counters::{numbers, quoted};

/// Rows of which the new values are computed, to know what they are like.
const SAMPLE: u32 = 10_000;

/// Reads a table, right after it was vacuumed and analyzed. `fill` is the new value.
pub(super) fn heap(
    session: &mut Session,
    table: &TableName,
    fill: &str,
) -> Result<(Heap, Tree), DbError> {
    let name = quoted(table);
    let of_table = numbers(
        session,
        &format!(
            "SELECT reltuples, pg_relation_size(oid) / 8192 FROM pg_class \
             WHERE oid = '{name}'::regclass"
        ),
    )?;
    let (rows, pages) = (of_table.first().copied(), of_table.get(1).copied());
    let (rows, pages) = (rows.unwrap_or_default(), pages.unwrap_or_default());
    let table = name.replace("''", "'");
    let sampled = numbers(
        session,
        &format!(
            "SELECT avg(pg_column_size(v)), count(DISTINCT v), count(*) FROM \
             (SELECT ({fill}) AS v FROM {table} LIMIT {SAMPLE}) AS s"
        ),
    )?;
    let added = sampled.first().copied().unwrap_or_default();
    let distinct = sampled.get(1).copied().unwrap_or_default();
    let keys = if distinct * 2.0 > sampled.get(2).copied().unwrap_or_default() {
        Keys::random()
    } else {
        Keys::repeated(distinct)
    };
    // Before the fill it holds nothing but NULL, all in one place.
    let empty = (rows * 6.0 / 8192.0 / 0.9).ceil() + 1.0;
    let column = Tree { pages: empty, entries: rows, key_width: added, keys, age: Age::Built };
    let indexes = trees(session, &name)?;
    // An entry of a row that moves stands beside the old one: in any place, whatever order rows
    // were inserted in.
    let indexes = indexes.into_iter().map(|(_, tree)| spread(tree)).collect();
    Ok((Heap { rows, pages, added, indexes }, column))
}

fn spread(tree: Tree) -> Tree {
    if tree.keys.distinct.is_none() { Tree { keys: Keys::random(), ..tree } } else { tree }
}

/// Reads one index.
pub(super) fn index(
    session: &mut Session,
    table: &TableName,
    column: &str,
) -> Result<Option<Tree>, DbError> {
    let trees = trees(session, &quoted(table))?;
    Ok(trees.into_iter().find(|(first, _)| first == column).map(|(_, tree)| tree))
}

/// Reads the B-trees of a table, each with the name of its first column.
fn trees(session: &mut Session, name: &str) -> Result<Vec<(String, Tree)>, DbError> {
    let rows = session.query(&format!(
        "SELECT coalesce(s.attname, ''), pg_relation_size(c.oid) / 8192, c.reltuples, \
           coalesce((SELECT sum(k.avg_width) FROM pg_attribute AS a JOIN pg_stats AS k \
             ON k.attname = a.attname AND k.schemaname = n.nspname AND k.tablename = t.relname \
             WHERE a.attrelid = t.oid AND a.attnum = ANY (i.indkey::int2[])), 8), \
           coalesce(s.null_frac, 0), coalesce(s.n_distinct, -1), s.correlation, \
           array_to_string(s.most_common_freqs, ' '), i.indisunique \
         FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid \
         JOIN pg_class AS t ON t.oid = i.indrelid JOIN pg_namespace AS n ON n.oid = t.relnamespace \
         JOIN pg_am AS m ON m.oid = c.relam AND m.amname = 'btree' \
         LEFT JOIN pg_attribute AS f ON f.attrelid = t.oid AND f.attnum = i.indkey[0] \
         LEFT JOIN pg_stats AS s ON s.attname = f.attname AND s.schemaname = n.nspname \
           AND s.tablename = t.relname \
         WHERE i.indrelid = '{name}'::regclass ORDER BY c.oid"
    ))?;
    let tree = |row: Vec<Option<String>>| {
        let text = |at: usize| row.get(at).cloned().flatten();
        let number = |at: usize| text(at).and_then(|text| text.parse::<f64>().ok());
        let statistics = ColumnStatistics {
            null_frac: number(4)?,
            n_distinct: number(5)?,
            correlation: number(6),
            most_common: text(7)
                .unwrap_or_default()
                .split(' ')
                .filter_map(|share| share.parse().ok())
                .collect(),
        };
        let entries = number(2)?;
        let keys = Keys::from_statistics(&statistics, entries);
        let keys = if text(8).as_deref() == Some("t") { keys.unmerged() } else { keys };
        let (pages, key_width) = (number(1)?, number(3)?);
        Some((text(0)?, Tree { pages, entries, key_width, keys, age: Age::Built }))
    };
    Ok(rows.into_iter().filter_map(tree).collect())
}
