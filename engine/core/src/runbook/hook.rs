//! A hook: what somebody wrote in Rhai, in the project's `scripts/` or in the runbook itself.

use serde::{Deserialize, Serialize};

use crate::expr::Template;
use crate::fault::{Place, Source, Span};

/// A function of the project's scripts with its arguments, or the text itself.
///
/// The core carries it about; what it means is the business of the hooks port of the runner.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hook {
    /// What is called.
    pub code: HookCode,
    /// The arguments, in order; evaluated when the hook begins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<Template>,
    /// Where the name or the text was written.
    pub span: Span,
    /// Where each line of the text stands in the document.
    #[serde(skip)]
    pub lines: Lines,
}

/// What a hook calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HookCode {
    /// `scripts/<script>.rhai`, the function of that name.
    Function {
        /// The script's name, without `.rhai`.
        script: String,
        /// The function's name.
        function: String,
    },
    /// The text that stands in the runbook.
    Text(String),
}

/// Where each line of a text begins in the document that it was read from, in bytes. Known only to whoever read the
/// document: it is no part of a plan, and makes no difference between two hooks.
#[derive(Debug, Clone, Default)]
pub struct Lines(pub Vec<usize>);

impl PartialEq for Lines {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl Hook {
    /// The hook in one line: `libvirt.guests`, or the first line of its text.
    pub fn short(&self) -> String {
        match &self.code {
            HookCode::Function { script, function } => format!("{script}.{function}"),
            HookCode::Text(text) => {
                let first = text.trim().lines().next().unwrap_or_default();
                let short: String = first.chars().take(60).collect();
                if short.len() < text.trim().len() { format!("{short}…") } else { short }
            }
        }
    }

    /// Where a line and column of the text (both from 1, columns in characters) stand in the document.
    pub fn place(&self, source: &Source, line: usize, column: usize) -> Place {
        let start = line.checked_sub(1).and_then(|line| self.lines.0.get(line)).and_then(|&start| {
            let rest = source.text.get(start..)?;
            let offset = rest.char_indices().nth(column.saturating_sub(1)).map_or(rest.len(), |(at, _)| at);
            let length = rest.get(offset..)?.chars().next().map_or(0, char::len_utf8);
            Some(Span { start: start + offset, end: start + offset + length })
        });
        Place { source: source.clone(), span: start.unwrap_or(self.span) }
    }
}
