//! `hook`, `before`, `after`: a function of the project's scripts, or Rhai that stands in the runbook.

use super::param::is_map;
use super::{Drafter, Sees, Use};
use crate::expr::Template;
use crate::fault::FaultCode;
use crate::runbook::{Hook, HookCode, Lines};
use crate::yaml::read::shorten;
use crate::yaml::{Content, Node};

/// How long a hook in a runbook may be, in bytes; what is longer belongs into `scripts/`.
const MAX_TEXT: usize = 64 << 10;

impl Drafter<'_, '_> {
    /// `script.function`, or a text; or a map with `call` and `args`.
    pub(super) fn read_hook<'n>(
        &mut self,
        node: &'n Node<'n>,
        what: &'static str,
        sees: Sees,
        uses: &mut Vec<Use<'n>>,
    ) -> Option<Hook> {
        if !is_map(node) {
            let text = self.reader.text(node, what)?;
            if let Some(code) = named(text) {
                return Some(Hook { code, args: Vec::new(), span: node.span, lines: Lines::default() });
            }
            if text.trim().is_empty() || text.len() > MAX_TEXT {
                let message = if text.trim().is_empty() {
                    "is empty".to_owned()
                } else {
                    format!("has more than {MAX_TEXT} bytes")
                };
                let hint = "a function of the project, `script.function`, or a few lines of Rhai";
                self.reader.fault_with(FaultCode::BadValue, node.span, format!("`{what}` {message}"), hint);
                return None;
            }
            let code = HookCode::Text(text.to_owned());
            return Some(Hook { code, args: Vec::new(), span: node.span, lines: self.lines_of(node) });
        }
        let mut fields = self.reader.fields(node, "hook")?;
        let call = match fields.take("call") {
            Some(node) => self.read_function(node).map(|code| (code, node.span)),
            None => {
                self.reader.missing(fields.span(), what, "call", "a function of the project: `call: script.function`");
                None
            }
        };
        let args = fields.take("args").map(|node| self.read_args(node, sees, uses));
        self.reader.finish(&fields);
        let ((code, span), args) = (call?, args.unwrap_or(Some(Vec::new()))?);
        Some(Hook { code, args, span, lines: Lines::default() })
    }

    fn read_function(&mut self, node: &Node<'_>) -> Option<HookCode> {
        let text = self.reader.text(node, "call")?;
        let code = named(text);
        if code.is_none() {
            let message = format!("`call` is `{}`, not a function of the project", shorten(text));
            let hint = "`script.function`: the name of a file in `scripts/` without `.rhai`, and of a function in it";
            self.reader.fault_with(FaultCode::BadValue, node.span, message, hint);
        }
        code
    }

    fn read_args<'n>(&mut self, node: &'n Node<'n>, sees: Sees, uses: &mut Vec<Use<'n>>) -> Option<Vec<Template>> {
        let items = self.reader.list(node, "args")?;
        let args: Vec<_> = items.iter().map(|item| self.template(item, "args", sees, uses)).collect();
        args.into_iter().collect()
    }

    /// Where each line of a text begins, as far as that can be said.
    fn lines_of(&self, node: &Node<'_>) -> Lines {
        let Content::Scalar(scalar) = &node.content else { return Lines::default() };
        let begins = std::iter::once(0).chain(scalar.text().match_indices('\n').map(|(at, _)| at + 1));
        let place = |at: usize| scalar.place_of(at, &self.reader.source.text, node.span);
        Lines(begins.filter(|&at| at < scalar.text().len()).map_while(place).collect())
    }
}

/// `script.function`, and nothing else.
fn named(text: &str) -> Option<HookCode> {
    let (script, function) = text.trim().split_once('.')?;
    let word = |text: &str, more: &str| {
        text.len() <= 64
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || more.contains(c))
    };
    (word(script, "-") && word(function, ""))
        .then(|| HookCode::Function { script: script.to_owned(), function: function.to_owned() })
}
