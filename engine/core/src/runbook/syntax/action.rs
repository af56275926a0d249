//! Actions: what a step does.

use std::time::Duration;

use super::param::is_map;
use super::{Drafter, Sees, Use};
use crate::expr::Template;
use crate::fault::{FaultCode, Span};
use crate::runbook::{Action, Assertion};
use crate::yaml::Node;
use crate::yaml::read::Fields;

impl Drafter<'_, '_> {
    /// Reads every action that is there, so that the faults of all are seen; more than one is a fault itself.
    /// The last of what it gives is how long the action may take, where it says so itself.
    pub(super) fn read_action<'n>(
        &mut self,
        fields: &mut Fields<'n>,
        shell: &str,
        sees: Sees,
        uses: &mut Vec<Use<'n>>,
    ) -> (Vec<(&'static str, Span)>, Option<Action>, Option<Duration>) {
        let mut given = Vec::new();
        let mut action = None;
        let mut within = None;
        for name in ["run", "exec", "put", "get", "transfer", "reboot", "hook", "assert", "wait", "approve", "call"] {
            let Some(entry) = fields.entry(name) else { continue };
            given.push((name, entry.key_span));
            let node = &entry.value;
            let read = match name {
                "run" => self.read_script(node, name, shell).map(Action::Run),
                "exec" => self.read_exec(node, uses).map(Action::Exec),
                "put" => self.read_put(node, uses).map(Action::Put),
                "get" => self.read_get(node, uses).map(Action::Get),
                "hook" => self.read_hook(node, name, sees, uses).map(Action::Hook),
                "transfer" => self.read_transfer(node, uses).map(Action::Transfer),
                "reboot" => self.read_reboot(node, uses).map(|(reboot, span)| {
                    within = Some(span);
                    Action::Reboot(reboot)
                }),
                "assert" => self.read_assert(node, uses).map(Action::Assert),
                "approve" => self.read_approve(node, uses).map(Action::Approve),
                "call" => self.read_call(node, uses).map(Action::Call),
                _ => self.read_wait(node, shell),
            };
            action = action.or(read);
        }
        (given, action, within)
    }

    fn read_exec<'n>(&mut self, node: &'n Node<'n>, uses: &mut Vec<Use<'n>>) -> Option<Vec<Template>> {
        if !is_map(node) && self.reader.list(node, "exec").is_none() {
            if let Some(fault) = self.reader.faults.last_mut() {
                fault.hint = Some(
                    "`exec` takes a program and its words, `[ls, -l]`; a line for a shell goes under `run`".into(),
                );
            }
            return None;
        }
        let items = self.reader.list(node, "exec")?;
        let words: Vec<_> = items.iter().map(|item| self.template(item, "exec", Sees::Host, uses)).collect();
        if words.first().is_none_or(|word| word.as_ref().is_some_and(|word| word.source().trim().is_empty())) {
            self.reader.fault(FaultCode::BadValue, node.span, "`exec` names no program");
            return None;
        }
        words.into_iter().collect()
    }

    fn read_assert<'n>(&mut self, node: &'n Node<'n>, uses: &mut Vec<Use<'n>>) -> Option<Vec<Assertion>> {
        let items = if is_map(node) { std::slice::from_ref(node) } else { self.reader.one_or_list(node, "assert")? };
        if items.is_empty() {
            self.reader.fault(FaultCode::BadValue, node.span, "`assert` has no condition");
            return None;
        }
        let assertions: Vec<_> = items.iter().map(|item| self.read_assertion(item, uses)).collect();
        assertions.into_iter().collect()
    }

    fn read_assertion<'n>(&mut self, node: &'n Node<'n>, uses: &mut Vec<Use<'n>>) -> Option<Assertion> {
        if !is_map(node) {
            let that = self.expression(node, "assert", Sees::NoHost, uses)?;
            return Some(Assertion { that, otherwise: None });
        }
        let mut fields = self.reader.fields(node, "assert")?;
        let that = match fields.take("that") {
            Some(node) => self.expression(node, "that", Sees::NoHost, uses),
            None => {
                self.reader.missing(fields.span(), "assert", "that", "an expression that must be true");
                None
            }
        };
        let otherwise = fields.take("else").and_then(|node| self.template(node, "else", Sees::NoHost, uses));
        self.reader.finish(&fields);
        Some(Assertion { that: that?, otherwise })
    }

    fn read_wait(&mut self, node: &Node<'_>, shell: &str) -> Option<Action> {
        let hint = "`wait: { for: 30s }`, or `wait: { until: a script, within: 10m }`";
        if !is_map(node) {
            self.reader.fault_with(FaultCode::WrongType, node.span, "`wait` takes a map", hint);
            return None;
        }
        let mut fields = self.reader.fields(node, "wait")?;
        let span = fields.take("for").map(|node| self.positive(node, "for"));
        match (span, fields.entry("until")) {
            (Some(_), Some(until)) => {
                let message = "`wait` is `for` some time or `until` a script exits 0, not both";
                self.reader.fault(FaultCode::Conflict, until.key_span, message);
                None
            }
            (Some(span), None) => {
                for name in ["within", "every"] {
                    if let Some(entry) = fields.entry(name) {
                        let message = format!("`{name}` does nothing on `wait for`");
                        self.reader.fault(FaultCode::Conflict, entry.key_span, message);
                    }
                }
                self.reader.finish(&fields);
                span.map(Action::WaitFor)
            }
            (None, Some(until)) => {
                let script = self.read_script(&until.value, "until", shell);
                self.read_probe(fields, script, None).map(Action::WaitUntil)
            }
            (None, None) => {
                self.reader.missing(fields.span(), "wait", "for", hint);
                self.reader.finish(&fields);
                None
            }
        }
    }
}
