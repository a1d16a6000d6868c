//! The text of a type, taken apart: its name, its arguments, what stands around them.

use super::ValueError;

/// A type as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Written {
    /// The name without schema: in lowercase unless quoted, words joined by one blank.
    pub(super) name: String,
    /// Whether the name stood in quotes, so that it is not one of the grammar's.
    pub(super) quoted: bool,
    /// Text in the first brackets.
    pub(super) args: Option<String>,
    /// Whether it is an array.
    pub(super) array: bool,
    /// `UNSIGNED` or `ZEROFILL`.
    pub(super) unsigned: bool,
    /// The character set, where one is named.
    pub(super) charset: Option<String>,
}

impl Written {
    /// Reads a type of any engine.
    pub(super) fn read(sql: &str) -> Result<Self, ValueError> {
        let unreadable = |reason| ValueError::Unreadable { sql: sql.to_owned(), reason };
        let mut written = Self {
            name: String::new(),
            quoted: false,
            args: None,
            array: false,
            unsigned: false,
            charset: None,
        };
        let mut words: Vec<String> = Vec::new();
        let mut rest = sql.trim_start();
        while let Some(c) = rest.chars().next() {
            match c {
                '"' | '`' => {
                    let (name, after) =
                        quoted(rest, c).ok_or_else(|| unreadable("its quotes are not closed"))?;
                    words = vec![name];
                    written.quoted = true;
                    rest = after;
                }
                '.' => {
                    words.clear();
                    written.quoted = false;
                    rest = &rest[1..];
                }
                '(' => {
                    let end =
                        closing(rest).ok_or_else(|| unreadable("its bracket is not closed"))?;
                    written.args.get_or_insert_with(|| rest[1..end].trim().to_owned());
                    rest = &rest[end + 1..];
                }
                '[' => {
                    let end =
                        rest.find(']').ok_or_else(|| unreadable("its bracket is not closed"))?;
                    written.array = true;
                    rest = &rest[end + 1..];
                }
                c if c.is_whitespace() => rest = rest.trim_start(),
                c if is_word(c) => {
                    let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
                    words.push(rest[..end].to_lowercase());
                    rest = &rest[end..];
                    if words.last().is_some_and(|word| word == "collate") {
                        words.pop();
                        rest = after_word(rest);
                    }
                }
                _ => return Err(unreadable("unexpected character")),
            }
        }
        written.take(words);
        if written.name.is_empty() {
            return Err(unreadable("expected the name of a type"));
        }
        Ok(written)
    }

    /// Sorts the words into name and attributes.
    fn take(&mut self, words: Vec<String>) {
        let mut name: Vec<String> = Vec::new();
        let mut words = words.into_iter().peekable();
        while let Some(word) = words.next() {
            match word.as_str() {
                "unsigned" | "zerofill" => self.unsigned = true,
                "signed" | "binary" | "ascii" | "unicode" if !name.is_empty() => {}
                "array" if !name.is_empty() => self.array = true,
                "charset" => self.charset = words.next(),
                "character" | "char"
                    if !name.is_empty() && words.peek().is_some_and(|next| next == "set") =>
                {
                    words.next();
                    self.charset = words.next();
                }
                _ => name.push(word),
            }
        }
        self.name = name.join(" ");
    }

    /// Returns the arguments that are numbers.
    pub(super) fn numbers(&self) -> Vec<i64> {
        let args = self.args.as_deref().unwrap_or_default();
        args.split(',').map_while(|arg| arg.trim().parse().ok()).collect()
    }

    /// Returns the first argument that is a number from zero up.
    pub(super) fn length(&self) -> Option<u64> {
        self.numbers().first().and_then(|length| u64::try_from(*length).ok())
    }

    /// Returns the labels of a MySQL enum or set.
    pub(super) fn labels(&self) -> Vec<String> {
        let mut labels = Vec::new();
        let mut chars = self.args.as_deref().unwrap_or_default().chars().peekable();
        while let Some(quote) = chars.next() {
            if quote != '\'' && quote != '"' {
                continue;
            }
            let mut label = String::new();
            while let Some(c) = chars.next() {
                match c {
                    c if c == quote && chars.peek() == Some(&quote) => {
                        chars.next();
                        label.push(quote);
                    }
                    c if c == quote => break,
                    '\\' => label.extend(chars.next()),
                    c => label.push(c),
                }
            }
            labels.push(label);
        }
        labels
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

/// Returns what follows the next name, quoted or not.
fn after_word(text: &str) -> &str {
    let text = text.trim_start();
    match text.chars().next() {
        Some(quote @ ('"' | '`')) => quoted(text, quote).map_or("", |(_, after)| after),
        _ => &text[text.find(|c| !is_word(c)).unwrap_or(text.len())..],
    }
}

/// Reads a name in quotes; returns it and what follows.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut rest = &text[1..];
    loop {
        let end = rest.find(quote)?;
        name.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix(quote) {
            Some(after) => {
                name.push(quote);
                rest = after;
            }
            None => return Some((name, rest)),
        }
    }
}

/// Returns the bracket that closes the one at the start, passing over quoted labels.
fn closing(text: &str) -> Option<usize> {
    let mut label = None;
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match (label, c) {
            (None, ')') => return Some(at),
            (None, '\'' | '"') => label = Some(c),
            (Some(quote), c) if quote == c => label = None,
            (Some(_), '\\') => drop(chars.next()),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_taken_apart() {
        let read = |sql| Written::read(sql).unwrap();
        let stamp = read("timestamp(3) With Time Zone[4][]");
        assert_eq!((stamp.name.as_str(), stamp.length()), ("timestamp with time zone", Some(3)));
        assert!(stamp.array);
        assert_eq!(read("pg_catalog.int4 ARRAY[3]").name, "int4");
        assert_eq!(read("\"My \"\"Type\"").name, "My \"Type");
        assert_eq!(read("text COLLATE \"de-x-icu\"").name, "text");
        assert_eq!(read("numeric(3, -2)").numbers(), [3, -2]);
        let name = read("varchar(20) CHARACTER SET latin1 COLLATE latin1_bin");
        assert_eq!((name.name.as_str(), name.charset.as_deref()), ("varchar", Some("latin1")));
        let set = read("SET('a''b', \"c)\", 'd\\'e')");
        assert_eq!(set.labels(), ["a'b", "c)", "d'e"]);
        assert!(read("int(11) unsigned zerofill").unsigned);
    }

    #[test]
    fn what_is_no_type_is_refused() {
        for sql in ["", "  ", "varchar(3", "\"x", "int;", "int["] {
            assert!(matches!(Written::read(sql), Err(ValueError::Unreadable { .. })), "{sql}");
        }
    }
}
