//! Decides whether Diesel code of a table can be written that works without being touched, and
//! what it consists of.

use super::{
    Package, SchemaAccess, Subject, history,
    values::{Kind, Sample, sample},
};
use crate::{
    backend::Backend,
    schema::{Column, names::column_name},
};

/// More columns than a reader takes in at a glance.
const WIDE: usize = 12;

/// Why code is made up from the table instead of being written with Diesel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// The new column's values are bound to something else.
    #[error("values of the column are bound to {to}")]
    Bound {
        /// To what.
        to: &'static str,
    },
    /// The table cannot be written down as one `table!`.
    #[error("the table's declaration in schema.rs {why}")]
    Declaration {
        /// What of it.
        why: &'static str,
    },
    /// The package cannot connect.
    #[error("the package depends on no Diesel connection for {what}")]
    Connection {
        /// To what.
        what: String,
    },
    /// A column has no usual Rust type here.
    #[error("`{column}` is of type {ty}, for which {why}")]
    Type {
        /// The column.
        column: String,
        /// Its Diesel type.
        ty: String,
        /// What is missing.
        why: &'static str,
    },
    /// Plain rows would be refused.
    #[error("plain rows may not be enough for the table: {why}")]
    Rows {
        /// Why.
        why: &'static str,
    },
}

/// Diesel code of a table.
#[derive(Debug)]
pub(super) struct DieselCode<'a> {
    pub(super) connection: Connection,
    pub(super) access: &'a SchemaAccess,
    /// `users`, or `audit::log`, below `schema`.
    pub(super) path: String,
    pub(super) table: String,
    /// The `table!` before the column, without indentation.
    pub(super) declaration: String,
    pub(super) fields: Vec<Field>,
    /// The new column.
    pub(super) new: Field,
    /// Argument of `find`.
    pub(super) key: String,
    /// Rust names of the key, where `AsChangeset` must be told it.
    pub(super) told_key: Option<String>,
    /// A statement that changes a row.
    pub(super) change: Option<String>,
}

/// One column as a field.
#[derive(Debug, Clone)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) nullable: bool,
    pub(super) sample: Sample,
}

/// How the code connects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Connection {
    Blocking(Backend),
    Async(Backend),
    /// One type for several engines.
    Multi(Vec<Backend>),
}

impl Connection {
    pub(super) fn is_async(&self) -> bool {
        matches!(self, Self::Async(_))
    }

    /// Decides for the engines of a project by what a package depends on.
    fn of(backends: &[Backend], package: &Package) -> Option<Self> {
        let blocking = |backend: &Backend| package.has_feature("diesel", backend.name());
        match backends {
            [one] => {
                let is_async = package.has_feature("diesel-async", one.name())
                    && *one != Backend::Sqlite
                    && package.has("diesel");
                if is_async {
                    return Some(Self::Async(*one));
                }
                blocking(one).then_some(Self::Blocking(*one))
            }
            several => several.iter().all(blocking).then(|| Self::Multi(several.to_vec())),
        }
    }
}

/// Writes the code, or says why it is not that simple.
pub(super) fn of<'a>(subject: &'a Subject<'_>) -> Result<DieselCode<'a>, Unfit> {
    let answers = subject.contract.answers();
    for (bound, to) in [
        (answers.replaces.is_some(), "those of the column it replaces"),
        (!answers.generated.is_empty(), "an expression"),
        (!answers.check.is_empty(), "a check"),
        (answers.references.is_some(), "rows of another table"),
    ] {
        if bound {
            return Err(Unfit::Bound { to });
        }
    }
    let declared = |why| Unfit::Declaration { why };
    let schema = subject.table.as_ref().ok_or_else(|| declared("is there more than once"))?;
    let table = schema.table;
    if let SchemaAccess::File(_) = schema.access
        && (schema.text.contains("crate::") || schema.text.contains("super::super"))
    {
        return Err(declared("is in a file that names modules of its crate"));
    }
    if !table.cfgs.is_empty() {
        return Err(declared("depends on features"));
    }
    if table.uses.iter().any(|line| !line.path.starts_with("diesel::")) {
        return Err(declared("names types of its own"));
    }
    if table.columns.len() > WIDE {
        return Err(declared("is long"));
    }
    let backends: Vec<Backend> = subject.engines.iter().map(|engine| engine.backend).collect();
    let connection = Connection::of(&backends, &subject.package).ok_or_else(|| {
        let names: Vec<&str> = backends.iter().map(|b| b.name()).collect();
        Unfit::Connection { what: names.join(" and ") }
    })?;
    for engine in &subject.engines {
        let found = history::obstacle(&engine.history, engine.backend, subject.contract.table());
        if let Some(why) = found {
            return Err(Unfit::Rows { why });
        }
    }
    let package = &subject.package;
    let fields: Vec<Field> =
        table.columns.iter().map(|column| field(column, package)).collect::<Result<_, Unfit>>()?;
    let key = keys(&table.primary_key, &fields)?;
    for field in &fields {
        let is_key = table.primary_key.contains(&field.name);
        // Two foreign keys between the same tables have no `joinable!`.
        let looks_bound = field.name.ends_with("_id") && !field.nullable && !is_key;
        if looks_bound || schema.bound.contains(&field.name) {
            return Err(Unfit::Rows { why: "its rows need rows of other tables" });
        }
    }
    let new = new_field(subject, schema)?;
    Ok(DieselCode {
        connection,
        access: &schema.access,
        path: table.module.iter().chain([&table.rust_name]).cloned().collect::<Vec<_>>().join("::"),
        table: table.rust_name.clone(),
        declaration: super::text::declaration(schema.text, table),
        change: change(&fields, &table.primary_key),
        fields,
        new,
        key,
        told_key: (table.primary_key != ["id"]).then(|| table.primary_key.join(", ")),
    })
}

