//! Files that cannot be written, and commands that were killed while they wrote.

use std::{fs, os::unix::fs::PermissionsExt as _, process::Command};

use camino::Utf8Path;
use newcol_testkit::{command::CommandOutput, project::Project};

use super::{faults, stderr};
use crate::desk::{self, AND_SO_ON, Tree, newcol, wrapped};

const ADD: &[&str] = &["add", "users.locale", AND_SO_ON];

/// Root ignores permission bits unless it gives up the capabilities to do so.
fn as_one_who_obeys_permissions(project: &Project, args: &[&str]) -> CommandOutput {
    let id = Command::new("id").arg("-u").output().unwrap();
    if id.stdout.trim_ascii() == b"0" {
        let wrap = [
            "setpriv",
            "--bounding-set=-dac_override,-dac_read_search,-fowner",
            "--inh-caps=-dac_override,-dac_read_search,-fowner",
        ];
        wrapped(project, &wrap, args)
    } else {
        newcol(project, args)
    }
}

#[track_caller]
fn check(output: &CommandOutput, before: &Tree, root: &Utf8Path) -> String {
    let wrong = faults(output, 101);
    assert!(wrong.is_empty(), "{}\n{output}", wrong.join("; "));
    assert_eq!(before.changes(&Tree::of(root)), "", "files changed\n{output}");
    stderr(output)
}

