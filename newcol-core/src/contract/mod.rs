//! The contract: every decision about one new column, as a value that cannot be built invalid.
//!
//! [`Draft`] holds answers as they were given, from a file ([`read`]) or from the command line;
//! [`Contract::new`] checks them against each other. Whether an *engine* can carry the contract
//! out is not decided here but in [`crate::plan`].
//!
//! A file that says something wrong is answered with every complaint, each with its place:
//!
//! ```
//! use newcol_core::contract::read::read;
//!
//! let text = "format = 1\ntable = 'users'\ncolumn = 'locale'\ntype = 'text'\nrequierd = true\n";
//! let complaints = read(text).unwrap_err();
//! assert!(complaints.iter().any(|complaint| &text[complaint.span.clone()] == "requierd"));
//! ```

pub mod edit;
pub(crate) mod fragment;
pub mod read;

pub use fragment::{Expr, FragmentError, SqlType};

use crate::{
    backend::Backend,
    ident::{ColumnPath, Ident, IdentError, TableName},
};

/// A value that may differ between the engines of one project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PerBackend<T> {
    /// Used where the engine has no value of its own.
    pub common: Option<T>,
    /// Engine-specific values, at most one per backend.
    pub special: Vec<(Backend, T)>,
}

impl<T> Default for PerBackend<T> {
    fn default() -> Self {
        Self { common: None, special: Vec::new() }
    }
}

impl<T> PerBackend<T> {
    /// Makes a value that holds on every engine.
    pub fn all(value: T) -> Self {
        Self { common: Some(value), special: Vec::new() }
    }

    /// Returns the value for one engine.
    pub fn get(&self, backend: Backend) -> Option<&T> {
        self.special.iter().find(|(b, _)| *b == backend).map(|(_, v)| v).or(self.common.as_ref())
    }

    /// Sets the value of one engine, or of all of them, replacing an earlier one.
    pub fn set(&mut self, backend: Option<Backend>, value: T) {
        match backend {
            None => self.common = Some(value),
            Some(backend) => {
                self.special.retain(|(b, _)| *b != backend);
                self.special.push((backend, value));
                self.special.sort_by_key(|(b, _)| *b);
            }
        }
    }

    /// Reports whether no engine has a value.
    pub fn is_empty(&self) -> bool {
        self.common.is_none() && self.special.is_empty()
    }

    /// Returns every value with the engine it is for (`None` for all of them).
    pub fn iter(&self) -> impl Iterator<Item = (Option<Backend>, &T)> {
        let special = self.special.iter().map(|(b, v)| (Some(*b), v));
        self.common.iter().map(|v| (None, v)).chain(special)
    }
}

/// Whether the finished column may hold NULL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// `NOT NULL` once the column is populated.
    Required,
    /// NULL stays a legal value.
    Optional,
}

/// What rows get that were written before the column existed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum OldRows {
    /// The default where there is one, NULL otherwise.
    #[default]
    Unfilled,
    /// A SQL expression over the row.
    Sql(PerBackend<Expr>),
    /// A path to Rust code in the application.
    Rust(String),
}

/// Who fills the column while programs that do not know it still insert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OldWriters {
    /// The column's default.
    Default,
    /// A trigger that computes the fill expression for the inserted row.
    Trigger,
    /// Nobody: they must be gone before the column is constrained.
    Nobody,
}

impl OldWriters {
    /// Every answer.
    pub const ALL: [Self; 3] = [Self::Default, Self::Trigger, Self::Nobody];

    /// Returns the word used in contracts and flags.
    pub fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Trigger => "trigger",
            Self::Nobody => "nobody",
        }
    }
}

/// How long the default lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DefaultLife {
    /// It belongs to the column.
    Kept,
    /// It only serves old writers and is dropped by the `contract` stage.
    UntilContract,
}

/// The column's default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefaultWish {
    /// The expression.
    pub value: PerBackend<Expr>,
    /// Whether `contract` drops it.
    pub life: DefaultLife,
}

/// Whether an index refuses duplicates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Uniqueness {
    /// Duplicates are fine.
    #[default]
    Plain,
    /// Two rows may not share a value.
    Unique,
    /// The same, and a UNIQUE constraint says so: `ON CONFLICT ON CONSTRAINT` asks for one.
    Constraint,
}

