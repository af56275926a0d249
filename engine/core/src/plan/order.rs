//! An order in which the tasks of a plan can be done.

use std::collections::BTreeSet;

use super::graph::GATE;
use super::{TaskGraph, TaskIndex};

impl TaskGraph {
    /// All tasks in the order in which they would be done if one were under way at a time: each after everything that it
    /// needs, those that could be done at the same moment as they stand in the runbook.
    pub fn one_by_one(&self) -> Vec<TaskIndex> {
        let mut unmet: Vec<u32> = self.nodes().map(|node| self.indegree(node)).collect();
        let ranked = |task: TaskIndex| (self.is_finally(task), self.rank(task), task);
        let mut gates: Vec<u32> = self.nodes().filter(|&n| n & GATE != 0 && self.indegree(n) == 0).collect();
        let mut ready: BTreeSet<_> = (0..self.len()).filter(|&n| self.indegree(n) == 0).map(ranked).collect();
        let mut order = Vec::with_capacity(self.len() as usize);
        loop {
            let node = match gates.pop() {
                Some(gate) => gate,
                None => match ready.pop_first() {
                    Some((_, _, task)) => {
                        order.push(task);
                        task
                    }
                    None => return order,
                },
            };
            for &next in self.after(node) {
                let open = &mut unmet[self.place_of(next)];
                *open = open.saturating_sub(1);
                match (*open, next & GATE) {
                    (0, 0) => drop(ready.insert(ranked(next))),
                    (0, _) => gates.push(next),
                    (_, _) => {}
                }
            }
        }
    }
}
