//! Whole numbers that are computed of parameters: what `\set` of pgbench can say without chance.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// How deep parentheses may be.
const DEEPEST: usize = 50;

/// An expression over the parameters before it: `$1 % 10 + 1`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Arithmetic {
    text: String,
    tree: Tree,
}

#[derive(Debug, Clone, PartialEq)]
enum Tree {
    Number(i64),
    /// A parameter, from 0.
    Parameter(usize),
    Negative(Box<Tree>),
    Of(Box<Tree>, char, Box<Tree>),
    Call(Function, Vec<Tree>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Function {
    Abs,
    Least,
    Greatest,
    Mod,
}

const FUNCTIONS: [(&str, Function); 4] = [
    ("abs", Function::Abs),
    ("least", Function::Least),
    ("greatest", Function::Greatest),
    ("mod", Function::Mod),
];

/// Why an expression has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArithmeticError {
    /// It is none that we know.
    #[error("`{text}` is no arithmetic of whole numbers: {why}")]
    Unknown {
        /// The expression.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// It divides by zero, or leaves what 64 bits hold.
    #[error("`{text}` has no value")]
    NoValue {
        /// The expression.
        text: String,
    },
    /// It names a parameter that is no whole number, or none before it.
    #[error("`{text}` names `${number}`, which is no whole number before it")]
    Parameter {
        /// The expression.
        text: String,
        /// The parameter's number.
        number: usize,
    },
}

impl Arithmetic {
    /// Computes it, given the literals before it.
    pub(super) fn value(&self, before: &[String]) -> Result<i64, ArithmeticError> {
        self.tree.value(before, &self.text)
    }
}

impl Tree {
    fn value(&self, before: &[String], text: &str) -> Result<i64, ArithmeticError> {
        let none = || ArithmeticError::NoValue { text: text.to_owned() };
        match self {
            Self::Number(number) => Ok(*number),
            Self::Parameter(at) => {
                before.get(*at).and_then(|value| value.parse().ok()).ok_or_else(|| {
                    ArithmeticError::Parameter { text: text.to_owned(), number: at + 1 }
                })
            }
            Self::Negative(of) => of.value(before, text)?.checked_neg().ok_or_else(none),
            Self::Of(left, sign, right) => {
                let (left, right) = (left.value(before, text)?, right.value(before, text)?);
                let value = match sign {
                    '+' => left.checked_add(right),
                    '-' => left.checked_sub(right),
                    '*' => left.checked_mul(right),
                    '/' => left.checked_div(right),
                    _ => left.checked_rem(right),
                };
                value.ok_or_else(none)
            }
            Self::Call(function, of) => {
                let values: Vec<i64> =
                    of.iter().map(|tree| tree.value(before, text)).collect::<Result<_, _>>()?;
                let value = match (function, values.as_slice()) {
                    (Function::Abs, [one]) => one.checked_abs(),
                    (Function::Mod, [left, right]) => left.checked_rem(*right),
                    (Function::Least, all) => all.iter().min().copied(),
                    (Function::Greatest, all) => all.iter().max().copied(),
                    (Function::Abs | Function::Mod, _) => None,
                };
                value.ok_or_else(none)
            }
        }
    }
}

impl fmt::Display for Arithmetic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<Arithmetic> for String {
    fn from(of: Arithmetic) -> Self {
        of.text
    }
}

impl TryFrom<String> for Arithmetic {
    type Error = ArithmeticError;

    fn try_from(text: String) -> Result<Self, ArithmeticError> {
        text.parse()
    }
}

impl FromStr for Arithmetic {
    type Err = ArithmeticError;

    fn from_str(text: &str) -> Result<Self, ArithmeticError> {
        let mut reader = Reader { rest: text.trim_start(), depth: 0 };
        let tree = reader.sum().and_then(|tree| match reader.rest {
            "" => Ok(tree),
            rest => Err(format!("`{rest}` is too much")),
        });
        let tree =
            tree.map_err(|why| ArithmeticError::Unknown { text: text.trim().to_owned(), why })?;
        Ok(Self { text: text.trim().to_owned(), tree })
    }
}

struct Reader<'a> {
    rest: &'a str,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn sum(&mut self) -> Result<Tree, String> {
        let mut left = self.product()?;
        while let Some(sign) = self.take(&['+', '-']) {
            left = Tree::Of(Box::new(left), sign, Box::new(self.product()?));
        }
        Ok(left)
    }

    fn product(&mut self) -> Result<Tree, String> {
        let mut left = self.atom()?;
        while let Some(sign) = self.take(&['*', '/', '%']) {
            left = Tree::Of(Box::new(left), sign, Box::new(self.atom()?));
        }
        Ok(left)
    }

    fn atom(&mut self) -> Result<Tree, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err("it is too deep".to_owned());
        }
        let tree = self.atom_within();
        self.depth -= 1;
        tree
    }

    fn atom_within(&mut self) -> Result<Tree, String> {
        if self.take(&['-']).is_some() {
            return Ok(Tree::Negative(Box::new(self.atom()?)));
        }
        if self.take(&['(']).is_some() {
            let inner = self.sum()?;
            return self.close().map(|()| inner);
        }
        if self.take(&['$']).is_some() {
            let number: usize = self.word(|c| c.is_ascii_digit()).parse().unwrap_or(0);
            let at = number.checked_sub(1).ok_or("a parameter has no number")?;
            return Ok(Tree::Parameter(at));
        }
        if self.rest.starts_with(|c: char| c.is_ascii_digit()) {
            let digits = self.word(|c| c.is_ascii_alphanumeric() || c == '.');
            return digits.parse().map(Tree::Number).map_err(|_| format!("`{digits}`"));
        }
        let name = self.word(|c| c.is_ascii_alphanumeric() || c == '_');
        let known = FUNCTIONS.iter().find(|(of, _)| *of == name);
        let Some((_, function)) = known.filter(|_| self.take(&['(']).is_some()) else {
            let what = if name.is_empty() { self.rest } else { name };
            return Err(if what.is_empty() {
                "it ends too early".to_owned()
            } else {
                format!("`{what}` is not known")
            });
        };
        let mut of = vec![self.sum()?];
        while self.take(&[',']).is_some() {
            of.push(self.sum()?);
        }
        self.close().map(|()| Tree::Call(*function, of))
    }

    fn close(&mut self) -> Result<(), String> {
        self.take(&[')']).map(drop).ok_or_else(|| "a parenthesis is not closed".to_owned())
    }

    fn take(&mut self, wanted: &[char]) -> Option<char> {
        let first = self.rest.chars().next().filter(|c| wanted.contains(c))?;
        self.rest = self.rest[1..].trim_start();
        Some(first)
    }

    fn word(&mut self, is_part: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest.trim_start();
        word
    }
}
