//! Releases a stage: its migration folders and its edit of `schema.rs`, as one [`FilePatch`].
//!
//! Pure: file contents in, changes out. One contract may have several targets, one per engine of
//! the project, which share `schema.rs`; a stage is released for all of them at once.

use camino::{Utf8Path, Utf8PathBuf};

use super::{
    migrations::{self, Version},
    patch::{Change, FilePatch},
};
use crate::{
    backend::{Backend, Product, Server},
    contract::{Answer, Contract},
    ident::{ColumnPath, Ident, TableName},
    plan::{Plan, PlanError, SchemaChange, StageKind},
    schema::{
        Joinable, NewColumn, Position, SchemaEdit, SchemaError, SchemaFile, Table, apply,
        apply_read,
        diesel_toml::PrintSchemaConfig,
        patch_file::{PatchError, Patched, apply_patched},
        types::{DerivedType, Named, TypeError, TypeQuery, derive},
    },
};

/// A `schema.rs` of the project that holds the table.
#[derive(Debug, Clone)]
pub struct SchemaSource {
    /// Path below the root.
    pub path: Utf8PathBuf,
    /// Its text.
    pub text: String,
    /// What diesel.toml says about it.
    pub config: PrintSchemaConfig,
    /// Path and text of its patch file.
    pub patch: Option<(Utf8PathBuf, String)>,
}

/// One engine of the project.
#[derive(Debug, Clone)]
pub struct Target {
    /// The plan for it.
    pub plan: Plan,
    /// Its migrations directory, below the root.
    pub migrations: Utf8PathBuf,
}

/// Why a stage could not be released.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// The contract cannot be carried out on an engine.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The SQL type has no Diesel type.
    #[error("`{column}` has a type that `table!` cannot say on {backend}")]
    Type {
        /// The column.
        column: ColumnPath,
        /// The engine.
        backend: Backend,
        /// Why not.
        source: TypeError,
    },
    /// Engines that share a `schema.rs` disagree on the Diesel type.
    #[error("`{column}` is `{first}` on {one} but `{second}` on {other}, and they share a schema")]
    TypesDiffer {
        /// The column.
        column: ColumnPath,
        /// Diesel type on one engine.
        first: String,
        /// That engine.
        one: Backend,
        /// Diesel type on another.
        second: String,
        /// That engine.
        other: Backend,
    },
    /// `schema.rs` could not be edited.
    #[error("could not edit {path}")]
    Schema {
        /// The file.
        path: Utf8PathBuf,
        /// Why not.
        source: SchemaError,
    },
    /// The patch file could not be kept applicable.
    #[error("could not keep {path} applicable")]
    Patch {
        /// The patch file.
        path: Utf8PathBuf,
        /// Why not.
        source: PatchError,
    },
    /// The replaced column is gone from `schema.rs`, and only version control knows where it stood.
    #[error("the column that `{column}` replaced cannot be put back into schema.rs")]
    CannotRestore {
        /// The column.
        column: ColumnPath,
    },
}

impl ReleaseError {
    /// Returns the answer of the contract that is at fault, where one is.
    pub fn answer(&self) -> Option<Answer> {
        match self {
            Self::Plan(error) => Some(error.answer()),
            Self::Type { .. } => Some(Answer::Type),
            Self::TypesDiffer { .. } => Some(Answer::Diesel),
            Self::Schema { source: SchemaError::ColumnReserved { .. }, .. } => Some(Answer::Path),
            Self::Schema { source: SchemaError::NotAType { .. }, .. } => Some(Answer::Diesel),
            Self::Schema { .. } | Self::Patch { .. } | Self::CannotRestore { .. } => None,
        }
    }

    /// Returns the file at fault, with line and column where they are known.
    pub fn place(&self) -> Option<String> {
        match self {
            Self::Schema { path, source } => Some(match source.place() {
                Some(at) => format!("{path}:{at}"),
                None => path.to_string(),
            }),
            Self::Patch { path, .. } => Some(path.to_string()),
            Self::Plan(_)
            | Self::Type { .. }
            | Self::TypesDiffer { .. }
            | Self::CannotRestore { .. } => None,
        }
    }

    /// Returns the way out, as a sentence for a hint.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Plan(error) => error.hint(),
            Self::TypesDiffer { .. } => {
                Some("say the Diesel type that fits all of them with `--diesel <TYPE>`".to_owned())
            }
            Self::CannotRestore { .. } => {
                Some("take the stage back with version control instead".to_owned())
            }
            Self::Patch { .. } => Some(
                "bring schema.rs and its patch file in line first: `diesel print-schema`"
                    .to_owned(),
            ),
            Self::Schema { source, .. } => Some(source.hint().to_owned()),
            Self::Type { .. } => {
                Some("correct the type, or say the Diesel type with `--diesel <TYPE>`".to_owned())
            }
        }
    }
}

