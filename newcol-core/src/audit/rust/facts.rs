//! What one Rust file tells, whatever column is asked for.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// Bytes of the file.
pub(super) type Bytes = Range<usize>;

/// A scope of the file, as an index into [`FileFacts::scopes`].
pub(super) type ScopeId = usize;

/// What a file tells.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FileFacts {
    /// Modules, functions and blocks; the first is the file itself.
    pub(super) scopes: Vec<Scope>,
    pub(super) imports: Vec<Import>,
    pub(super) structs: Vec<Struct>,
    /// Method calls and calls, each whole: those in arguments are part of the outer one.
    pub(super) chains: Vec<Chain>,
    /// Variables that are made by a chain.
    pub(super) lets: Vec<Let>,
    /// Variables whose type is written, and its names.
    pub(super) typed: Vec<Typed>,
    /// Names that patterns bind, where an import by glob could give them another meaning.
    pub(super) bindings: Vec<Named>,
    /// Names that stand alone in expressions, likewise.
    pub(super) uses: Vec<Named>,
    /// Paths of types.
    pub(super) type_paths: Vec<PathAt>,
    /// `impl FromSql for` an enum that refuses what it does not know.
    pub(super) refusing_readers: Vec<Named>,
    pub(super) sql: Vec<SqlText>,
    pub(super) gaps: Vec<Gap>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Scope {
    pub(super) parent: Option<ScopeId>,
    pub(super) kind: ScopeKind,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum ScopeKind {
    Module,
    /// The parameters of a function or closure, around its body.
    Function,
    Block,
}

/// One name of a `use` tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Import {
    pub(super) scope: ScopeId,
    /// Without the `*` of a glob.
    pub(super) path: Vec<String>,
    /// Its name here; `None` for a glob.
    pub(super) name: Option<String>,
    pub(super) range: Bytes,
}

/// A name, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Named {
    pub(super) scope: ScopeId,
    pub(super) name: String,
    pub(super) range: Bytes,
}

/// A variable, and the chain that makes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Let {
    pub(super) scope: ScopeId,
    pub(super) name: String,
    /// Index into [`FileFacts::chains`].
    pub(super) chain: usize,
}

/// A variable whose type is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Typed {
    pub(super) scope: ScopeId,
    pub(super) name: String,
    pub(super) types: Vec<String>,
}

/// A path, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PathAt {
    pub(super) scope: ScopeId,
    pub(super) segments: Vec<String>,
    pub(super) range: Bytes,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Struct {
    pub(super) scope: ScopeId,
    pub(super) name: String,
    pub(super) range: Bytes,
    /// Last words of what it derives.
    pub(super) derives: Vec<String>,
    /// Where another derive and another attribute may be added, where that is not in a macro.
    pub(super) derive: Option<DeriveAt>,
    /// Whether it has fields with names, no parameters, and stands in no macro.
    pub(super) plain: bool,
    pub(super) table_name: Option<Vec<String>>,
    pub(super) none_as_null: bool,
    pub(super) none_as_default: bool,
    /// `#[serde(default)]` on all of it.
    pub(super) serde_default: bool,
    pub(super) fields: Vec<Field>,
}

/// Where `#[derive(…)]` has room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DeriveAt {
    /// Where the attribute begins.
    pub(super) start: usize,
    /// Behind the last derive.
    pub(super) last: usize,
    /// Behind the attribute.
    pub(super) end: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Field {
    /// The column it stands for, if it stands for one.
    pub(super) column: Option<String>,
    pub(super) ty: Type,
    /// A struct whose own fields stand here.
    pub(super) embed: bool,
    pub(super) none_as_null: Option<bool>,
    pub(super) none_as_default: Option<bool>,
    pub(super) skip_insertion: bool,
    /// It is read as another type, which the field's is made from.
    pub(super) read_as: bool,
    pub(super) serde_default: bool,
    pub(super) range: Bytes,
    /// Its `pub`, or nothing before its name.
    pub(super) visibility: Bytes,
    /// Behind its type.
    pub(super) end: usize,
}