impl Uniqueness {
    /// Reports whether two rows may not share a value.
    pub fn refuses_duplicates(self) -> bool {
        match self {
            Self::Plain => false,
            Self::Unique | Self::Constraint => true,
        }
    }
}

/// The index on the column.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IndexWish {
    /// Its name; derived from table and column where absent.
    pub name: Option<Ident>,
    /// Access method such as `gin`; the engine's usual one where absent.
    pub method: Option<Ident>,
    /// Whether it is unique.
    pub uniqueness: Uniqueness,
    /// Predicate of a partial index.
    pub predicate: PerBackend<Expr>,
    /// Columns stored in the index beside the key.
    pub include: Vec<Ident>,
}

/// What happens to a row whose referenced row is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDelete {
    /// The delete fails.
    Restrict,
    /// The row goes too.
    Cascade,
    /// The column becomes NULL.
    SetNull,
    /// The column gets its default.
    SetDefault,
    /// The delete fails at the end of the statement or transaction.
    NoAction,
}

impl OnDelete {
    /// Every action.
    pub const ALL: [Self; 5] =
        [Self::Restrict, Self::Cascade, Self::SetNull, Self::SetDefault, Self::NoAction];

    /// Returns the SQL keywords in lower case, as contracts and flags spell them.
    pub fn name(self) -> &'static str {
        match self {
            Self::Restrict => "restrict",
            Self::Cascade => "cascade",
            Self::SetNull => "set null",
            Self::SetDefault => "set default",
            Self::NoAction => "no action",
        }
    }
}

/// The foreign key of the column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Referenced table.
    pub table: TableName,
    /// Referenced column.
    pub column: Ident,
    /// Action on delete; the engine's default where absent.
    pub on_delete: Option<OnDelete>,
}

/// The old column that the new one replaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaces {
    /// The old column.
    pub column: Ident,
    /// SQL over the row that computes the old column from the new one.
    pub back: PerBackend<Expr>,
}

/// A calendar date, `YYYY-MM-DD`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    /// Year.
    pub year: u16,
    /// Month, 1 to 12.
    pub month: u8,
    /// Day, 1 to 31.
    pub day: u8,
}

impl Date {
    /// Reads `YYYY-MM-DD`; `None` for anything else and for days no calendar has.
    pub fn parse(text: &str) -> Option<Self> {
        let (year, rest) = text.split_once('-')?;
        let (month, day) = rest.split_once('-')?;
        let digits = text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
        if !digits || (year.len(), month.len(), day.len()) != (4, 2, 2) {
            return None;
        }
        let date =
            Self { year: year.parse().ok()?, month: month.parse().ok()?, day: day.parse().ok()? };
        let every = |years| date.year.is_multiple_of(years);
        let leap = every(4) && (!every(100) || every(400));
        let days = match date.month {
            2 if leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => return None,
        };
        (1..=days).contains(&date.day).then_some(date)
    }
}

impl std::fmt::Display for Date {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

/// Answers as given; some may be missing or contradict each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The new column.
    pub path: ColumnPath,
    /// Why it exists.
    pub why: String,
    /// SQL type.
    pub ty: PerBackend<SqlType>,
    /// Diesel type, where the derived one is not wanted (`Text`, without `Nullable`).
    pub diesel: Option<String>,
    /// Required or optional.
    pub presence: Presence,
    /// What old rows get.
    pub old_rows: OldRows,
    /// Who fills the column for old writers; derived where absent.
    pub old_writers: Option<OldWriters>,
    /// The default.
    pub default: Option<DefaultWish>,
    /// The expression of a generated column.
    pub generated: PerBackend<Expr>,
    /// The index.
    pub index: Option<IndexWish>,
    /// The foreign key.
    pub references: Option<Reference>,
    /// The check constraint.
    pub check: PerBackend<Expr>,
    /// The column it replaces.
    pub replaces: Option<Replaces>,
    /// When the scaffolding must be gone.
    pub retire: Option<Date>,
}