/// Derives the Diesel type of the column for one engine; the contract's own word goes first.
pub fn diesel_type(
    contract: &Contract,
    server: Server,
    config: &PrintSchemaConfig,
) -> Result<DerivedType, ReleaseError> {
    let backend = server.backend();
    let column = || contract.path().clone();
    let sql = contract
        .sql_type(backend)
        .ok_or_else(|| PlanError::NoType { column: column(), backend })?;
    let query = TypeQuery {
        product: server.product,
        sql: sql.as_str(),
        column: contract.path(),
        config,
        named: Named::Unknown,
        default_schema: config.schema.as_deref().unwrap_or("public"),
    };
    let derived = derive(&query);
    match (&contract.answers().diesel, derived) {
        (Some(given), derived) => {
            let bare = given.strip_prefix("Nullable<").and_then(|t| t.strip_suffix('>'));
            let diesel = bare.unwrap_or(given).to_owned();
            Ok(match derived {
                Ok(derived) if derived.diesel == diesel => derived,
                Ok(derived) => DerivedType { diesel, custom: None, rust: None, ..derived },
                Err(_) => DerivedType {
                    diesel,
                    max_length: None,
                    custom: None,
                    rust: None,
                    features: &[],
                    notes: Vec::new(),
                },
            })
        }
        (None, Ok(derived)) => Ok(derived),
        (None, Err(source)) => Err(ReleaseError::Type { column: column(), backend, source }),
    }
}

/// Returns the files of a stage.
pub fn release(
    targets: &[Target],
    schemas: &[SchemaSource],
    kind: StageKind,
    first: &Version,
) -> Result<FilePatch, ReleaseError> {
    release_read(targets, schemas, &[], kind, first)
}

/// Returns the files of a stage, where the schemas have been read already: `read` holds them in
/// the same order, or nothing.
pub fn release_read(
    targets: &[Target],
    schemas: &[SchemaSource],
    read: &[&SchemaFile],
    kind: StageKind,
    first: &Version,
) -> Result<FilePatch, ReleaseError> {
    let mut edits = FilePatch::default();
    edit_schemas(&mut edits, targets, schemas, read, kind, Direction::Forward)?;
    let displaced = displaced(&edits, schemas);
    let mut patch = FilePatch::default();
    for target in targets {
        let Some(stage) = target.plan.stage(kind) else { continue };
        let folders = migrations::render(&target.plan, stage);
        for (sub, mut folder) in (first.sub..).zip(folders) {
            if sub == first.sub {
                note(&mut folder.up, &displaced);
            }
            let version = Version { second: first.second.clone(), sub };
            let dir = target.migrations.join(format!("{version}_{}", folder.name));
            patch.push(dir.join("up.sql"), None, Some(folder.up));
            patch.push(dir.join("down.sql"), None, Some(folder.down));
            patch.push(dir.join("metadata.toml"), None, Some(folder.metadata.to_owned()));
        }
    }
    for change in edits.changes() {
        patch.push(&change.path, change.before.clone(), change.after.clone());
    }
    Ok(patch)
}

/// Opens the line of a migration that keeps a `joinable!` for [`retract`].
///
/// Two foreign keys between the same tables have no `joinable!` at all in schema.rs, so the first
/// one's goes when the second arrives, and nothing else in the project would know it.
const DISPLACED: &str = "-- schema.rs loses: ";

/// Returns every `joinable!` that the edits remove.
fn displaced(edits: &FilePatch, schemas: &[SchemaSource]) -> Vec<String> {
    let text = |j: &Joinable| format!("{} -> {} ({})", j.child, j.parent, j.column);
    let read = |text: &str| SchemaFile::parse(text).map(|file| file.joinables).unwrap_or_default();
    let of_schema = |change: &&Change| schemas.iter().any(|s| s.path == change.path);
    let mut lost = Vec::new();
    for change in edits.changes().iter().filter(of_schema) {
        let (Some(before), Some(after)) = (&change.before, &change.after) else { continue };
        // Most edits leave all of them alone, and reading a large file twice takes its time.
        if before.matches("joinable!").count() <= after.matches("joinable!").count() {
            continue;
        }
        let after: Vec<String> = read(after).iter().map(text).collect();
        lost.extend(read(before).iter().map(text).filter(|line| !after.contains(line)));
    }
    lost.dedup();
    lost
}

