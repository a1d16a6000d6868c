//! What the audit knows to look for.
//!
//! A rule's number never changes its meaning, and is never given to another.

use super::finding::Class;

/// One kind of finding.
#[derive(Debug)]
pub struct Rule {
    /// Its number, such as `NC001`.
    pub id: &'static str,
    /// Its name, in words joined by hyphens.
    pub name: &'static str,
    /// What its findings do, unless one says otherwise.
    pub class: Class,
    /// What it is about, why, and how to mend it, with an example of each: Markdown.
    pub text: &'static str,
}

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Rule {}

impl Rule {
    /// Finds a rule by its number or its name.
    pub fn find(wanted: &str) -> Option<&'static Self> {
        let is = |rule: &&&Self| rule.id.eq_ignore_ascii_case(wanted) || rule.name == wanted;
        RULES.iter().find(is).copied()
    }

    /// Reports whether it is about SQL, wherever that stands.
    pub(super) fn is_of_sql(&self) -> bool {
        self.id.starts_with("NC1")
    }
}

macro_rules! rules {
    ($($constant:ident $id:ident $name:literal $class:ident,)*) => {
        $(
            #[doc = concat!("`", stringify!($id), "`: ", $name, ".")]
            pub static $constant: Rule = Rule {
                id: stringify!($id),
                name: $name,
                class: Class::$class,
                text: include_str!(concat!(stringify!($id), ".md")),
            };
        )*

        /// Every rule, by number.
        pub static RULES: &[&Rule] = &[$(&$constant,)*];
    };
}

rules! {
    // Rust: what the shape of the code tells.
    POSITIONAL_QUERYABLE NC001 "positional-queryable" Compile,
    FIELD_ORDER NC002 "field-order" Silent,
    WHOLE_ROW_TYPE NC003 "whole-row-type" Compile,
    INSERT_WITHOUT_REQUIRED NC004 "insert-without-required" Runtime,
    DEFAULT_VALUES NC005 "default-values" Runtime,
    NONE_IS_DEFAULT NC006 "none-is-default" Silent,
    NONE_KEEPS_VALUE NC007 "none-keeps-value" Silent,
    NONE_IS_NULL NC008 "none-is-null" Silent,
    REPLACE_INTO NC009 "replace-into" Silent,
    STALE_COPY NC010 "stale-copy" Silent,
    GLOB_SHADOWS_BINDING NC011 "glob-shadows-binding" Compile,
    BINDING_SHADOWS_COLUMN NC012 "binding-shadows-column" Silent,
    AMBIGUOUS_GLOBS NC013 "ambiguous-globs" Compile,
    COLUMN_LIMIT NC014 "column-limit" Compile,
    RESERVED_NAME NC015 "reserved-name" Compile,
    BIND_LIMIT NC016 "bind-limit" Runtime,
    OPTION_AFTER_CONSTRAIN NC017 "option-after-constrain" Compile,
    PLAIN_WHILE_NULLABLE NC018 "plain-while-nullable" Compile,
    USED_BEFORE_EXPAND NC019 "used-before-expand" Runtime,
    REPLACED_IN_USE NC020 "replaced-in-use" Runtime,
    UNKNOWN_LABEL NC021 "unknown-label" Runtime,
    STORED_SHAPE NC022 "stored-shape" Runtime,
    // SQL in strings, in files and in the database.
    AMBIGUOUS_COLUMN NC101 "ambiguous-column" Runtime,
    STAR_BY_NAME NC102 "star-by-name" Silent,
    CAPTURED_BY_SUBQUERY NC103 "captured-by-subquery" Silent,
    NATURAL_JOIN NC104 "natural-join" Silent,
    INSERT_WITHOUT_LIST NC105 "insert-without-list" Runtime,
    STAR_MEETS_LIST NC106 "star-meets-list" Runtime,
    COPY_WITHOUT_LIST NC107 "copy-without-list" Runtime,
    ROW_IN_TRIGGER NC108 "row-in-trigger" Runtime,
    ROW_FUNCTION NC109 "row-function" Runtime,
    FROZEN_VIEW NC110 "frozen-view" Silent,
    COLUMN_GRANTS NC111 "column-grants" Runtime,
    ROW_TYPE_COLUMN NC112 "row-type-column" Runtime,
    NO_EQUALITY NC113 "no-equality" Runtime,
    RAW_STAR NC114 "raw-star" Silent,
    POSITIONAL_ROW NC115 "positional-row" Runtime,
    REPLICATED_TABLE NC116 "replicated-table" Runtime,
    SQL_INSERT_WITHOUT_REQUIRED NC117 "sql-insert-without-required" Runtime,
    SQL_REPLACE NC118 "sql-replace" Silent,
    TYPE_IN_PLACE NC119 "type-in-place" Runtime,
    LABEL_IN_TRANSACTION NC120 "label-in-transaction" Runtime,
    STALE_SQLX_CACHE NC121 "stale-sqlx-cache" Compile,
    REWRITE_RULE NC122 "rewrite-rule" Silent,
    HEIR_HAS_COLUMN NC123 "heir-has-column" Silent,
    // What could not be looked at.
    UNREADABLE_RUST NC201 "unreadable-rust" Unknown,
    BUILT_SQL NC202 "built-sql" Unknown,
    UNREADABLE_SQL NC203 "unreadable-sql" Unknown,
    GENERATED_TABLE NC204 "generated-table" Unknown,
    UNCHECKED_PACKAGE NC205 "unchecked-package" Unknown,
    // What the compiler says.
    DOES_NOT_COMPILE NC301 "does-not-compile" Compile,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn numbers_and_names_are_taken_once() {
        let ids: BTreeSet<&str> = RULES.iter().map(|rule| rule.id).collect();
        let names: BTreeSet<&str> = RULES.iter().map(|rule| rule.name).collect();
        assert_eq!((ids.len(), names.len()), (RULES.len(), RULES.len()));
        assert!(RULES.is_sorted_by_key(|rule| rule.id));
    }

    #[test]
    fn every_text_says_its_name_and_shows_both_sides() {
        for rule in RULES {
            let title = format!("# {}: {}\n", rule.id, rule.name);
            assert!(rule.text.starts_with(&title), "{}", rule.id);
        }
    }
}
