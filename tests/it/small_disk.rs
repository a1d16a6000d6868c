//! A disk of a few megabytes for a test to fill: really full when it is, and gone with the test.

use std::{
    io::{BufRead, BufReader},
    os::unix::fs::MetadataExt as _,
    process::{Child, Command, Stdio},
};

use camino::{Utf8Path, Utf8PathBuf};
use tempfile::TempDir;

/// A `tmpfs` that only a process of ours has mounted; all others reach it through that process.
pub(crate) struct SmallDisk {
    holder: Child,
    /// Through which others reach it.
    dir: Utf8PathBuf,
    mounted_at: TempDir,
    spaces: &'static str,
}

impl SmallDisk {
    /// Mounts it for the owner of a file; `None` where nobody may mount, which fails under CI.
    pub(crate) fn new(megabytes: u32, owner_of: &str) -> Option<Self> {
        // Ends when its input does, also where the test is killed, and the mount with it.
        const AS_ROOT: &str = r#"mount -t tmpfs -o size="$2"m,uid="$3" tmpfs "$1" &&
            exec setpriv --reuid="$3" --regid="$4" --clear-groups sh -c 'echo mounted; exec cat'"#;
        // In a namespace where they are called root.
        const AS_ANYBODY: &str =
            r#"mount -t tmpfs -o size="$2"m tmpfs "$1" && echo mounted && exec cat"#;
        let mounted_at = TempDir::new().unwrap();
        let at = Utf8Path::from_path(mounted_at.path()).unwrap();
        let is_root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
        let (spaces, hold) = if is_root { ("-m", AS_ROOT) } else { ("-rm", AS_ANYBODY) };
        let owner = std::fs::metadata(owner_of).unwrap();
        let mut holder = Command::new("unshare")
            .args([spaces, "sh", "-c", hold, "sh", at.as_str()])
            .args(
                [u64::from(megabytes), owner.uid().into(), owner.gid().into()]
                    .map(|n| n.to_string()),
            )
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut said).unwrap();
        if said.is_empty() {
            assert!(std::env::var_os("CI").is_none(), "mounting in a namespace is not permitted");
            eprintln!("skipped: mounting in a namespace is not permitted");
            holder.wait().unwrap();
            return None;
        }
        let dir = format!("/proc/{}/root{at}", holder.id()).into();
        Some(Self { holder, dir, mounted_at, spaces })
    }

    /// Returns a path under which everybody reaches it, with a link in it.
    pub(crate) fn dir(&self) -> &Utf8Path {
        &self.dir
    }

    /// Returns the words before a command that run it where the disk is mounted, at
    /// [`Self::mounted_at`].
    pub(crate) fn enter(&self) -> Vec<String> {
        let users: &[&str] =
            if self.spaces == "-m" { &[] } else { &["--user", "--preserve-credentials"] };
        let pid = self.holder.id().to_string();
        let words = ["nsenter", "--target", &pid, "--mount"];
        words.iter().chain(users).map(|&word| word.to_owned()).collect()
    }

    pub(crate) fn mounted_at(&self) -> &Utf8Path {
        Utf8Path::from_path(self.mounted_at.path()).unwrap()
    }

    /// Takes space away.
    pub(crate) fn fill(&self, bytes: usize) {
        std::fs::write(self.dir.join("ballast"), vec![0; bytes]).unwrap();
    }

    /// Makes the space free again.
    pub(crate) fn empty(&self) {
        std::fs::remove_file(self.dir.join("ballast")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        drop(self.holder.wait());
    }
}
