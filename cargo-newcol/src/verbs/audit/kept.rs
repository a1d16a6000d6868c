//! What the audit has read of files, kept in the target directory for the next one.
//!
//! Nothing depends on it: what cannot be read or written is done without.

use std::{
    fs,
    hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher},
    io::{self, Write as _},
};

use camino::Utf8PathBuf;
use newcol_core::audit::rust::Memory;
use tempfile::NamedTempFile;

use crate::{context::Project, output::Output};

/// Returns the directory of a project's audits; a target directory may be that of several.
pub(super) fn dir(project: &Project) -> Utf8PathBuf {
    let hash = BuildHasherDefault::<DefaultHasher>::new().hash_one(&project.root);
    project.target.join(format!("newcol/audit-{hash:016x}"))
}

pub(super) fn load(project: &Project) -> Memory {
    fs::read(path(project)).map(Memory::stored).unwrap_or_default()
}

pub(super) fn store(out: &mut Output, project: &Project, memory: &Memory) {
    let Some(bytes) = memory.to_store() else { return };
    if let Err(error) = write(project, &bytes) {
        out.detail(&format!("what was read is not kept for the next audit: {error}"));
    }
}

fn path(project: &Project) -> Utf8PathBuf {
    dir(project).join("facts")
}

fn write(project: &Project, bytes: &[u8]) -> io::Result<()> {
    // Whoever has never built wants no directory from us either.
    if !project.target.is_dir() {
        return Ok(());
    }
    let dir = dir(project);
    fs::create_dir_all(&dir)?;
    let mut file = NamedTempFile::with_prefix_in(".facts-", &dir)?;
    file.write_all(bytes)?;
    file.persist(path(project))?;
    Ok(())
}