/// Writes the lines behind the first line of a migration.
fn note(up: &mut String, displaced: &[String]) {
    let at = up.find('\n').map_or(up.len(), |at| at + 1);
    let lines: String = displaced.iter().map(|line| format!("{DISPLACED}{line}\n")).collect();
    up.insert_str(at, &lines);
}

/// Returns the edits that bring back what the deleted migrations say schema.rs has lost.
fn restored(patch: &FilePatch, schema: &SchemaSource) -> Vec<SchemaEdit> {
    let deleted = patch.changes().iter().filter(|change| change.after.is_none());
    let lines = deleted.filter_map(|change| change.before.as_deref()).flat_map(str::lines);
    let lines: Vec<&str> = lines.filter_map(|line| line.strip_prefix(DISPLACED)).collect();
    if lines.is_empty() {
        return Vec::new();
    }
    let Ok(file) = SchemaFile::parse(&schema.text) else { return Vec::new() };
    let mut edits = Vec::new();
    for line in lines {
        let find = || {
            let (child, rest) = line.split_once(" -> ")?;
            let (parent, column) = rest.strip_suffix(')')?.split_once(" (")?;
            let table = |name: &str| file.tables.iter().find(|t| t.rust_name == name);
            let name = |table: &Table| {
                let schema = table.schema.as_deref().map(Ident::new).transpose().ok()?;
                Some(TableName { schema, name: Ident::new(table.sql_name.as_str()).ok()? })
            };
            let column = table(child)?.columns.iter().find(|c| c.rust_name == column)?;
            Some(SchemaEdit::AddJoinable {
                child: name(table(child)?)?,
                column: Ident::new(column.sql_name.as_str()).ok()?,
                parent: name(table(parent)?)?,
            })
        };
        edits.extend(find());
    }
    edits.dedup();
    edits
}

/// Returns the edit of `schema.rs` that takes a stage back.
pub fn retract(
    patch: &mut FilePatch,
    targets: &[Target],
    schemas: &[SchemaSource],
    kind: StageKind,
) -> Result<(), ReleaseError> {
    edit_schemas(patch, targets, schemas, &[], kind, Direction::Back)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Forward,
    Back,
}

fn edit_schemas(
    patch: &mut FilePatch,
    targets: &[Target],
    schemas: &[SchemaSource],
    read: &[&SchemaFile],
    kind: StageKind,
    direction: Direction,
) -> Result<(), ReleaseError> {
    // Engines may reach a change in different stages (an inline foreign key of SQLite comes with
    // expand); the shared schema changes with the first of them that says so.
    let mut changes: Vec<SchemaChange> = Vec::new();
    for stage in targets.iter().filter_map(|t| t.plan.stage(kind)) {
        for change in &stage.schema {
            if !changes.contains(change) && !changed_earlier(targets, kind, *change) {
                changes.push(*change);
            }
        }
    }
    if changes.is_empty() {
        return Ok(());
    }
    for (at, schema) in schemas.iter().enumerate() {
        let contract = &targets[0].plan.contract;
        let product = targets[0].plan.facts.server.product;
        let edits = match direction {
            Direction::Forward => forwards(&changes, targets, schema)?,
            Direction::Back => {
                let back = changes.iter().rev().map(|c| backward(*c, contract, schema));
                let back: Vec<Option<SchemaEdit>> = back.collect::<Result<_, ReleaseError>>()?;
                let mut edits: Vec<SchemaEdit> = back.into_iter().flatten().collect();
                edits.extend(inherited(&edits, targets, schema));
                edits.extend(restored(patch, schema));
                edits.retain(|edit| !is_undone(edit, schema, product));
                edits
            }
        };
        edit_one(patch, schema, read.get(at).copied(), product, &edits)?;
    }
    Ok(())
}

/// Returns every change of the stages up to one, in order and once each.
pub(super) fn changes_up_to(targets: &[Target], last: StageKind) -> Vec<SchemaChange> {
    let mut changes: Vec<SchemaChange> = Vec::new();
    for kind in StageKind::ALL.into_iter().filter(|kind| *kind <= last) {
        for change in targets.iter().filter_map(|t| t.plan.stage(kind)).flat_map(|s| &s.schema) {
            if !changes.contains(change) {
                changes.push(*change);
            }
        }
    }
    changes
}

