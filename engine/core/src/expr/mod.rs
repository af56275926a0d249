//! Expressions and templates: Rhai without side effects and with limits.
//!
//! An [`Expr`] is what stands in `when` and `assert`; a [`Template`] is text with `{{ expression }}` in it.
//! Both keep their source, are checked when they are made, and are pure functions of a [`Scope`].
//!
//! # What an expression may say
//!
//! One Rhai expression (`if a { b } else { c }` is one), no statement. Besides Rhai's operators (`==`, `&&`, `in`, `??`, …)
//! and what its packages for numbers, text, lists and maps offer (`len`, `contains`, `starts_with`, `ends_with`, `split`,
//! `to_upper`, `index_of`, `parse_int`, `parse_float`, `to_int`, `keys`, `values`, `get`, `filter`, `map`, `all`, `some`,
//! `min`, `max`, `round`, …) there are:
//!
//! | function | gives |
//! | --- | --- |
//! | `size("10G")` | bytes, as [`crate::time::parse_size`] reads them |
//! | `duration("5m")` | seconds, as [`crate::time::parse_duration`] reads them; a fraction only where there is one |
//! | `matches(text, regex)` | whether the regular expression is found anywhere in the text |
//! | `lines(text)` | the lines, without line breaks and without empty ones at the end |
//! | `trim(text)`, `replace(text, old, new)` | a changed copy |
//! | `parse_json(text)` | the value that the JSON stands for |
//!
//! A property that does not exist is an error that names what there is. Where something may be missing:
//! `"disk" in steps.facts.outputs`, or `steps.facts.outputs.get("disk") ?? "none"`.
//! Comparing text with a number or a boolean is an error, because the answer would always be no:
//! what a script put out is text until `parse_int` makes a number of it.
//! A step whose id has a `-` in it is written `steps["my-step"]`.
//! The function in `filter(|x| …)` sees only its own parameters.

mod engine;
mod language;
mod names;
mod template;

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ids::StepId;
use crate::value::{Map, Value};

pub(crate) use engine::{offset_in, reset_operations, script_engine};
pub use language::{from_dynamic, language, regex, to_dynamic};
pub use names::is_reserved;
pub use template::Template;
pub(crate) use template::end_of_template;

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

/// One Rhai expression. Cheap to clone.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Expr(Arc<Parsed>);

struct Parsed {
    source: String,
    code: Code,
    names: names::Names,
}

enum Code {
    /// A plain path such as `steps.facts.outputs.disk`: most expressions are one, and need no Rhai.
    Path(Vec<String>),
    /// Anything else.
    Rhai(rhai::AST),
}

impl Expr {
    /// Takes the source if it can be parsed.
    ///
    /// # Errors
    /// With the offset into `source` where Rhai knows it.
    pub fn parse(source: &str) -> Result<Self, ExprError> {
        if source.len() > engine::MAX_SOURCE {
            return Err(ExprError::new(format!("the expression has more than {} bytes", engine::MAX_SOURCE)));
        }
        let (code, names) = match names::plain_path(source) {
            Some(path) => {
                let names = names::Names::of_path(&path)?;
                (Code::Path(path), names)
            }
            None => {
                let ast = engine::compile(source)?;
                let names = names::Names::of_ast(&ast, source)?;
                (Code::Rhai(ast), names)
            }
        };
        Ok(Self(Arc::new(Parsed { source: source.to_owned(), code, names })))
    }

    /// The source as written.
    pub fn source(&self) -> &str {
        &self.0.source
    }

    /// The steps that the expression names, as `steps.<id>` or `steps["<id>"]`: the ones that its scope must hold.
    pub fn steps(&self) -> &BTreeSet<StepId> {
        &self.0.names.steps
    }

    /// The variables that the expression names: the first words of its paths.
    pub fn roots(&self) -> &BTreeSet<String> {
        &self.0.names.roots
    }

    /// The parameters that the expression names as `params.<name>` or `params["<name>"]`.
    pub fn params(&self) -> &BTreeSet<String> {
        &self.0.names.params
    }

    /// The parameter (or variable) that the expression is, where it is `name` or `params.name` and nothing else.
    pub(crate) fn param(&self) -> Option<&str> {
        match &self.0.code {
            Code::Path(path) => match path.as_slice() {
                [name] => Some(name),
                [root, name] if root == "params" => Some(name),
                _ => None,
            },
            Code::Rhai(_) => None,
        }
    }

    /// The value of the expression.
    ///
    /// # Errors
    /// When a name does not exist, a function does not fit, the result cannot be written as JSON,
    /// or a limit is reached.
    pub fn eval(&self, scope: &Scope) -> Result<Value, ExprError> {
        let result = match &self.0.code {
            Code::Path(path) => match names::resolve(path, scope) {
                Ok(value) => Ok(value.clone()),
                Err(missing) if missing.in_map => Err(missing.into()),
                // Properties of texts and lists, such as `.len`, are Rhai's business.
                Err(missing) => engine::compile(self.source())
                    .and_then(|ast| engine::eval(&ast, &self.0.names, self.source(), scope))
                    .map_err(|_| missing.into()),
            },
            Code::Rhai(ast) => engine::eval(ast, &self.0.names, self.source(), scope),
        };
        result.map_err(|error: ExprError| error.within(self.source()))
    }

    /// The value of the expression, which must be a boolean.
    ///
    /// # Errors
    /// As [`Expr::eval`], and when the value is anything else.
    pub fn is_true(&self, scope: &Scope) -> Result<bool, ExprError> {
        let value = self.eval(scope)?;
        value.as_bool().ok_or_else(|| {
            let shown: String = value.to_string().chars().take(60).collect();
            ExprError::new(format!("it is {shown}, {}, and must be true or false", crate::value::kind(&value)))
                .within(self.source())
        })
    }
}

impl ExprError {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), offset: None }
    }

    /// Says in the message which expression it was: by then nobody sees the document.
    fn within(mut self, source: &str) -> Self {
        let short: String = source.trim().chars().take(120).collect();
        let more = if short.len() < source.trim().len() { "…" } else { "" };
        self.message = format!("`{short}{more}`: {}", self.message);
        self
    }
}

impl PartialEq for Expr {
    fn eq(&self, other: &Self) -> bool {
        self.source() == other.source()
    }
}

impl Eq for Expr {}

impl std::fmt::Debug for Expr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Expr({:?})", self.source())
    }
}

impl TryFrom<String> for Expr {
    type Error = ExprError;

    fn try_from(source: String) -> Result<Self, ExprError> {
        Self::parse(&source)
    }
}

impl From<Expr> for String {
    fn from(it: Expr) -> Self {
        it.source().to_owned()
    }
}

#[cfg(test)]
mod tests;
