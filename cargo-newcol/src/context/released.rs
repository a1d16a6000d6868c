//! Which stages of a column are released: derived from the migration folders, never stored.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use newcol_core::{
    backend::Backend,
    contract::{
        Contract,
        edit::with_confirmation,
        read::{ContractFile, Measured, read as read_contract},
    },
    db::AppliedMigration,
    ident::ColumnPath,
    plan::{Plan, StageKind},
    render::{
        migrations,
        patch::FilePatch,
        release::{SchemaSource, Target},
    },
    schema::SchemaFile as Parsed,
};

use super::{
    Context, EngineDir, Origin, Project, SchemaFile, Wish,
    project::{read, schema_error, stored_version},
};
use crate::error::{CliError, Exit, complaints};

/// One column of the project: its contract, its plans, and how far it is.
pub(crate) struct Column {
    /// The contract's file, below the root.
    pub(crate) file: Utf8PathBuf,
    /// Its text.
    pub(crate) text: String,
    pub(crate) contract: Contract,
    pub(crate) measured: Option<Measured>,
    /// Stages that the user vouched for, each with the reason.
    pub(crate) confirmed: Vec<(StageKind, String)>,
    /// One per engine.
    pub(crate) targets: Vec<Target>,
    pub(crate) schemas: Vec<SchemaFile>,
    pub(crate) released: Released,
}

/// Migration folders of a column, by stage.
#[derive(Debug, Default)]
pub(crate) struct Released {
    stages: BTreeMap<StageKind, Vec<Utf8PathBuf>>,
}

/// The versions of a stage's migrations.
#[derive(Debug)]
pub(crate) struct Landed {
    /// Those that a database has.
    pub(crate) there: Vec<String>,
    /// Those that it does not.
    pub(crate) missing: Vec<String>,
}

impl Released {
    /// Finds the folders of a column in all migrations directories.
    pub(crate) fn find(project: &Project, column: &ColumnPath) -> Self {
        let mut released = Self::default();
        for (dir, folder) in project.migrations() {
            if let Some((path, kind)) = migrations::owner(&folder.opening)
                && path == *column
            {
                released.stages.entry(kind).or_default().push(dir.join(&folder.name));
            }
        }
        released
    }

    /// Returns the folders of a stage.
    pub(crate) fn folders(&self, kind: StageKind) -> &[Utf8PathBuf] {
        self.stages.get(&kind).map_or(&[], Vec::as_slice)
    }

    /// Returns the last stage with folders.
    pub(crate) fn last(&self) -> Option<StageKind> {
        self.stages.keys().next_back().copied()
    }
}

impl Column {
    /// Reads the contract of a column and plans it.
    pub(crate) fn load(
        ctx: &Context,
        project: &Project,
        path: &ColumnPath,
        url: Option<&str>,
    ) -> Result<Self, CliError> {
        let file = project.contract_path(path);
        let Some(text) = project.read(&file)? else {
            let done = done_contract(&file);
            if project.read(&done)?.is_some() {
                return Err(CliError::usage(format!("`{path}` is finished"))
                    .at(&done)
                    .hint(format!("to take it up again, move its contract back to {file}")));
            }
            return Err(CliError::usage(format!("`{path}` has no contract"))
                .at(&file)
                .hint(format!("write one with `cargo newcol add {path} ...`")));
        };
        Self::of_file(ctx, project, file, text, url)
    }

    /// Reads the contract of a column whether it is under way or finished, and plans it.
    pub(crate) fn load_any(
        ctx: &Context,
        project: &Project,
        path: &ColumnPath,
    ) -> Result<Self, CliError> {
        let done = done_contract(&project.contract_path(path));
        match project.read(&done)? {
            Some(text) if project.read(&project.contract_path(path))?.is_none() => {
                Self::of_file(ctx, project, done, text, None)
            }
            Some(_) | None => Self::load(ctx, project, path, None),
        }
    }

