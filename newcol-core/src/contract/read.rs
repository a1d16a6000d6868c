//! Reads contract files: text in, contract or every complaint with its place out.
//!
//! The grammar exists once, in the calls that ask for keys: what was asked for is what is known,
//! so an unknown key is refused with the nearest known one. Whether an engine can carry the
//! contract out is not decided here; an expression is only refused when no engine could read it.

mod keys;

use std::ops::Range;

use toml_edit::{Document, Item};

use self::keys::{Found, Reader, Section};
use super::{
    Answer, Contract, ContractError, Date, DefaultLife, DefaultWish, Draft, Expr, FragmentError,
    IndexWish, OldRows, OldWriters, OnDelete, PerBackend, Presence, Reference, Replaces, SqlType,
    Uniqueness,
};
use crate::{
    backend::Backend,
    ident::{ColumnPath, Ident, IdentError, TableName},
    plan::{
        StageKind,
        facts::{ColumnFacts, Volatility},
    },
};

/// The format this version reads and writes.
pub(super) const FORMAT: i64 = 1;

/// A contract file: the contract, and what was measured for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContractFile {
    /// The decisions.
    pub contract: Contract,
    /// Facts that only a server could tell, kept for planning without one.
    pub measured: Option<Measured>,
    /// Why a stage was released although no database could show that it may be, by stage.
    pub confirmed: Vec<(StageKind, String)>,
}

/// What a server told about the wished column (`[measured]`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measured {
    /// The server that was asked, as it prints itself.
    pub server: String,
    /// Volatility of the default; [`Volatility::Unknown`] is not a measurement and is not written.
    pub default_volatility: Option<Volatility>,
    /// Whether adding the column with this type rewrites the table even without a default.
    pub type_rewrites: Option<bool>,
    /// The column that is replaced, so that dropping it can be undone.
    pub replaced: Option<ReplacedColumn>,
    /// Partitions and heirs of the table, which change with it.
    pub heirs: Vec<TableName>,
    /// Whether the table is partitioned.
    pub partitioned: bool,
}

/// Definition of the column that the wished one replaces, as its server prints it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplacedColumn {
    /// SQL type.
    pub ty: String,
    /// Whether it is NOT NULL.
    pub required: bool,
    /// Default.
    pub default: Option<String>,
    /// Comment.
    pub comment: Option<String>,
}

impl ReplacedColumn {
    /// Takes over what a server told of a column; `None` where only its name is known.
    pub fn of(column: &ColumnFacts) -> Option<Self> {
        Some(Self {
            ty: column.sql_type.clone()?,
            required: !column.nullable,
            default: column.default.clone(),
            comment: column.comment.clone(),
        })
    }
}

/// One thing wrong with a contract file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// Bytes of the guilty key or value; an empty range at its section, or at the start of the
    /// file, when something is missing.
    pub span: Range<usize>,
    /// What is wrong, without a final period.
    pub message: String,
    /// The way out.
    pub hint: Option<String>,
}

/// Reads a contract file, checking the answers against each other.
pub fn read(text: &str) -> Result<ContractFile, Vec<Complaint>> {
    let answers = answers(text)?;
    let contract = Contract::new(answers.draft).map_err(|error| {
        vec![Complaint {
            span: answers.places.of(error.answer()),
            message: error.to_string(),
            hint: way_out(&error),
        }]
    })?;
    Ok(ContractFile { contract, measured: answers.measured, confirmed: answers.confirmed })
}

/// Reads the answers of a contract file without checking them against each other.
pub fn read_draft(text: &str) -> Result<Draft, Vec<Complaint>> {
    answers(text).map(|answers| answers.draft)
}

/// Returns the bytes in which a contract file gives an answer: the value, or its section, or the
/// start of the file where the answer is missing.
pub fn place(text: &str, answer: Answer) -> Range<usize> {
    answers(text).map_or(0..0, |answers| answers.places.of(answer))
}

/// Returns line and column of a byte offset, both from 1; a column is a character.
///
/// Offsets past the end or inside a character count as the place before.
pub fn line_col(text: &str, offset: usize) -> (usize, usize) {
    let mut end = offset.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let before = &text[..end];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = before[line_start..].trim_start_matches('\u{feff}');
    (before.matches('\n').count() + 1, line.chars().count() + 1)
}

/// Everything a file says, before the answers are checked against each other.
struct Answers {
    draft: Draft,
    measured: Option<Measured>,
    confirmed: Vec<(StageKind, String)>,
    places: Places,
}

