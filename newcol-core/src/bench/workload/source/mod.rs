//! Where a workload comes from: statements that were counted or recorded, and scripts of pgbench.

mod bind;
pub mod counted;
pub mod pgbench;

use sqlparser::tokenizer::{Token, Whitespace};

use super::{LeftOut, Statement, VERSION, Workload};
use crate::{backend::Backend, bench::profile::Profile, sql};

pub use self::bind::{Bound, bind};

/// A statement and how often it was sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Counted {
    /// Its text, with `$1` or `?` for parameters.
    pub sql: String,
    /// How often it was sent.
    pub calls: f64,
    /// How many rows it gave or changed, on average, where that is known.
    pub rows: Option<f64>,
}

/// A workload takes the most frequent statements up to this share of what was sent.
pub const SHARE: f64 = 0.9;

/// Makes a workload of statements, of which those on other tables are passed over. Parameters are
/// drawn from the columns that they are compared with or assigned to; `seconds` is the time in which
/// the statements were counted, where that is known.
pub fn of_counted(
    statements: &[Counted],
    profile: &Profile,
    backend: Backend,
    seconds: Option<f64>,
) -> Workload {
    let mut on_table: Vec<(&Counted, Bound)> = statements
        .iter()
        .filter(|counted| counted.calls > 0.0)
        .filter_map(|counted| Some((counted, bind(counted, profile, backend)?)))
        .collect();
    on_table.sort_by(|(a, _), (b, _)| b.calls.total_cmp(&a.calls).then(a.sql.cmp(&b.sql)));
    let all: f64 = on_table.iter().map(|(counted, _)| counted.calls).sum();
    let mut workload = Workload {
        version: VERSION,
        table: profile.table.clone(),
        rate: seconds.filter(|seconds| *seconds > 0.0 && all > 0.0).map(|seconds| all / seconds),
        statements: Vec::new(),
        left_out: Vec::new(),
    };
    let mut taken = 0.0;
    let mut rare = (0_usize, 0.0);
    for (counted, bound) in on_table {
        let share = counted.calls / all;
        match bound {
            Bound::Sent { verb, sql, parameters } if taken < SHARE => {
                taken += share;
                let name = format!("{verb} {}", workload.statements.len() + 1);
                workload.statements.push(Statement {
                    name,
                    sql,
                    parameters,
                    weight: counted.calls,
                });
            }
            Bound::Sent { .. } => rare = (rare.0 + 1, rare.1 + share),
            Bound::Not(why) => {
                let sql = without_values(&counted.sql, backend);
                workload.left_out.push(LeftOut { sql, share, why });
            }
        }
    }
    if rare.0 > 0 {
        workload.left_out.push(LeftOut {
            sql: format!("{} more statements", rare.0),
            share: rare.1,
            why: "the others are more frequent, and nine tenths of all that is sent".to_owned(),
        });
    }
    workload
}

/// Returns a text without the values in it: the server leaves those of commands where they are. Of
/// what cannot be read, the first word remains.
fn without_values(text: &str, backend: Backend) -> String {
    let Some(tokens) = sql::tokens(text, backend) else {
        return format!("{} …", text.split_whitespace().next().unwrap_or_default());
    };
    let shown = tokens.iter().map(|placed| match &placed.token {
        Token::Whitespace(Whitespace::Space | Whitespace::Newline | Whitespace::Tab) => " ",
        Token::Word(_) | Token::Placeholder(_) => &text[placed.range.clone()],
        // A comment may say anything.
        Token::Whitespace(_) => "",
        Token::Number(..) => "…",
        _ if text[placed.range.clone()].contains(['\'', '"', '$', '`']) => "'…'",
        _ => &text[placed.range.clone()],
    });
    shown.collect()
}

#[cfg(test)]
mod tests;
