//! `cargo newcol rehearse --old-rev`: the old release's own command at every stage.

use std::{
    fs,
    process::{Command, Stdio},
    time::Duration,
};

use camino::{Utf8Path, Utf8PathBuf};
use insta::assert_snapshot;
use newcol_testkit::{
    Project,
    command::{CommandOutput, Tool},
    wait::{wait_for, wait_until},
};

use super::REQUIRED;
use crate::desk::{self, Tree, newcol, said, tool};

const LIMIT: Duration = Duration::from_secs(60);

/// Fails where the table is gone, as any test of the table does.
const USES_THE_TABLE: &str = "test $NEWCOL_STAGE != without-table";

/// A project whose old release is committed, and whose column is not.
struct Repository(Project);

impl Repository {
    fn new() -> Self {
        let project = desk::one_crate("sqlite")
            .file("mark.txt", "old\n")
            .file(".gitignore", "target\n*.out\n")
            .build()
            .unwrap();
        let repository = Self(project);
        repository.git(&["init", "--quiet"]);
        repository.commit();
        drop(newcol(&repository.0, REQUIRED).success());
        repository
    }

    fn git(&self, args: &[&str]) -> String {
        let done = Command::new("git")
            .args(["-c", "user.name=x", "-c", "user.email=x@x", "-C"])
            .arg(self.0.root())
            .args(args)
            .output()
            .unwrap();
        assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    }

    fn commit(&self) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", "old"]);
    }

    fn path(&self, name: &str) -> Utf8PathBuf {
        self.0.root().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// Prepares a rehearsal with a script, which finds the project at `$PROJECT`.
    fn rehearsal(&self, script: &str) -> Tool {
        let args = ["rehearse", "users.locale", "--old-rev", "HEAD", "--", "sh", "-c", script];
        tool(self.0.root(), &args).env("PROJECT", self.0.root())
    }

    fn rehearse(&self, script: &str) -> CommandOutput {
        self.rehearsal(script).run().unwrap()
    }

    /// Rehearses with a command that does something and then uses the table.
    fn holds(&self, script: &str) -> CommandOutput {
        self.rehearse(&format!("{script}\n{USES_THE_TABLE}")).success()
    }
}

