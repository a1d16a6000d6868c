//! What is asked of a table: statements, where their parameters come from, how often each is sent.
//!
//! A workload is a JSON file that a human may edit. Parameters stand in the texts as `$1`, in every
//! dialect; whoever sends a statement draws a value for each and puts it in their place.

mod arithmetic;
pub mod source;
mod template;

use serde::{Deserialize, Serialize};

pub use self::{
    arithmetic::{Arithmetic, ArithmeticError},
    template::{Template, TemplateError},
};
use crate::backend::Backend;

/// The version of the file that this program writes.
pub const VERSION: u32 = 1;

/// What is asked of a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    /// Version of the file.
    pub version: u32,
    /// The table.
    pub table: String,
    /// Statements per second, of all kinds together; none where that is not known.
    pub rate: Option<f64>,
    /// The statements.
    pub statements: Vec<Statement>,
    /// What was left out, and why.
    pub left_out: Vec<LeftOut>,
}

/// A statement, or several that are sent together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// A short name for reports.
    pub name: String,
    /// Its text, with `$1`, `$2` for parameters; several statements are divided by semicolons.
    pub sql: String,
    /// Where the values of `$1`, `$2` come from.
    pub parameters: Vec<Parameter>,
    /// How often it is sent, in relation to the others.
    pub weight: f64,
}

/// Where the value of a parameter comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "snake_case", deny_unknown_fields)]
pub enum Parameter {
    /// The column of a row of the table: values are drawn as often as rows have them.
    Column {
        /// The column.
        column: String,
    },
    /// A value that no row has, as for a key of a new row.
    New {
        /// The column whose type and form it has.
        column: String,
    },
    /// An array of values of rows (PostgreSQL).
    List {
        /// The column of which they are.
        column: String,
        /// How many.
        count: u32,
    },
    /// A whole number.
    Number {
        /// The least one.
        least: i64,
        /// The greatest one.
        greatest: i64,
        /// How they are spread.
        #[serde(default)]
        spread: Spread,
    },
    /// What is computed of the parameters before it, such as `$1 % 10 + 1`.
    Computed {
        /// The expression.
        expression: Arithmetic,
    },
    /// The same value each time.
    Constant {
        /// As SQL: a literal.
        sql: String,
    },
}

/// How numbers are spread between the least and the greatest one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spread {
    /// All equally often.
    #[default]
    Uniform,
    /// As pgbench's `random_gaussian`: the middle most often.
    Gaussian(f64),
    /// As pgbench's `random_exponential`: the least most often.
    Exponential(f64),
    /// As pgbench's `random_zipfian`: the least most often.
    Zipfian(f64),
}

/// A statement that is not part of the workload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeftOut {
    /// Its text.
    pub sql: String,
    /// Its share of all that is asked of the table, from 0 to 1.
    pub share: f64,
    /// Why.
    pub why: String,
}

/// What values of columns are drawn from. Literals are SQL: quoted, `NULL` for none.
pub trait Values {
    /// Returns the literal of a column of any row; none where the table has no such column.
    fn of_a_row(&mut self, column: &str) -> Option<String>;

    /// Returns the literal of a value that no row has.
    fn new_one(&mut self, column: &str) -> Option<String>;

    /// Returns a number from 0, and less than 1.
    fn random(&mut self) -> f64;
}

/// Why a workload cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WorkloadError {
    /// It is of another version of the program.
    #[error("the workload has version {found}, this program reads version {VERSION}")]
    Version {
        /// Its version.
        found: u32,
    },
    /// It is something else, or was damaged.
    #[error("this is no workload")]
    Json(#[source] serde_json::Error),
    /// A statement's text and its parameters do not fit.
    #[error("the statement `{name}` of the workload cannot be sent")]
    Template {
        /// Its name.
        name: String,
        /// Why not.
        source: TemplateError,
    },
    /// A weight or the rate is not above 0.
    #[error("{what} of the workload is {value}, which is no frequency")]
    Frequency {
        /// Of what.
        what: String,
        /// The number.
        value: f64,
    },
    /// Nothing is asked.
    #[error("the workload has no statement")]
    Empty {
        /// How many were left out.
        left_out: usize,
    },
}

