//! `expect`: what must come of a run.

use super::Drafter;
use crate::fault::{FaultCode, Span};
use crate::ids::HostName;
use crate::testing::{End, Expect, TaskEnd};
use crate::yaml::{Content, Node};

/// Nothing is expected but that the run succeeds.
pub(super) fn nothing(span: Span) -> Expect {
    Expect {
        ends: End::Succeeded,
        ends_span: span,
        path: None,
        order: None,
        tasks: Vec::new(),
        undone: None,
        outputs: Vec::new(),
        state: Vec::new(),
        that: Vec::new(),
    }
}

impl Drafter<'_, '_> {
    pub(super) fn read_expect(&mut self, node: &Node<'_>, test: Span) -> Expect {
        let mut expect = nothing(test);
        let Some(mut fields) = self.reader.fields(node, "expect") else { return expect };
        if let Some(node) = fields.take("outcome") {
            expect.ends = self.reader.word(node, "outcome", &End::ALL).unwrap_or(End::Succeeded);
            expect.ends_span = node.span;
        }
        expect.path = fields.take("path").map(|node| (self.read_path(node), node.span));
        expect.order = fields.take("order").map(|node| (self.texts(node, "order"), node.span));
        for entry in fields.take("tasks").and_then(|node| self.reader.map(node, "tasks")).unwrap_or_default() {
            let word = self.reader.word(&entry.value, "tasks", &TaskEnd::ALL);
            expect.tasks.extend(word.map(|word| (entry.key.to_string(), word, entry.value.span)));
        }
        expect.undone = fields.take("undone").map(|node| (self.texts(node, "undone"), node.span));
        for entry in fields.take("outputs").and_then(|node| self.reader.map(node, "outputs")).unwrap_or_default() {
            let map = self.read_plain_map(&entry.value, "outputs");
            expect.outputs.extend(map.map(|map| (entry.key.to_string(), map, entry.value.span)));
        }
        for entry in fields.take("state").and_then(|node| self.reader.map(node, "state")).unwrap_or_default() {
            let value = self.reader.value(&entry.value);
            match HostName::new(&entry.key) {
                Ok(host) => expect.state.extend(value.map(|value| (host, value, entry.value.span))),
                Err(bad) => self.reader.fault(FaultCode::BadName, entry.key_span, bad.to_string()),
            }
        }
        expect.that = fields.take("that").map(|node| self.read_conditions(node, "that")).unwrap_or_default();
        self.reader.finish(&fields);
        expect
    }

    /// Steps and tasks in order; a list among them is a group whose order does not matter.
    fn read_path(&mut self, node: &Node<'_>) -> Vec<Vec<String>> {
        let Content::List(items) = &node.content else {
            return vec![self.texts(node, "path")];
        };
        items.iter().map(|item| self.texts(item, "path")).collect()
    }
}
