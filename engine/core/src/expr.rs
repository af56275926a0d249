//! Expressions and templates: Rhai without side effects and with limits.
//!
//! An [`Expr`] is what stands in `when` and `assert`; a [`Template`] is text with `{{ expression }}` in it.
//! Both keep their source, are checked when they are made, and are pure functions of a [`Scope`].

use serde::{Deserialize, Serialize};

use crate::value::{Map, Value};

/// What an expression may name: `params`, each param by its own name, `steps`, `host`, `item`, `run`.
///
/// A map from variable name to value; the order does not matter.
#[derive(Debug, Clone, Default)]
pub struct Scope(pub Map<String, Value>);

/// Why an expression cannot be parsed or has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ExprError {
    /// What is wrong.
    pub message: String,
    /// Byte offset into the source, where known.
    pub offset: Option<usize>,
}

/// One Rhai expression.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Expr {
    source: String,
}

/// Text with `{{ expression }}` in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Template {
    source: String,
}

impl Expr {
    /// Takes the source if it can be parsed.
    pub fn parse(source: &str) -> Result<Self, ExprError> {
        Ok(Self { source: source.to_owned() })
    }

    /// The source as written.
    pub fn source(&self) -> &str {
        &self.source
    }
}

impl Template {
    /// Takes the text if every expression in it can be parsed.
    pub fn parse(source: &str) -> Result<Self, ExprError> {
        Ok(Self { source: source.to_owned() })
    }

    /// The source as written.
    pub fn source(&self) -> &str {
        &self.source
    }
}

macro_rules! text {
    ($name:ident) => {
        impl TryFrom<String> for $name {
            type Error = ExprError;
            fn try_from(source: String) -> Result<Self, ExprError> {
                Self::parse(&source)
            }
        }
        impl From<$name> for String {
            fn from(it: $name) -> Self {
                it.source
            }
        }
    };
}
text!(Expr);
text!(Template);
