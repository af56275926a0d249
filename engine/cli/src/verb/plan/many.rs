//! What makes one step many, as the plan shows it: items, batches, how many may fail or be under way, blocks, calls.

use std::collections::BTreeMap;

use piton_core::ids::StepId;
use piton_core::plan::{Plan, batch_sizes};
use piton_core::run::Run;
use piton_core::runbook::{ForEach, Given, Share};

use crate::exit::{Failure, count};
use crate::screen::Out;
use crate::visible::visible;

use super::names;

/// How many tasks there are, as far as is known.
pub(super) fn tasks(run: &Run) -> String {
    let known = run.graph().len();
    match unknown(run).as_slice() {
        [] => known.to_string(),
        steps => format!("{known}, and those of {} as they become known,", names(steps)),
    }
}

/// The steps whose items are known only when the run comes to them.
pub(super) fn unknown(run: &Run) -> Vec<StepId> {
    let steps = run.plan().steps.iter().enumerate();
    let open =
        steps.filter(|(at, s)| s.step.for_each.is_some() && s.items.is_none() && run.graph().items_of(*at).is_none());
    open.map(|(_, s)| s.step.id.clone()).collect()
}

/// How often a step is done: for which items, in which batches, how many at a time, and how many may fail.
pub(super) fn times(out: &mut Out, run: &Run, index: usize) -> Result<(), Failure> {
    let step = &run.plan().steps[index].step;
    let items = run.graph().items_of(index);
    match (&step.for_each, items) {
        (None, _) => {}
        (Some(_), Some(items)) => {
            let some: Vec<String> =
                items.iter().map(|item| visible(item.name.as_str().as_bytes()).into_owned()).collect();
            out.line(format_args!("   each of  {}: {}", count(items.len(), "item"), names(&some)))?;
        }
        (Some(ForEach::Expr(expr)), None) => {
            out.line(format_args!("   each of  {} (known when it runs)", expr.source()))?;
        }
        (Some(ForEach::List(_)), None) => out.line("   each of  no item")?,
    }
    let what = if step.for_each.is_some() { "items" } else { "hosts" };
    if !step.batch.is_empty() {
        match batches(run, index) {
            Some(batches) => {
                let sizes: Vec<String> = batches.iter().map(|batch| batch.len().to_string()).collect();
                out.line(format_args!("   batches  {} of {}", names(&sizes), what))?;
                for (number, batch) in (1..).zip(&batches) {
                    out.line(format_args!("     {number}: {}", names(batch)))?;
                }
            }
            None => out.line(format_args!("   batches  {} of {what}", shares(&step.batch)))?,
        }
    }
    if let Some(share) = step.tolerates() {
        let total = run.graph().total(index) as usize;
        let known = items.is_some() || step.for_each.is_none();
        let line = match (share, share.of(total)) {
            (Share::Count(0), _) => "no failure is tolerated".to_owned(),
            (Share::Percent(_), most) if known => format!("{most} of {total} ({share}) may fail"),
            (_, _) => format!("{share} may fail"),
        };
        out.line(format_args!("   failures {line}"))?;
    }
    if let Some(most) = step.max_parallel {
        out.line(format_args!("   at once  {most} at most"))?;
    }
    Ok(())
}

/// The hosts or items of each batch of a step, by name; `None` while they are not known.
fn batches(run: &Run, index: usize) -> Option<Vec<Vec<String>>> {
    let planned = &run.plan().steps[index];
    let all: Vec<String> = match planned.step.for_each {
        Some(_) => {
            let items = run.graph().items_of(index)?;
            items.iter().map(|item| visible(item.name.as_str().as_bytes()).into_owned()).collect()
        }
        None => planned.hosts.iter().map(ToString::to_string).collect(),
    };
    let mut rest = all.as_slice();
    let sizes = batch_sizes(&planned.step.batch, all.len());
    let cut = |size: usize| {
        let (batch, more) = rest.split_at(size.min(rest.len()));
        rest = more;
        batch.to_vec()
    };
    Some(sizes.into_iter().map(cut).collect())
}

/// The batches of all steps that have any and whose hosts or items are known, for programs.
pub(super) fn batches_json(run: &Run) -> BTreeMap<StepId, Vec<Vec<String>>> {
    let steps = run.plan().steps.iter().enumerate().filter(|(_, s)| !s.step.batch.is_empty());
    steps.filter_map(|(at, s)| Some((s.step.id.clone(), batches(run, at)?))).collect()
}

/// `1, 5, 20%`
pub(in crate::verb) fn shares(shares: &[Share]) -> String {
    shares.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The steps of a block, or the runbook that is called, with its parameters.
pub(super) fn consists_of(out: &mut Out, plan: &Plan, index: usize) -> Result<(), Failure> {
    let ids: Vec<&StepId> = plan.children(index).map(|at| &plan.steps[at].step.id).collect();
    if let Some(call) = plan.steps[index].step.call() {
        out.line(format_args!("   call     {}", call.runbook))?;
        for (name, argument) in &call.with {
            let value = match &argument.value {
                Given::Text(text) => text.source().to_owned(),
                Given::Value(value) => value.to_string(),
            };
            out.line(format_args!("     {name} = {}", visible(value.as_bytes())))?;
        }
    }
    out.line(format_args!("   steps    {}", names(&ids)))
}

/// Steps in the order in which they are taken back; those that go together batch by batch or item by item as one.
pub(super) fn way_back(plan: &Plan, steps: &[usize]) -> Vec<String> {
    let one_by_one = |&at: &usize| plan.steps[at].step.for_each.is_some() || !plan.steps[at].step.batch.is_empty();
    let together = |at: usize| plan.around(at).filter(one_by_one).last();
    let groups = steps.chunk_by(|&a, &b| together(a).is_some() && together(a) == together(b));
    let words = |group: &[usize]| -> String {
        let ids: Vec<&str> = group.iter().map(|&at| plan.steps[at].step.id.as_str()).collect();
        let ids = ids.join(", then ");
        match group.first().and_then(|&at| together(at)).map(|at| &plan.steps[at].step) {
            None => ids,
            Some(around) if around.for_each.is_some() => format!("{ids} (each item by itself, the last one first)"),
            Some(_) => format!("{ids} (the last batch first)"),
        }
    };
    groups.map(words).collect()
}