fn mode(path: &Utf8Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn what_may_not_be_written_is_left_alone() {
    let mut all = String::new();
    for path in [".", "src", "src/schema.rs", "migrations"] {
        let project = desk::one_crate("postgres").build().unwrap();
        let target = project.root().join(path);
        mode(&target, if target.is_dir() { 0o555 } else { 0o444 });
        let before = Tree::of(project.root());
        let output = as_one_who_obeys_permissions(&project, ADD);
        all.push_str(&format!("## {path}\n{}\n", check(&output, &before, project.root())));
        mode(&target, 0o755);
    }
    insta::assert_snapshot!("read_only", all);
}

#[test]
fn what_may_not_be_read_is_named() {
    let project = desk::one_crate("postgres").build().unwrap();
    let schema = project.root().join("src/schema.rs");
    let before = Tree::of(project.root());
    mode(&schema, 0o000);
    let output = as_one_who_obeys_permissions(&project, ADD);
    mode(&schema, 0o644);
    insta::assert_snapshot!(check(&output, &before, project.root()), @"
    exit code: 101
    error: could not read a file of the project
      --> src/schema.rs
      because: Permission denied (os error 13)
    help: mend that, then run the command again
    ");
}

/// The limit on the size of a file stands for a disk that fills up after some files are written:
/// the first ones fit, the next does not.
#[test]
fn a_disk_that_fills_up_half_way_changes_nothing() {
    let mut all = String::new();
    // In blocks of 512 bytes: first the journal does not fit, then a migration, then schema.rs.
    for blocks in ["0", "1", "2"] {
        let project = desk::one_crate("postgres").build().unwrap();
        let padding = "// padding, so that this file is the largest\n".repeat(40);
        project.write("src/schema.rs", &format!("{}{padding}", desk::SCHEMA)).unwrap();
        let before = Tree::of(project.root());
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\"");
        let output = wrapped(&project, &["sh", "-c", &script, "sh"], ADD);
        let text = check(&output, &before, project.root());
        all.push_str(&format!("## {blocks} blocks\n{text}\n"));
    }
    insta::assert_snapshot!("file_size_limit", all);
}

/// A real full disk, in a mount namespace of its own.
#[test]
fn a_full_disk_changes_nothing() {
    const SCRIPT: &str = r#"
        set -eu
        project=$1 disk=$2; shift 2
        mount -t tmpfs -o size=256k,nr_inodes=200 tmpfs "$disk"
        cp -a "$project/." "$disk"
        cd "$disk"
        head -c 1M /dev/zero >ballast 2>/dev/null || true
        tree() { find . -printf '%p %m %s\n' | sort; find . -type f -exec sha256sum {} + | sort; }
        tree >"$TREE.before"
        code=0; "$@" || code=$?
        tree >"$TREE.after"
        exit "$code"
    "#;
    let project = desk::one_crate("postgres").build().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let outside = Utf8Path::from_path(outside.path()).unwrap();
    let (disk, trees) = (outside.join("disk"), outside.join("tree"));
    fs::create_dir(&disk).unwrap();
    let allowed = Command::new("unshare")
        .args(["-rm", "sh", "-c", "mount -t tmpfs tmpfs \"$1\"", "sh", disk.as_str()])
        .status()
        .is_ok_and(|status| status.success());
    if !allowed {
        assert!(std::env::var_os("CI").is_none(), "mounting in a namespace is not permitted here");
        eprintln!("a_full_disk_changes_nothing: skipped, mounting in a namespace is not permitted");
        return;
    }
    let trees_env = format!("TREE={trees}");
    let wrap = [
        "unshare",
        "-rm",
        "env",
        &trees_env,
        "sh",
        "-c",
        SCRIPT,
        "sh",
        project.root().as_str(),
        disk.as_str(),
    ];
    let output = wrapped(&project, &wrap, ADD);
    let wrong = faults(&output, 101);
    assert!(wrong.is_empty(), "{}\n{output}", wrong.join("; "));
    let tree = |when: &str| fs::read_to_string(format!("{trees}.{when}")).unwrap();
    assert!(tree("before").contains("./ballast"));
    assert_eq!(tree("before"), tree("after"));
    let text = stderr(&output).replace(outside.as_str(), "[DISK]");
    insta::assert_snapshot!(text, @"
    exit code: 101
    error: could not write .newcol-journal
      --> .newcol-journal
      because: No space left on device (os error 28)
    help: nothing was changed; run the command again when it is mended
    ");
}

/// What a kill leaves behind, at the moments that differ: the journal alone, new contents beside
/// their targets, some files replaced, and all of them.
#[test]
fn the_next_command_undoes_one_that_was_killed() {
    let add = |project: &Project| newcol(project, ADD).success();
    let finished = desk::one_crate("sqlite").build().unwrap();
    drop(add(&finished));
    let after = finished.read("src/schema.rs").unwrap();
    for moment in 0..4 {
        let project = desk::one_crate("sqlite").build().unwrap();
        let root = project.root().to_owned();
        let before = Tree::of(&root);
        let (dir, schema) = (root.join("migrations/2026-02-02-000000-0000_x"), root.join("src"));
        let line = |kind: &str, dir: &Utf8Path, name: &str| {
            format!("{kind}\t{dir}/{name}\t{dir}/.{name}.newcol-old\t{dir}/.{name}.newcol-new\n")
        };
        let journal = format!(
            "directory\t{dir}\n{}{}",
            line("create", &dir, "up.sql"),
            line("replace", &schema, "schema.rs")
        );
        fs::write(root.join(".newcol-journal"), journal).unwrap();
        if moment >= 1 {
            fs::create_dir(&dir).unwrap();
            fs::write(dir.join(".up.sql.newcol-new"), "SELECT 1;").unwrap();
            fs::write(schema.join(".schema.rs.newcol-new"), &after).unwrap();
        }
        if moment >= 2 {
            fs::rename(dir.join(".up.sql.newcol-new"), dir.join("up.sql")).unwrap();
            fs::rename(schema.join("schema.rs"), schema.join(".schema.rs.newcol-old")).unwrap();
        }
        if moment >= 3 {
            fs::rename(schema.join(".schema.rs.newcol-new"), schema.join("schema.rs")).unwrap();
        }
        let killed = Tree::of(&root);
        for reading in [
            &["status"][..],
            &["plan", "users.locale"],
            &["add", "users.x", AND_SO_ON, "--dry-run"],
        ] {
            let output = newcol(&project, reading);
            let text = check(&output, &killed, &root);
            assert!(text.contains("a command was killed while it wrote its files"), "{text}");
        }
        // A command that fails for another reason mends the tree, too.
        let output = newcol(&project, &["next", "users.locale"]);
        assert_eq!(output.code(), Some(2), "{output}");
        assert!(output.stderr.contains("put back"), "{output}");
        assert_eq!(before.changes(&Tree::of(&root)), "", "killed at moment {moment}\n{output}");
        drop(add(&project));
        assert_eq!(project.read("src/schema.rs").unwrap(), after);
    }
}

/// The real thing: the tool is killed at ever later moments of its run.
#[test]
fn a_kill_at_any_time_leaves_all_or_nothing() {
    let finished = desk::one_crate("sqlite").build().unwrap();
    drop(newcol(&finished, ADD).success());
    let after = finished.read("src/schema.rs").unwrap();
    for step in 0..40 {
        let project = desk::one_crate("sqlite").build().unwrap();
        let before = Tree::of(project.root());
        let seconds = format!("{}", f64::from(step) * 0.002 + 0.01);
        let _killed: CommandOutput =
            wrapped(&project, &["timeout", "--signal=KILL", &seconds], ADD);
        // Mends what there is to mend, and says that there is no such column.
        let mended = newcol(&project, &["undo", "posts.nothing", "--yes"]);
        assert_eq!(mended.code(), Some(2), "{mended}");
        let changes = before.changes(&Tree::of(project.root()));
        let text = project.read("src/schema.rs").unwrap();
        // A lock that Diesel's own tools leave behind as well is no harm.
        let changed = changes.lines().filter(|line| !line.ends_with(".diesel_lock")).count();
        let whole = changed == 7 && text == after;
        assert!(changed == 0 || whole, "{changes}\n{mended}");
    }
}

#[test]
fn a_lock_held_by_another_process_is_respected() {
    let project = desk::one_crate("sqlite").build().unwrap();
    let lock = project.root().join("migrations/.diesel_lock");
    fs::write(&lock, "").unwrap();
    let before = Tree::of(project.root());
    let output = wrapped(&project, &["flock", lock.as_str()], ADD);
    insta::assert_snapshot!(check(&output, &before, project.root()), @"
    exit code: 101
    error: another command is creating migrations
      --> migrations/.diesel_lock
    help: wait until it is done, then run the command again
    ");
    drop(newcol(&project, ADD).success());
    assert!(lock.exists(), "a lock file that was there stays");
}

#[test]
fn a_server_that_is_not_strict_is_warned_of() {
    use newcol_core::{
        backend::Backend,
        contract::read::read,
        plan::{Plan, facts::TableFacts},
    };
    let text = "format = 1\ntable = \"t\"\ncolumn = \"c\"\nwhy = \"x\"\ntype = \"int\"\n\
                required = true\n[default]\nvalue = \"1\"\n";
    let contract = read(text).unwrap().contract;
    let facts = TableFacts { strict: false, ..TableFacts::unknown(Backend::Mysql) };
    let warnings = Plan::build(&contract, &facts).unwrap().warnings;
    assert!(warnings.iter().any(|w| w.contains("sql_mode is not strict")), "{warnings:?}");
}
