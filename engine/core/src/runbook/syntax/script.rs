//! Scripts are constant text: a value reaches them through the environment, never by being pasted in.

use super::Drafter;
use crate::fault::{FaultCode, Span};
use crate::yaml::Node;

/// Words that begin an expression of Go's `text/template`: docker, podman and kubectl take such expressions on their command line
/// (`docker ps --format '{{json .}}'`), so they must be possible in a script.
/// <https://pkg.go.dev/text/template#hdr-Actions>, <https://docs.docker.com/engine/cli/formatting/>
const GO_WORDS: [&str; 32] = [
    "and", "block", "break", "continue", "define", "else", "end", "eq", "ge", "gt", "html", "if", "index", "join",
    "json", "js", "le", "len", "lower", "lt", "ne", "not", "or", "pad", "print", "printf", "println", "range", "slice",
    "split", "template", "with",
];

impl Drafter<'_, '_> {
    /// The text of a script, with no template in it.
    pub(super) fn script_text(&mut self, node: &Node<'_>, what: &str) -> Option<String> {
        let text = self.reader.text(node, what)?;
        if text.trim().is_empty() {
            self.reader.fault(FaultCode::BadValue, node.span, format!("the script of `{what}` is empty"));
            return None;
        }
        let mut at = 0;
        while let Some(open) = text.get(at..).and_then(|rest| rest.find("{{")).map(|found| at + found) {
            let inner = text[open + 2..].trim_start();
            at = open + 2;
            if self.is_go_template(inner) {
                continue;
            }
            let span = self
                .reader
                .place_in(node, open)
                .map_or(node.span, |span| Span { start: span.start, end: span.start + 2 });
            let name: String = inner.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            let hint = if self.params.contains(&name) && !inner[name.len()..].starts_with('.') {
                format!("write \"${name}\": every parameter is an environment variable")
            } else if let Some(param) = inner.strip_prefix("params.").and_then(|rest| {
                self.params
                    .iter()
                    .find(|p| rest.split(|c: char| !(c.is_alphanumeric() || c == '_')).next() == Some(p.as_str()))
            }) {
                format!("write \"${param}\": every parameter is an environment variable")
            } else {
                "give the value a name under `env:`, such as `env: { disk: \"{{ … }}\" }`, and write \"$disk\"".into()
            };
            let message = format!(
                "`{what}` is a constant text: no `{{{{ }}}}` in it, because a shell would read the value as its own language"
            );
            self.reader.fault_with(FaultCode::TemplateInScript, span, message, hint);
        }
        Some(text.to_owned())
    }

    /// Whether what follows a `{{` is meant for a program that the script calls, not for Piton.
    fn is_go_template(&self, inner: &str) -> bool {
        let inner = inner.strip_prefix('-').map_or(inner, str::trim_start);
        if inner.starts_with(['.', '$', '"', '`', '/', '(']) {
            return true;
        }
        let word: String = inner.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        GO_WORDS.contains(&word.as_str()) && !self.params.contains(&word)
    }
}
