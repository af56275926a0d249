//! What waits for what: needs between steps that have tasks.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::{HostName, StepId};

use super::{Need, PlannedStep};

/// Makes needs into edges between steps that have tasks. Where two steps run on the same hosts, each host waits for
/// itself only; where they stand in the same `for_each`, each item does.
pub(super) fn connect(steps: &mut [PlannedStep]) {
    let number: BTreeMap<StepId, usize> = steps.iter().enumerate().map(|(i, s)| (s.step.id.clone(), i)).collect();
    let hosts: Vec<BTreeSet<HostName>> = steps.iter().map(|s| s.hosts.iter().cloned().collect()).collect();
    let mut ends: Vec<Option<Vec<usize>>> = vec![None; steps.len()];
    let mut all = Vec::with_capacity(steps.len());
    let inside = Inside::new(steps, &number);
    for index in 0..steps.len() {
        let planned = &steps[index];
        let expands = inside.expands(index);
        if planned.step.is_block() && !expands {
            all.push(Vec::new());
            continue;
        }
        let barrier = inside.barrier(index);
        let mut needs: Vec<Need> = Vec::new();
        for need in inside.needed(index) {
            let steps = match need {
                Needed::Itself(step) => vec![step],
                Needed::Whole(step) => ends[step].get_or_insert_with(|| inside.ends(step)).clone(),
            };
            for step in steps {
                let per_item =
                    inside.family[index].is_some() && inside.family[index] == inside.family[step] && !expands;
                let per_host = !barrier
                    && !expands
                    && !hosts[index].is_empty()
                    && hosts[step] == hosts[index]
                    && (per_item || inside.family[step].is_none())
                    && !inside.leaves_batch(step, index);
                needs.push(Need { step, per_host, per_item });
            }
        }
        all.push(needs);
    }
    for (planned, needs) in steps.iter_mut().zip(all) {
        planned.needs = needs;
    }
}

/// What a step waits for.
enum Needed {
    /// A step and everything that stands in it.
    Whole(usize),
    /// A call, of which the steps in it follow.
    Itself(usize),
}

/// How the steps stand in one another, while their needs are made into edges.
struct Inside<'s> {
    steps: &'s [PlannedStep],
    children: Vec<Vec<usize>>,
    /// For each step the steps that it names as its needs.
    named: Vec<Vec<usize>>,
    family: Vec<Option<usize>>,
}

impl<'s> Inside<'s> {
    fn new(steps: &'s [PlannedStep], number: &BTreeMap<StepId, usize>) -> Self {
        let mut children = vec![Vec::new(); steps.len()];
        let mut family: Vec<Option<usize>> = Vec::with_capacity(steps.len());
        for (index, planned) in steps.iter().enumerate() {
            if let Some(parent) = planned.parent
                && steps[parent].finally == planned.finally
            {
                children[parent].push(index);
            }
            let own = planned.step.for_each.is_some().then_some(index);
            family.push(own.or_else(|| planned.parent.and_then(|parent| family[parent])));
        }
        let named = |s: &PlannedStep| s.step.needs.iter().filter_map(|id| number.get(id).copied()).collect();
        let named = steps.iter().map(named).collect();
        Self { steps, children, named, family }
    }

    fn expands(&self, step: usize) -> bool {
        let planned = &self.steps[step];
        planned.step.for_each.is_some() && planned.items.as_ref().is_none_or(Vec::is_empty)
    }

    /// What a step waits for: what it names, or, where it begins its block, what the block waits for.
    fn needed(&self, step: usize) -> Vec<Needed> {
        let mut at = step;
        loop {
            if !self.named[at].is_empty() {
                return self.named[at].iter().copied().map(Needed::Whole).collect();
            }
            match self.steps[at].parent {
                None => return Vec::new(),
                // `finally` waits for nothing under `steps`: it may come before a call ever began.
                Some(parent) if self.steps[parent].finally != self.steps[at].finally => return Vec::new(),
                // The call itself comes first; and the items of a `for_each` come from a task that all others wait for.
                Some(parent) if self.steps[parent].step.call().is_some() => return vec![Needed::Itself(parent)],
                Some(parent) if self.expands(parent) => return Vec::new(),
                Some(parent) => at = parent,
            }
        }
    }

    /// Whether a step, or a block that it begins, waits for all hosts.
    fn barrier(&self, step: usize) -> bool {
        let mut at = step;
        loop {
            if self.steps[at].step.barrier {
                return true;
            }
            match self.steps[at].parent {
                Some(parent) if self.named[at].is_empty() && self.steps[parent].step.is_block() => at = parent,
                Some(_) | None => return false,
            }
        }
    }

    /// The steps with tasks that a step ends with: itself, or those in it that no other in it needs.
    fn ends(&self, step: usize) -> Vec<usize> {
        if self.children[step].is_empty() {
            return vec![step];
        }
        let children = &self.children[step];
        let needed: BTreeSet<usize> = children.iter().flat_map(|&child| self.named[child].iter().copied()).collect();
        children.iter().filter(|child| !needed.contains(child)).flat_map(|&child| self.ends(child)).collect()
    }

    /// Whether the way from one step to another leaves something that goes in batches, which is passed as a whole.
    fn leaves_batch(&self, from: usize, to: usize) -> bool {
        let around = |step| std::iter::successors(Some(step), |&at: &usize| self.steps[at].parent);
        let mut batched = around(from).filter(|&at| !self.steps[at].step.batch.is_empty());
        batched.any(|at| !around(to).any(|other| other == at))
    }
}