impl Draft {
    /// Starts an optional column with nothing else decided.
    pub fn new(path: ColumnPath, ty: PerBackend<SqlType>, why: impl Into<String>) -> Self {
        Self {
            path,
            why: why.into(),
            ty,
            diesel: None,
            presence: Presence::Optional,
            old_rows: OldRows::Unfilled,
            old_writers: None,
            default: None,
            generated: PerBackend::default(),
            index: None,
            references: None,
            check: PerBackend::default(),
            replaces: None,
            retire: None,
        }
    }
}

/// Which answer a complaint is about; contract reader and command line map it to a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Answer {
    /// `table`, `column`.
    Path,
    /// `why`.
    Why,
    /// `type`.
    Type,
    /// `diesel`.
    Diesel,
    /// `required`.
    Presence,
    /// `[old_rows]`.
    OldRows,
    /// `[old_writers]`.
    OldWriters,
    /// `[default]`.
    Default,
    /// `[generated]`.
    Generated,
    /// `[index]`.
    Index,
    /// `[references]`.
    References,
    /// `[check]`.
    Check,
    /// `[replaces]`.
    Replaces,
    /// `[retire]`.
    Retire,
}

/// Why answers do not make a contract.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContractError {
    /// A name no engine accepts.
    #[error(transparent)]
    Name(#[from] IdentError),
    /// The reason is empty; it becomes the column's comment and its documentation.
    #[error("`{column}` needs a reason: it becomes the column's comment")]
    NoReason {
        /// The column.
        column: ColumnPath,
    },
    /// The reason holds a character that only hides mistakes, or that no engine stores.
    #[error("the reason for `{column}` contains the control character U+{code:04X}")]
    ReasonControl {
        /// The column.
        column: ColumnPath,
        /// Code point of the first such character.
        code: u32,
    },
    /// Old rows are filled by something that is no path to code.
    #[error("`{path}`, which fills old rows of `{column}`, is not a path to Rust code")]
    NotRustPath {
        /// The column.
        column: ColumnPath,
        /// The text.
        path: String,
    },
    /// No engine has a type.
    #[error("`{column}` needs a SQL type")]
    NoType {
        /// The column.
        column: ColumnPath,
    },
    /// A required column without a value for the rows that exist already.
    #[error("`{column}` is required, but nothing says what the rows that exist already get")]
    RequiredWithoutValue {
        /// The column.
        column: ColumnPath,
    },
    /// A required column whose default is NULL.
    #[error("`{column}` is required, but its default is NULL")]
    NullDefault {
        /// The column.
        column: ColumnPath,
    },
    /// Old writers are to be served by a default that does not exist.
    #[error("old writers of `{column}` are to be served by its default, but it has none")]
    NoDefaultForOldWriters {
        /// The column.
        column: ColumnPath,
    },
    /// Old writers are to be served by a trigger that has no expression to compute.
    #[error("old writers of `{column}` are to be served by a trigger, but there is no SQL fill")]
    NoFillForTrigger {
        /// The column.
        column: ColumnPath,
    },
    /// Application code fills old rows, and old writers were not decided.
    #[error("`{column}` is filled by Rust code: say who fills it for old writers")]
    RustFillNeedsOldWriters {
        /// The column.
        column: ColumnPath,
    },
    /// A generated column takes no other source of values.
    #[error("`{column}` is generated, so it cannot have {what} too")]
    GeneratedWith {
        /// The column.
        column: ColumnPath,
        /// The contradicting answer, with its article.
        what: &'static str,
    },
    /// The column replaces itself.
    #[error("`{column}` cannot replace itself")]
    ReplacesItself {
        /// The column.
        column: ColumnPath,
    },
    /// A replacement must be computable from the old column.
    #[error("`{column}` replaces `{old}`, but no SQL fill computes it from there")]
    ReplacesWithoutFill {
        /// The column.
        column: ColumnPath,
        /// The old column.
        old: Ident,
    },
    /// `on delete set null` on a required column fails when it fires.
    #[error("`{column}` is required, so its foreign key cannot set it to NULL on delete")]
    SetNullOnRequired {
        /// The column.
        column: ColumnPath,
    },
    /// `on delete set default` without a default that stays.
    #[error("the foreign key of `{column}` sets a default on delete, but none is kept")]
    SetDefaultWithoutDefault {
        /// The column.
        column: ColumnPath,
    },
}