/// Where each answer was given.
#[derive(Default)]
struct Places(Vec<(Answer, Range<usize>)>);

impl Places {
    fn note(&mut self, answer: Answer, span: &Range<usize>) {
        self.0.push((answer, span.clone()));
    }

    /// Returns the first place of an answer, or the start of the file where it was not given.
    fn of(&self, answer: Answer) -> Range<usize> {
        let find = |wanted| self.0.iter().find(|(a, _)| *a == wanted).map(|(_, span)| span.clone());
        let related = match answer {
            Answer::OldWriters => Some(Answer::OldRows),
            _ => None,
        };
        find(answer).or_else(|| related.and_then(find)).unwrap_or(0..0)
    }
}

fn answers(text: &str) -> Result<Answers, Vec<Complaint>> {
    let document = Document::parse(text).map_err(|error| {
        let conflicts = conflict_markers(text);
        if conflicts.is_empty() { vec![syntax(&error)] } else { conflicts }
    })?;
    let mut reader = Reader::new(document.as_table(), text);
    let root = reader.root();
    check_format(&mut reader, root)?;
    let mut places = Places::default();
    let engines = Backend::ALL.map(|backend| (backend, reader.section(root, backend.name())));

    let path = path(&mut reader, root, &mut places);
    let why = reader.needed_string(root, "why", "say why the column exists: `why = \"...\"`");
    let ty = ty(&mut reader, root, &engines, &mut places);
    let diesel = reader.string(root, "diesel").and_then(|found| diesel_type(&mut reader, found));
    let required = reader.needed_bool(
        root,
        "required",
        "write `required = true` for NOT NULL, `required = false` for a column that may be NULL",
    );
    let old_rows = old_rows(&mut reader, root, &engines, &mut places);
    let old_writers = old_writers(&mut reader, root, &mut places);
    let default = default(&mut reader, root, &engines, &mut places);
    let generated = generated(&mut reader, root, &engines, &mut places);
    let index = index(&mut reader, root, &engines, &mut places);
    let references = references(&mut reader, root, &mut places);
    let check = check(&mut reader, root, &engines, &mut places);
    let replaces = replaces(&mut reader, root, &engines, &mut places);
    let retire = retire(&mut reader, root, &mut places);
    let measured = measured(&mut reader, root);
    let confirmed = confirmed(&mut reader, root);
    let complaints = reader.finish();

    match (path, why, required) {
        (Some(path), Some(why), Some(required)) if complaints.is_empty() => {
            places.note(Answer::Why, &why.span);
            places.note(Answer::Presence, &required.span);
            let presence = if required.value { Presence::Required } else { Presence::Optional };
            let why = why.value;
            let draft = Draft {
                path,
                why,
                ty,
                diesel,
                presence,
                old_rows,
                old_writers,
                default,
                generated,
                index,
                references,
                check,
                replaces,
                retire,
            };
            Ok(Answers { draft, measured, confirmed, places })
        }
        _ => Err(complaints),
    }
}

/// Finds what `git merge` leaves behind; asked only when the text is no TOML.
fn conflict_markers(text: &str) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let marker = line.trim_end();
        if marker == "<<<<<<<" || marker.starts_with("<<<<<<< ") {
            complaints.push(Complaint {
                span: start..start + marker.len(),
                message: "this file holds an unresolved merge conflict".to_owned(),
                hint: Some("keep one side, and remove the lines with <<<, === and >>>".to_owned()),
            });
        }
        start += line.len();
    }
    complaints
}

fn syntax(error: &toml_edit::TomlError) -> Complaint {
    Complaint {
        span: error.span().unwrap_or(0..0),
        message: format!("this is not TOML: {}", error.message().trim_end().replace('\n', ", ")),
        hint: None,
    }
}

/// A file of another format is not read any further: its keys may mean something else.
fn check_format(reader: &mut Reader<'_>, root: Section<'_>) -> Result<(), Vec<Complaint>> {
    let hint = "write `format = 1`";
    let Some(found) = reader.needed_integer(root, "format", hint) else { return Ok(()) };
    let (message, hint) = match found.value {
        FORMAT => return Ok(()),
        newer if newer > FORMAT => (
            format!("format {newer} was written by a newer cargo newcol; this one reads {FORMAT}"),
            "update with `cargo install cargo-newcol`",
        ),
        wrong => (format!("there is no format {wrong}; this cargo newcol reads {FORMAT}"), hint),
    };
    Err(vec![Complaint { span: found.span, message, hint: Some(hint.to_owned()) }])
}