/// Returns the edits that make changes in a schema.
pub(super) fn forwards(
    changes: &[SchemaChange],
    targets: &[Target],
    schema: &SchemaSource,
) -> Result<Vec<SchemaEdit>, ReleaseError> {
    let derived = shared_type(targets, &schema.config)?;
    let contract = &targets[0].plan.contract;
    let product = targets[0].plan.facts.server.product;
    let mut edits: Vec<SchemaEdit> =
        changes.iter().map(|c| forward(*c, contract, product, &derived)).collect();
    edits.extend(inherited(&edits, targets, schema));
    Ok(edits)
}

/// Returns the edits for partitions and heirs that print-schema prints too: their columns are those
/// of the table, but its comments and, other than in partitions, its foreign keys are its own.
fn inherited(edits: &[SchemaEdit], targets: &[Target], schema: &SchemaSource) -> Vec<SchemaEdit> {
    let mut found = Vec::new();
    for facts in targets.iter().map(|target| &target.plan.facts) {
        if facts.heirs.is_empty() {
            continue;
        }
        let Ok(file) = SchemaFile::parse(&schema.text) else { continue };
        let heirs = facts.heirs.iter().filter(|heir| file.table(&schema.text, heir).is_ok());
        for heir in heirs {
            found.extend(edits.iter().filter_map(|edit| of_heir(edit, heir, facts.partitioned)));
        }
    }
    found
}

fn of_heir(edit: &SchemaEdit, heir: &TableName, partitioned: bool) -> Option<SchemaEdit> {
    let heir = heir.clone();
    Some(match edit.clone() {
        SchemaEdit::AddColumn { column, .. } => {
            SchemaEdit::AddColumn { table: heir, column: NewColumn { docs: None, ..column } }
        }
        SchemaEdit::DropColumn { column, .. } => SchemaEdit::DropColumn { table: heir, column },
        SchemaEdit::SetNullable { column, .. } => SchemaEdit::SetNullable { table: heir, column },
        SchemaEdit::SetNotNull { column, .. } => SchemaEdit::SetNotNull { table: heir, column },
        SchemaEdit::AddJoinable { column, parent, .. } if partitioned => {
            SchemaEdit::AddJoinable { child: heir, column, parent }
        }
        SchemaEdit::RemoveJoinable { column, parent, .. } if partitioned => {
            SchemaEdit::RemoveJoinable { child: heir, column, parent }
        }
        SchemaEdit::AddJoinable { .. }
        | SchemaEdit::RemoveJoinable { .. }
        | SchemaEdit::SetDocs { .. }
        | SchemaEdit::AllowTogether { .. }
        | SchemaEdit::ForbidTogether { .. } => return None,
    })
}

fn changed_earlier(targets: &[Target], kind: StageKind, change: SchemaChange) -> bool {
    targets
        .iter()
        .flat_map(|t| &t.plan.stages)
        .any(|stage| stage.kind < kind && stage.schema.contains(&change))
}

/// Derives the Diesel type of the column that all engines of the project share.
pub fn shared_type(
    targets: &[Target],
    config: &PrintSchemaConfig,
) -> Result<DerivedType, ReleaseError> {
    let mut shared: Option<(Backend, DerivedType)> = None;
    for target in targets {
        let plan = &target.plan;
        let derived = diesel_type(&plan.contract, plan.facts.server, config)?;
        match &shared {
            None => shared = Some((plan.backend(), derived)),
            Some((one, first)) if canonical(&first.diesel) != canonical(&derived.diesel) => {
                return Err(ReleaseError::TypesDiffer {
                    column: plan.contract.path().clone(),
                    first: first.diesel.clone(),
                    one: *one,
                    second: derived.diesel,
                    other: plan.backend(),
                });
            }
            Some(_) => {}
        }
    }
    let (_, mut derived) = shared.expect("a project has at least one target");
    if targets.len() > 1 {
        derived.diesel = canonical(&derived.diesel).to_owned();
        derived.max_length = None;
    }
    Ok(derived)
}

/// The name that all engines share: `diesel::sql_types` has aliases for single engines.
pub(crate) fn canonical(diesel: &str) -> &str {
    match diesel {
        "Varchar" | "Longtext" | "Mediumtext" | "Tinytext" | "Char" | "Bpchar" | "Citext" => "Text",
        "Int2" | "Smallint" => "SmallInt",
        "Int4" => "Integer",
        "Int8" | "Bigint" => "BigInt",
        "Tinyint" => "TinyInt",
        "Float4" => "Float",
        "Float8" => "Double",
        "Bytea" | "Blob" | "Longblob" | "Mediumblob" | "Tinyblob" | "Varbinary" => "Binary",
        "Datetime" => "Timestamp",
        "Decimal" => "Numeric",
        other => other,
    }
}

