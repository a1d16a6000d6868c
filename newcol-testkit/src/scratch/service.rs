//! The user that servers run as, and the files made for it.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    process::Command,
};

use camino::Utf8Path;
use newcol_core::backend::Backend;

use super::{error::ScratchError, lease};
use crate::settings;

/// The user a server runs as: PostgreSQL refuses to run as root.
#[derive(Debug, Clone, Copy)]
pub(super) struct Service {
    /// User and group, where the caller is root and so can and must choose another.
    user: Option<(u32, u32)>,
}

impl Service {
    pub(super) fn of(backend: Backend) -> Self {
        if !rustix::process::geteuid().is_root() {
            return Self { user: None };
        }
        let names = match backend {
            Backend::Postgres => ["postgres", "nobody"],
            Backend::Mysql | Backend::Sqlite => ["mysql", "nobody"],
        };
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let user = names.iter().find_map(|name| {
            let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
            let mut ids = line.split(':').skip(2).map(str::parse);
            Some((ids.next()?.ok()?, ids.next()?.ok()?))
        });
        // The number of `nobody` where there is no list of users.
        Self { user: user.or(Some((65_534, 65_534))) }
    }

    /// The caller as it is.
    pub(super) fn caller() -> Self {
        let user = rustix::process::geteuid().is_root().then_some((0, 0));
        Self { user }
    }

    /// Returns a command that runs as this user in an environment without surprises.
    pub(super) fn command(self, program: &Utf8Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", settings::path()).env("LC_ALL", "C");
        command.envs(settings::var("LD_LIBRARY_PATH").map(|path| ("LD_LIBRARY_PATH", path)));
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// Makes this user the owner of a file.
    pub(super) fn give(self, path: &Utf8Path) -> Result<(), ScratchError> {
        let Some((uid, gid)) = self.user else { return Ok(()) };
        std::os::unix::fs::lchown(path, Some(uid), Some(gid))
            .map_err(|source| ScratchError::file(path, source))
    }
}

/// Makes a directory that only the server's user (and root) can enter.
pub(super) fn make_service_dir(dir: &Utf8Path, service: Service) -> Result<(), ScratchError> {
    lease::make_dir(dir)?;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700))
        .map_err(|source| ScratchError::file(dir, source))?;
    service.give(dir)
}

/// Copies a directory with modes, for a user.
pub(super) fn copy_tree(
    from: &Utf8Path,
    to: &Utf8Path,
    service: Service,
) -> Result<(), ScratchError> {
    make_service_dir(to, service)?;
    let entries = from.read_dir_utf8().map_err(|source| ScratchError::file(from, source))?;
    for entry in entries {
        let entry = entry.map_err(|source| ScratchError::file(from, source))?;
        let target = to.join(entry.file_name());
        let kind = entry.file_type().map_err(|e| ScratchError::file(entry.path(), e))?;
        if kind.is_dir() {
            copy_tree(entry.path(), &target, service)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), &target).map_err(|e| ScratchError::file(&target, e))?;
            service.give(&target)?;
        }
    }
    Ok(())
}