type Engines<'t> = [(Backend, Section<'t>); 3];

fn path(reader: &mut Reader<'_>, root: Section<'_>, places: &mut Places) -> Option<ColumnPath> {
    let table = reader.needed_string(root, "table", "write `table = \"users\"`");
    let column = reader.needed_string(root, "column", "write `column = \"locale\"`");
    if let Some(found) = column.as_ref().or(table.as_ref()) {
        places.note(Answer::Path, &found.span);
    }
    let table = table.and_then(|found| table_name(reader, found));
    let column = column.and_then(|found| name(reader, found));
    Some(ColumnPath { table: table?, column: column? })
}

fn ty(
    reader: &mut Reader<'_>,
    root: Section<'_>,
    engines: &Engines<'_>,
    places: &mut Places,
) -> PerBackend<SqlType> {
    let mut ty = PerBackend::default();
    for (backend, section) in answer_sections(root, engines) {
        let Some(found) = reader.string(section, "type") else { continue };
        places.note(Answer::Type, &found.span);
        let wish = SqlType::new(&found.value);
        check_fragment(reader, &found, backend, |backend| wish.check(backend));
        ty.set(backend, wish);
    }
    if ty.is_empty() && !engines.iter().any(|(_, s)| reader.holds(*s, "type")) {
        reader.need(root, "type", "write `type = \"text\"`, as the engine spells the type");
    }
    ty
}

fn diesel_type(reader: &mut Reader<'_>, found: Found<String>) -> Option<String> {
    // Parsing recurses once per bracket; no real type comes near this depth.
    const BRACKETS: usize = 32;
    let brackets = found.value.matches(['<', '(', '[', '{', '&', '*']).count();
    let path = (brackets <= BRACKETS).then(|| syn::parse_str::<syn::TypePath>(&found.value).ok());
    match path.flatten().and_then(|ty| ty.path.segments.last().map(|s| s.ident.to_string())) {
        Some(last) if last == "Nullable" => {
            reader.complain(
                found.span,
                "`diesel` is written without `Nullable`".to_owned(),
                Some("`required = false` makes it nullable".to_owned()),
            );
            None
        }
        Some(_) => Some(found.value),
        None => {
            reader.complain(
                found.span,
                format!("`diesel` must be a Rust type such as `Text`, found `{}`", found.value),
                Some("name a type of `diesel::sql_types` or a path to your own".to_owned()),
            );
            None
        }
    }
}

fn old_rows(
    reader: &mut Reader<'_>,
    root: Section<'_>,
    engines: &Engines<'_>,
    places: &mut Places,
) -> OldRows {
    let section = reader.section(root, "old_rows");
    let fill = expressions(reader, (section, "fill"), (engines, "fill"), places, Answer::OldRows);
    let rust = reader.string(section, "rust");
    if let Some(found) = &rust {
        places.note(Answer::OldRows, &found.span);
        if syn::parse::Parser::parse_str(syn::Path::parse_mod_style, &found.value).is_err() {
            reader.complain(
                found.span.clone(),
                format!("`old_rows.rust` must be a path to Rust code, found `{}`", found.value),
                Some("write a path such as `crate::backfill::locale`".to_owned()),
            );
        }
    }
    match rust {
        Some(rust) if !fill.is_empty() => {
            reader.complain(
                rust.span,
                "old rows are filled by SQL and by Rust at once".to_owned(),
                Some("keep either `fill` or `rust`".to_owned()),
            );
            OldRows::Unfilled
        }
        Some(rust) => OldRows::Rust(rust.value),
        None if !fill.is_empty() => OldRows::Sql(fill),
        None => {
            let given = reader.holds(section, "fill") || reader.holds(section, "rust");
            if section.is_present() && !given {
                reader.complain(
                    section.place(),
                    "`[old_rows]` says neither `fill` nor `rust`".to_owned(),
                    Some("leave the section out if old rows get the default or NULL".to_owned()),
                );
            }
            OldRows::Unfilled
        }
    }
}

fn old_writers(
    reader: &mut Reader<'_>,
    root: Section<'_>,
    places: &mut Places,
) -> Option<OldWriters> {
    let section = reader.section(root, "old_writers");
    reader.need(section, "by", "write `by = \"default\"`, `\"trigger\"` or `\"nobody\"`");
    let found = reader.choice(section, "by", &OldWriters::ALL, OldWriters::name)?;
    places.note(Answer::OldWriters, &found.span);
    Some(found.value)
}

