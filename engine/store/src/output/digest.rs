//! A BLAKE3 digest whose state can be stored, so that it goes on after a crash although bytes are gone.

use blake3::Hasher;
use blake3::hazmat::{ChainingValue, HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root};

/// Digests are suspended at multiples of this only. A power of two: a complete subtree of the hash tree.
pub(super) const BLOCK: u64 = 64 * 1024;

/// BLAKE3 over a stream.
///
/// BLAKE3 is a binary tree over chunks of 1 KiB in which every left subtree is complete (BLAKE3 paper, section 2.1). So
/// what was hashed before a multiple of [`BLOCK`] is held by one chaining value for each 1 in the binary form of the number of
/// blocks: at most 48 of them.
#[derive(Debug, Clone)]
pub(super) struct Digester {
    /// Subtrees from left to right, each with its size in blocks, a power of two smaller than the one before.
    subtrees: Vec<(u64, ChainingValue)>,
    /// Blocks that are in `subtrees`.
    blocks: u64,
    /// The block after them: never empty unless the stream is.
    open: Hasher,
}

impl Digester {
    pub(super) fn new() -> Self {
        Self { subtrees: Vec::new(), blocks: 0, open: Hasher::new() }
    }

    /// How many bytes were taken.
    pub(super) fn len(&self) -> u64 {
        self.blocks * BLOCK + self.open.count()
    }

    pub(super) fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.open.count() == BLOCK {
                self.close_block();
            }
            let room = usize::try_from(BLOCK - self.open.count()).unwrap_or(0);
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.open.update(now);
            bytes = later;
        }
    }

    /// More bytes follow the full block: it becomes part of a left subtree.
    fn close_block(&mut self) {
        let (mut size, mut value) = (1, self.open.finalize_non_root());
        while let Some((left_size, left)) = self.subtrees.pop() {
            if left_size != size {
                self.subtrees.push((left_size, left));
                break;
            }
            value = merge_subtrees_non_root(&left, &value, Mode::Hash);
            size *= 2;
        }
        self.subtrees.push((size, value));
        self.blocks += 1;
        self.open = Hasher::new();
        self.open.set_input_offset(self.blocks * BLOCK);
    }

    /// The digest of all bytes so far.
    pub(super) fn digest(&self) -> [u8; 32] {
        let Some(((_, root), left)) = self.subtrees.split_first() else {
            return *self.open.finalize().as_bytes();
        };
        let mut right = self.open.finalize_non_root();
        for (_, subtree) in left.iter().rev() {
            right = merge_subtrees_non_root(subtree, &right, Mode::Hash);
        }
        *merge_subtrees_root(root, &right, Mode::Hash).as_bytes()
    }

    /// The state at a multiple of [`BLOCK`] that is not zero, after which at least one more byte will come.
    pub(super) fn suspend(&self) -> Option<Vec<[u8; 32]>> {
        if self.open.count() != BLOCK {
            return None;
        }
        let mut at_edge = self.clone();
        at_edge.close_block();
        Some(at_edge.subtrees.into_iter().map(|(_, value)| value).collect())
    }

    /// Goes on from a state that [`Digester::suspend`] gave after `len` bytes.
    pub(super) fn resume(len: u64, values: &[[u8; 32]]) -> Option<Self> {
        let blocks = len / BLOCK;
        if len == 0 || !len.is_multiple_of(BLOCK) || blocks.count_ones() as usize != values.len() {
            return None;
        }
        let sizes = (0..u64::BITS).rev().map(|bit| 1 << bit).filter(|size| blocks & size != 0);
        let mut open = Hasher::new();
        open.set_input_offset(len);
        Some(Self { subtrees: sizes.zip(values.iter().copied()).collect(), blocks, open })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(len: u64) -> Vec<u8> {
        (0..len).map(|n| (n % 251) as u8 ^ (n / 65_537) as u8).collect()
    }

    #[test]
    fn the_digest_is_blake3_at_every_length_and_split() {
        for blocks in 0..18 {
            for extra in [0, 1, 1024, BLOCK - 1] {
                let bytes = bytes(blocks * BLOCK + extra);
                for split in [1 + bytes.len() / 3, 1000, BLOCK as usize, usize::MAX] {
                    let mut digester = Digester::new();
                    bytes.chunks(split).for_each(|chunk| digester.update(chunk));
                    assert_eq!(digester.digest(), *blake3::hash(&bytes).as_bytes(), "{blocks} blocks and {extra}");
                    assert_eq!(digester.len(), bytes.len() as u64);
                }
            }
        }
    }

    #[test]
    fn a_suspended_digest_goes_on_as_if_nothing_had_happened() {
        let whole = bytes(23 * BLOCK + 7);
        for blocks in 1..23 {
            let (before, after) = whole.split_at((blocks * BLOCK) as usize);
            let mut first = Digester::new();
            first.update(before);
            let state = first.suspend().unwrap();
            let mut second = Digester::resume(blocks * BLOCK, &state).unwrap();
            assert_eq!(second.len(), blocks * BLOCK);
            after.chunks(70_000).for_each(|chunk| second.update(chunk));
            assert_eq!(second.digest(), *blake3::hash(&whole).as_bytes(), "after {blocks} blocks");
            assert!(Digester::resume(blocks * BLOCK, &[]).is_none());
        }
        assert!(Digester::new().suspend().is_none());
    }
}
