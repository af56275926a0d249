//! The form of documents as data: which fields there are, what they take, and what they are for.
//!
//! The tables are what the parser is held against: a test proves that it asks for exactly these fields, so that a word
//! which is added to the language and forgotten here does not pass. From them comes the JSON Schema that editors use,
//! with the help that they show.

mod inventory;
mod json;
mod runbook;
mod test_file;
mod windows;

use serde_json::Value;

/// Which kind of document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Document {
    /// A runbook.
    Runbook,
    /// An inventory.
    Inventory,
    /// A test file of a runbook.
    Test,
    /// Windows and schedules.
    Windows,
}

/// A map whose fields have fixed names.
#[derive(Debug)]
pub(crate) struct Shape {
    /// What the parser calls it.
    pub(crate) name: &'static str,
    /// What it is, for people.
    pub(crate) help: &'static str,
    pub(crate) fields: &'static [Field],
    /// Fields of which exactly one must be there.
    pub(crate) one_of: &'static [&'static str],
    /// A whole document in which it occurs.
    #[cfg_attr(not(test), expect(dead_code, reason = "only tests read the examples"))]
    pub(crate) example: &'static str,
}

/// A field of a shape.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    /// What it is for, in a sentence; editors show it.
    pub(crate) help: &'static str,
    pub(crate) form: Form,
    pub(crate) required: bool,
}

/// What a field takes.
#[derive(Debug)]
pub(crate) enum Form {
    /// Any scalar but nothing, taken as it was written.
    Text,
    /// Such a text in which `{{ }}` holds expressions.
    Template,
    /// An expression.
    Expression,
    /// A script: constant text.
    Script,
    /// A text of this form (a regular expression).
    Matching(&'static str),
    /// `90s`, `1h30m`.
    Duration,
    /// `true` or `false`.
    Boolean,
    /// A whole number in a range.
    Integer(i64, i64),
    /// A number in a range.
    Number(f64, f64),
    /// One of these words.
    Word(fn() -> Vec<&'static str>),
    /// Anything.
    Any,
    /// Nothing, or something of the form.
    Maybe(&'static Form),
    /// A list.
    List(&'static Form),
    /// A list, or one item alone.
    OneOrMore(&'static Form),
    /// A map from names of this form (a regular expression).
    Map(&'static str, &'static Form),
    /// A map with fixed fields.
    Shape(&'static str),
    /// One of several forms.
    Either(&'static [Form]),
}

impl Document {
    /// All of them, with the words that people call them by.
    pub const ALL: [(&'static str, Self); 4] =
        [("runbook", Self::Runbook), ("inventory", Self::Inventory), ("test", Self::Test), ("windows", Self::Windows)];

    /// The document's form as JSON Schema (draft 7, which editors know best).
    pub fn schema(self) -> Value {
        json::schema(self)
    }

    pub(crate) fn shapes(self) -> &'static [Shape] {
        match self {
            Self::Runbook => runbook::SHAPES,
            Self::Inventory => inventory::SHAPES,
            Self::Test => test_file::SHAPES,
            Self::Windows => windows::SHAPES,
        }
    }
}

/// A field that may be left out.
const fn may(name: &'static str, form: Form, help: &'static str) -> Field {
    Field { name, help, form, required: false }
}

/// A field that must be there.
const fn must(name: &'static str, form: Form, help: &'static str) -> Field {
    Field { name, help, form, required: true }
}

#[cfg(test)]
mod tests;