fn default(
    reader: &mut Reader<'_>,
    root: Section<'_>,
    engines: &Engines<'_>,
    places: &mut Places,
) -> Option<DefaultWish> {
    let section = reader.section(root, "default");
    let source = (section, "value");
    let value = expressions(reader, source, (engines, "default"), places, Answer::Default);
    let keep = reader.bool(section, "keep");
    if !engines.iter().any(|(_, s)| reader.holds(*s, "default")) {
        reader.need(section, "value", "write `value = \"'en'\"`: SQL, so text has its own quotes");
    }
    let life = match keep {
        Some(Found { value: false, .. }) => DefaultLife::UntilContract,
        Some(_) | None => DefaultLife::Kept,
    };
    (!value.is_empty()).then_some(DefaultWish { value, life })
}

fn generated(
    reader: &mut Reader<'_>,
    root: Section<'_>,
    engines: &Engines<'_>,
    places: &mut Places,
) -> PerBackend<Expr> {
    let section = reader.section(root, "generated");
    if !engines.iter().any(|(_, s)| reader.holds(*s, "generated")) {
        reader.need(section, "as", "write `as = \"lower(email)\"`");
    }
    expressions(reader, (section, "as"), (engines, "generated"), places, Answer::Generated)
}

fn index(
    reader: &mut Reader<'_>,
    root: Section<'_>,
    engines: &Engines<'_>,
    places: &mut Places,
) -> Option<IndexWish> {
    let section = reader.section(root, "index");
    places.note(Answer::Index, &section.place());
    let index_name = reader.string(section, "name").and_then(|found| name(reader, found));
    let method = reader.string(section, "method").and_then(|found| name(reader, found));
    let uniqueness = uniqueness(reader, section);
    let predicate =
        expressions(reader, (section, "where"), (engines, "where"), places, Answer::Index);
    let include = reader.strings(section, "include");
    let include = include.into_iter().filter_map(|found| name(reader, found)).collect();
    if !section.is_present() {
        belongs_to(reader, engines, "where", "index");
        return None;
    }
    Some(IndexWish { name: index_name, method, uniqueness, predicate, include })
}

/// Reads true, false or the one word that says more than true.
fn uniqueness(reader: &mut Reader<'_>, section: Section<'_>) -> Uniqueness {
    if reader.is_text(section, "unique", "constraint") {
        return Uniqueness::Constraint;
    }
    match reader.bool(section, "unique") {
        Some(Found { value: true, .. }) => Uniqueness::Unique,
        Some(_) | None => Uniqueness::Plain,
    }
}

fn references(
    reader: &mut Reader<'_>,
    root: Section<'_>,
    places: &mut Places,
) -> Option<Reference> {
    let section = reader.section(root, "references");
    places.note(Answer::References, &section.place());
    let table = reader.needed_string(section, "table", "name the table the column refers to");
    let column = reader.needed_string(section, "column", "name its key, for example \"id\"");
    let on_delete = reader.choice(section, "on_delete", &OnDelete::ALL, OnDelete::name);
    if let Some(found) = &on_delete {
        places.0.insert(0, (Answer::References, found.span.clone()));
    }
    let table = table.and_then(|found| table_name(reader, found));
    let column = column.and_then(|found| name(reader, found));
    Some(Reference { table: table?, column: column?, on_delete: on_delete.map(|f| f.value) })
}

fn check(
    reader: &mut Reader<'_>,
    root: Section<'_>,
    engines: &Engines<'_>,
    places: &mut Places,
) -> PerBackend<Expr> {
    let section = reader.section(root, "check");
    if !engines.iter().any(|(_, s)| reader.holds(*s, "check")) {
        reader.need(section, "expr", "write `expr = \"locale <> ''\"`");
    }
    expressions(reader, (section, "expr"), (engines, "check"), places, Answer::Check)
}

fn replaces(
    reader: &mut Reader<'_>,
    root: Section<'_>,
    engines: &Engines<'_>,
    places: &mut Places,
) -> Option<Replaces> {
    let section = reader.section(root, "replaces");
    let column = reader.needed_string(section, "column", "name the column that goes away");
    if let Some(found) = &column {
        places.note(Answer::Replaces, &found.span);
    }
    let back = expressions(reader, (section, "back"), (engines, "back"), places, Answer::Replaces);
    if !section.is_present() {
        belongs_to(reader, engines, "back", "replaces");
    }
    let column = column.and_then(|found| name(reader, found))?;
    Some(Replaces { column, back })
}

