//! Every command line that a document shows is one that the tool takes.

use clap::error::ErrorKind;

use super::pages;

/// Cuts a command line as a shell does; the rest behind a pipe, a redirection or a comment is not ours.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word) = (Vec::new(), None::<String>);
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\'' => word.get_or_insert_default().extend(chars.by_ref().take_while(|c| *c != '\'')),
            '"' => word.get_or_insert_default().extend(chars.by_ref().take_while(|c| *c != '"')),
            '\\' => match chars.next() {
                Some('\n') | None => {}
                Some(c) => word.get_or_insert_default().push(c),
            },
            c if c.is_whitespace() => words.extend(word.take()),
            '|' | ';' | '&' | '#' if word.is_none() => break,
            '>' if word.is_none() => break,
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// Returns what follows each `cargo newcol ` of a text, as far as its command goes, and whether it is a
/// command of its own.
fn commands(text: &str) -> Vec<(String, bool)> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("cargo newcol ") {
        let mut command = String::new();
        // What a command prints names others in backticks.
        let quoted = text[..at].ends_with('`');
        let end = text[at..].find('`').filter(|_| quoted).map_or(text.len(), |len| at + len);
        for line in text[at..end].lines() {
            command.push_str(line);
            // Open quotes and a backslash lead to the next line.
            let quotes = command.replace("\\'", "").matches('\'').count() % 2 == 1;
            if !quotes && !line.ends_with('\\') {
                break;
            }
            command.push('\n');
        }
        found.push((command, !quoted));
    }
    found
}

/// Returns why the tool would not take a command, as far as the document is to blame.
fn refusal(command: &str, is_whole: bool) -> Option<String> {
    let placeholders =
        [("<column>", "users.locale"), ("<COLUMN>", "users.locale"), ("<table.column>", "t.c")];
    let mut command = command.to_owned();
    for (placeholder, column) in placeholders {
        command = command.replace(placeholder, column);
    }
    let mut words = words(&command);
    // The tool is asked as Cargo asks it, or without Cargo's word.
    words.remove(1);
    // Dots stand for a value, or for more words.
    let is_dots = |word: &String| word == "..." || word == "…";
    let is_cut = words.iter().any(is_dots);
    for at in 1..words.len() {
        if is_dots(&words[at]) && words[at - 1].starts_with("--") {
            words[at] = "postgres://db/app".to_owned();
        }
    }
    words.retain(|word| !is_dots(word));
    let error = cargo_newcol::command().try_get_matches_from(&words).err()?;
    let is_wrong = match error.kind() {
        ErrorKind::UnknownArgument | ErrorKind::InvalidSubcommand | ErrorKind::InvalidValue => true,
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => false,
        _ => is_whole && !is_cut,
    };
    is_wrong.then(|| format!("`{command}`\n{error}"))
}

#[test]
fn command_lines_are_the_tools_own() {
    let mut seen = 0;
    let mut wrong = Vec::new();
    for page in pages() {
        let mut rest = page.text.clone();
        for block in page.blocks().iter().rev() {
            for (command, is_whole) in commands(page.inside(block)) {
                seen += 1;
                wrong.extend(
                    refusal(&command, is_whole)
                        .map(|why| format!("{}:{}: {why}", page.path, block.line)),
                );
            }
            rest.replace_range(block.inside.clone(), "");
        }
        for (at, part) in rest.split('`').enumerate().filter(|(at, _)| at % 2 == 1) {
            if part.starts_with("cargo newcol ") {
                seen += 1;
                let part = part.replace('\n', " ");
                wrong.extend(
                    refusal(&part, false).map(|why| format!("{} ({at}): {why}", page.path)),
                );
            }
        }
    }
    assert!(seen > 60, "only {seen} commands were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_wrong_command_line_is_found() {
    assert!(refusal("cargo newcol plan users.locale --no-such-flag", false).is_some());
    assert!(refusal("cargo newcol paln users.locale", false).is_some());
    assert!(refusal("cargo newcol undo", true).is_some());
    assert!(refusal("cargo newcol undo", false).is_none());
    assert_eq!(words(r#"a 'b c' "d e" f\ g | h"#), ["a", "b c", "d e", "f g"]);
}
