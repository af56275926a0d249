//! Which steps come before which, for exactly the pairs that are asked for.

use std::collections::BTreeMap;

/// How many targets are followed at once: 64 words of 64 bits for each step.
const BLOCK: usize = 4096;

/// Whether each asked-for target is upstream of its step.
pub(super) struct Upstream {
    answers: Vec<bool>,
}

impl Upstream {
    /// `needs` names for each step the steps that it needs, without cycles; `asked` are pairs of a step and a target.
    ///
    /// One sweep in order of need carries a bit for each target, so the cost is steps × targets / 64 and not
    /// one search for each question: a chain of steps that all read the first one stays cheap.
    pub(super) fn new(needs: &[Vec<usize>], asked: impl Iterator<Item = (usize, usize)>) -> Self {
        let asked: Vec<(usize, usize)> = asked.collect();
        let mut answers = vec![false; asked.len()];
        let mut targets: Vec<usize> = asked.iter().map(|(_, target)| *target).collect();
        targets.sort_unstable();
        targets.dedup();
        let order = order(needs);
        for block in targets.chunks(BLOCK) {
            let bit: BTreeMap<usize, usize> = block.iter().enumerate().map(|(bit, target)| (*target, bit)).collect();
            let words = block.len().div_ceil(64);
            let mut seen = vec![0u64; words * needs.len()];
            for &at in &order {
                for &need in &needs[at] {
                    for word in 0..words {
                        let above = seen[need * words + word];
                        seen[at * words + word] |= above;
                    }
                    if let Some(bit) = bit.get(&need) {
                        seen[at * words + bit / 64] |= 1 << (bit % 64);
                    }
                }
            }
            for (answer, (at, target)) in answers.iter_mut().zip(&asked) {
                if let Some(bit) = bit.get(target) {
                    *answer = seen[at * words + bit / 64] >> (bit % 64) & 1 == 1;
                }
            }
        }
        Self { answers }
    }

    /// In the order of the questions.
    pub(super) fn answers(&self) -> &[bool] {
        &self.answers
    }
}

/// The steps in an order in which each comes after those that it needs (Kahn's).
fn order(needs: &[Vec<usize>]) -> Vec<usize> {
    let mut needed_by = vec![Vec::new(); needs.len()];
    let mut open: Vec<usize> = needs.iter().map(Vec::len).collect();
    for (at, needs) in needs.iter().enumerate() {
        for &need in needs {
            needed_by[need].push(at);
        }
    }
    let mut order: Vec<usize> = (0..needs.len()).filter(|&at| open[at] == 0).collect();
    let mut next = 0;
    while let Some(&at) = order.get(next) {
        next += 1;
        for &after in &needed_by[at] {
            open[after] -= 1;
            if open[after] == 0 {
                order.push(after);
            }
        }
    }
    order
}