fn retire(reader: &mut Reader<'_>, root: Section<'_>, places: &mut Places) -> Option<Date> {
    let section = reader.section(root, "retire");
    reader.need(section, "by", "write `by = \"2027-03-01\"`");
    let found = reader.date(section, "by")?;
    places.note(Answer::Retire, &found.span);
    Some(found.value)
}

fn measured(reader: &mut Reader<'_>, root: Section<'_>) -> Option<Measured> {
    let section = reader.section(root, "measured");
    let server = reader.needed_string(
        section,
        "server",
        "`cargo newcol` writes this section; remove it to measure again",
    );
    let volatility =
        reader.choice(section, "default_volatility", &MEASURABLE_VOLATILITIES, volatility_name);
    let type_rewrites = reader.bool(section, "type_rewrites");
    let replaced_type = reader.string(section, "replaced_type");
    let replaced_required = reader.bool(section, "replaced_required");
    let replaced_default = reader.string(section, "replaced_default");
    let replaced_comment = reader.string(section, "replaced_comment");
    let heirs = reader.strings(section, "heirs");
    let heirs = heirs.into_iter().filter_map(|found| table_name(reader, found)).collect();
    let partitioned = reader.bool(section, "partitioned");
    Some(Measured {
        server: server?.value,
        default_volatility: volatility.map(|found| found.value),
        type_rewrites: type_rewrites.map(|found| found.value),
        replaced: replaced_type.map(|ty| ReplacedColumn {
            ty: ty.value,
            required: replaced_required.is_some_and(|found| found.value),
            default: replaced_default.map(|found| found.value),
            comment: replaced_comment.map(|found| found.value),
        }),
        heirs,
        partitioned: partitioned.is_some_and(|found| found.value),
    })
}

fn confirmed(reader: &mut Reader<'_>, root: Section<'_>) -> Vec<(StageKind, String)> {
    let section = reader.section(root, "confirmed");
    let reason = |kind: StageKind| Some((kind, reader.string(section, kind.name())?.value));
    StageKind::ALL.into_iter().filter_map(reason).collect()
}

const MEASURABLE_VOLATILITIES: [Volatility; 3] =
    [Volatility::Immutable, Volatility::Stable, Volatility::Volatile];

/// Returns the word of `pg_proc.provolatile`, spelled out.
pub(super) fn volatility_name(volatility: Volatility) -> &'static str {
    match volatility {
        Volatility::Immutable => "immutable",
        Volatility::Stable => "stable",
        Volatility::Volatile => "volatile",
        Volatility::Unknown => "unknown",
    }
}

