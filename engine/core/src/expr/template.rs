//! Text with `{{ expression }}` in it.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Expr, ExprError, Scope};
use crate::ids::{ParamName, StepId};
use crate::runbook::{Piece as Sealing, Sealed};
use crate::value::{Value, to_text};

/// Text with `{{ expression }}` in it. Cheap to clone.
///
/// A `}}` inside a text or a map of the expression does not end it. To write `{{` itself, write `{{ "{{" }}`;
/// a `}}` that closes nothing stands for itself.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Template(Arc<Parsed>);

struct Parsed {
    source: String,
    pieces: Vec<Piece>,
    steps: BTreeSet<StepId>,
    roots: BTreeSet<String>,
    params: BTreeSet<String>,
}

enum Piece {
    Text(String),
    Expr(Expr),
}

impl Template {
    /// Takes the text if every expression in it can be parsed.
    ///
    /// # Errors
    /// With the offset into `source`, also where an expression's own offset is what counts.
    pub fn parse(source: &str) -> Result<Self, ExprError> {
        let mut pieces = Vec::new();
        let mut steps = BTreeSet::new();
        let mut roots = BTreeSet::new();
        let mut params = BTreeSet::new();
        let mut at = 0;
        while let Some(open) = source[at..].find("{{").map(|found| at + found) {
            if open > at {
                pieces.push(Piece::Text(source[at..open].to_owned()));
            }
            let inner = open + 2;
            let Some(length) = end_of_expression(&source[inner..]) else {
                let message = "this `{{` has no `}}`; to write `{{` itself, write `{{ \"{{\" }}`".into();
                return Err(ExprError { message, offset: Some(open) });
            };
            let text = &source[inner..inner + length];
            if text.trim().is_empty() {
                return Err(ExprError { message: "there is nothing between `{{` and `}}`".into(), offset: Some(open) });
            }
            let expr = Expr::parse(text).map_err(|error| ExprError {
                message: error.message,
                offset: Some(inner + error.offset.unwrap_or_else(|| text.len() - text.trim_start().len())),
            })?;
            steps.extend(expr.steps().iter().cloned());
            roots.extend(expr.roots().iter().cloned());
            params.extend(expr.params().iter().cloned());
            pieces.push(Piece::Expr(expr));
            at = inner + length + 2;
        }
        if at < source.len() {
            pieces.push(Piece::Text(source[at..].to_owned()));
        }
        Ok(Self(Arc::new(Parsed { source: source.to_owned(), pieces, steps, roots, params })))
    }

    /// The source as written.
    pub fn source(&self) -> &str {
        &self.0.source
    }

    /// Whether there is no expression in it.
    pub fn is_constant(&self) -> bool {
        self.0.pieces.iter().all(|piece| match piece {
            Piece::Text(_) => true,
            Piece::Expr(_) => false,
        })
    }

    /// The steps that its expressions name; see [`Expr::steps`].
    pub fn steps(&self) -> &BTreeSet<StepId> {
        &self.0.steps
    }

    /// The variables that its expressions name; see [`Expr::roots`].
    pub fn roots(&self) -> &BTreeSet<String> {
        &self.0.roots
    }

    /// The parameters that its expressions name after `params.`; see [`Expr::params`].
    pub fn params(&self) -> &BTreeSet<String> {
        &self.0.params
    }

    /// Whether a parameter is named only as `{{ name }}` or `{{ params.name }}`, with nothing done to it.
    pub fn names_alone(&self, name: &str) -> bool {
        self.0.pieces.iter().all(|piece| match piece {
            Piece::Text(_) => true,
            Piece::Expr(expr) => {
                expr.param() == Some(name) || !(expr.roots().contains(name) || expr.params().contains(name))
            }
        })
    }

    /// The text as [`Template::render`] gives it, but with the secrets left open.
    ///
    /// # Errors
    /// As [`Expr::eval`].
    pub fn seal(&self, scope: &Scope, is_secret: impl Fn(&str) -> Option<ParamName>) -> Result<Sealed, ExprError> {
        let mut pieces = Vec::with_capacity(self.0.pieces.len());
        for piece in &self.0.pieces {
            pieces.push(match piece {
                Piece::Text(constant) => Sealing::Text(constant.clone()),
                Piece::Expr(expr) => match expr.param().and_then(&is_secret) {
                    Some(name) => Sealing::Secret(name),
                    None => Sealing::Text(to_text(&expr.eval(scope)?)),
                },
            });
        }
        Ok(Sealed(pieces))
    }

    /// The text with the values in it, each as [`to_text`] writes it.
    ///
    /// # Errors
    /// As [`Expr::eval`].
    pub fn render(&self, scope: &Scope) -> Result<String, ExprError> {
        let mut text = String::with_capacity(self.0.source.len());
        for piece in &self.0.pieces {
            match piece {
                Piece::Text(constant) => text.push_str(constant),
                Piece::Expr(expr) => text.push_str(&to_text(&expr.eval(scope)?)),
            }
        }
        Ok(text)
    }

    /// Where the template is one `{{ expression }}` and nothing else, the value itself, with its type;
    /// else the rendered text.
    ///
    /// # Errors
    /// As [`Expr::eval`].
    pub fn value(&self, scope: &Scope) -> Result<Value, ExprError> {
        match self.0.pieces.as_slice() {
            [Piece::Expr(expr)] => expr.eval(scope),
            _ => self.render(scope).map(Value::String),
        }
    }
}

/// The offset behind the `}}` of the `{{` at `open`; `None` if it has none.
pub(crate) fn end_of_template(text: &str, open: usize) -> Option<usize> {
    let inner = open + 2;
    Some(inner + end_of_expression(text.get(inner..)?)? + 2)
}

/// The length of the expression up to its `}}`, which does not count inside texts, characters, braces and comments.
fn end_of_expression(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut depth = 0usize;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'}' if depth == 0 && bytes.get(at + 1) == Some(&b'}') => return Some(at),
            b'}' => depth = depth.saturating_sub(1),
            b'{' => depth += 1,
            b'"' | b'`' => at = end_of_quote(bytes, at)?,
            b'\'' => at = end_of_quote(bytes, at).unwrap_or(at),
            b'/' if bytes.get(at + 1) == Some(&b'*') => at += 3 + text.get(at + 2..)?.find("*/")?,
            _ => {}
        }
        at += 1;
    }
    None
}

/// The offset of the quote that closes the one at `open`.
fn end_of_quote(bytes: &[u8], open: usize) -> Option<usize> {
    let quote = bytes[open];
    let mut at = open + 1;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            // Text between backquotes knows no escapes.
            b'\\' if quote != b'`' => at += 1,
            _ if byte == quote => return Some(at),
            _ => {}
        }
        at += 1;
    }
    None
}

impl PartialEq for Template {
    fn eq(&self, other: &Self) -> bool {
        self.source() == other.source()
    }
}

impl Eq for Template {}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Template({:?})", self.source())
    }
}

impl TryFrom<String> for Template {
    type Error = ExprError;

    fn try_from(source: String) -> Result<Self, ExprError> {
        Self::parse(&source)
    }
}

impl From<Template> for String {
    fn from(it: Template) -> Self {
        it.source().to_owned()
    }
}
