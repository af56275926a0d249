//! From text to a draft: the form of a runbook on paper.
//!
//! Reading goes on after a fault, so that all of them are seen; what could not be read is simply not in the draft,
//! which becomes a [`Runbook`] only where there was no fault at all. What needs more than one step to see
//! (names, order, references) is in [`super::check`].

mod action;
mod approve;
mod fit;
mod hook;
mod locks;
mod many;
mod moving;
mod outputs;
mod param;
mod retry;
mod script;
mod step;
pub(crate) mod words;

use std::collections::{BTreeMap, BTreeSet};

use super::{DEFAULT_MAX_PARALLEL, LockWanted, OnFailure, Param, Runbook, Step};
use crate::expr::{Expr, ExprError, Template};
use crate::fault::{Fault, FaultCode, Source, Span};
use crate::ids::{ParamName, RunbookName, StepId};
use crate::yaml::read::{Fields, Reader};
use crate::yaml::{self, Content, Node};

/// How many steps a runbook may have, `steps` and `finally` together.
pub const MAX_STEPS: usize = 50_000;

/// Reads and checks a runbook: either the runbook, or everything that is wrong with it, in the order of the document.
///
/// # The language
///
/// YAML 1.2. On top: `runbook`, `title`, `about`, `params`, `on_failure`, `max_parallel`, `locks`, `steps`, `finally`.
/// A step has an `id`, exactly one action (`run`, `exec`, `put`, `get`, `transfer`, `reboot`, `hook`, `assert`, `wait`, `approve`) and modifiers. Short forms:
/// `run: text`, `unless: text`, `undo: text`, `verify: text`, `retry: 3`, `hosts: x`, `needs: x`, `assert: [expression]`.
///
/// A step without `needs` needs the step above it; `needs: []` starts at once. The first step under `finally` needs nothing,
/// and steps under `finally` need only each other, while they may read the outputs of every step under `steps`.
pub fn parse(source: &Source) -> (Option<Runbook>, Vec<Fault>) {
    let (root, faults) = yaml::parse(source);
    let mut reader = Reader::new(source);
    reader.faults = faults;
    let draft = root.as_ref().and_then(|root| Drafter { reader: &mut reader, params: Vec::new() }.read(root));
    if let Some(draft) = &draft {
        super::check::check(draft, &mut reader);
    }
    let faults = yaml::told(reader.faults);
    if !faults.is_empty() {
        return (None, faults);
    }
    (draft.and_then(Draft::finish), faults)
}

/// A runbook as far as it could be read.
pub(super) struct Draft<'n> {
    name: Option<RunbookName>,
    title: String,
    about: String,
    on_failure: Option<OnFailure>,
    max_parallel: u32,
    outputs: BTreeMap<ParamName, Template>,
    /// What the outputs read.
    pub(super) given: Vec<Use<'n>>,
    locks: Vec<LockWanted>,
    /// What stands outside of the steps.
    pub(super) uses: Vec<Use<'n>>,
    pub(super) params: Vec<Param>,
    /// The names of all parameters, also of those that could not be read.
    pub(super) names: Vec<String>,
    pub(super) steps: Vec<DraftStep<'n>>,
    pub(super) finally: Vec<DraftStep<'n>>,
}

/// A step as far as it could be read.
pub(super) struct DraftStep<'n> {
    /// The block that it stands in, an index into the same list.
    pub(super) parent: Option<usize>,
    /// Whether it stands in a `for_each`, its own included.
    pub(super) looped: bool,
    pub(super) id: Option<StepId>,
    pub(super) id_span: Span,
    /// As written; `None` where the step above is meant.
    pub(super) needs: Option<Vec<(&'n str, Span)>>,
    pub(super) uses: Vec<Use<'n>>,
    pub(super) step: Option<Step>,
}

/// An expression or template, and where it stands.
pub(super) struct Use<'n> {
    pub(super) node: &'n Node<'n>,
    pub(super) what: Used,
    pub(super) sees: Sees,
    /// The field that it stands in.
    pub(super) field: &'static str,
}

/// An expression or template.
pub(super) enum Used {
    Expr(Expr),
    Template(Template),
}

impl Used {
    pub(super) fn roots(&self) -> &BTreeSet<String> {
        match self {
            Self::Expr(expr) => expr.roots(),
            Self::Template(template) => template.roots(),
        }
    }

