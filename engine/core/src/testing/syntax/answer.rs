//! `answers`: which scripts, and what they do.

use std::time::Duration;

use super::{Drafter, IN_ANSWERS};
use crate::expr::regex;
use crate::fault::FaultCode;
use crate::ids::{HostName, Part};
use crate::testing::{Answer, Ends};
use crate::yaml::Node;
use crate::yaml::read::Fields;

/// The parts of a step, as runbooks have the words, and all of them.
pub(super) const PARTS: [(&str, &[Part]); 6] = [
    ("run", &[Part::Main]),
    ("unless", &[Part::Unless]),
    ("verify", &[Part::Verify]),
    ("undo", &[Part::Undo]),
    ("call", &[Part::Call]),
    ("any", ANY),
];

const ANY: &[Part] = &[Part::Unless, Part::Main, Part::Verify, Part::Undo, Part::Call];

/// What a step alone means: its action, and what its hooks have hosts do.
const WORK: &[Part] = &[Part::Main, Part::Call];

impl Drafter<'_, '_> {
    pub(super) fn read_answers(&mut self, node: &Node<'_>) -> Vec<Answer> {
        let items = self.reader.list(node, "answers").unwrap_or_default();
        items.iter().filter_map(|item| self.read_answer(item)).collect()
    }

    fn read_answer(&mut self, node: &Node<'_>) -> Option<Answer> {
        let mut fields = self.reader.fields(node, "answer")?;
        let before = self.reader.faults.len();
        let steps = fields.take("step").map(|node| self.texts(node, "step")).unwrap_or_default();
        let hosts = fields.take("host").map(|node| self.texts(node, "host")).unwrap_or_default();
        let mut parts: Vec<Part> = Vec::new();
        for node in fields.take("part").and_then(|node| self.reader.one_or_list(node, "part")).unwrap_or_default() {
            parts.extend(self.reader.word(node, "part", &PARTS).unwrap_or_default());
        }
        let script = fields.take("script").and_then(|node| {
            let text = self.reader.text(node, "script")?;
            regex(text)
                .map_err(|why| self.reader.fault(FaultCode::BadRegex, node.span, format!("`script`: {why}")))
                .ok()
        });
        if parts.is_empty() {
            // A script is whatever its text is.
            parts.extend(if steps.is_empty() { ANY } else { WORK });
        }
        let count = |this: &mut Self, fields: &mut Fields<'_>, name: &'static str| {
            let node = fields.take(name)?;
            this.reader.integer(node, name, 1, 1_000_000).and_then(|number| u32::try_from(number).ok())
        };
        let (attempt, round) = (count(self, &mut fields, "attempt"), count(self, &mut fields, "round"));
        let when = fields.take("when").and_then(|node| self.expression(node, "when", &IN_ANSWERS));
        let ends = self.read_ends(&mut fields);
        let stdout = fields.take("stdout").and_then(|node| self.template(node, "stdout", &IN_ANSWERS));
        let stderr = fields.take("stderr").and_then(|node| self.template(node, "stderr", &IN_ANSWERS));
        let mut outputs = Vec::new();
        for entry in fields.take("outputs").and_then(|node| self.reader.map(node, "outputs")).unwrap_or_default() {
            outputs.extend(self.tree(&entry.value, "outputs").map(|tree| (entry.key.to_string(), tree)));
        }
        let set = fields.take("set").and_then(|node| {
            self.reader.map(node, "set")?;
            self.tree(node, "set")
        });
        let mut elsewhere = Vec::new();
        let others = fields.take("elsewhere").and_then(|node| self.reader.map(node, "elsewhere"));
        for entry in others.unwrap_or_default() {
            match HostName::new(&entry.key) {
                Ok(host) => elsewhere.extend(self.tree(&entry.value, "elsewhere").map(|tree| (host, tree))),
                Err(bad) => self.reader.fault(FaultCode::BadName, entry.key_span, bad.to_string()),
            }
        }
        let later = fields.take("later").and_then(|node| self.read_later(node));
        let takes = fields.take("takes").and_then(|node| self.reader.duration(node, "takes"));
        self.reader.finish(&fields);
        if self.reader.faults.len() > before {
            return None;
        }
        let span = self.reader.first_line(node.span);
        Some(Answer {
            span,
            steps,
            parts,
            hosts,
            script,
            attempt,
            round,
            when,
            ends,
            stdout,
            stderr,
            outputs,
            set,
            elsewhere,
            later,
            // A script that takes no time at all could not be caught running.
            takes: takes.map(|takes| takes.max(Duration::from_millis(1))),
        })
    }

    fn read_ends(&mut self, fields: &mut Fields<'_>) -> Ends {
        let (exit, passes, hangs) = (fields.entry("exit"), fields.entry("passes"), fields.entry("hangs"));
        let given: Vec<_> = [exit, passes, hangs].into_iter().flatten().collect();
        if let [_, second, ..] = given.as_slice() {
            let message = "a script ends in one way: `exit`, `passes` or `hangs`";
            self.reader.fault(FaultCode::Conflict, second.key_span, message);
        }
        if let Some(entry) = passes {
            return self.expression(&entry.value, "passes", &IN_ANSWERS).map_or(Ends::Exit(0), Ends::Passes);
        }
        if hangs.and_then(|entry| self.reader.boolean(&entry.value, "hangs")) == Some(true) {
            return Ends::Hangs;
        }
        let status = exit.and_then(|entry| self.reader.integer(&entry.value, "exit", 0, 255));
        Ends::Exit(status.and_then(|status| u8::try_from(status).ok()).unwrap_or(0))
    }

    fn read_later(&mut self, node: &Node<'_>) -> Option<(Duration, crate::testing::Tree)> {
        let mut fields = self.reader.fields(node, "later")?;
        let after = match fields.take("after") {
            Some(node) => self.reader.duration(node, "after"),
            None => {
                self.reader.missing(fields.span(), "later", "after", "how long after the script began: `after: 30s`");
                None
            }
        };
        let set = match fields.take("set") {
            Some(node) => self.reader.map(node, "set").and_then(|_| self.tree(node, "set")),
            None => {
                self.reader.missing(fields.span(), "later", "set", "what changes then: `set: { running: false }`");
                None
            }
        };
        self.reader.finish(&fields);
        Some((after?, set?))
    }
}
