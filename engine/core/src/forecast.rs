//! How long a run takes: what its tasks took before, put together along the graph. Pure computation.
//!
//! A [`History`] holds what steps took in runs before this one. A [`Forecast`] goes over the graph and says when each task
//! can be over, if every task that it needs is: the longest way, with edges from host to host where the plan has them.
//! That only so many tasks are in flight at once (`max_parallel`) is not counted: where it matters, a run takes longer.
//! Of a `for_each` whose items are not known yet, one is counted.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::ids::{HostName, StepId, TaskId};
use crate::plan::{Plan, TaskGraph, TaskIndex};
use crate::run::{Event, Recorded, Run, SuccessCause, TaskState};
use crate::runbook::{Action, Step};
use crate::time::Timestamp;

/// How many spans of a step on a host are kept: enough to see what is usual, few enough to forget what was.
const KEPT: usize = 50;

/// What steps took in runs of one runbook.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    spans: BTreeMap<StepId, BTreeMap<Option<HostName>, Vec<Duration>>>,
}

/// What something usually takes, and what it seldom exceeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Expected {
    /// Half of the times it took no longer.
    pub median: Duration,
    /// Nine times out of ten it took no longer.
    pub high: Duration,
}

/// How long a run takes as a whole, or what is left of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forecast {
    /// Until its end.
    pub whole: Expected,
    /// How many tasks are still to come to an end.
    pub open: u32,
    /// Of how many of them nothing is known; they are taken to last no time.
    pub unknown: u32,
}

impl History {
    /// Takes in the events of a run, in order; older runs come first. Only a task that ran and succeeded counts, from the
    /// beginning of its last attempt to its end: what was skipped, found done or done by hand does not say how long the
    /// work takes.
    pub fn take<'e>(&mut self, events: impl IntoIterator<Item = &'e Recorded<Event>>) {
        let mut begun: BTreeMap<&TaskId, Timestamp> = BTreeMap::new();
        for recorded in events {
            if let Event::AttemptStarted { task, .. } = &recorded.event {
                begun.insert(task, recorded.at);
            } else if let Event::TaskParked { task, .. } = &recorded.event {
                begun.remove(task);
            } else if let Event::TaskSucceeded { task, how: SuccessCause::Ran, .. } = &recorded.event
                && let Some(began) = begun.remove(task)
            {
                self.note(task, recorded.at.since(began));
            }
        }
    }

    /// Notes that a task took so long.
    pub fn note(&mut self, task: &TaskId, span: Duration) {
        let spans = self.spans.entry(task.step.clone()).or_default().entry(task.host.clone()).or_default();
        if spans.len() == KEPT {
            spans.remove(0);
        }
        spans.push(span);
    }

    /// What a step takes on a host: as it took there, else as on other hosts, else as its author estimates; `None` where
    /// nothing is known.
    pub fn of(&self, step: &Step, host: Option<&HostName>) -> Option<Expected> {
        match &step.action {
            Action::WaitFor(span) => return Some(Expected { median: *span, high: *span }),
            // The work is that of the steps in it.
            Action::Call(_) => return Some(Expected::default()),
            Action::Run(_)
            | Action::Exec(_)
            | Action::Put(_)
            | Action::Get(_)
            | Action::Transfer(_)
            | Action::Reboot(_)
            | Action::Assert(_)
            | Action::WaitUntil(_)
            | Action::Approve(_)
            | Action::Hook(_)
            | Action::Block => {}
        }
        let known = self.spans.get(&step.id).and_then(|hosts| match hosts.get(&host.cloned()) {
            Some(own) => expected(own.clone()),
            None => expected(hosts.values().flatten().copied().collect()),
        });
        known.or_else(|| step.estimate.map(|span| Expected { median: span, high: span }))
    }
}

/// Median and ninth decile by nearest rank: the smallest of the values that so many of them do not exceed.
fn expected(mut spans: Vec<Duration>) -> Option<Expected> {
    spans.sort_unstable();
    let rank = |tenths: usize| spans.get((spans.len() * tenths).div_ceil(10).saturating_sub(1)).copied();
    Some(Expected { median: rank(5)?, high: rank(9)? })
}

impl Forecast {
    /// What a run of the plan takes from its beginning; `None` where nothing is known of any task.
    pub fn of_plan(plan: &Plan, history: &History) -> Option<Self> {
        let graph = TaskGraph::of(plan);
        let left =
            |task: TaskIndex| Left::Open(history.of(&plan.steps[graph.step(task)].step, graph.id(task).host.as_ref()));
        longest(&graph, left)
    }

    /// What is left of a run at `now`; `None` where nothing is known of any task that is left, or where a person is waited
    /// for. What a running task has used is taken off; one that takes longer than it should is expected to end any moment.
    pub fn of_rest(run: &Run, history: &History, now: Timestamp) -> Option<Self> {
        if run.outcome().is_some() || run.parked().next().is_some() {
            return None;
        }
        longest(run.graph(), |index| {
            let usual = || history.of(run.step_of(index), run.graph().id(index).host.as_ref());
            if let TaskState::Succeeded(_) | TaskState::Skipped(_) | TaskState::Failed(_) = &run.task(index).state {
                return Left::Nothing;
            }
            let TaskState::Active(attempt) = &run.task(index).state else { return Left::Open(usual()) };
            let used = now.since(attempt.since);
            let rest = |span: Duration| span.saturating_sub(used);
            Left::Open(usual().map(|usual| Expected { median: rest(usual.median), high: rest(usual.high) }))
        })
    }
}

/// What is left of a task.
enum Left {
    /// It has come to its end.
    Nothing,
    /// It has not, and this is what it takes, where that is known.
    Open(Option<Expected>),
}

/// The longest way through the graph, first of what stands under `steps`, then of what stands under `finally`.
fn longest(graph: &TaskGraph, left: impl Fn(TaskIndex) -> Left) -> Option<Forecast> {
    let mut waits: Vec<u32> = graph.nodes().map(|node| graph.indegree(node)).collect();
    let mut begins = vec![Expected::default(); waits.len()];
    let mut ready: Vec<u32> = graph.nodes().filter(|&node| graph.indegree(node) == 0).collect();
    let (mut main, mut finally) = (Expected::default(), Expected::default());
    let (mut open, mut unknown) = (0, 0);
    while let Some(node) = ready.pop() {
        let mut end = begins[graph.place_of(node)];
        if node < graph.len() {
            if let Left::Open(known) = left(node) {
                open += 1;
                unknown += u32::from(known.is_none());
                let span = known.unwrap_or_default();
                end = Expected { median: end.median + span.median, high: end.high + span.high };
            }
            let part = if graph.is_finally(node) { &mut finally } else { &mut main };
            *part = later(*part, end);
        }
        for &next in graph.after(node) {
            let next_place = graph.place_of(next);
            let begin = &mut begins[next_place];
            *begin = later(*begin, end);
            waits[next_place] -= 1;
            if waits[next_place] == 0 {
                ready.push(next);
            }
        }
    }
    let whole = Expected { median: main.median + finally.median, high: main.high + finally.high };
    (unknown < open).then_some(Forecast { whole, open, unknown })
}

fn later(a: Expected, b: Expected) -> Expected {
    Expected { median: a.median.max(b.median), high: a.high.max(b.high) }
}

#[cfg(test)]
#[path = "forecast_tests.rs"]
mod tests;