    pub(super) fn steps(&self) -> &BTreeSet<StepId> {
        match self {
            Self::Expr(expr) => expr.steps(),
            Self::Template(template) => template.steps(),
        }
    }

    pub(super) fn params(&self) -> &BTreeSet<String> {
        match self {
            Self::Expr(expr) => expr.params(),
            Self::Template(template) => template.params(),
        }
    }
}

/// Which variables an expression can see, besides the parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sees {
    /// It is evaluated when the plan is made: nothing has run.
    PlanOnly,
    /// Likewise; it is about what the run as a whole must have.
    RunOnly,
    /// `steps` and `run`: it is what makes the items of a `for_each`.
    Outside,
    /// `steps`, `run`, and `item` under `for_each`; there is no host.
    NoHost,
    /// `steps`, `run` and `host`.
    Host,
}

impl Draft<'_> {
    fn finish(self) -> Option<Runbook> {
        let finish = |steps: Vec<DraftStep<'_>>| -> Option<Vec<Step>> {
            let mut last: BTreeMap<Option<StepId>, StepId> = BTreeMap::new();
            let ids: Vec<Option<StepId>> = steps.iter().map(|step| step.id.clone()).collect();
            let mut finished = Vec::with_capacity(steps.len());
            for draft in steps {
                let mut step = draft.step?;
                step.parent = draft.parent.and_then(|parent| ids.get(parent).cloned().flatten());
                let above = last.insert(step.parent.clone(), step.id.clone());
                step.needs = match draft.needs {
                    Some(needs) => needs.into_iter().filter_map(|(id, _)| StepId::new(id).ok()).collect(),
                    None => above.into_iter().collect(),
                };
                finished.push(step);
            }
            Some(finished)
        };
        Some(Runbook {
            name: self.name?,
            title: self.title,
            about: self.about,
            params: self.params,
            on_failure: self.on_failure,
            max_parallel: self.max_parallel,
            locks: self.locks,
            steps: finish(self.steps)?,
            finally: finish(self.finally)?,
            outputs: self.outputs,
        })
    }
}

/// What a step stands in.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Within {
    parent: Option<usize>,
    /// A block around it has hosts.
    hosts: bool,
    /// It stands in a `for_each`.
    looped: bool,
    /// It stands in a block that counts its hosts: for batches, failures, or how many are under way.
    counted: bool,
}

/// Reads one runbook.
pub(super) struct Drafter<'r, 's> {
    reader: &'r mut Reader<'s>,
    /// The names of the parameters, once they are read.
    params: Vec<String>,
}

const ON_FAILURE: [(&str, OnFailure); 3] =
    [("stop", OnFailure::Stop), ("undo", OnFailure::Undo), ("continue", OnFailure::Continue)];

/// Fields of runbooks that are designed, and not there yet.
const LATER: [&str; 1] = ["windows"];

impl Drafter<'_, '_> {
    fn read<'n>(mut self, root: &'n Node<'n>) -> Option<Draft<'n>> {
        let mut fields = self.reader.fields(root, "runbook")?;
        let name = match fields.take("runbook") {
            Some(node) => self.reader.parsed(node, "runbook", FaultCode::BadName, RunbookName::new),
            None => {
                let start = Span { start: root.span.start, end: root.span.start };
                self.reader.missing(start, "runbook", "runbook", "its name: `runbook: restart-storage`");
                None
            }
        };
        let title = self.prose(&mut fields, "title");
        let about = self.prose(&mut fields, "about");
        let (params, names) = fields.take("params").map(|node| self.read_params(node)).unwrap_or_default();
        self.params.clone_from(&names);
        let on_failure = fields.take("on_failure").and_then(|node| self.reader.word(node, "on_failure", &ON_FAILURE));
        let max_parallel =
            fields.take("max_parallel").and_then(|node| self.reader.integer(node, "max_parallel", 1, 100_000));
        let mut given = Vec::new();
        let outputs = fields.take("outputs").map(|node| self.read_given(node, &mut given)).unwrap_or_default();
        let mut uses = Vec::new();
        let locks =
            fields.take("locks").map(|node| self.read_locks(node, Sees::RunOnly, &mut uses)).unwrap_or_default();
        let (steps, finally) = (fields.take("steps"), fields.take("finally"));
        let count: usize = [steps, finally].into_iter().flatten().map(length).sum();
        if count > MAX_STEPS {
            let start = Span { start: root.span.start, end: root.span.start };
            let message = format!("the runbook has {count} steps, more than {MAX_STEPS}");
            self.reader.fault(FaultCode::TooLarge, start, message);
            return None;
        }
        let steps = match steps {
            Some(node) => self.read_steps(node, "steps"),
            None => {
                let start = Span { start: root.span.start, end: root.span.start };
                self.reader.missing(start, "runbook", "steps", "a list of steps, each with an `id` and an action");
                Vec::new()
            }
        };
        let finally = finally.map(|node| self.read_steps(node, "finally")).unwrap_or_default();
        self.refuse_later(&mut fields, &LATER);
        self.reader.finish(&fields);
        Some(Draft {
            name,
            title,
            about,
            on_failure,
            outputs,
            given,
            max_parallel: max_parallel.and_then(|n| u32::try_from(n).ok()).unwrap_or(DEFAULT_MAX_PARALLEL),
            locks,
            uses,
            params,
            names,
            steps,
            finally,
        })
    }

