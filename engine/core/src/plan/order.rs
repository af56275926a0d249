//! An order in which a plan's steps can come about.

use std::collections::BTreeSet;

use super::Plan;

impl Plan {
    /// The steps, as indexes into [`Plan::steps`], so that each stands behind all that it needs; where that leaves a choice,
    /// in the order of the document. A step that needs itself, by a detour, is left out.
    pub fn order(&self) -> Vec<usize> {
        let mut unmet: Vec<usize> = self.steps.iter().map(|step| step.needs.len()).collect();
        let mut after = vec![Vec::new(); self.steps.len()];
        for (index, step) in self.steps.iter().enumerate() {
            step.needs.iter().for_each(|need| after[need.step].push(index));
        }
        let mut ready: BTreeSet<usize> = (0..unmet.len()).filter(|&step| unmet[step] == 0).collect();
        let mut order = Vec::with_capacity(self.steps.len());
        while let Some(step) = ready.pop_first() {
            order.push(step);
            for &next in &after[step] {
                unmet[next] -= 1;
                if unmet[next] == 0 {
                    ready.insert(next);
                }
            }
        }
        order
    }
}
