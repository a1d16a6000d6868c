//! What one audit looks at, read once: `audit`, `next` and `add` ask the same.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};
use newcol_core::{
    audit::{
        Baseline, BaselineError, Finding, Report, SourceFile, Subject, examine, rust::Memory,
        settle,
    },
    contract::Contract,
    doctor::DieselUse,
    ident::ColumnPath,
};

use super::{asked::Asked, collect::Sources};
use crate::{
    context::{Project, Released, SchemaFile, contracts, dir_of, schema_error},
    error::{CliError, Exit},
    verbs::doctor::column_limit,
};

/// The baseline that is taken where none is named, below the directory of diesel.toml.
const BASELINE: &str = "newcol/baseline.json";

/// A column, the texts of its project, and what the project knows of it.
pub(super) struct Look {
    pub(super) column: ColumnPath,
    pub(super) sources: Sources,
    pub(super) subjects: Vec<Subject>,
    /// What was asked beside the texts.
    pub(super) asked: Asked,
    pub(super) baseline: Known,
    /// What is known of the sources already.
    pub(super) memory: Memory,
}

/// Whether comments are judged, for which every column of the project is audited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comments {
    /// Those that acknowledge nothing are told.
    Judged,
    /// They acknowledge.
    Taken,
}

/// A baseline with its place.
pub(super) struct Known {
    /// Below the root, if it lies there.
    pub(super) path: Utf8PathBuf,
    /// Its text; `None` where there is no such file.
    pub(super) text: Option<String>,
    pub(super) baseline: Baseline,
}

impl Look {
    pub(super) fn new(
        project: &Project,
        (column, contract): (&ColumnPath, Option<&Contract>),
        schemas: &[SchemaFile],
        baseline: Known,
    ) -> Result<Self, CliError> {
        Ok(Self {
            column: column.clone(),
            subjects: subjects(project, (column, contract), schemas)?,
            sources: Sources::of(project),
            asked: Asked::nobody(),
            baseline,
            memory: Memory::default(),
        })
    }

    /// Audits texts, which may be other ones than the project's.
    pub(super) fn findings(&self, files: &[SourceFile]) -> Vec<Finding> {
        let mut findings = self.sources.unread.clone();
        findings.extend(self.asked.findings.iter().cloned());
        let found = self.subjects.iter().flat_map(|one| examine(one, files, &self.memory));
        findings.extend(found);
        settle(findings)
    }

    /// Audits texts, and holds what is found against what the project knows.
    pub(super) fn report(
        &self,
        project: &Project,
        files: &[SourceFile],
        comments: Comments,
    ) -> Report {
        let known = (&self.column, &self.baseline.baseline);
        Report::new(self.findings(files), files, known, self.asked.scope, || match comments {
            Comments::Judged => self.others(project, files).ok(),
            Comments::Taken => None,
        })
    }

    /// Audits the other columns that have a contract.
    fn others(&self, project: &Project, files: &[SourceFile]) -> Result<Vec<Finding>, CliError> {
        let mut findings = Vec::new();
        for contract in contracts(project)? {
            if *contract.path() != self.column {
                let schemas = project.schemas_of(contract.table())?;
                let subjects = subjects(project, (contract.path(), Some(&contract)), &schemas)?;
                findings.extend(subjects.iter().flat_map(|one| examine(one, files, &self.memory)));
            }
        }
        Ok(findings)
    }
}

fn subjects(
    project: &Project,
    (column, contract): (&ColumnPath, Option<&Contract>),
    schemas: &[SchemaFile],
) -> Result<Vec<Subject>, CliError> {
    let limit = column_limit(project).unwrap_or_else(|| {
        DieselUse { default_features: true, ..DieselUse::default() }.column_limit()
    });
    let engines: BTreeSet<_> = project.engines.iter().map(|engine| engine.backend).collect();
    let last = Released::find(project, column).last();
    let subject = |schema: &SchemaFile| {
        let module = module_of(project, &schema.path);
        let text = (schema.text.as_str(), module.as_slice());
        Subject::new(column, contract, text, &schema.parsed, engines.clone())
            .map(|subject| subject.declared_in(&schema.path, limit).released(last))
            .map_err(|error| schema_error(&schema.path, &error))
    };
    schemas.iter().map(subject).collect()
}

impl Known {
    /// Reads the baseline of the project, if it has one.
    pub(super) fn of(project: &Project) -> Result<Self, CliError> {
        Self::at(project, project.relative(&project.base.join(BASELINE)))
    }

    /// Reads a baseline; none where there is no such file.
    pub(super) fn at(project: &Project, path: Utf8PathBuf) -> Result<Self, CliError> {
        let text = project.read(&path)?;
        let baseline = match &text {
            None => Baseline::default(),
            Some(text) => Baseline::parse(text).map_err(|error| unread(&path, &error))?,
        };
        Ok(Self { path, text, baseline })
    }
}

fn unread(path: &Utf8Path, error: &BaselineError) -> CliError {
    let (place, hint) = match error {
        BaselineError::Syntax { line, column, .. } => (
            format!("{path}:{line}:{column}"),
            "resolve a merge there by keeping both sides, or write it anew with `--write-baseline` \
             once it is removed",
        ),
        BaselineError::Format { .. } => (path.to_string(), "use the version that wrote it"),
    };
    CliError::of(Exit::Usage, error).at(place).hint(hint)
}

/// Returns the module that a file is, by the nearest target of the packages that it may be part of.
fn module_of(project: &Project, file: &Utf8Path) -> Vec<String> {
    let file = project.root.join(file);
    let package = project.packages.iter().filter(|package| file.starts_with(dir_of(package)));
    let Some(package) = package.max_by_key(|package| dir_of(package).as_str().len()) else {
        return Vec::new();
    };
    let roots = package.targets.iter().map(|target| Utf8Path::new(target.src_path.as_str()));
    if roots.clone().any(|root| root == file) {
        return Vec::new();
    }
    let dirs = roots.filter_map(Utf8Path::parent).filter_map(|dir| file.strip_prefix(dir).ok());
    let Some(below) = dirs.min_by_key(|below| below.as_str().len()) else { return Vec::new() };
    let mut module: Vec<String> = below.with_extension("").iter().map(str::to_owned).collect();
    if module.last().is_some_and(|name| name == "mod") {
        module.pop();
    }
    module
}
