//! An audit that remembers says what one says that reads everything anew.

use std::collections::BTreeSet;

use newcol_core::{
    audit::{Finding, SourceFile, Subject, examine, rust::Memory},
    backend::Backend,
    schema::SchemaFile,
};

use super::programs::{PROGRAMS, Program, schema};
use crate::chance::{Chance, seed};

fn subject(program: &Program) -> Subject {
    let contract = program.contract();
    let text = schema(program.written);
    let parsed = SchemaFile::parse(&text).unwrap();
    let module = ["schema".to_owned()];
    let engines = BTreeSet::from([Backend::Sqlite, Backend::Postgres]);
    Subject::new(contract.path(), Some(&contract), (&text, &module), &parsed, engines).unwrap()
}

/// The programs, and a script.
fn corpus() -> Vec<SourceFile> {
    let mut files: Vec<SourceFile> = PROGRAMS
        .iter()
        .map(|program| SourceFile { path: program.path(), text: program.text() })
        .collect();
    files.push(SourceFile {
        path: "seeds.sql".into(),
        text: "INSERT INTO users VALUES (1, 'a', NULL, 1);\n".to_owned(),
    });
    files
}

/// Changes, removes, adds, renames or swaps files.
fn edit(files: &mut Vec<SourceFile>, chance: &mut Chance, number: usize) {
    let mut pick = |end: usize| chance.below(end as u64) as usize;
    if files.len() < 3 {
        files.extend(corpus());
    }
    let at = pick(files.len());
    match pick(6) {
        0 => drop(files.remove(at)),
        1 => {
            files[at].path =
                format!("moved/{number}.{}", files[at].path.extension().unwrap()).into()
        }
        2 => {
            let text = files[at].text.replace("users", ["posts", "users "][pick(2)]);
            files.push(SourceFile { path: format!("added/{number}.rs").into(), text });
        }
        3 => {
            let other = pick(files.len());
            let text = std::mem::take(&mut files[at].text);
            files[at].text = std::mem::replace(&mut files[other].text, text);
        }
        4 => {
            // Of the same length.
            let names = ["name", "nick", "team"];
            let (from, to, times) = (names[pick(3)], names[pick(3)], 1 + pick(3));
            files[at].text = files[at].text.replacen(from, to, times);
        }
        _ => {
            let lines: Vec<&str> = files[at].text.split_inclusive('\n').collect();
            let (from, many) = (pick(lines.len() + 1), pick(4));
            let kept = lines[..from].iter().chain(lines.iter().skip(from + many));
            files[at].text = kept.copied().collect();
        }
    }
    files.sort_by(|one, other| one.path.cmp(&other.path));
    files.dedup_by(|one, other| one.path == other.path);
}

/// Damages what is kept: a byte, or its end.
fn damage(kept: &mut Vec<u8>, chance: &mut Chance) {
    let at = chance.below(kept.len() as u64) as usize;
    if chance.once_in(4) {
        kept.truncate(at);
    } else {
        kept[at] ^= 1 << chance.below(8);
    }
}

#[test]
fn what_is_remembered_changes_no_finding() {
    let mut chance = Chance::of(seed());
    let subjects: Vec<Subject> = PROGRAMS.iter().step_by(3).map(subject).collect();
    let look = |files: &[SourceFile], memory: &Memory| -> Vec<Finding> {
        subjects.iter().flat_map(|subject| examine(subject, files, memory)).collect()
    };
    let (mut files, mut kept) = (corpus(), Vec::new());
    let (mut found, mut unchanged) = (0, 0);
    for number in 0..40 {
        for _ in 0..chance.below(3) {
            edit(&mut files, &mut chance, number);
        }
        let memory = Memory::stored(kept.clone());
        let (said, anew) = (look(&files, &memory), look(&files, &Memory::default()));
        assert_eq!(said, anew, "round {number}");
        found += said.len();
        match memory.to_store() {
            Some(store) => kept = store,
            None => unchanged += 1,
        }
        let known = Memory::stored(kept.clone());
        assert_eq!(look(&files, &known), anew, "round {number}, again");
        assert_eq!(known.to_store(), None, "round {number}: all of it was known");
        if chance.once_in(3) {
            damage(&mut kept, &mut chance);
        }
    }
    assert!(found > 100 && unchanged > 0, "{found} findings, {unchanged} without a change");
}