/// Returns the section for all engines, then those of one engine.
fn answer_sections<'t>(
    common: Section<'t>,
    engines: &Engines<'t>,
) -> [(Option<Backend>, Section<'t>); 4] {
    let [a, b, c] = engines.map(|(backend, section)| (Some(backend), section));
    [(None, common), a, b, c]
}

/// Reads an expression for all engines and for each of them.
fn expressions(
    reader: &mut Reader<'_>,
    (common, key): (Section<'_>, &'static str),
    (engines, special_key): (&Engines<'_>, &'static str),
    places: &mut Places,
    answer: Answer,
) -> PerBackend<Expr> {
    let mut all = PerBackend::default();
    for (backend, section) in answer_sections(common, engines) {
        let key = if backend.is_none() { key } else { special_key };
        let Some(found) = reader.string(section, key) else { continue };
        places.note(answer, &found.span);
        let expr = Expr::new(&found.value);
        check_fragment(reader, &found, backend, |backend| expr.check(backend));
        all.set(backend, expr);
    }
    all
}

/// Complains of a fragment that its engine, or none of them, can read.
fn check_fragment(
    reader: &mut Reader<'_>,
    found: &Found<String>,
    backend: Option<Backend>,
    check: impl Fn(Backend) -> Result<(), FragmentError>,
) {
    let refusal = match backend {
        Some(backend) => check(backend).err(),
        None => {
            let refusals: Vec<_> = Backend::ALL.into_iter().map_while(|b| check(b).err()).collect();
            (refusals.len() == Backend::ALL.len()).then(|| refusals.into_iter().next()).flatten()
        }
    };
    if let Some(error) = refusal {
        reader.complain(
            found.span.clone(),
            format!("`{}` is no SQL that fits a statement: {error}", found.key),
            fragment_way_out(&error),
        );
    }
}

/// Complains of an engine's answer to a question that was not put.
fn belongs_to(reader: &mut Reader<'_>, engines: &Engines<'_>, key: &str, section: &str) {
    for (backend, engine) in engines {
        if let Some(span) = engine.key_span(key) {
            reader.complain(
                span,
                format!("`{}.{key}` belongs to `[{section}]`, which is missing", backend.name()),
                Some(format!("add `[{section}]`, or remove `{key}`")),
            );
        }
    }
}

fn name(reader: &mut Reader<'_>, found: Found<String>) -> Option<Ident> {
    let result = Ident::new(found.value);
    named(reader, found.span, &found.key, result)
}

fn table_name(reader: &mut Reader<'_>, found: Found<String>) -> Option<TableName> {
    let result = match found.value.parse::<TableName>() {
        Err(IdentError::Path { text }) => {
            reader.complain(
                found.span,
                format!("`{text}` is not of the form `table` or `schema.table`"),
                Some("put a name that holds a dot in double quotes: '\"my.table\"'".to_owned()),
            );
            return None;
        }
        result => result,
    };
    named(reader, found.span, &found.key, result)
}

fn named<T>(
    reader: &mut Reader<'_>,
    span: Range<usize>,
    key: &str,
    result: Result<T, IdentError>,
) -> Option<T> {
    result
        .map_err(|error| reader.complain(span, format!("`{key}` is not a name: {error}"), None))
        .ok()
}

/// Returns the way out of a contradiction, in words of the file.
fn way_out(error: &ContractError) -> Option<String> {
    let hint = match error {
        ContractError::Name(_) => return None,
        ContractError::NoReason { .. } => "say why the column exists: `why = \"...\"`",
        ContractError::ReasonControl { .. } => "write it in plain text",
        ContractError::NotRustPath { .. } => "write a path such as `crate::backfill::locale`",
        ContractError::NoType { .. } => "write `type = \"text\"`, as the engine spells the type",
        ContractError::RequiredWithoutValue { .. } => {
            "add `[default]` for one value, `[old_rows]` for a computed one, or write `required = false`"
        }
        ContractError::NullDefault { .. } => "give a value, or write `required = false`",
        ContractError::NoDefaultForOldWriters { .. } => {
            "add `[default]`, or write `by = \"trigger\"` or `by = \"nobody\"`"
        }
        ContractError::NoFillForTrigger { .. } => {
            "add `fill` to `[old_rows]`, or write `by = \"default\"` or `by = \"nobody\"`"
        }
        ContractError::RustFillNeedsOldWriters { .. } => {
            "add `[old_writers]` with `by = \"default\"` or `by = \"nobody\"`: a trigger cannot run Rust"
        }
        ContractError::GeneratedWith { .. } => "drop one of the two",
        ContractError::ReplacesItself { .. } => "name the column that goes away",
        ContractError::ReplacesWithoutFill { .. } => {
            "add `fill` to `[old_rows]` with the new value over the old row"
        }
        ContractError::SetNullOnRequired { .. } => {
            "choose \"restrict\", \"cascade\" or \"no action\""
        }
        ContractError::SetDefaultWithoutDefault { .. } => {
            "add `[default]` and leave `keep` at true"
        }
    };
    Some(hint.to_owned())
}

/// Returns the way out of a refused fragment, in words of the file.
fn fragment_way_out(error: &FragmentError) -> Option<String> {
    let FragmentError::NotOfAType { word } = error else { return error.hint() };
    let hint = match word.to_ascii_uppercase().as_str() {
        "NOT" | "NULL" => "`required` decides about NULL",
        "DEFAULT" => "write a `[default]` section",
        "REFERENCES" => "write a `[references]` section",
        "UNIQUE" => "write an `[index]` section with `unique = true`",
        "CHECK" | "CONSTRAINT" => "write a `[check]` section",
        "GENERATED" | "AS" => "write a `[generated]` section",
        "COMMENT" => "write it as `why`",
        _ => return error.hint(),
    };
    Some(hint.to_owned())
}

/// Returns the span of an item that was read from a text.
fn span_of(item: &Item) -> Range<usize> {
    item.span().unwrap_or(0..0)
}

#[cfg(test)]
mod tests;
