//! How the steps of a plan stand in one another.

use std::collections::BTreeSet;

use super::{Plan, PlannedStep};

impl Plan {
    /// The steps that a step stands in, from the inside out, itself first.
    pub fn around(&self, step: usize) -> impl Iterator<Item = usize> + '_ {
        std::iter::successors(Some(step), |&at| self.steps.get(at).and_then(|s| s.parent))
    }

    /// The step whose `for_each` it is done for: itself, or one that it stands in.
    pub fn family(&self, step: usize) -> Option<usize> {
        self.around(step).find(|&at| self.steps[at].step.for_each.is_some())
    }

    /// The call that it belongs to; a call itself belongs to the runbook that it stands in.
    pub fn caller(&self, step: usize) -> Option<usize> {
        self.around(step).skip(1).find(|&at| self.steps[at].step.call().is_some())
    }

    /// Whether its expressions see `item`: a called runbook knows nothing of its caller's.
    pub fn sees_item(&self, step: usize) -> bool {
        for at in self.around(step) {
            let inside = at != step && self.steps[at].step.call().is_some();
            if inside {
                return false;
            }
            if self.steps[at].step.for_each.is_some() {
                return true;
            }
        }
        false
    }

    /// Whether the items of a `for_each` step have a task of their own to come from. They have, unless they are known
    /// and there is at least one: a step without any task could not be waited for.
    pub fn expands(&self, step: usize) -> bool {
        let planned = &self.steps[step];
        planned.step.for_each.is_some() && planned.items.as_ref().is_none_or(Vec::is_empty)
    }

    /// The steps that stand directly in a block or call.
    pub fn children(&self, step: usize) -> impl Iterator<Item = usize> + '_ {
        self.inside(step).filter(move |&at| self.steps[at].parent == Some(step))
    }

    /// The steps that stand in a block or call, at any depth, in the order of the document.
    pub fn inside(&self, step: usize) -> impl Iterator<Item = usize> + '_ {
        (step + 1..self.steps.len()).take_while(move |&at| self.around(at).skip(1).any(|above| above == step))
    }

    /// A step and those that stand in it, as far as they have tasks.
    pub fn acting(&self, step: usize) -> Vec<usize> {
        let mut all: Vec<usize> = self.inside(step).collect();
        all.insert(0, step);
        all.retain(|&at| !self.steps[at].step.is_block());
        all
    }

    /// The steps with which a step begins: itself, or those in it that need no other in it.
    pub fn roots(&self, step: usize) -> Vec<usize> {
        if !self.steps[step].step.is_block() {
            return vec![step];
        }
        let all = self.acting(step);
        let within = |at: &usize| self.steps[*at].needs.iter().any(|need| all.contains(&need.step));
        all.iter().copied().filter(|at| !within(at)).collect()
    }

    /// The steps with which a step ends: itself, or those in it that no other in it needs.
    pub fn ends(&self, step: usize) -> Vec<usize> {
        let all = self.acting(step);
        let needed = |step: usize| all.iter().any(|&at| self.steps[at].needs.iter().any(|need| need.step == step));
        all.iter().copied().filter(|&at| !needed(at)).collect()
    }

    /// Whether all of `first` has come to its end before `later` begins.
    pub(crate) fn comes_before(&self, first: usize, later: usize) -> bool {
        // A block that is over has all of its ends behind it; a step in it cannot come after it.
        let mut ends: BTreeSet<usize> = self.ends(first).into_iter().collect();
        let mut seen = BTreeSet::from([later]);
        let mut open = vec![later];
        while let Some(step) = open.pop() {
            // What a block waits for, its steps wait for.
            let above = self.around(step).take_while(|&at| self.steps[at].finally == self.steps[later].finally);
            for need in above.flat_map(|at| &self.steps[at].needs) {
                ends.remove(&need.step);
                if seen.insert(need.step) {
                    open.push(need.step);
                }
            }
        }
        ends.is_empty()
    }

    /// Whether any step says how many of its hosts or items may fail.
    pub(super) fn tolerates_any(&self) -> bool {
        self.steps.iter().any(|s| s.step.tolerates().is_some())
    }
}

impl PlannedStep {
    /// How many hosts a task of it can be on; one where no host is involved.
    pub(super) fn width(&self) -> usize {
        self.hosts.len().max(1)
    }
}