impl ContractError {
    /// Returns the answer that is wrong or missing.
    pub fn answer(&self) -> Answer {
        match self {
            Self::Name(_) => Answer::Path,
            Self::NoReason { .. } | Self::ReasonControl { .. } => Answer::Why,
            Self::NotRustPath { .. } => Answer::OldRows,
            Self::NoType { .. } => Answer::Type,
            Self::RequiredWithoutValue { .. } => Answer::Presence,
            Self::NullDefault { .. } => Answer::Default,
            Self::NoDefaultForOldWriters { .. }
            | Self::NoFillForTrigger { .. }
            | Self::RustFillNeedsOldWriters { .. } => Answer::OldWriters,
            Self::GeneratedWith { .. } => Answer::Generated,
            Self::ReplacesItself { .. } | Self::ReplacesWithoutFill { .. } => Answer::Replaces,
            Self::SetNullOnRequired { .. } | Self::SetDefaultWithoutDefault { .. } => {
                Answer::References
            }
        }
    }

    /// Returns the way out, as a sentence for a hint.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Name(_) => "choose another name",
            Self::NoReason { .. } => "say it with `--why \"...\"` or `why = \"...\"`",
            Self::ReasonControl { .. } => "write it in plain text",
            Self::NotRustPath { .. } => "write a path such as `crate::backfill::locale`",
            Self::NoType { .. } => "give one with `--type` or `type = \"...\"`",
            Self::RequiredWithoutValue { .. } => {
                "give `--default` for one value, `--fill` for a computed one, or make it `--optional`"
            }
            Self::NullDefault { .. } => "give a value, or make the column `--optional`",
            Self::NoDefaultForOldWriters { .. } => {
                "add `--default`, or choose `--old-writers trigger` or `nobody`"
            }
            Self::NoFillForTrigger { .. } => {
                "add `--fill`, or choose `--old-writers default` or `nobody`"
            }
            Self::RustFillNeedsOldWriters { .. } => {
                "choose `--old-writers default` or `--old-writers nobody`: a trigger cannot run Rust"
            }
            Self::GeneratedWith { .. } => "drop one of the two",
            Self::ReplacesItself { .. } => "name the column that goes away",
            Self::ReplacesWithoutFill { .. } => {
                "add `--fill` with the new value over the old row, for example `--fill old_column`"
            }
            Self::SetNullOnRequired { .. } => "choose restrict, cascade or no action",
            Self::SetDefaultWithoutDefault { .. } => "add a default and keep it",
        };
        Some(hint.to_owned())
    }
}

/// Every decision about one new column; valid by construction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contract {
    draft: Draft,
    old_writers: OldWriters,
}

impl Contract {
    /// Checks the answers against each other, and decides who serves old writers where that was
    /// left open: the default where there is one, else a trigger where there is a SQL fill.
    pub fn new(draft: Draft) -> Result<Self, ContractError> {
        let column = || draft.path.clone();
        if draft.why.trim().is_empty() {
            return Err(ContractError::NoReason { column: column() });
        }
        let hidden = |c: &char| c.is_control() && *c != '\n' && *c != '\t';
        if let Some(control) = draft.why.chars().find(hidden) {
            let code = control.into();
            return Err(ContractError::ReasonControl { column: column(), code });
        }
        if let OldRows::Rust(path) = &draft.old_rows
            && syn::parse::Parser::parse_str(syn::Path::parse_mod_style, path).is_err()
        {
            return Err(ContractError::NotRustPath { column: column(), path: path.clone() });
        }
        if draft.ty.is_empty() {
            return Err(ContractError::NoType { column: column() });
        }
        check_generated(&draft)?;
        let sql_fill = matches!(draft.old_rows, OldRows::Sql(_));
        let old_writers = match draft.old_writers {
            Some(given) => given,
            None if draft.default.is_some() && draft.replaces.is_none() => OldWriters::Default,
            None if sql_fill => OldWriters::Trigger,
            None if matches!(draft.old_rows, OldRows::Rust(_)) => {
                return Err(ContractError::RustFillNeedsOldWriters { column: column() });
            }
            None => OldWriters::Nobody,
        };
        match old_writers {
            OldWriters::Default if draft.default.is_none() => {
                return Err(ContractError::NoDefaultForOldWriters { column: column() });
            }
            OldWriters::Trigger if !sql_fill => {
                return Err(ContractError::NoFillForTrigger { column: column() });
            }
            OldWriters::Default | OldWriters::Trigger | OldWriters::Nobody => {}
        }
        if draft.presence == Presence::Required && draft.generated.is_empty() {
            let null = |d: &DefaultWish| d.value.iter().any(|(_, e)| e.is_null());
            if draft.default.as_ref().is_some_and(null) {
                return Err(ContractError::NullDefault { column: column() });
            }
            if draft.default.is_none() && draft.old_rows == OldRows::Unfilled {
                return Err(ContractError::RequiredWithoutValue { column: column() });
            }
        }
        if let Some(replaces) = &draft.replaces {
            if replaces.column == draft.path.column {
                return Err(ContractError::ReplacesItself { column: column() });
            }
            if !sql_fill {
                let old = replaces.column.clone();
                return Err(ContractError::ReplacesWithoutFill { column: column(), old });
            }
        }
        check_reference(&draft)?;
        Ok(Self { draft, old_writers })
    }