    /// Loads every column that is under way or finished.
    pub(crate) fn all_any(ctx: &Context, project: &Project) -> Result<Vec<Self>, CliError> {
        let mut columns = Self::all(ctx, project)?;
        for path in files_in(&project.base.join("newcol/done")) {
            let file = project.relative(&path);
            let column = Self::of_file(ctx, project, file, read(&path)?, None)?;
            // One that was taken up again is under way.
            if columns.iter().all(|other| other.contract.path() != column.contract.path()) {
                columns.push(column);
            }
        }
        Ok(columns)
    }

    /// Reports whether `finish` has closed its contract.
    pub(crate) fn is_finished(&self) -> bool {
        self.file.parent().and_then(Utf8Path::file_name) == Some("done")
    }

    /// Loads every column with a contract, in the order of their files.
    pub(crate) fn all(ctx: &Context, project: &Project) -> Result<Vec<Self>, CliError> {
        contract_files(project)
            .into_iter()
            .map(|path| Self::of_file(ctx, project, project.relative(&path), read(&path)?, None))
            .collect()
    }

    fn of_file(
        ctx: &Context,
        project: &Project,
        file: Utf8PathBuf,
        text: String,
        url: Option<&str>,
    ) -> Result<Self, CliError> {
        let ContractFile { contract, measured, confirmed } = contract_file(project, &file, &text)?;
        let schemas = project.schemas_of(contract.table())?;
        let released = Released::find(project, contract.path());
        let mut column = Self {
            file,
            text,
            contract,
            measured,
            confirmed,
            targets: Vec::new(),
            schemas,
            released,
        };
        column.targets = project.plan(ctx, &column.wish(), url)?;
        Ok(column)
    }

    /// Returns the names of the migrations that brought it.
    pub(crate) fn since(&self) -> Vec<String> {
        let folders = self.released.folders(StageKind::Expand).iter();
        folders.filter_map(|folder| folder.file_name().map(str::to_owned)).collect()
    }

    /// Returns the contract with what the project holds of it.
    pub(crate) fn wish(&self) -> Wish<'_> {
        Wish {
            contract: &self.contract,
            schemas: &self.schemas,
            released: &self.released,
            measured: self.measured.as_ref(),
            origin: Origin::File { path: &self.file, text: &self.text },
        }
    }

    /// Returns the schema files as releasing wants them.
    pub(crate) fn schema_sources(&self, project: &Project) -> Result<Vec<SchemaSource>, CliError> {
        schema_sources(project, &self.schemas)
    }

    /// Returns the schema files as they are once a patch is written.
    pub(crate) fn schemas_after(&self, patch: &FilePatch) -> Result<Vec<SchemaFile>, CliError> {
        let changed = |schema: &SchemaFile| {
            let change = patch.changes().iter().find(|change| change.path == schema.path)?;
            change.after.clone()
        };
        let read = |schema: &SchemaFile| match changed(schema) {
            None => Ok(schema.clone()),
            Some(text) => {
                let parsed =
                    Parsed::parse(&text).map_err(|error| schema_error(&schema.path, &error))?;
                Ok(SchemaFile { text, parsed, ..schema.clone() })
            }
        };
        self.schemas.iter().map(read).collect()
    }

    /// Writes down in the contract why a stage was released, or strikes it out again.
    pub(crate) fn confirm(
        &self,
        patch: &mut FilePatch,
        kind: StageKind,
        reason: Option<&str>,
    ) -> Result<(), CliError> {
        let text = with_confirmation(&self.text, kind, reason)
            .map_err(|error| CliError::of(Exit::Usage, &error).at(&self.file))?;
        patch.push(&self.file, Some(self.text.clone()), Some(text));
        Ok(())
    }

    /// Returns the versions of a stage's migrations on an engine.
    pub(crate) fn versions(
        &self,
        project: &Project,
        backend: Backend,
        stage: StageKind,
    ) -> Vec<String> {
        self.released
            .folders(stage)
            .iter()
            .filter(|folder| engine_of(project, folder).is_some_and(|e| e.backend == backend))
            .map(|folder| stored_version(folder.file_name().unwrap_or_default()))
            .collect()
    }

    /// Compares a stage's migrations with those that a database has.
    pub(crate) fn landed(
        &self,
        project: &Project,
        backend: Backend,
        stage: StageKind,
        known: &[AppliedMigration],
    ) -> Landed {
        let is_there = |version: &String| known.iter().any(|m| m.version == *version);
        let versions = self.versions(project, backend, stage);
        let (there, missing) = versions.into_iter().partition(is_there);
        Landed { there, missing }
    }

    /// Returns the stages of all engines, in order.
    pub(crate) fn stages(&self) -> Vec<StageKind> {
        stages(&self.targets)
    }

    /// Returns the stage that comes after the released ones; the backfill has no files and is
    /// passed over.
    pub(crate) fn next(&self) -> Option<StageKind> {
        let last = self.released.last();
        self.stages()
            .into_iter()
            .find(|kind| *kind != StageKind::Backfill && last.is_none_or(|last| *kind > last))
    }

    /// Returns the engines' plans.
    pub(crate) fn plans(&self) -> impl Iterator<Item = &Plan> {
        self.targets.iter().map(|t| &t.plan)
    }
}

