//! One batch: written, read by every witness, rolled back.

use std::collections::HashMap;

use diesel::{
    Connection, QueryableByName,
    connection::{LoadConnection, TransactionManager},
    query_builder::SqlQuery,
    query_dsl::LoadQuery,
    result::Error,
    sql_types::{BigInt, Nullable, Text},
};

use super::{
    Column, Roundtrip, Verdicts, session,
    verdict::{At, How, RoundtripError, Verdict},
};
use crate::values::{ColumnValue, Loss, SqlValue, same};

/// Between the key of a row and that of its twin, written in the other way.
const TWIN: i64 = 1000;

/// About how many values of a batch a reader is asked that has refused one.
const FEW: usize = 4;

/// A row as plain SQL shows it.
#[derive(Debug, QueryableByName)]
pub struct TextRow {
    /// Its key.
    #[diesel(sql_type = BigInt)]
    pub id: i64,
    /// The column's text.
    #[diesel(sql_type = Nullable<Text>)]
    pub value: Option<String>,
}

/// Who refused a batch, and in which words.
struct Refusal {
    at: At,
    message: String,
}

/// Which witnesses have refused a value, so that the others are asked without them.
#[derive(Default)]
struct Absent {
    readers: Vec<&'static str>,
    literal: bool,
}

type Texts = HashMap<i64, Option<String>>;

