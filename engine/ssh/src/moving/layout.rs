//! Which blocks of a file are moved, and in which parts.

/// Bytes of a block: what stretches are counted in.
pub(super) const BLOCK: u64 = 64 * 1024;

/// Blocks of a part: what is sent again after a cut, and compared at once. 32 MiB.
const PART_BLOCKS: u64 = 512;

/// Stretches of a part: they stand in one request, and in direct moves on one command line.
const PART_STRETCHES: usize = 256;

/// A file has at most this many stretches; what is between the nearest of them is sent although it is zeros. Each one costs
/// a process on either host, some milliseconds.
const MOST_STRETCHES: usize = 4096;

/// Blocks that follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stretch {
    /// The first one.
    pub(super) at: u64,
    /// How many.
    pub(super) count: u64,
}

impl Stretch {
    fn end(self) -> u64 {
        self.at + self.count
    }
}

/// What is sent and compared at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// In the order of the file.
    pub(super) stretches: Vec<Stretch>,
}

impl Part {
    /// How many blocks it has.
    pub(super) fn blocks(&self) -> u64 {
        self.stretches.iter().map(|stretch| stretch.count).sum()
    }

    /// How many bytes it has; the last block counts as whole.
    pub(super) fn bytes(&self) -> u64 {
        self.blocks() * BLOCK
    }

    /// Whether some of the stretches lie in it.
    pub(super) fn touches(&self, stretches: &[Stretch]) -> bool {
        self.stretches.iter().any(|own| {
            let next = stretches.partition_point(|other| other.end() <= own.at);
            stretches.get(next).is_some_and(|other| other.at < own.end())
        })
    }
}

/// The whole of a file.
pub(super) fn whole(len: u64) -> Vec<Stretch> {
    let count = len.div_ceil(BLOCK);
    if count == 0 { Vec::new() } else { vec![Stretch { at: 0, count }] }
}

/// The blocks that these bytes (offset and length) of a file of `len` bytes lie in.
pub(super) fn covering(bytes: &[(u64, u64)], len: u64) -> Vec<Stretch> {
    let all = bytes.iter().filter_map(|&(at, count)| {
        let end = at.checked_add(count)?.min(len);
        let (first, end) = (at / BLOCK, end.div_ceil(BLOCK));
        (at < len && count > 0).then_some(Stretch { at: first, count: end.saturating_sub(first) })
    });
    joined(all.collect())
}

/// What lies in one or the other.
pub(super) fn union(one: &[Stretch], other: &[Stretch]) -> Vec<Stretch> {
    joined(one.iter().chain(other).copied().collect())
}

/// In order, and those that touch as one.
fn joined(mut all: Vec<Stretch>) -> Vec<Stretch> {
    all.sort_unstable();
    let mut joined: Vec<Stretch> = Vec::with_capacity(all.len());
    for next in all {
        match joined.last_mut() {
            Some(last) if next.at <= last.end() => last.count = last.count.max(next.end() - last.at),
            Some(_) | None => joined.push(next),
        }
    }
    joined
}

/// Parts, none too large. Where the stretches are too many, the smallest gaps between them are filled.
pub(super) fn parts(stretches: &[Stretch]) -> Vec<Part> {
    let mut parts = Vec::new();
    let (mut open, mut blocks) = (Vec::new(), 0);
    for mut rest in bridged(stretches) {
        while rest.count > 0 {
            let now = Stretch { at: rest.at, count: rest.count.min(PART_BLOCKS - blocks) };
            rest = Stretch { at: now.end(), count: rest.count - now.count };
            open.push(now);
            blocks += now.count;
            if blocks == PART_BLOCKS || open.len() == PART_STRETCHES {
                parts.push(Part { stretches: std::mem::take(&mut open) });
                blocks = 0;
            }
        }
    }
    if !open.is_empty() {
        parts.push(Part { stretches: open });
    }
    parts
}

fn bridged(stretches: &[Stretch]) -> Vec<Stretch> {
    let too_many = stretches.len().saturating_sub(MOST_STRETCHES);
    if too_many == 0 {
        return stretches.to_vec();
    }
    let mut gaps: Vec<(u64, usize)> =
        stretches.windows(2).enumerate().map(|(i, pair)| (pair[1].at - pair[0].end(), i)).collect();
    gaps.sort_unstable();
    let filled = gaps.iter().take(too_many).map(|&(gap, i)| Stretch { at: stretches[i].end(), count: gap });
    joined(filled.chain(stretches.iter().copied()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stretches(pairs: &[(u64, u64)]) -> Vec<Stretch> {
        pairs.iter().map(|&(at, count)| Stretch { at, count }).collect()
    }

    #[test]
    fn bytes_are_rounded_to_blocks_and_what_touches_is_one() {
        let bytes = [(0, 1), (BLOCK - 1, 2), (5 * BLOCK, BLOCK), (6 * BLOCK, 1), (9 * BLOCK + 5, 0)];
        assert_eq!(covering(&bytes, 10 * BLOCK), stretches(&[(0, 2), (5, 2)]));
        assert_eq!(
            covering(&[(9 * BLOCK, u64::MAX), (3, 4)], 9 * BLOCK + 3),
            stretches(&[(0, 1)]),
            "an overflow is no place"
        );
        assert_eq!(covering(&[(9 * BLOCK, BLOCK)], 9 * BLOCK + 3), stretches(&[(9, 1)]));
        assert_eq!(whole(0), []);
        assert_eq!(whole(BLOCK + 1), stretches(&[(0, 2)]));
        assert_eq!(
            union(&stretches(&[(0, 4), (9, 1)]), &stretches(&[(2, 3), (20, 1)])),
            stretches(&[(0, 5), (9, 1), (20, 1)])
        );
    }

    #[test]
    fn parts_hold_every_block_once_and_none_is_too_large() {
        let all = stretches(&[(3, 600), (700, 1), (800, 1000)]);
        let parts = parts(&all);
        assert_eq!(parts.iter().map(Part::blocks).collect::<Vec<_>>(), [512, 512, 512, 65]);
        let back: Vec<Stretch> = parts.iter().flat_map(|part| part.stretches.clone()).collect();
        assert_eq!(joined(back), all);
        assert!(parts[0].touches(&stretches(&[(514, 1)])) && !parts[0].touches(&stretches(&[(0, 3), (515, 1)])));
    }

    #[test]
    fn of_too_many_stretches_the_nearest_become_one() {
        let far: Vec<Stretch> =
            (0..5000).map(|i| Stretch { at: i * 10 + u64::from(i % 2 == 0) * 8, count: 1 }).collect();
        let parts = parts(&far);
        let back = joined(parts.iter().flat_map(|part| part.stretches.clone()).collect());
        assert!(back.len() <= MOST_STRETCHES, "{}", back.len());
        assert_eq!(union(&back, &far), back, "nothing is left out");
        assert!(back.iter().map(|s| s.count).sum::<u64>() < 5000 + 2000, "only small gaps are filled");
        assert!(parts.iter().all(|part| part.stretches.len() <= PART_STRETCHES));
    }
}
