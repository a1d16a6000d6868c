//! What `schema.rs` has to say of a column after its released stages, held against what it says.
//!
//! Asked for is what releasing writes: the column is taken out of the text and released again. Where
//! in its table it stands is not compared, for columns that came later stand behind it.

use camino::Utf8PathBuf;

use super::release::{ReleaseError, SchemaSource, Target, changes_up_to, forwards};
use crate::{
    backend::Product,
    ident::{Ident, TableName},
    plan::StageKind,
    schema::{
        Column, Joinable, NewColumn, Place, SchemaEdit, SchemaError, SchemaFile, apply,
        diesel_toml::PrintSchemaConfig,
        patch_file::{Patched, unpatched},
    },
};

/// Something that `schema.rs` does not say as the released stages wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unlike {
    /// The file.
    pub path: Utf8PathBuf,
    /// Where it says something else, or the table that says nothing.
    pub place: Option<Place>,
    /// What the stages ask for; `None` where it should be gone.
    pub asked: Option<String>,
    /// What is there.
    pub found: Option<String>,
}

/// Compares schemas with what the stages up to `last` ask for.
pub fn unlike(
    targets: &[Target],
    schemas: &[SchemaSource],
    last: StageKind,
) -> Result<Vec<Unlike>, ReleaseError> {
    let changes = changes_up_to(targets, last);
    let mut found = Vec::new();
    for schema in schemas {
        let edits = forwards(&changes, targets, schema)?;
        let look = Look { schema, product: targets[0].plan.facts.server.product };
        found.extend(look.compare(&edits)?);
    }
    Ok(found)
}

struct Look<'a> {
    schema: &'a SchemaSource,
    product: Product,
}

impl Look<'_> {
    fn compare(&self, edits: &[SchemaEdit]) -> Result<Vec<Unlike>, ReleaseError> {
        let text = self.printed()?;
        let file = self.read(&text)?;
        let mut without = text.clone();
        for edit in edits {
            if let SchemaEdit::AddColumn { table, column } = edit
                && column_of(&text, &file, table, &column.name).is_some()
            {
                let drop =
                    SchemaEdit::DropColumn { table: table.clone(), column: column.name.clone() };
                without = self.edited(&without, drop)?;
            }
        }
        let mut asked = without;
        for edit in edits {
            let is_done = matches!(edit, SchemaEdit::DropColumn { table, column }
                if column_of(&text, &file, table, column).is_none());
            if !is_done {
                asked = self.edited(&asked, edit.clone())?;
            }
        }
        let wanted = self.read(&asked)?;
        let mut unlike = Vec::new();
        for edit in edits {
            let (SchemaEdit::AddColumn { table, column: NewColumn { name, .. } }
            | SchemaEdit::DropColumn { table, column: name }) = edit
            else {
                continue;
            };
            let said =
                |text: &str, file: &SchemaFile| column_of(text, file, table, name).map(described);
            unlike.extend(
                self.difference((said(&asked, &wanted), said(&text, &file)), (table, Some(name))),
            );
        }
        unlike.extend(self.joins(edits, &wanted, &file));
        Ok(unlike)
    }

    /// Returns the text as print-schema prints it, before its patch file is applied.
    fn printed(&self) -> Result<String, ReleaseError> {
        let SchemaSource { text, patch, .. } = self.schema;
        let Some((path, patch)) = patch else { return Ok(text.clone()) };
        unpatched(&Patched { schema: text.clone(), patch: patch.clone() })
            .map_err(|source| ReleaseError::Patch { path: path.clone(), source })
    }

    fn read(&self, text: &str) -> Result<SchemaFile, ReleaseError> {
        SchemaFile::parse(text).map_err(|source| self.failed(source))
    }

    fn edited(&self, text: &str, edit: SchemaEdit) -> Result<String, ReleaseError> {
        let config: &PrintSchemaConfig = &self.schema.config;
        apply(text, self.product, config, &[edit]).map_err(|source| self.failed(source))
    }

    fn failed(&self, source: SchemaError) -> ReleaseError {
        ReleaseError::Schema { path: self.schema.path.clone(), source }
    }

    fn difference(
        &self,
        (asked, found): (Option<String>, Option<String>),
        (table, column): (&TableName, Option<&Ident>),
    ) -> Option<Unlike> {
        if asked == found {
            return None;
        }
        let path = self.schema.path.clone();
        Some(Unlike { path, place: self.place(table, column), asked, found })
    }

    /// Finds the column in the file as it is, or else its table.
    fn place(&self, table: &TableName, column: Option<&Ident>) -> Option<Place> {
        let text = &self.schema.text;
        let file = SchemaFile::parse(text).ok()?;
        let table = file.table(text, table).ok()?;
        let column = column.and_then(|name| table.column(name));
        let range = column.map_or(&table.name_range, |column| &column.name_range);
        Some(Place::new(text, range.clone()))
    }

    fn joins(&self, edits: &[SchemaEdit], wanted: &SchemaFile, file: &SchemaFile) -> Vec<Unlike> {
        let said = |file: &SchemaFile| -> Vec<String> {
            let line = |join: &Joinable| {
                format!("joinable!({} -> {} ({}))", join.child, join.parent, join.column)
            };
            file.joinables.iter().map(line).collect()
        };
        let (asked, found) = (said(wanted), said(file));
        let table = edits.iter().find_map(|edit| match edit {
            SchemaEdit::AddJoinable { child, .. } => Some(child),
            _ => None,
        });
        let Some(table) = table else { return Vec::new() };
        let missing = asked.iter().filter(|line| !found.contains(line));
        let missing = missing.map(|line| (Some(line.clone()), None));
        let extra = found.iter().filter(|line| !asked.contains(line));
        let extra = extra.map(|line| (None, Some(line.clone())));
        missing.chain(extra).filter_map(|sides| self.difference(sides, (table, None))).collect()
    }
}

fn column_of<'a>(
    text: &str,
    file: &'a SchemaFile,
    table: &TableName,
    column: &Ident,
) -> Option<&'a Column> {
    file.table(text, table).ok()?.column(column)
}

/// Says all that a column's lines say, in one.
fn described(column: &Column) -> String {
    let Column { rust_name, ty, max_length, docs, .. } = column;
    let ty: String = ty.split_whitespace().collect();
    let length = max_length.map(|length| format!("#[max_length = {length}] ")).unwrap_or_default();
    let docs: Vec<&str> = docs.iter().map(|line| line.trim()).collect();
    let docs = if docs.is_empty() { String::new() } else { format!("/// {} ", docs.join(" ")) };
    format!("{docs}{length}{rust_name} -> {ty}")
}
