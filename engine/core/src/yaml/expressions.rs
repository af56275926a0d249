//! Expressions and templates in documents, where it is known at once what they may name.

use super::read::{Reader, shorten};
use super::{Content, Node};
use crate::expr::{Expr, ExprError, Template};
use crate::fault::{FaultCode, Span};

impl Reader<'_> {
    /// An expression that names nothing but what is `known`.
    pub(crate) fn expression(&mut self, node: &Node<'_>, what: &str, known: &[&'static str]) -> Option<Expr> {
        let text = self.text(node, what)?;
        if text.trim_start().starts_with("{{") {
            let message = format!("`{what}` takes an expression, not a template");
            self.fault_with(FaultCode::BadExpression, node.span, message, "leave `{{` and `}}` out");
            return None;
        }
        let expr = Expr::parse(text).map_err(|error| self.bad_expression(node, &error)).ok()?;
        self.check_names(node, expr.roots().iter().map(String::as_str), known)?;
        Some(expr)
    }

    /// A text whose expressions name nothing but what is `known`.
    pub(crate) fn template(&mut self, node: &Node<'_>, what: &str, known: &[&'static str]) -> Option<Template> {
        let template =
            Template::parse(self.text(node, what)?).map_err(|error| self.bad_expression(node, &error)).ok()?;
        self.check_names(node, template.roots().iter().map(String::as_str), known)?;
        Some(template)
    }

    fn check_names<'n>(
        &mut self,
        node: &Node<'_>,
        mut roots: impl Iterator<Item = &'n str>,
        known: &[&'static str],
    ) -> Option<()> {
        let Some(strange) = roots.find(|root| !known.contains(root)) else { return Some(()) };
        let there: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
        let message = format!("there is no `{}` here", shorten(strange));
        self.fault_with(FaultCode::BadExpression, node.span, message, format!("there is {}", there.join(", ")));
        None
    }

    /// Complains about an expression, at the place in it that is to blame where that is known.
    pub(crate) fn bad_expression(&mut self, node: &Node<'_>, error: &ExprError) {
        let span = error.offset.and_then(|offset| self.place_in(node, offset)).unwrap_or(node.span);
        self.fault(FaultCode::BadExpression, span, error.message.clone());
    }

    /// The span of one character at `offset` of a node's text.
    pub(crate) fn place_in(&self, node: &Node<'_>, offset: usize) -> Option<Span> {
        let Content::Scalar(scalar) = &node.content else { return None };
        let text = &self.source.text;
        let start = scalar.place_of(offset.min(scalar.text().len()), text, node.span)?;
        let length = text.get(start..)?.chars().next().map_or(0, char::len_utf8);
        Some(Span { start, end: start + length })
    }
}
