//! Scripts of pgbench: `\set` with `random`, `random_gaussian`, `random_exponential`,
//! `random_zipfian` and arithmetic of whole numbers; the rest is sent as it is.
//!
//! What a script may do besides is refused with its line, as a load without it would be another one.

use std::collections::BTreeMap;

use super::super::{Arithmetic, Parameter, Spread, Statement};

/// Why a script cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {why}")]
pub struct ScriptError {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub why: String,
}

/// Reads a script, which is sent as one: its statements are divided by semicolons.
///
/// # Errors
///
/// Where it does what is not known here, with file and line.
pub fn read(file: &str, text: &str, weight: f64) -> Result<Statement, ScriptError> {
    let mut script = Script::default();
    let mut sql = String::new();
    let mut lines = text.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        let failed = |why| ScriptError { file: file.to_owned(), line: at + 1, why };
        let trimmed = line.trim();
        if let Some(command) = trimmed.strip_prefix('\\') {
            let mut command = command.to_owned();
            while command.ends_with('\\') {
                command.pop();
                command.push_str(lines.next().map_or("", |(_, next)| next));
            }
            script.command(&command).map_err(failed)?;
        } else if !(trimmed.is_empty() || trimmed.starts_with("--")) {
            if !sql.is_empty() {
                sql.push('\n');
            }
            sql.push_str(&script.filled(line.trim_end()).map_err(failed)?);
        }
    }
    if sql.trim().is_empty() {
        let why = "it sends nothing".to_owned();
        return Err(ScriptError { file: file.to_owned(), line: 1, why });
    }
    let stem = file.rsplit('/').next().unwrap_or(file);
    let name = stem.strip_suffix(".sql").unwrap_or(stem).to_owned();
    Ok(Statement { name, sql, parameters: script.parameters, weight })
}

/// Divides `script.sql@3` into file and weight.
pub fn weighted(argument: &str) -> (&str, f64) {
    let parts = argument.rsplit_once('@');
    let parts = parts.and_then(|(file, weight)| Some((file, weight.parse::<f64>().ok()?)));
    parts.unwrap_or((argument, 1.0))
}

#[derive(Default)]
struct Script {
    parameters: Vec<Parameter>,
    /// Which parameter a variable is now, from 1.
    variables: BTreeMap<String, usize>,
}

impl Script {
    fn command(&mut self, command: &str) -> Result<(), String> {
        let (word, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
        if word != "set" {
            return Err(format!("`\\{word}` is not known here, only `\\set` is"));
        }
        let (name, expression) = rest
            .trim()
            .split_once(char::is_whitespace)
            .ok_or_else(|| "`\\set` wants a name and an expression".to_owned())?;
        let number = self.expression(expression.trim())?;
        self.variables.insert(name.to_owned(), number);
        Ok(())
    }

    /// Adds the parameters of an expression and returns the number of the last one, from 1.
    fn expression(&mut self, text: &str) -> Result<usize, String> {
        let mut plain = String::new();
        let mut rest = self.filled(text)?;
        while let Some(at) = rest.find("random") {
            plain.push_str(&rest[..at]);
            let (number, after) = self.random(&rest[at..])?;
            plain.extend(["$", &number.to_string()]);
            rest = after;
        }
        plain.push_str(&rest);
        if let Some(number) = plain.trim().strip_prefix('$').and_then(|d| d.parse::<usize>().ok()) {
            return Ok(number);
        }
        let expression: Arithmetic =
            plain.parse().map_err(|e: super::super::ArithmeticError| e.to_string())?;
        Ok(self.add(Parameter::Computed { expression }))
    }

    /// Reads `random(1, 10)` at the beginning, and returns its parameter and what follows it.
    fn random(&mut self, text: &str) -> Result<(usize, String), String> {
        let open = text.find('(').ok_or_else(|| format!("`{text}` is not known"))?;
        let mut depth = 0_usize;
        let mut ends = vec![open];
        let close = text.char_indices().skip(open).find_map(|(at, c)| {
            match c {
                '(' => depth += 1,
                ')' => depth -= 1,
                ',' if depth == 1 => ends.push(at),
                _ => {}
            }
            (depth == 0).then_some(at)
        });
        let close = close.ok_or_else(|| "a parenthesis is not closed".to_owned())?;
        ends.push(close);
        let list: Vec<&str> = ends.windows(2).map(|two| text[two[0] + 1..two[1]].trim()).collect();
        let name = text[..open].trim();
        let (spread, bounds) = match (name, list.as_slice()) {
            ("random", [_, _]) => (Spread::Uniform, &list[..2]),
            ("random_gaussian", [.., s]) if list.len() == 3 => {
                (Spread::Gaussian(parameter(s, 2.0)?), &list[..2])
            }
            ("random_exponential", [.., s]) if list.len() == 3 => {
                (Spread::Exponential(parameter(s, f64::MIN_POSITIVE)?), &list[..2])
            }
            ("random_zipfian", [.., s]) if list.len() == 3 => {
                (Spread::Zipfian(parameter(s, 1.001)?), &list[..2])
            }
            _ => return Err(format!("`{}` is not known", &text[..=close])),
        };
        let [least, greatest] = [self.constant(bounds[0])?, self.constant(bounds[1])?];
        if greatest < least {
            return Err(format!("`{}` has no values", &text[..=close]));
        }
        let number = self.add(Parameter::Number { least, greatest, spread });
        Ok((number, text[close + 1..].to_owned()))
    }

    /// Computes what does not depend on chance.
    fn constant(&self, text: &str) -> Result<i64, String> {
        let expression: Arithmetic =
            text.parse().map_err(|e: super::super::ArithmeticError| e.to_string())?;
        let mut known: Vec<String> = Vec::new();
        for parameter in &self.parameters {
            known.push(match parameter {
                Parameter::Computed { expression } => {
                    expression.value(&known).map_or_else(|_| "?".to_owned(), |v| v.to_string())
                }
                _ => "?".to_owned(),
            });
        }
        expression.value(&known).map_err(|_| format!("`{text}` has to be the same each time"))
    }

    fn add(&mut self, parameter: Parameter) -> usize {
        self.parameters.push(parameter);
        self.parameters.len()
    }

    /// Puts parameters in the places of variables, outside of quotes.
    fn filled(&self, text: &str) -> Result<String, String> {
        let mut made = String::new();
        let mut rest = text;
        let mut quote = None;
        while let Some(c) = rest.chars().next() {
            let after = &rest[c.len_utf8()..];
            if quote.is_none() && rest.starts_with("::") {
                made.push_str("::");
                rest = &rest[2..];
                continue;
            }
            let word =
                after.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(after.len());
            if c == ':'
                && quote.is_none()
                && word > 0
                && !after.starts_with(|c: char| c.is_ascii_digit())
            {
                let name = &after[..word];
                match (self.variables.get(name), name) {
                    (Some(number), _) => made.extend(["$", &number.to_string()]),
                    // As `pgbench -s 1`.
                    (None, "scale") => made.push('1'),
                    (None, _) => return Err(format!("the variable `{name}` is not set before")),
                }
                rest = &after[word..];
                continue;
            }
            match quote {
                Some(open) if open == c => quote = None,
                None if c == '\'' || c == '"' => quote = Some(c),
                _ => {}
            }
            made.push(c);
            rest = after;
        }
        Ok(made)
    }
}

fn parameter(text: &str, least: f64) -> Result<f64, String> {
    let value = text.parse::<f64>().ok().filter(|value| *value >= least && *value <= 1000.0);
    value.ok_or_else(|| format!("`{text}` is no parameter of that distribution"))
}