impl<C, T> Roundtrip<'_, C, T>
where
    C: Connection + LoadConnection,
    T: ColumnValue,
    for<'q> SqlQuery: LoadQuery<'q, C, TextRow>,
{
    /// Judges values written by Diesel; a batch that is refused is halved until the refused values
    /// stand alone.
    pub(super) fn judge_values(&mut self, conn: &mut C, values: &[T]) -> Verdicts {
        self.judge_all(
            conn,
            values,
            |value| format!("{value:?}"),
            |this, conn, values| {
                let mut absent = Absent::default();
                loop {
                    let rows = numbered(values);
                    let done =
                        this.in_transaction(conn, |this, conn| this.attempt(conn, &rows, &absent))?;
                    match done {
                        Err(Refusal { at: At::Reader(name), .. }) if values.len() == 1 => {
                            absent.readers.push(name);
                        }
                        Err(Refusal { at: At::Literal, .. }) if values.len() == 1 => {
                            absent.literal = true;
                        }
                        done => return Ok(done),
                    }
                }
            },
        )
    }

    /// Judges literals written by plain SQL, as [`Self::judge_values`] does.
    pub(super) fn judge_literals(&mut self, conn: &mut C, values: &[SqlValue]) -> Verdicts {
        self.judge_all(
            conn,
            values,
            |value| value.sql.clone(),
            |this, conn, values| {
                let rows = numbered(values);
                this.in_transaction(conn, |this, conn| this.attempt_sql(conn, &rows))
            },
        )
    }

    fn judge_all<V: Clone>(
        &mut self,
        conn: &mut C,
        values: &[V],
        name: impl Fn(&V) -> String,
        mut judge: impl FnMut(
            &mut Self,
            &mut C,
            &[V],
        ) -> Result<Result<Vec<Verdict>, Refusal>, RoundtripError>,
    ) -> Verdicts {
        let mut verdicts: Vec<Option<Verdict>> =
            values.iter().map(|value| self.refused.get(&name(value)).cloned()).collect();
        let left: Vec<usize> = (0..values.len()).filter(|at| verdicts[*at].is_none()).collect();
        let mut batches = vec![left];
        while let Some(batch) = batches.pop() {
            if batch.is_empty() {
                continue;
            }
            let chosen: Vec<V> = batch.iter().map(|at| values[*at].clone()).collect();
            match judge(self, conn, &chosen)? {
                Ok(judged) => {
                    for (at, verdict) in batch.into_iter().zip(judged) {
                        verdicts[at] = Some(verdict);
                    }
                }
                Err(Refusal { at, message }) if batch.len() == 1 => {
                    let verdict = Verdict::Refused { at, message };
                    self.refused.insert(name(&chosen[0]), verdict.clone());
                    verdicts[batch[0]] = Some(verdict);
                }
                Err(_) => {
                    let (low, high) = batch.split_at(batch.len() / 2);
                    batches.extend([low.to_vec(), high.to_vec()]);
                }
            }
        }
        Ok(verdicts.into_iter().flatten().collect())
    }

    /// Does a batch of work in a transaction that is rolled back.
    fn in_transaction<R>(
        &mut self,
        conn: &mut C,
        work: impl FnOnce(&mut Self, &mut C) -> Result<R, Refusal>,
    ) -> Result<Result<R, Refusal>, RoundtripError> {
        let failed = |action| move |source| RoundtripError::Database { action, source };
        C::TransactionManager::begin_transaction(conn).map_err(failed("begin a transaction"))?;
        if let Some(settings) = session::local(self.column.ty.product) {
            conn.batch_execute(&settings).map_err(failed("set up the session"))?;
        }
        let done = work(self, conn);
        C::TransactionManager::rollback_transaction(conn).map_err(failed("roll back"))?;
        Ok(done)
    }

    fn attempt(
        &mut self,
        conn: &mut C,
        rows: &[(i64, T)],
        absent: &Absent,
    ) -> Result<Vec<Verdict>, Refusal> {
        (self.insert)(conn, rows).map_err(refused(At::Write))?;
        let mut read = match self.load_by_id(conn) {
            Ok(read) => read,
            Err(refusal) => match (rows, absent.literal) {
                ([row], false) => return self.unreadable(conn, row, refusal),
                _ => return Err(refusal),
            },
        };
        let disagreements = self.ask_readers(conn, rows, absent)?;
        let twins = if absent.literal { HashMap::new() } else { self.write_literals(conn, rows)? };
        let texts = self.read_texts(conn)?;
        Ok(rows
            .iter()
            .map(|(id, wrote)| {
                let Some(read) = read.remove(id) else { return changed("no such row", How::Read) };
                if !same(wrote, &read) {
                    return match self.loss(wrote, &read) {
                        Some(loss) => Verdict::Lost(loss),
                        None => changed(&format!("{read:?}"), How::Read),
                    };
                }
                if let Some((reader, other)) = disagreements.get(id) {
                    return changed(other, How::Reader { name: reader });
                }
                match twins.get(id) {
                    Some(literal) if texts.get(id) != texts.get(&(id + TWIN)) => {
                        let how = How::Literal {
                            literal: literal.clone(),
                            theirs: shown(&texts, id + TWIN),
                            ours: shown(&texts, *id),
                        };
                        changed(&format!("{read:?}"), how)
                    }
                    _ => Verdict::Equal,
                }
            })
            .collect())
    }

    /// Judges a value that Diesel wrote and cannot read: other readers may, so its text counts.
    fn unreadable(
        &mut self,
        conn: &mut C,
        row: &(i64, T),
        refusal: Refusal,
    ) -> Result<Vec<Verdict>, Refusal> {
        let mut twins = self.write_literals(conn, std::slice::from_ref(row))?;
        let Some(literal) = twins.remove(&row.0) else { return Err(refusal) };
        let texts = self.read_texts(conn)?;
        let (theirs, ours) = (shown(&texts, row.0 + TWIN), shown(&texts, row.0));
        if theirs == ours {
            return Err(refusal);
        }
        Ok(vec![changed(&refusal.message, How::Literal { literal, theirs, ours })])
    }

    fn attempt_sql(
        &mut self,
        conn: &mut C,
        rows: &[(i64, SqlValue)],
    ) -> Result<Vec<Verdict>, Refusal> {
        let literals: Vec<(i64, &str)> =
            rows.iter().map(|(id, value)| (*id, value.sql.as_str())).collect();
        conn.batch_execute(&insert_sql(&self.column, &literals)).map_err(refused(At::Write))?;
        let read = self.load_by_id(conn)?;
        let again: Vec<(i64, T)> =
            read.iter().map(|(id, value)| (id + TWIN, value.clone())).collect();
        (self.insert)(conn, &again).map_err(refused(At::Rewrite))?;
        let texts = self.read_texts(conn)?;
        Ok(rows
            .iter()
            .map(|(id, value)| {
                let (before, after) = (texts.get(id), texts.get(&(id + TWIN)));
                if before == after {
                    return Verdict::Equal;
                }
                if let Some(edge) = value.edge
                    && self.known.contains(&edge)
                {
                    return Verdict::Known(edge);
                }
                let read =
                    read.get(id).map_or("no such row".to_owned(), |read| format!("{read:?}"));
                let how =
                    How::Rewritten { before: shown(&texts, *id), after: shown(&texts, id + TWIN) };
                changed(&read, how)
            })
            .collect())
    }

    fn load_by_id(&mut self, conn: &mut C) -> Result<HashMap<i64, T>, Refusal> {
        Ok((self.load)(conn).map_err(refused(At::Read))?.into_iter().collect())
    }

    /// Returns, for each row about which a reader disagrees, who and what it read.
    fn ask_readers(
        &mut self,
        conn: &mut C,
        rows: &[(i64, T)],
        absent: &Absent,
    ) -> Result<HashMap<i64, (&'static str, String)>, Refusal> {
        let mut disagreements = HashMap::new();
        for reader in &mut self.readers {
            if absent.readers.contains(&reader.name) || reader.choosy && rows.len() > FEW {
                continue;
            }
            let answers = (reader.ask)(conn, rows).map_err(|error| {
                reader.choosy = true;
                refused(At::Reader(reader.name))(error)
            })?;
            for ((id, _), answer) in rows.iter().zip(answers) {
                if let Some(read) = answer {
                    disagreements.entry(*id).or_insert((reader.name, read));
                }
            }
        }
        Ok(disagreements)
    }

    /// Writes each value that SQL can write under the key of its twin; returns the literals.
    fn write_literals(
        &mut self,
        conn: &mut C,
        rows: &[(i64, T)],
    ) -> Result<HashMap<i64, String>, Refusal> {
        let twins: HashMap<i64, String> = rows
            .iter()
            .filter_map(|(id, value)| Some((*id, value.literal(&self.column.ty)?)))
            .collect();
        if !twins.is_empty() {
            let literals: Vec<(i64, &str)> =
                twins.iter().map(|(id, literal)| (id + TWIN, literal.as_str())).collect();
            conn.batch_execute(&insert_sql(&self.column, &literals))
                .map_err(refused(At::Literal))?;
        }
        Ok(twins)
    }

    fn read_texts(&mut self, conn: &mut C) -> Result<Texts, Refusal> {
        let rows = (self.texts)(conn, &session::texts(&self.column)).map_err(refused(At::Text))?;
        Ok(rows.into_iter().map(|row| (row.id, row.value)).collect())
    }

    fn loss(&self, wrote: &T, read: &T) -> Option<Loss> {
        self.losses.iter().copied().find(|loss| wrote.becomes(read, *loss))
    }
}

fn numbered<V: Clone>(values: &[V]) -> Vec<(i64, V)> {
    (1..).zip(values.iter().cloned()).collect()
}

fn refused(at: At) -> impl FnOnce(Error) -> Refusal {
    move |error| Refusal { at, message: error.to_string() }
}

fn changed(read: &str, how: How) -> Verdict {
    Verdict::Changed { read: read.to_owned(), how }
}

fn shown(texts: &Texts, id: i64) -> String {
    texts.get(&id).cloned().flatten().unwrap_or_else(|| "NULL".to_owned())
}

/// Returns the statement that writes rows of key and literal.
pub(super) fn insert_sql(column: &Column<'_>, rows: &[(i64, &str)]) -> String {
    let rows: Vec<String> = rows.iter().map(|(id, literal)| format!("({id}, {literal})")).collect();
    let (table, id, name) = (column.table, column.id, column.name);
    format!("INSERT INTO {table} ({id}, {name}) VALUES {}", rows.join(", "))
}