/// A type, as far as its shape matters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Type {
    /// How many `Option` are around it.
    pub(super) options: u8,
    /// Last words of the paths in it, outermost first.
    pub(super) names: Vec<String>,
}

/// A call, or method calls one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Chain {
    pub(super) scope: ScopeId,
    pub(super) root: Root,
    pub(super) calls: Vec<Call>,
    /// Types that its result may have, where the code around says so.
    pub(super) expected: Vec<String>,
    pub(super) range: Bytes,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Root {
    Path(PathAt),
    Call(Call, PathAt),
    Value(Box<Value>),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Call {
    pub(super) name: String,
    /// Names in the types between `::<` and `>`.
    pub(super) types: Vec<String>,
    pub(super) args: Vec<Value>,
    /// Bytes of the name.
    pub(super) range: Bytes,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Value {
    Path(PathAt),
    Chain(Box<Chain>),
    Tuple(Vec<Value>),
    /// A struct that is written out.
    Struct(Vec<String>),
    Text(SqlText),
    /// `include_str!`: a file that is looked at by itself.
    Included,
    Number(u64),
    Other(Bytes),
}

/// A text that is, or may be, SQL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SqlText {
    /// Who gets it, such as `sql_query`.
    pub(super) sink: String,
    /// What is known of it: the text, or that it is made at run time.
    pub(super) text: Option<String>,
    /// Bytes of the literal, or of the call.
    pub(super) range: Bytes,
    /// Bytes from the literal's start to its first character, where each character of the text is
    /// one of the literal; `None` where it has escapes.
    pub(super) offset: Option<usize>,
}

/// What cannot be looked into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Gap {
    pub(super) kind: GapKind,
    pub(super) range: Bytes,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum GapKind {
    /// The file is not Rust, for this reason.
    Syntax(String),
    /// A macro that writes `table!`.
    GeneratedTable,
    /// Code made while building.
    Include,
}

impl Struct {
    pub(super) fn derives(&self, name: &str) -> bool {
        self.derives.iter().any(|derive| derive == name)
    }

    /// Returns the field that stands for a column.
    pub(super) fn field(&self, column: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.column.as_deref() == Some(column))
    }
}

impl Chain {
    /// Calls `look` with this chain and with all in its arguments.
    pub(super) fn walk<'a>(&'a self, look: &mut dyn FnMut(&'a Self)) {
        look(self);
        match &self.root {
            Root::Path(_) => {}
            Root::Call(call, _) => call.args.iter().for_each(|arg| arg.walk(look)),
            Root::Value(value) => value.walk(look),
        }
        self.calls.iter().flat_map(|call| &call.args).for_each(|arg| arg.walk(look));
    }

    /// Calls `look` with every path in it that stands for a value.
    pub(super) fn walk_paths<'a>(&'a self, look: &mut dyn FnMut(&'a PathAt)) {
        match &self.root {
            Root::Path(path) => look(path),
            Root::Call(call, _) => call.args.iter().for_each(|arg| arg.walk_paths(look)),
            Root::Value(value) => value.walk_paths(look),
        }
        self.calls.iter().flat_map(|call| &call.args).for_each(|arg| arg.walk_paths(look));
    }

    pub(super) fn call(&self, name: &str) -> Option<&Call> {
        self.calls.iter().find(|call| call.name == name)
    }
}

impl Value {
    fn walk_paths<'a>(&'a self, look: &mut dyn FnMut(&'a PathAt)) {
        match self {
            Self::Path(path) => look(path),
            Self::Chain(chain) => chain.walk_paths(look),
            Self::Tuple(values) => values.iter().for_each(|value| value.walk_paths(look)),
            Self::Struct(_) | Self::Text(_) | Self::Included | Self::Number(_) | Self::Other(_) => {
            }
        }
    }

    fn walk<'a>(&'a self, look: &mut dyn FnMut(&'a Chain)) {
        match self {
            Self::Chain(chain) => chain.walk(look),
            Self::Tuple(values) => values.iter().for_each(|value| value.walk(look)),
            Self::Path(_)
            | Self::Struct(_)
            | Self::Text(_)
            | Self::Included
            | Self::Number(_)
            | Self::Other(_) => {}
        }
    }
}