/// Reads the contract of a column, if it has one.
pub(crate) fn contract_of(
    project: &Project,
    path: &ColumnPath,
) -> Result<Option<Contract>, CliError> {
    let file = project.contract_path(path);
    let Some(text) = project.read(&file)? else { return Ok(None) };
    contract_file(project, &file, &text).map(|read| Some(read.contract))
}

/// Reads every contract of the project.
pub(crate) fn contracts(project: &Project) -> Result<Vec<Contract>, CliError> {
    let contract = |path: Utf8PathBuf| {
        let file = project.relative(&path);
        contract_file(project, &file, &read(&path)?).map(|read| read.contract)
    };
    contract_files(project).into_iter().map(contract).collect()
}

/// Returns where a file beside a contract goes once the column is finished.
pub(crate) fn done_contract(file: &Utf8Path) -> Utf8PathBuf {
    let name = file.file_name().unwrap_or_default();
    file.parent().map_or_else(Utf8PathBuf::new, |dir| dir.join("done")).join(name)
}

/// Finds the files of contracts, sorted.
fn contract_files(project: &Project) -> Vec<Utf8PathBuf> {
    files_in(&project.base.join("newcol"))
}

fn files_in(dir: &Utf8Path) -> Vec<Utf8PathBuf> {
    let Ok(entries) = dir.read_dir_utf8() else { return Vec::new() };
    let mut files: Vec<Utf8PathBuf> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path().to_owned())
        .filter(|path| path.extension() == Some("toml") && path.is_file())
        .collect();
    files.sort();
    files
}

fn contract_file(project: &Project, file: &Utf8Path, text: &str) -> Result<ContractFile, CliError> {
    let read = read_contract(text).map_err(|list| complaints(file, text, &list))?;
    let expected = project.contract_path(read.contract.path());
    if expected != file && done_contract(&expected) != file {
        return Err(CliError::usage(format!(
            "the contract says `{}`, its name says otherwise",
            read.contract.path()
        ))
        .at(file)
        .hint(format!("rename it to {expected}")));
    }
    Ok(read)
}

/// Returns the stages of several plans, in order and once each.
pub(crate) fn stages(targets: &[Target]) -> Vec<StageKind> {
    let has = |kind: &StageKind| targets.iter().any(|t| t.plan.stage(*kind).is_some());
    StageKind::ALL.into_iter().filter(has).collect()
}

/// Reads the patch files that belong to schema files.
pub(crate) fn schema_sources(
    project: &Project,
    schemas: &[SchemaFile],
) -> Result<Vec<SchemaSource>, CliError> {
    schemas
        .iter()
        .map(|schema| {
            let patch = match &schema.config.patch_file {
                None => None,
                Some(path) => {
                    let path = project.relative(&project.base.join(path));
                    Some((path.clone(), read(&project.root.join(&path))?))
                }
            };
            Ok(SchemaSource {
                path: schema.path.clone(),
                text: schema.text.clone(),
                config: schema.config.clone(),
                patch,
            })
        })
        .collect()
}

/// Returns the folder of an engine that a released folder lies in.
fn engine_of<'a>(project: &'a Project, folder: &Utf8Path) -> Option<&'a EngineDir> {
    project.engines.iter().find(|engine| folder.parent() == Some(engine.dir.as_path()))
}
