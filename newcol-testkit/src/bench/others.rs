//! Fills a table on MySQL, MariaDB and SQLite, by rows that are made here.
//!
//! These engines say less of values than PostgreSQL, and have no way to make a million rows by one
//! statement that all of their versions know. What is checked is counted: rows, the share of NULL, and
//! how many different values there are.

use newcol_core::{
    backend::Backend,
    bench::profile::{ConstraintKind, Profile, Statistics},
    db::{DbError, Session},
    ident::TableName,
    render::text,
};

use super::{
    check::{Check, What, near},
    draw::New,
    literal::Kind,
    ordinals::{Ordinals, Tuning},
    pairs::pairs,
    table::{FillError, Filled},
};

/// Rows of one statement.
const ROWS: u64 = 500;

struct Made {
    name: String,
    kind: Kind,
    ordinals: Ordinals,
    wanted: Statistics,
}

pub(super) fn fill(
    session: &mut Session,
    profile: &Profile,
    rows: u64,
    seed: u64,
) -> Result<Filled, FillError> {
    let table: TableName = profile.table.parse()?;
    let backend = session.backend();
    let quoted = text::table(backend, &table);
    let failed = |source: DbError| FillError::Database {
        table: profile.table.clone(),
        source: Box::new(source),
    };
    let mut left_out = Vec::new();
    make(session, profile, &quoted, &mut left_out).map_err(failed)?;
    let made = columns(profile, rows, seed, &mut left_out)?;
    let names: Vec<String> = made.iter().map(|of| text::quote(backend, &of.name)).collect();
    session.batch("BEGIN").map_err(failed)?;
    let mut from = 0;
    while from < rows {
        let to = (from + ROWS).min(rows);
        let values: Vec<String> = (from..to).map(|row| literals(&made, row, backend)).collect();
        let insert =
            format!("INSERT INTO {quoted} ({}) VALUES {}", names.join(", "), values.join(", "));
        session.execute(&insert).map_err(failed)?;
        from = to;
    }
    session.batch("COMMIT").map_err(failed)?;
    for index in &profile.definition.indexes {
        if let Some(sql) = &index.sql {
            session.batch(sql).map_err(failed)?;
        }
    }
    let analyze = match backend {
        Backend::Mysql => format!("ANALYZE TABLE {quoted}"),
        Backend::Sqlite | Backend::Postgres => format!("ANALYZE {quoted}"),
    };
    session.query(&analyze).map_err(failed)?;
    let checks = checks(session, (&quoted, rows), &made).map_err(failed)?;
    let differs = |of: &&Made| of.ordinals.segments.is_empty();
    let new = |of: &Made| {
        let made = New::Made { kind: of.kind.clone(), first: of.ordinals.places };
        (of.name.clone(), made)
    };
    Ok(Filled {
        rows,
        checks,
        new: made.iter().filter(differs).map(new).collect(),
        types: profile
            .columns
            .iter()
            .filter(|column| !column.is_generated)
            .map(|column| (column.name.clone(), column.sql_type.clone()))
            .collect(),
        table,
        left_out,
    })
}

/// Makes the table, without what leads to other tables.
fn make(
    session: &mut Session,
    profile: &Profile,
    quoted: &str,
    left_out: &mut Vec<String>,
) -> Result<(), DbError> {
    let backend = session.backend();
    session.batch(match backend {
        Backend::Mysql => "SET SESSION foreign_key_checks = 0",
        Backend::Sqlite | Backend::Postgres => "PRAGMA foreign_keys = OFF",
    })?;
    session.batch(&profile.definition.table)?;
    for of in &profile.definition.constraints {
        if of.kind == ConstraintKind::Foreign {
            if backend == Backend::Mysql {
                let name = text::quote(backend, &of.name);
                session.batch(&format!("ALTER TABLE {quoted} DROP FOREIGN KEY {name}"))?;
                left_out.push(format!("the foreign key `{}` is not made", of.name));
            } else {
                left_out.push(format!(
                    "the table of the foreign key {} is not made: leave foreign_keys off",
                    of.name
                ));
            }
        }
    }
    if !profile.definition.triggers.is_empty() {
        let triggers = profile.definition.triggers.join("`, `");
        left_out.push(format!("triggers are not made: `{triggers}`"));
    }
    Ok(())
}

fn columns(
    profile: &Profile,
    rows: u64,
    seed: u64,
    left_out: &mut Vec<String>,
) -> Result<Vec<Made>, FillError> {
    let mut made = Vec::new();
    for (at, column) in profile.columns.iter().enumerate().filter(|(_, of)| !of.is_generated) {
        let statistics = column.statistics.clone().unwrap_or_else(|| {
            left_out.push(format!("nothing is known of `{}`", column.name));
            Statistics { n_distinct: -1.0, ..Statistics::default() }
        });
        let seed = seed.wrapping_mul(1000).wrapping_add(at as u64);
        let mut ordinals = Ordinals::of(&statistics, (rows, rows), Tuning::default(), seed);
        let is_key =
            profile.definition.constraints.iter().any(|of| {
                of.kind == ConstraintKind::Primary && of.columns == [column.name.clone()]
            });
        if is_key && ordinals.segments.is_empty() {
            // Rows lie in the order of this key.
            ordinals.stay = ordinals.block;
            ordinals.falls = false;
        }
        let width = statistics.avg_width.unwrap_or(8.0);
        let kind = Kind::of(column, width, ordinals.distinct).ok_or_else(|| FillError::Type {
            column: column.name.clone(),
            ty: column.sql_type.clone(),
            source: None,
        })?;
        made.push(Made { name: column.name.clone(), kind, ordinals, wanted: statistics });
    }
    let known: Vec<(&str, &Statistics)> =
        made.iter().map(|of| (of.name.as_str(), &of.wanted)).collect();
    for (follows, leads) in pairs(profile, &known) {
        let leader = made[leads].ordinals.clone();
        made[follows].ordinals.follow(leader);
    }
    Ok(made)
}

fn literals(made: &[Made], row: u64, backend: Backend) -> String {
    let value = |of: &Made| {
        of.ordinals
            .at(row)
            .map_or_else(|| "NULL".to_owned(), |value| of.kind.literal(value, backend))
    };
    let all: Vec<String> = made.iter().map(value).collect();
    format!("({})", all.join(", "))
}

/// Counts what was made.
fn checks(
    session: &mut Session,
    (table, rows): (&str, u64),
    made: &[Made],
) -> Result<Vec<Check>, DbError> {
    let backend = session.backend();
    let mut counts = vec!["count(*)".to_owned()];
    for of in made {
        let name = text::quote(backend, &of.name);
        counts.push(format!("count({name})"));
        counts.push(format!("count(DISTINCT {name})"));
    }
    let found = session.query(&format!("SELECT {} FROM {table}", counts.join(", ")))?;
    let mut found = found
        .into_iter()
        .flatten()
        .map(|value| value.and_then(|number| number.parse::<f64>().ok()).unwrap_or_default());
    let mut next = || found.next().unwrap_or_default();
    let all = next();
    let mut checks = vec![near(None, What::Rows, rows as f64, all, 0.0)];
    for of in made {
        let (filled, distinct) = (next(), next());
        let nulls = 1.0 - filled / all.max(1.0);
        checks.push(near(Some(&of.name), What::Nulls, of.wanted.null_frac, nulls, 0.01));
        let wanted = of.kind.most().map_or(f64::INFINITY, |most| most as f64);
        let wanted = of.wanted.distinct(rows as f64).min(wanted);
        checks.push(near(Some(&of.name), What::Distinct, wanted, distinct, 1.0));
    }
    Ok(checks)
}