fn forward(
    change: SchemaChange,
    contract: &Contract,
    product: Product,
    derived: &DerivedType,
) -> SchemaEdit {
    let table = contract.table().clone();
    let column = contract.column().clone();
    let add = |ty| SchemaEdit::AddColumn {
        table: table.clone(),
        column: NewColumn {
            name: contract.column().clone(),
            ty,
            max_length: derived.max_length,
            // SQLite keeps no comments.
            docs: (product != Product::Sqlite).then(|| contract.answers().why.trim().to_owned()),
            position: Position::Last,
            custom: derived.custom.clone(),
        },
    };
    match change {
        SchemaChange::AddNullable => add(derived.nullable()),
        SchemaChange::AddRequired => add(derived.diesel.clone()),
        SchemaChange::Require => SchemaEdit::SetNotNull { table, column },
        SchemaChange::Join => {
            let reference = contract.answers().references.as_ref();
            let parent = reference.expect("a join is planned only with a reference").table.clone();
            SchemaEdit::AddJoinable { child: table, column, parent }
        }
        SchemaChange::DropReplaced => SchemaEdit::DropColumn { table, column: replaced(contract) },
    }
}

/// Reports whether an edit takes back what is gone: `diesel migration revert` prints schema.rs anew.
fn is_undone(edit: &SchemaEdit, schema: &SchemaSource, product: Product) -> bool {
    let tried = apply(&schema.text, product, &schema.config, std::slice::from_ref(edit));
    matches!(
        tried,
        Err(SchemaError::ColumnMissing { .. }
            | SchemaError::JoinableMissing { .. }
            | SchemaError::JoinableExists { .. })
    )
}

/// Returns the edit that takes a change back; `None` where that has happened.
fn backward(
    change: SchemaChange,
    contract: &Contract,
    schema: &SchemaSource,
) -> Result<Option<SchemaEdit>, ReleaseError> {
    let table = contract.table().clone();
    let column = contract.column().clone();
    Ok(Some(match change {
        SchemaChange::AddNullable | SchemaChange::AddRequired => {
            SchemaEdit::DropColumn { table, column }
        }
        SchemaChange::Require => SchemaEdit::SetNullable { table, column },
        SchemaChange::Join => {
            let reference = contract.answers().references.as_ref();
            let parent = reference.expect("a join is planned only with a reference").table.clone();
            SchemaEdit::RemoveJoinable { child: table, column, parent }
        }
        SchemaChange::DropReplaced => {
            let old = replaced(contract);
            let file = SchemaFile::parse(&schema.text);
            let table = file.as_ref().ok().and_then(|f| f.table(&schema.text, &table).ok());
            if table.is_some_and(|table| table.column(&old).is_some()) {
                return Ok(None);
            }
            return Err(ReleaseError::CannotRestore { column: contract.path().clone() });
        }
    }))
}

fn replaced(contract: &Contract) -> Ident {
    let replaces = contract.answers().replaces.as_ref();
    replaces.expect("a drop is planned only for a replacement").column.clone()
}

fn edit_one(
    patch: &mut FilePatch,
    schema: &SchemaSource,
    read: Option<&SchemaFile>,
    product: Product,
    edits: &[SchemaEdit],
) -> Result<(), ReleaseError> {
    let before = Some(schema.text.clone());
    match &schema.patch {
        None => {
            let text = apply_read(&schema.text, read, product, &schema.config, edits)
                .map_err(|source| ReleaseError::Schema { path: schema.path.clone(), source })?;
            patch.push(&schema.path, before, Some(text));
        }
        Some((path, text)) => {
            let old = Patched { schema: schema.text.clone(), patch: text.clone() };
            let new = apply_patched(&old, product, &schema.config, edits)
                .map_err(|source| ReleaseError::Patch { path: path.clone(), source })?;
            patch.push(&schema.path, before, Some(new.schema));
            patch.push(path, Some(text.clone()), Some(new.patch));
        }
    }
    Ok(())
}

/// Returns the files of a released stage, deleted.
pub fn delete_folder(patch: &mut FilePatch, dir: &Utf8Path, files: Vec<(String, String)>) {
    for (name, text) in files {
        patch.push(dir.join(name), Some(text), None);
    }
}
