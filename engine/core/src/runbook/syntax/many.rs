//! What makes one step many: `for_each`, blocks, batches, calls, and how many may fail or be under way.

use std::collections::BTreeMap;

use super::param::is_map;
use super::step::Given as Modifiers;
use super::{DraftStep, Drafter, Sees, Use, Within};
use crate::expr::Template;
use crate::fault::{FaultCode, Span};
use crate::ids::{ParamName, RunbookName};
use crate::plan::read_items;
use crate::runbook::{Action, Argument, Call, ForEach, Given, Share, Transfer};
use crate::value::Value;
use crate::yaml::read::{Fields, shorten};
use crate::yaml::{Content, Node};

/// The modifiers that make one step many.
#[derive(Debug, Default)]
pub(super) struct Many {
    pub(super) for_each: Option<ForEach>,
    pub(super) batch: Vec<Share>,
    pub(super) max_failures: Option<Share>,
    pub(super) max_parallel: Option<u32>,
}

/// The modifiers that count hosts or items.
const COUNTING: [&str; 3] = ["batch", "max_failures", "max_parallel"];

impl Many {
    pub(super) fn counts(&self) -> bool {
        !self.batch.is_empty() || self.max_failures.is_some() || self.max_parallel.is_some()
    }
}

impl Drafter<'_, '_> {
    pub(super) fn read_many<'n>(
        &mut self,
        fields: &mut Fields<'n>,
        given: &mut Modifiers,
        uses: &mut Vec<Use<'n>>,
    ) -> Many {
        let for_each = given.take(fields, "for_each").and_then(|node| self.read_for_each(node, uses));
        let batch = given.take(fields, "batch").map(|node| self.read_batch(node)).unwrap_or_default();
        let max_failures = given.take(fields, "max_failures").and_then(|node| self.read_share(node, "max_failures", 0));
        let max_parallel = given
            .take(fields, "max_parallel")
            .and_then(|node| self.reader.integer(node, "max_parallel", 1, 100_000))
            .and_then(|number| u32::try_from(number).ok());
        Many { for_each, batch, max_failures, max_parallel }
    }

    fn read_for_each<'n>(&mut self, node: &'n Node<'n>, uses: &mut Vec<Use<'n>>) -> Option<ForEach> {
        match &node.content {
            Content::List(_) => {
                let list = self.reader.value(node)?;
                if let Err(why) = read_items(list.clone()) {
                    self.reader.fault(FaultCode::BadValue, node.span, format!("`for_each`: {why}"));
                    return None;
                }
                if let Value::Array(list) = list { Some(ForEach::List(list)) } else { None }
            }
            Content::Scalar(_) | Content::Map(_) => {
                self.expression(node, "for_each", Sees::Outside, uses).map(ForEach::Expr)
            }
        }
    }

    fn read_batch(&mut self, node: &Node<'_>) -> Vec<Share> {
        let items = self.reader.one_or_list(node, "batch").unwrap_or_default();
        if items.is_empty() && matches!(node.content, Content::List(_)) {
            self.reader.fault(FaultCode::BadValue, node.span, "`batch` names no size");
        }
        items.iter().filter_map(|item| self.read_share(item, "batch", 1)).collect()
    }

    /// A number from `least` on, or a percentage.
    fn read_share(&mut self, node: &Node<'_>, what: &str, least: u32) -> Option<Share> {
        let text = self.reader.text(node, what)?;
        let share = match text.strip_suffix('%') {
            Some(percent) => percent.trim().parse().ok().filter(|p| (least..=100).contains(p)).map(Share::Percent),
            None => text.parse().ok().filter(|count| *count >= least && *count <= 1_000_000).map(Share::Count),
        };
        if share.is_none() {
            let message = format!(
                "`{what}` takes a number from {least} on, or a percentage such as 20%, not `{}`",
                shorten(text)
            );
            self.reader.fault(FaultCode::BadValue, node.span, message);
        }
        share
    }

    pub(super) fn read_block<'n>(&mut self, node: &'n Node<'n>, within: Within, out: &mut Vec<DraftStep<'n>>) {
        let items = self.reader.list(node, "steps").unwrap_or_default();
        if items.is_empty() && matches!(node.content, Content::List(_)) {
            self.reader.fault(FaultCode::MissingField, node.span, "`steps` has no step");
        }
        for item in items {
            self.read_step(item, within, out);
        }
    }

    pub(super) fn read_call<'n>(&mut self, node: &'n Node<'n>, uses: &mut Vec<Use<'n>>) -> Option<Call> {
        if !is_map(node) {
            let runbook = self.reader.parsed(node, "call", FaultCode::BadName, RunbookName::new)?;
            return Some(Call { runbook, span: node.span, with: BTreeMap::new() });
        }
        let mut fields = self.reader.fields(node, "call")?;
        let name = fields.take("runbook");
        if name.is_none() {
            self.reader.missing(fields.span(), "call", "runbook", "the name of the runbook to call");
        }
        let runbook = name.and_then(|node| self.reader.parsed(node, "runbook", FaultCode::BadName, RunbookName::new));
        let with = fields.take("with").map(|node| self.read_with(node, uses)).unwrap_or_default();
        self.reader.finish(&fields);
        Some(Call { runbook: runbook?, span: name.map_or(node.span, |node| node.span), with })
    }

    fn read_with<'n>(&mut self, node: &'n Node<'n>, uses: &mut Vec<Use<'n>>) -> BTreeMap<String, Argument> {
        let mut with = BTreeMap::new();
        for entry in self.reader.map(node, "with").unwrap_or_default() {
            let text = matches!(&entry.value.content, Content::Scalar(_)) && !entry.value.is_null();
            let value = match text {
                true => self.template(&entry.value, "with", Sees::NoHost, uses).map(Given::Text),
                false => self.reader.value(&entry.value).map(Given::Value),
            };
            if let Some(value) = value {
                with.insert(entry.key.clone().into_owned(), Argument { value, span: entry.value.span });
            }
        }
        with
    }

    /// The outputs of a runbook for whoever calls it.
    pub(super) fn read_given<'n>(
        &mut self,
        node: &'n Node<'n>,
        uses: &mut Vec<Use<'n>>,
    ) -> BTreeMap<ParamName, Template> {
        let mut outputs = BTreeMap::new();
        for entry in self.reader.map(node, "outputs").unwrap_or_default() {
            let name = match ParamName::new(&entry.key) {
                Ok(name) => Some(name),
                Err(bad) => {
                    self.reader.fault(FaultCode::BadName, entry.key_span, bad.to_string());
                    None
                }
            };
            let value = self.template(&entry.value, "outputs", Sees::Outside, uses);
            if let (Some(name), Some(value)) = (name, value) {
                outputs.insert(name, value);
            }
        }
        outputs
    }

    /// What makes a step many must have something to count, and one way to count it.
    pub(super) fn check_many(
        &mut self,
        (action, here): (&Action, Span),
        many: &Many,
        given: &Modifiers,
        within: Within,
        hosts: bool,
    ) {
        let for_each = given.place("for_each");
        if let (Some(place), true) = (for_each, within.looped) {
            let message = "a `for_each` cannot stand inside of another";
            let hint = "make one list of both: each item can be a map with the fields of both";
            self.reader.fault_with(FaultCode::Conflict, place, message, hint);
        }
        if let (Some(place), true) = (for_each, within.counted) {
            let message =
                "a `for_each` cannot stand in a block that counts its hosts (`batch`, `max_failures`, `max_parallel`)";
            self.reader.fault(FaultCode::Conflict, place, message);
        }
        let countable = match action {
            Action::Block => for_each.is_some() || hosts || within.hosts,
            Action::Call(_) => for_each.is_some(),
            Action::Run(_)
            | Action::Exec(_)
            | Action::Put(_)
            | Action::Get(_)
            | Action::Transfer(_)
            | Action::Reboot(_)
            | Action::Hook(_)
            | Action::Assert(_)
            | Action::WaitFor(_)
            | Action::WaitUntil(_)
            | Action::Approve(_) => for_each.is_some() || hosts || within.hosts || within.looped,
        };
        for name in COUNTING {
            if let (Some(place), false) = (given.place(name), countable) {
                let message = format!("`{name}` does nothing on a step without `hosts` or `for_each`");
                self.reader.fault_with(FaultCode::Conflict, place, message, "take it out");
            }
        }
        if let (Some(place), true) = (given.place("batch"), many.batch.iter().all(|s| *s == Share::Percent(100)))
            && !many.batch.is_empty()
        {
            self.reader.fault(FaultCode::Conflict, place, "`batch: 100%` is all at once: take it out");
        }
        let alone = match action {
            Action::Call(_) => Some("a `call`"),
            Action::Assert(_) => Some("an `assert`"),
            Action::WaitFor(_) => Some("a `wait for`"),
            Action::Approve(_) => Some("an `approve`"),
            // Where it goes it says itself.
            Action::Transfer(Transfer { to_host: Some(_), .. }) => Some("a `transfer` to a host that it names"),
            Action::Run(_)
            | Action::Exec(_)
            | Action::Put(_)
            | Action::Get(_)
            | Action::Transfer(_)
            | Action::Reboot(_)
            | Action::Hook(_)
            | Action::WaitUntil(_)
            | Action::Block => hosts.then_some("a step with `hosts` of its own"),
        };
        if let (Some(what), true) = (alone, within.counted) {
            let place = given.place("hosts").unwrap_or(here);
            let message = format!(
                "{what} cannot stand in a block that counts its hosts (`batch`, `max_failures`, `max_parallel`): \
                 everything in it is done on each of them"
            );
            self.reader.fault_with(FaultCode::Conflict, place, message, "put it before or after the block");
        }
    }
}