    fn read_steps<'n>(&mut self, node: &'n Node<'n>, what: &str) -> Vec<DraftStep<'n>> {
        let items = self.reader.list(node, what).unwrap_or_default();
        if items.is_empty() && what == "steps" && matches!(node.content, Content::List(_)) {
            self.reader.fault(FaultCode::MissingField, node.span, "`steps` has no step");
        }
        let mut steps = Vec::with_capacity(items.len());
        for item in items {
            self.read_step(item, Within::default(), &mut steps);
        }
        steps
    }

    fn prose(&mut self, fields: &mut Fields<'_>, name: &'static str) -> String {
        fields.take(name).and_then(|node| self.reader.text(node, name)).unwrap_or_default().trim_end().to_owned()
    }

    /// Complains about fields that are known to come, more helpfully than about fields that are not.
    fn refuse_later(&mut self, fields: &mut Fields<'_>, later: &[&str]) -> bool {
        let found: Vec<_> = fields.rest().iter().filter(|e| later.contains(&&*e.key)).map(|e| (*e).clone()).collect();
        for entry in &found {
            let message = format!("`{}` is not in this version of Piton", entry.key);
            self.reader.fault(FaultCode::UnknownField, entry.key_span, message);
        }
        fields.retain(|entry| !later.contains(&&*entry.key));
        !found.is_empty()
    }

    /// A template, noted among the uses.
    fn template<'n>(
        &mut self,
        node: &'n Node<'n>,
        what: &'static str,
        sees: Sees,
        uses: &mut Vec<Use<'n>>,
    ) -> Option<Template> {
        let template = match Template::parse(self.reader.text(node, what)?) {
            Ok(template) => template,
            Err(error) => return self.bad_expression(node, &error),
        };
        if !template.is_constant() {
            uses.push(Use { node, what: Used::Template(template.clone()), sees, field: what });
        }
        Some(template)
    }

    /// An expression, noted among the uses.
    fn expression<'n>(
        &mut self,
        node: &'n Node<'n>,
        what: &'static str,
        sees: Sees,
        uses: &mut Vec<Use<'n>>,
    ) -> Option<Expr> {
        let text = self.reader.text(node, what)?;
        if text.trim_start().starts_with("{{") {
            let message = format!("`{what}` takes an expression, not a template");
            self.reader.fault_with(FaultCode::BadExpression, node.span, message, "leave `{{` and `}}` out");
            return None;
        }
        let expr = match Expr::parse(text) {
            Ok(expr) => expr,
            Err(error) => return self.bad_expression(node, &error),
        };
        uses.push(Use { node, what: Used::Expr(expr.clone()), sees, field: what });
        Some(expr)
    }

    fn bad_expression<T>(&mut self, node: &Node<'_>, error: &ExprError) -> Option<T> {
        self.reader.bad_expression(node, error);
        None
    }
}

fn length(node: &Node<'_>) -> usize {
    match &node.content {
        Content::List(items) => items.iter().map(|item| 1 + inside(item)).sum(),
        Content::Scalar(_) | Content::Map(_) => 0,
    }
}

/// How many steps stand in a step.
fn inside(node: &Node<'_>) -> usize {
    match &node.content {
        Content::Map(entries) => entries.iter().filter(|e| e.key == "steps").map(|e| length(&e.value)).sum(),
        Content::Scalar(_) | Content::List(_) => 0,
    }
}

#[cfg(test)]
mod tests;