#[test]
fn the_old_release_runs_its_own_tests_at_every_stage() {
    let repository = Repository::new();
    repository.0.write("mark.txt", "new\n").unwrap();
    let script = "test -s \"$DATABASE_URL\" && grep -qx old mark.txt || exit 1\n\
                  ! grep -qa 'TABLE \"newcol_away\"' \"$DATABASE_URL\"";
    let run = said(&repository.rehearse(script).success());
    assert!(run.contains("  without-table: fails in [DURATION], as it must\n"), "{run}");
    assert!(run.contains("  expand: passes in [DURATION]\n"), "{run}");
    let run = repository.rehearse("echo I stop at $NEWCOL_STAGE; test $NEWCOL_STAGE = before");
    assert_eq!(run.code(), Some(100));
    let told = "expand: the old release's command ends with 1:\n    I stop at expand";
    assert_eq!(run.stdout.matches(told).count(), 1, "{run}");
    assert!(said(&run).contains("  expand: fails in [DURATION], and must not\n"), "{run}");
    assert!(said(&run).contains("constrain: fails in [DURATION], as it may by then"), "{run}");
    let args = ["rehearse", "users.locale", "--old-rev", "no-such", "--", "true"];
    assert_snapshot!(said(&newcol(&repository.0, &args)), @"
    exit code: 101
    ----- stdout -----
    ----- stderr -----
    error: could not rehearse on SQLite
      because: could not run the old release
      because: `no-such` names no commit of the repository at [TEMP]
    ");
}

#[test]
fn what_the_command_prints_is_seen_while_it_runs() {
    let repository = Repository::new();
    let run = repository.holds("echo to you; echo and you >&2");
    let told = "rehearsing on SQLite: the old release after expand\n  to you\n  and you\n";
    assert!(run.stderr.contains(told), "{run}");
    let args = ["-q", "rehearse", "users.locale", "--old-rev", "HEAD", "--", "echo", "to you"];
    assert_eq!(newcol(&repository.0, &args).stderr, "");
}

#[test]
fn a_command_that_fails_without_any_stage_proves_nothing_about_stages() {
    let repository = Repository::new();
    let run = repository.rehearse("echo $NEWCOL_STAGE >> \"$PROJECT/stages.out\"; exit 3");
    assert_eq!(run.code(), Some(100));
    assert_eq!(repository.read("stages.out"), "before\n");
    let told = "before: the old release's command ends with 3 without any stage, so that none was \
                tried";
    assert!(run.stdout.contains(told), "{run}");
    let args = ["rehearse", "users.locale", "--old-rev", "HEAD", "--", "no-such-program"];
    let run = newcol(&repository.0, &args);
    assert_eq!(run.code(), Some(100));
    let told = "tried:\n    could not run `no-such-program`: No such file";
    assert!(run.stdout.contains(told), "{run}");
}

#[test]
fn a_command_that_does_without_the_table_proves_nothing() {
    let repository = Repository::new();
    let run = repository.rehearse("echo $NEWCOL_STAGE >> \"$PROJECT/stages.out\"");
    assert_eq!(run.code(), Some(100));
    assert_eq!(repository.read("stages.out"), "before\nwithout-table\n");
    let told = "- [old release] without-table: the old release's command passes without the \
                column's table, so that it proves nothing and no stage was tried\n";
    assert!(run.stdout.contains(told), "{run}");
}

#[test]
fn a_command_that_waits_for_the_table_is_ended() {
    let repository = Repository::new();
    let run = repository.holds("test $NEWCOL_STAGE != without-table || sleep 1000");
    let told = said(&run);
    assert!(told.contains("  without-table: comes to no end in [DURATION]\n"), "{run}");
    assert!(told.contains("  expand: passes in [DURATION]\n"), "{run}");
}

#[test]
fn nothing_is_left_of_a_rehearsal_that_is_stopped() {
    let repository = Repository::new();
    let script = "sleep 1000 & echo $! > \"$PROJECT/sleeper.out\"; wait";
    let command = repository.rehearsal(script).command().stderr(Stdio::piped()).spawn();
    let mut command = command.unwrap();
    wait_until("sleeper", LIMIT, || !repository.read("sleeper.out").is_empty()).unwrap();
    let pid = command.id().to_string();
    Command::new("kill").args(["-TERM", &pid]).status().unwrap();
    let status = wait_for("end", LIMIT, || command.try_wait().unwrap()).unwrap();
    assert_eq!(status.code(), Some(101));
    assert!(!is_alive(&repository.read("sleeper.out")));
    assert_eq!(repository.git(&["worktree", "list"]).lines().count(), 1);
}

#[test]
fn what_the_command_leaves_running_ends_with_it() {
    let repository = Repository::new();
    drop(repository.holds("sleep 1000 & echo $! >> \"$PROJECT/sleepers.out\""));
    let sleepers = repository.read("sleepers.out");
    assert!(sleepers.lines().count() > 1);
    assert!(sleepers.lines().all(|pid| !is_alive(pid)));
}

fn is_alive(pid: &str) -> bool {
    Command::new("kill").args(["-0", pid.trim()]).output().unwrap().status.success()
}

#[test]
fn files_that_two_old_releases_share_keep_their_time_stamps() {
    let repository = Repository::new();
    repository.0.write("Other.txt", "1\n").unwrap();
    repository.commit();
    let script = "test ! -e junk || exit 1; test $NEWCOL_STAGE != contract || touch junk\n\
                  ls --full-time .git/HEAD .git/index mark.txt Other.txt > \"$PROJECT/times.out\"";
    drop(repository.holds(script));
    let before = repository.read("times.out");
    drop(repository.holds(script));
    assert_eq!(repository.read("times.out"), before);
    repository.0.write("Other.txt", "2\n").unwrap();
    repository.commit();
    drop(repository.holds(script));
    let after = repository.read("times.out");
    let changed: Vec<bool> = before.lines().zip(after.lines()).map(|(a, b)| a != b).collect();
    assert_eq!(changed[2..], [true, false], "{before}{after}");
}

#[test]
fn the_repository_is_not_touched() {
    let repository = Repository::new();
    let before = Tree::of(&repository.path(".git"));
    // As in a hook of a commit of some files.
    let run = repository
        .rehearsal(&format!("cat mark.txt\n{USES_THE_TABLE}"))
        .env("GIT_INDEX_FILE", repository.path("index.out"))
        .env("GIT_DIR", repository.path(".git"))
        .run();
    drop(run.unwrap().success());
    assert_eq!(Tree::of(&repository.path(".git")), before);
    assert!(!repository.path("index.out").exists());
}

#[test]
fn a_tree_that_cannot_be_used_is_made_again() {
    let repository = Repository::new();
    drop(repository.holds("true"));
    let objects = repository.path("target/newcol/old-release/tree/.git/objects/info/alternates");
    fs::write(objects, "/no/such/place\n").unwrap();
    drop(repository.holds("git log -1"));
}

#[test]
fn build_scripts_find_tags_and_a_head() {
    let repository = Repository::new();
    let script = "test -f .git/HEAD && git describe --tags > \"$PROJECT/tag.out\"";
    for tag in ["v1", "v2"] {
        repository.0.write("mark.txt", tag).unwrap();
        repository.commit();
        repository.git(&["tag", tag]);
        drop(repository.holds(script));
        assert_eq!(repository.read("tag.out").trim(), tag);
    }
}

#[test]
fn a_shallow_clone_has_old_releases_too() {
    let upstream = Repository::new();
    upstream.commit();
    let dir = tempfile::tempdir().unwrap();
    let clone = dir.path().join("clone").to_str().unwrap().to_owned();
    let url = format!("file://{}", upstream.0.root());
    upstream.git(&["clone", "--quiet", "--depth", "1", &url, &clone]);
    let script = format!("cat mark.txt\n{USES_THE_TABLE}");
    let args = ["rehearse", "users.locale", "--old-rev", "HEAD", "--", "sh", "-c", &script];
    drop(tool(Utf8Path::new(&clone), &args).run().unwrap().success());
}

#[test]
fn two_rehearsals_do_not_share_a_tree() {
    let repository = Repository::new();
    let tool = env!("CARGO_BIN_EXE_newcol-under-test");
    let script = format!(
        "cd \"$PROJECT\" && env -u CARGO_TARGET_DIR {tool} rehearse users.locale --old-rev HEAD -- true 2> second.out; \
         test $? = 101 || exit 1"
    );
    drop(repository.holds(&script));
    let said = repository.read("second.out");
    assert!(said.contains("because: another rehearsal is using"), "{said}");
}

#[test]
fn the_build_goes_where_the_project_builds() {
    let repository = Repository::new();
    let elsewhere = tempfile::tempdir().unwrap();
    let script = format!("echo $CARGO_TARGET_DIR > \"$PROJECT/target.out\"\n{USES_THE_TABLE}");
    let run = repository.rehearsal(&script).env("CARGO_TARGET_DIR", elsewhere.path()).run();
    drop(run.unwrap().success());
    let expected = elsewhere.path().join("newcol/old-release/target");
    assert_eq!(repository.read("target.out").trim(), expected.to_str().unwrap());
    assert!(!repository.path("target").exists());
}

#[test]
fn the_toolchain_of_the_old_release_counts() {
    let script = "echo toolchain: $RUSTUP_TOOLCHAIN > \"$PROJECT/toolchain.out\"";
    let script = format!("{script}\n{USES_THE_TABLE}");
    let repository = Repository::new();
    // Cargo itself, as rustup has no such toolchain.
    let set = |tool: Tool| tool.env("RUSTUP_TOOLCHAIN", "new").env("CARGO", env!("CARGO"));
    let rehearse = || {
        drop(set(repository.rehearsal(&script)).run().unwrap().success());
        repository.read("toolchain.out")
    };
    assert_eq!(rehearse(), "toolchain: new\n");
    repository.0.write("rust-toolchain", "stable\n").unwrap();
    repository.commit();
    assert_eq!(rehearse(), "toolchain:\n");
}
