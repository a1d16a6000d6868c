//! A Markdown page: its fenced blocks, its links, its directives to these tests.

use std::{collections::BTreeSet, fs, ops::Range};

use camino::Utf8PathBuf;

pub(super) struct Page {
    pub(super) path: Utf8PathBuf,
    pub(super) text: String,
}

/// A fenced block, or a comment `<!-- docs-test … -->`, which only these tests see.
pub(super) struct Block {
    /// The word behind the fence, or the rest of the comment's first line behind `docs-test`.
    pub(super) kind: String,
    pub(super) is_directive: bool,
    /// Bytes of what is inside.
    pub(super) inside: Range<usize>,
    /// Line of the fence, from 1.
    pub(super) line: usize,
}

const DIRECTIVE: &str = "<!-- docs-test";

impl Page {
    pub(super) fn read(path: Utf8PathBuf) -> Self {
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        Self { path, text }
    }

    pub(super) fn blocks(&self) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        let (mut offset, mut open) = (0, None::<&str>);
        for (line, text) in self.text.split_inclusive('\n').enumerate() {
            let trimmed = text.trim();
            let behind = offset + text.len();
            let block = |kind: &str, is_directive| {
                let kind = kind.trim().to_owned();
                Block { kind, is_directive, inside: behind..behind, line: line + 1 }
            };
            match open {
                None if trimmed.starts_with("```") => {
                    blocks.push(block(&trimmed[3..], false));
                    open = Some("```");
                }
                None if trimmed.starts_with(DIRECTIVE) => {
                    let kind = trimmed[DIRECTIVE.len()..].trim_end_matches("-->");
                    blocks.push(block(kind, true));
                    open = (!trimmed.ends_with("-->")).then_some("-->");
                }
                Some(end) if trimmed.ends_with(end) && (end == "-->" || trimmed == end) => {
                    open = None;
                }
                Some(_) => blocks.last_mut().unwrap().inside.end = behind,
                None => {}
            }
            offset += text.len();
        }
        assert!(open.is_none(), "{}: a block is not closed", self.path);
        blocks
    }

    pub(super) fn inside(&self, block: &Block) -> &str {
        &self.text[block.inside.clone()]
    }

    /// Returns the targets of links into the repository, with their lines.
    pub(super) fn links(&self) -> Vec<(usize, String)> {
        let fenced: Vec<Range<usize>> = self.blocks().into_iter().map(|b| b.inside).collect();
        let mut links = Vec::new();
        for (at, _) in self.text.match_indices("](") {
            if fenced.iter().any(|range| range.contains(&at)) {
                continue;
            }
            let rest = &self.text[at + 2..];
            let target = &rest[..rest.find([')', '\n']).unwrap()];
            if !target.contains("://") {
                let line = self.text[..at].matches('\n').count() + 1;
                links.push((line, target.to_owned()));
            }
        }
        links
    }
}

/// Returns what links may point to in a page, as GitHub makes it from headings.
pub(super) fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |line: &str| -> String {
        let words = line.trim_start_matches('#').trim().to_lowercase();
        let kept = words.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(anchor).collect()
}
