//! What became of a value, and of a whole property.

use std::{collections::BTreeMap, fmt};

use crate::values::{Loss, ValueError};

/// What became of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Every witness agrees to the last bit.
    Equal,
    /// It changed as declared.
    Lost(Loss),
    /// An edge of plain SQL is read as another value, as declared.
    Known(&'static str),
    /// Somebody said no.
    Refused {
        /// Who.
        at: At,
        /// In which words.
        message: String,
    },
    /// It changed, and nobody said so.
    Changed {
        /// The value that was read.
        read: String,
        /// What shows the change.
        how: How,
    },
}

/// Where a value was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum At {
    /// Writing it.
    Write,
    /// Reading it, through the mapping that wrote it or that the property is about.
    Read,
    /// Reading it in another way.
    Reader(&'static str),
    /// Writing the same value as a literal.
    Literal,
    /// Writing by Diesel what Diesel read.
    Rewrite,
    /// Showing it as text.
    Text,
}

/// What shows that a value changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    /// The mapping reads another value than it wrote.
    Read,
    /// Another reader reads another value.
    Reader {
        /// Which.
        name: &'static str,
    },
    /// The column holds another text than when plain SQL writes the value.
    Literal {
        /// The value in SQL.
        literal: String,
        /// Text of the column when SQL wrote it.
        theirs: String,
        /// Text of the column when Diesel wrote it.
        ours: String,
    },
    /// The column holds another text after Diesel read it and wrote it again.
    Rewritten {
        /// Text when SQL wrote it.
        before: String,
        /// Text when Diesel had written it again.
        after: String,
    },
}

impl Verdict {
    /// Reports whether the value changed silently.
    pub fn is_changed(&self) -> bool {
        matches!(self, Self::Changed { .. })
    }

    /// Returns the verdict on a batch of one.
    pub(super) fn of_one(verdicts: Vec<Self>) -> Self {
        verdicts.into_iter().next().unwrap_or(Self::Equal)
    }
}

/// What became of the values of a property that holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Values that came back equal.
    pub equal: usize,
    /// Values that changed as declared.
    pub lost: usize,
    /// Values that were refused, each once, with who refused it and the words.
    pub refused: BTreeMap<String, (At, String)>,
}

impl Report {
    /// Reports whether so much was refused, and nothing else happened, that nothing ever will.
    pub(super) fn is_hopeless(&self) -> bool {
        const ENOUGH: usize = 64;
        self.equal + self.lost == 0 && self.refused.len() >= ENOUGH
    }

    pub(super) fn add(&mut self, values: impl Iterator<Item = String>, verdicts: Vec<Verdict>) {
        for (value, verdict) in values.zip(verdicts) {
            match verdict {
                Verdict::Equal => self.equal += 1,
                Verdict::Lost(_) | Verdict::Known(_) => self.lost += 1,
                Verdict::Refused { at, message } => {
                    self.refused.insert(value, (at, message));
                }
                // Ends the property before it is counted.
                Verdict::Changed { .. } => {}
            }
        }
    }
}

/// A silent change, shrunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// Table and column.
    pub column: String,
    /// The column's type.
    pub ty: String,
    /// The value written: a Rust expression, or a literal where plain SQL wrote it.
    pub wrote: String,
    /// Its name in [`crate::values::edges`], where it is one of them.
    pub edge: Option<&'static str>,
    /// The value read.
    pub read: String,
    /// What shows the change.
    pub how: How,
    /// A test that fails as long as it happens.
    pub test: String,
}

impl fmt::Display for Changed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { column, ty, wrote, read, test, .. } = self;
        writeln!(f, "a value of `{column}` ({ty}) changed, and nothing said so")?;
        writeln!(f, "  wrote: {wrote}")?;
        writeln!(f, "  read:  {read}")?;
        match &self.how {
            How::Read => {}
            How::Reader { name } => writeln!(f, "  by:    reader `{name}`")?,
            How::Literal { literal, theirs, ours } => {
                writeln!(f, "  text:  {ours}, but {theirs} when SQL writes {literal}")?;
            }
            How::Rewritten { before, after } => {
                writeln!(f, "  text:  {before}, and {after} when Diesel has written it again")?;
            }
        }
        match (&self.how, self.edge) {
            (How::Rewritten { .. }, Some(edge)) => {
                writeln!(f, "If that is meant, declare it with `.known({edge:?})`.")?;
            }
            _ => writeln!(f, "If that is meant, declare it with `.lossy(…)`.")?,
        }
        write!(f, "A test to keep, with the functions of this property:\n\n{test}")
    }
}

/// Why a property does not hold, or could not be tested.
#[derive(Debug, thiserror::Error)]
pub enum RoundtripError {
    /// A value changed silently.
    #[error("{0}")]
    Changed(Box<Changed>),
    /// Every value was refused, so that the property says nothing.
    #[error("every value was refused; the first: {}", first(report))]
    AllRefused {
        /// What was refused.
        report: Box<Report>,
    },
    /// The database could not be used at all.
    #[error("could not {action}")]
    Database {
        /// What was to be done.
        action: &'static str,
        /// What the database says.
        source: diesel::result::Error,
    },
    /// There are no values of the type.
    #[error("could not state the property")]
    Values {
        /// Why not.
        #[from]
        source: ValueError,
    },
    /// The strategy gave no value.
    #[error("could not draw values: {reason}")]
    Strategy {
        /// What proptest says.
        reason: String,
    },
}

fn first(report: &Report) -> String {
    let refused = report.refused.first_key_value();
    refused.map_or_else(String::new, |(value, (at, said))| format!("{value} at {at:?}: {said}"))
}