fn field(column: &Column, package: &Package) -> Result<Field, Unfit> {
    let ty = column.ty.trim();
    let bare = ty.strip_prefix("Nullable<").and_then(|ty| ty.strip_suffix('>')).unwrap_or(ty);
    let unfit = |why| Unfit::Type { column: column.rust_name.clone(), ty: ty.to_owned(), why };
    if column.rust_name.starts_with("r#") {
        return Err(unfit("Rust has another use of its name"));
    }
    let sample = sample(bare, &column.rust_name, column.max_length, package)
        .ok_or_else(|| unfit("nothing tells its usual values in this package"))?;
    Ok(Field { name: column.rust_name.clone(), nullable: column.is_nullable(), sample })
}

/// The struct's field of the new column; the database may still refuse a duplicate.
fn new_field(subject: &Subject<'_>, schema: &super::SchemaTable<'_>) -> Result<Field, Unfit> {
    let contract = subject.contract;
    let name = column_name(contract.column().as_str(), &schema.table.rust_name);
    let derived = &schema.column;
    let unfit = |why| Unfit::Type { column: name.clone(), ty: derived.diesel.clone(), why };
    // On engines that do not say the limit, the contract's own type does.
    let limit =
        subject.engines.iter().filter_map(|e| limit(contract.sql_type(e.backend)?.as_str()));
    let limit = limit.chain(derived.max_length).min();
    let sample = sample(&derived.diesel, &name, limit, &subject.package)
        .ok_or_else(|| unfit("nothing tells its usual values in this package"))?;
    let index = contract.answers().index.as_ref();
    if index.is_some_and(|i| i.uniqueness.refuses_duplicates()) && sample.kind == Kind::Other {
        return Err(unfit("no unique values are at hand"));
    }
    Ok(Field { name, nullable: true, sample })
}

/// Returns the number in `varchar(16)`.
fn limit(sql: &str) -> Option<u64> {
    let sql = sql.to_lowercase();
    let (name, rest) = sql.split_once('(')?;
    let number = rest.split_once(')')?.0.trim().parse().ok()?;
    name.contains("char").then_some(number)
}

fn keys(primary_key: &[String], fields: &[Field]) -> Result<String, Unfit> {
    let mut terms = Vec::new();
    for name in primary_key {
        let field = fields.iter().find(|field| field.name == *name);
        let field = field.ok_or(Unfit::Declaration { why: "has no column for its key" })?;
        match field.sample.kind {
            Kind::Text => terms.push(format!("&row.{name}")),
            Kind::Number | Kind::Id => terms.push(format!("row.{name}")),
            Kind::Other => return Err(Unfit::Rows { why: "its key is of an unusual type" }),
        }
    }
    Ok(match terms.as_slice() {
        [one] => one.clone(),
        several => format!("({})", several.join(", ")),
    })
}

/// Chooses what an update changes: a column of every row, texts first.
fn change(fields: &[Field], primary_key: &[String]) -> Option<String> {
    let can = |kind: Option<Kind>| {
        fields.iter().find_map(|field| {
            let change = field.sample.change?;
            let fits = !field.nullable
                && !primary_key.contains(&field.name)
                && kind.is_none_or(|kind| field.sample.kind == kind);
            fits.then(|| format!("row.{}{change}", field.name))
        })
    };
    can(Some(Kind::Text)).or_else(|| can(None))
}
