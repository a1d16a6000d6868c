//! What one audit keeps for the next.

use std::fs;

use camino::{Utf8Path, Utf8PathBuf};
use newcol_testkit::{Tool, command::CommandOutput, project::Project};

use crate::{
    desk::{self, Tree, newcol, wrapped},
    small_disk::SmallDisk,
};

const AUDIT: &[&str] = &["audit", "users.locale", "--message-format", "short"];

const CODE: &str = "use diesel::prelude::*;
#[derive(Queryable)]
pub struct User { id: i32, name: String, settings: Option<String> }
pub fn all(c: &mut PgConnection) -> QueryResult<Vec<User>> {
    crate::schema::users::table.load(c)
}
";

/// A project that Cargo has built in.
fn project() -> Project {
    let project = desk::one_crate("postgres").file("src/db.rs", CODE).build().unwrap();
    fs::create_dir(project.root().join("target")).unwrap();
    project
}

/// Returns the files below the target directory.
fn kept(root: &Utf8Path) -> Vec<Utf8PathBuf> {
    let files = |dir: Utf8PathBuf| -> Vec<Utf8PathBuf> {
        let entries = dir.read_dir_utf8().into_iter().flatten();
        entries.map(|entry| entry.unwrap().into_path()).collect()
    };
    files(root.join("target/newcol")).into_iter().flat_map(files).collect()
}

fn finds_the_place(output: &CommandOutput) {
    assert_eq!(output.code(), Some(100), "{output}");
    assert!(output.stdout.starts_with("src/db.rs:5:33: compile[NC001]"), "{output}");
    assert!(!output.stderr.contains("error") && !output.stderr.contains("warning"), "{output}");
}

#[test]
fn one_file_of_the_target_directory_is_written_and_only_when_something_is_new() {
    let project = project();
    finds_the_place(&newcol(&project, AUDIT));
    let [file] = <[_; 1]>::try_from(kept(project.root())).unwrap();
    let first = fs::read(&file).unwrap();
    let before = Tree::of(project.root());
    finds_the_place(&newcol(&project, AUDIT));
    assert_eq!(before.changes(&Tree::of(project.root())), "");
    // A line above moves the place; another length or time is not needed to see it.
    project
        .write(
            "src/db.rs",
            &CODE.replace("table.load", "table .load").replace("Vec<User>", "Vec<User> "),
        )
        .unwrap();
    let moved = newcol(&project, AUDIT);
    assert!(moved.stdout.starts_with("src/db.rs:5:34: compile[NC001]"), "{moved}");
    assert_ne!(fs::read(&file).unwrap(), first);
    assert_eq!(kept(project.root()), [file]);
}

#[test]
fn a_project_without_target_directory_gets_none() {
    let project = desk::one_crate("postgres").file("src/db.rs", CODE).build().unwrap();
    let before = Tree::of(project.root());
    finds_the_place(&newcol(&project, AUDIT));
    assert_eq!(before.changes(&Tree::of(project.root())), "");
}

#[test]
fn nothing_is_read_or_kept_when_that_is_not_wanted() {
    let project = project();
    let anew = [AUDIT, &["--no-cache"]].concat();
    finds_the_place(&newcol(&project, &anew));
    assert_eq!(kept(project.root()), [""; 0]);
    drop(newcol(&project, AUDIT));
    let [file] = <[_; 1]>::try_from(kept(project.root())).unwrap();
    project.write("src/db.rs", &format!("{CODE}\n")).unwrap();
    let before = fs::read(&file).unwrap();
    finds_the_place(&newcol(&project, &anew));
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[test]
fn what_is_damaged_or_not_ours_is_replaced() {
    let project = project();
    drop(newcol(&project, AUDIT));
    let [file] = <[_; 1]>::try_from(kept(project.root())).unwrap();
    let good = fs::read(&file).unwrap();
    let cut = good[..good.len() / 2].to_vec();
    let mut other_version = good.clone();
    other_version[8] ^= 1;
    let mut flipped = good.clone();
    *flipped.last_mut().unwrap() ^= 1;
    for bad in [Vec::new(), b"{}".to_vec(), cut, other_version, flipped] {
        fs::write(&file, bad).unwrap();
        finds_the_place(&newcol(&project, AUDIT));
        assert_eq!(fs::read(&file).unwrap(), good);
    }
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    finds_the_place(&newcol(&project, AUDIT));
}

#[test]
fn who_may_not_write_does_without() {
    let project = project();
    let target = project.root().join("target");
    let script = "mount --bind -o ro \"$1\" \"$1\" && mount -o remount,bind,ro \"$1\" && shift && exec \"$@\"";
    let wrap = ["unshare", "-rm", "sh", "-c", script, "sh", target.as_str()];
    let allowed = Tool::new("unshare").args(["-rm", "true"]).run().unwrap().code() == Some(0);
    if !allowed {
        assert!(std::env::var_os("CI").is_none(), "mounting in a namespace is not permitted here");
        eprintln!("skipped: mounting in a namespace is not permitted");
        return;
    }
    finds_the_place(&wrapped(&project, &wrap, AUDIT));
    let told = wrapped(&project, &wrap, &[AUDIT, &["-v"]].concat());
    assert!(told.stderr.contains("what was read is not kept for the next audit: "), "{told}");
    assert_eq!(kept(project.root()), [""; 0]);
}

#[test]
fn a_full_disk_is_done_without() {
    let project = desk::one_crate("postgres").file("src/db.rs", CODE).build().unwrap();
    let Some(disk) = SmallDisk::new(1, env!("CARGO_MANIFEST_DIR")) else { return };
    let room = 1 << 20;
    disk.fill(room - 8192);
    let run =
        || desk::tool(project.root(), AUDIT).env("CARGO_TARGET_DIR", disk.dir()).run().unwrap();
    project
        .write(
            "src/large.rs",
            &format!("fn large() {{ {} }}", "sql_query(\"SELECT 1\"); ".repeat(2000)),
        )
        .unwrap();
    finds_the_place(&run());
    let left = |dir: &Utf8Path| -> usize {
        let entries = dir.join("newcol").read_dir_utf8().into_iter().flatten();
        entries.map(|entry| entry.unwrap().path().read_dir_utf8().unwrap().count()).sum()
    };
    assert_eq!(left(disk.dir()), 0, "half a file is left");
    disk.empty();
    finds_the_place(&run());
    assert_eq!(left(disk.dir()), 1);
}
