//! What the documents say is so: their commands are the tool's, their sessions are recorded, their
//! tables are the planner's, their links and the tests they name exist.
//!
//! `NEWCOL_BLESS=1 cargo test -p newcol-tests docs` records sessions and writes tables anew.

mod engines;
mod guarantees;
mod page;
mod sessions;
mod words;

use camino::{Utf8Path, Utf8PathBuf};

use self::page::Page;

fn root() -> &'static Utf8Path {
    Utf8Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Every page that people wrote, the README among them. `cli.md` and the rules are made from the tool.
fn pages() -> Vec<Page> {
    let mut dirs = vec![root().join("docs")];
    let mut paths = vec![root().join("README.md")];
    while let Some(dir) = dirs.pop() {
        for entry in dir.read_dir_utf8().unwrap() {
            let path = entry.unwrap().into_path();
            match path.extension() {
                _ if path.is_dir() => dirs.push(path),
                Some("md") if !path.ends_with("cli.md") && !path.as_str().contains("/rules/") => {
                    paths.push(path);
                }
                _ => {}
            }
        }
    }
    paths.sort();
    paths.into_iter().map(Page::read).collect()
}

/// Whether what is made may be written.
fn blesses() -> bool {
    std::env::var_os("NEWCOL_BLESS").is_some() && std::env::var_os("CI").is_none()
}

#[test]
fn links_lead_somewhere() {
    let mut dead = Vec::new();
    for page in pages() {
        for (line, target) in page.links() {
            let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let path = match file {
                "" => page.path.clone(),
                file => page.path.parent().unwrap().join(file),
            };
            let there = path.is_dir()
                || std::fs::read_to_string(&path)
                    .is_ok_and(|text| anchor.is_empty() || page::anchors(&text).contains(anchor));
            if !there {
                dead.push(format!("{}:{line}: {target}", page.path));
            }
        }
    }
    assert!(dead.is_empty(), "{}", dead.join("\n"));
}

#[test]
fn every_page_is_in_the_list_of_pages() {
    let list = Page::read(root().join("docs/README.md"));
    let listed: Vec<Utf8PathBuf> =
        list.links().into_iter().map(|(_, target)| root().join("docs").join(target)).collect();
    for page in pages() {
        let is_listed = listed.contains(&page.path);
        let is_list = page.path.ends_with("README.md");
        assert!(is_listed || is_list, "{} is missing in docs/README.md", page.path);
    }
}
