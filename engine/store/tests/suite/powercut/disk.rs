//! What stands on a disk when the power fails.
//!
//! Of a file, all is there that was done before its last sync began; of what was done after, any part may be, down to single
//! sectors. Of a directory, the names that were synced are there; of later changes, the first so many (file systems keep their
//! order).

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::trace::{FileId, Node, Op};

/// What a disk writes at once or not at all.
const SECTOR: usize = 512;

/// What becomes of that which was not synced.
#[derive(Debug, Clone, Copy)]
pub(super) enum Loss {
    /// It is gone.
    All,
    /// It is there.
    Nothing,
    /// Some writes are there, whatever their order was.
    Writes,
    /// Some sectors are there.
    Sectors,
    /// Only the last write is there.
    AllButTheLast,
    /// All is there but a few sectors.
    FewSectors,
}

impl Loss {
    pub(super) const ALL: [Self; 6] =
        [Self::All, Self::Nothing, Self::Writes, Self::Sectors, Self::AllButTheLast, Self::FewSectors];
}

#[derive(Default)]
struct File {
    durable: Vec<u8>,
    /// Operations that are not durable yet.
    open: Vec<usize>,
}

/// A disk on which a process works.
pub(super) struct Disk {
    root: PathBuf,
    lying: bool,
    files: BTreeMap<FileId, File>,
    names: BTreeMap<PathBuf, Node>,
    /// Changes of names that are not durable yet, by directory.
    changes: BTreeMap<PathBuf, Vec<usize>>,
}

impl Disk {
    /// An empty one; `lying`: it says that it has synced, and has not.
    pub(super) fn new(root: &Path, lying: bool) -> Self {
        let (files, names, changes) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { root: root.to_owned(), lying, files, names, changes }
    }

    /// Takes operations in.
    pub(super) fn take(&mut self, ops: &[Op], which: Range<usize>) {
        for at in which {
            match &ops[at] {
                Op::Write { file, .. } | Op::Truncate { file, .. } => {
                    self.files.entry(*file).or_default().open.push(at);
                }
                Op::Name { path, .. } | Op::Unname { path } | Op::Rename { from: path, .. } => {
                    self.changes.entry(path.parent().unwrap().to_owned()).or_default().push(at);
                }
                Op::SyncFile { .. } | Op::SyncDir { .. } if self.lying => {}
                Op::SyncFile { file, since } => {
                    let file = self.files.entry(*file).or_default();
                    let (before, after): (Vec<_>, Vec<_>) = file.open.iter().partition(|at| *at < since);
                    before.iter().for_each(|at| apply(&mut file.durable, &ops[*at], &mut |_| true));
                    file.open = after;
                }
                Op::SyncDir { dir, since } => {
                    let Some(changes) = self.changes.get_mut(dir) else { continue };
                    let (before, after): (Vec<_>, Vec<_>) = changes.iter().partition(|at| *at < since);
                    *changes = after;
                    before.iter().for_each(|at| rename(&mut self.names, &ops[*at]));
                }
                Op::Acknowledged { .. } => {}
            }
        }
    }

    /// Builds in `to` what could be found after the power failed now.
    pub(super) fn build(&self, ops: &[Op], loss: Loss, roll: &mut dyn FnMut(usize) -> usize, to: &Path) {
        let mut names = self.names.clone();
        for changes in self.changes.values() {
            let kept = match loss {
                Loss::All => 0,
                Loss::Nothing => changes.len(),
                Loss::Writes | Loss::Sectors | Loss::AllButTheLast | Loss::FewSectors => roll(changes.len() + 1),
            };
            changes[..kept].iter().for_each(|at| rename(&mut names, &ops[*at]));
        }
        for (path, node) in &names {
            let Ok(inside) = path.strip_prefix(&self.root) else { continue };
            let path = to.join(inside);
            match node {
                Node::Dir => std::fs::create_dir_all(&path).unwrap(),
                Node::File(file) if path.parent().is_some_and(Path::is_dir) => {
                    let default = File::default();
                    let file = self.files.get(file).unwrap_or(&default);
                    std::fs::write(&path, file.after(ops, loss, roll)).unwrap();
                }
                // Its directory's name is lost, and it with it.
                Node::File(_) => {}
            }
        }
        // The index of SQLite's log is memory that all processes share; whatever is found there means nothing.
        let shared = to.join("journal.db-shm");
        if shared.exists() {
            let noise: Vec<u8> = (0..32768).map(|_| u8::try_from(roll(256)).unwrap()).collect();
            std::fs::write(shared, noise).unwrap();
        }
    }
}

impl File {
    fn after(&self, ops: &[Op], loss: Loss, roll: &mut dyn FnMut(usize) -> usize) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        for (nth, at) in self.open.iter().enumerate() {
            let last = nth + 1 == self.open.len();
            match loss {
                Loss::All => {}
                Loss::Nothing => apply(&mut bytes, &ops[*at], &mut |_| true),
                Loss::AllButTheLast if last => apply(&mut bytes, &ops[*at], &mut |_| true),
                Loss::AllButTheLast => {}
                Loss::Writes if roll(2) == 0 => apply(&mut bytes, &ops[*at], &mut |_| true),
                Loss::Writes => {}
                Loss::Sectors => apply(&mut bytes, &ops[*at], &mut |_| roll(2) == 0),
                Loss::FewSectors => apply(&mut bytes, &ops[*at], &mut |_| roll(20) > 0),
            }
        }
        bytes
    }
}

/// Does to the bytes what an operation did, as far as its sectors are there.
fn apply(to: &mut Vec<u8>, op: &Op, there: &mut dyn FnMut(usize) -> bool) {
    match op {
        Op::Write { offset, bytes, .. } => {
            let mut done = 0;
            while done < bytes.len() {
                let begin = offset + done;
                let len = (SECTOR - begin % SECTOR).min(bytes.len() - done);
                if there(begin / SECTOR) {
                    if to.len() < begin + len {
                        to.resize(begin + len, 0);
                    }
                    to[begin..begin + len].copy_from_slice(&bytes[done..done + len]);
                }
                done += len;
            }
        }
        Op::Truncate { len, .. } => {
            if there(0) {
                to.resize(*len, 0);
            }
        }
        Op::Name { .. }
        | Op::Unname { .. }
        | Op::Rename { .. }
        | Op::SyncFile { .. }
        | Op::SyncDir { .. }
        | Op::Acknowledged { .. } => {}
    }
}

fn rename(names: &mut BTreeMap<PathBuf, Node>, op: &Op) {
    match op {
        Op::Name { path, node } => drop(names.insert(path.clone(), node.clone())),
        Op::Unname { path } => drop(names.remove(path)),
        Op::Rename { from, to } => {
            if let Some(node) = names.remove(from) {
                names.insert(to.clone(), node);
            }
        }
        Op::Write { .. } | Op::Truncate { .. } | Op::SyncFile { .. } | Op::SyncDir { .. } | Op::Acknowledged { .. } => {
        }
    }
}