/// Why no value could be drawn.
#[derive(Debug, thiserror::Error)]
pub enum DrawError {
    /// The table has no such column.
    #[error("there is no value of the column `{column}`")]
    Column {
        /// The column.
        column: String,
    },
    /// An expression has no value.
    #[error(transparent)]
    Arithmetic(#[from] ArithmeticError),
}

#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

impl Workload {
    /// Reads a file and checks it.
    ///
    /// # Errors
    ///
    /// Where it is of another version, no workload, or one that cannot be sent.
    pub fn parse(text: &str, backend: Backend) -> Result<Self, WorkloadError> {
        let Versioned { version: found } =
            serde_json::from_str(text).map_err(WorkloadError::Json)?;
        if found != VERSION {
            return Err(WorkloadError::Version { found });
        }
        let workload: Self = serde_json::from_str(text).map_err(WorkloadError::Json)?;
        workload.check(backend)?;
        Ok(workload)
    }

    /// Returns the text of its file.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("its keys are texts");
        text.push('\n');
        text
    }

    /// Says whether it can be sent.
    ///
    /// # Errors
    ///
    /// Where texts and parameters do not fit, or nothing is asked.
    pub fn check(&self, backend: Backend) -> Result<(), WorkloadError> {
        if self.statements.is_empty() {
            return Err(WorkloadError::Empty { left_out: self.left_out.len() });
        }
        if let Some(rate) = self.rate {
            is_frequency("the rate", rate)?;
        }
        for statement in &self.statements {
            is_frequency(&format!("the weight of `{}`", statement.name), statement.weight)?;
            statement.template(backend)?;
        }
        Ok(())
    }
}

impl Statement {
    /// Takes its text apart at its parameters.
    ///
    /// # Errors
    ///
    /// Where a parameter has no source.
    pub fn template(&self, backend: Backend) -> Result<Template, WorkloadError> {
        Template::of(&self.sql, self.parameters.len(), backend)
            .map_err(|source| WorkloadError::Template { name: self.name.clone(), source })
    }

    /// Draws a literal for each parameter.
    ///
    /// # Errors
    ///
    /// Where a column has no values, or an expression none.
    pub fn draw(&self, values: &mut dyn Values) -> Result<Vec<String>, DrawError> {
        let mut drawn: Vec<String> = Vec::with_capacity(self.parameters.len());
        for parameter in &self.parameters {
            let value = parameter.draw(values, &drawn)?;
            drawn.push(value);
        }
        Ok(drawn)
    }
}

impl Parameter {
    fn draw(&self, values: &mut dyn Values, before: &[String]) -> Result<String, DrawError> {
        let missing = |column: &String| DrawError::Column { column: column.clone() };
        match self {
            Self::Column { column } => values.of_a_row(column).ok_or_else(|| missing(column)),
            Self::New { column } => values.new_one(column).ok_or_else(|| missing(column)),
            Self::List { column, count } => {
                let one = |_| values.of_a_row(column).ok_or_else(|| missing(column));
                let all: Vec<String> = (0..*count).map(one).collect::<Result<_, _>>()?;
                Ok(format!("ARRAY[{}]", all.join(", ")))
            }
            Self::Number { least, greatest, spread } => {
                Ok(spread.number((*least, *greatest), &mut || values.random()).to_string())
            }
            Self::Computed { expression } => Ok(expression.value(before)?.to_string()),
            Self::Constant { sql } => Ok(sql.clone()),
        }
    }
}

impl Spread {
    /// Returns a number between two, given numbers from 0 to below 1.
    fn number(self, (least, greatest): (i64, i64), random: &mut dyn FnMut() -> f64) -> i64 {
        let span = greatest.wrapping_sub(least) as u64 as f64 + 1.0;
        let place = match self {
            Self::Uniform => random(),
            Self::Gaussian(width) => loop {
                // Box and Muller, cut as pgbench cuts.
                let (a, b) = (1.0 - random(), random());
                let z = (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos();
                if (-width..width).contains(&z) {
                    break (z + width) / (2.0 * width);
                }
            },
            Self::Exponential(rate) => {
                let cut = (-rate).exp();
                -(cut + (1.0 - cut) * (1.0 - random())).ln() / rate
            }
            Self::Zipfian(s) => {
                // The inverse of the continuous law between 1 and span + 1, which is near enough.
                let u = random();
                let top = (span + 1.0).powf(1.0 - s);
                let x = if (s - 1.0).abs() < 1e-9 {
                    (u * (span + 1.0).ln()).exp()
                } else {
                    (1.0 + u * (top - 1.0)).powf(1.0 / (1.0 - s))
                };
                (x - 1.0) / span
            }
        };
        let steps = (place * span).floor().clamp(0.0, span - 1.0);
        least.saturating_add_unsigned(steps as u64).min(greatest)
    }
}

fn is_frequency(what: &str, value: f64) -> Result<(), WorkloadError> {
    if value > 0.0 && value.is_finite() {
        Ok(())
    } else {
        Err(WorkloadError::Frequency { what: what.to_owned(), value })
    }
}

#[cfg(test)]
mod tests;