    /// The new column.
    pub fn path(&self) -> &ColumnPath {
        &self.draft.path
    }

    /// The table it is added to.
    pub fn table(&self) -> &TableName {
        &self.draft.path.table
    }

    /// Its name.
    pub fn column(&self) -> &Ident {
        &self.draft.path.column
    }

    /// Who fills the column while old writers insert.
    pub fn old_writers(&self) -> OldWriters {
        self.old_writers
    }

    /// Every answer as given.
    pub fn answers(&self) -> &Draft {
        &self.draft
    }

    /// Returns the answers, to change and check again.
    pub fn into_draft(self) -> Draft {
        self.draft
    }

    /// SQL type on an engine, where one was given for it.
    pub fn sql_type(&self, backend: Backend) -> Option<&SqlType> {
        self.draft.ty.get(backend)
    }

    /// SQL expression that fills old rows on an engine.
    pub fn sql_fill(&self, backend: Backend) -> Option<&Expr> {
        match &self.draft.old_rows {
            OldRows::Sql(expr) => expr.get(backend),
            OldRows::Unfilled | OldRows::Rust(_) => None,
        }
    }

    /// Default on an engine.
    pub fn default(&self, backend: Backend) -> Option<&Expr> {
        self.draft.default.as_ref().and_then(|d| d.value.get(backend))
    }

    /// Reports whether `contract` drops the default.
    pub fn default_is_transitional(&self) -> bool {
        self.draft.default.as_ref().is_some_and(|d| d.life == DefaultLife::UntilContract)
    }

    /// Reports whether the finished column is `NOT NULL`.
    pub fn required(&self) -> bool {
        self.draft.presence == Presence::Required
    }
}

fn check_generated(draft: &Draft) -> Result<(), ContractError> {
    if draft.generated.is_empty() {
        return Ok(());
    }
    let what = if draft.default.is_some() {
        "a default"
    } else if draft.old_rows != OldRows::Unfilled {
        "a fill"
    } else if draft.replaces.is_some() {
        "a column it replaces"
    } else if draft.old_writers.is_some_and(|w| w != OldWriters::Nobody) {
        "a fill for old writers"
    } else {
        return Ok(());
    };
    Err(ContractError::GeneratedWith { column: draft.path.clone(), what })
}

fn check_reference(draft: &Draft) -> Result<(), ContractError> {
    let column = || draft.path.clone();
    match draft.references.as_ref().and_then(|r| r.on_delete) {
        Some(OnDelete::SetNull) if draft.presence == Presence::Required => {
            Err(ContractError::SetNullOnRequired { column: column() })
        }
        Some(OnDelete::SetDefault)
            if draft.default.as_ref().is_none_or(|d| d.life == DefaultLife::UntilContract) =>
        {
            Err(ContractError::SetDefaultWithoutDefault { column: column() })
        }
        Some(_) | None => Ok(()),
    }
}
