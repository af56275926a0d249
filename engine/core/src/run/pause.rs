//! Pausing: nothing new begins, what runs goes on.

use super::effect::Change;
use super::state::Run;

/// Who paused a run, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// Who: `user@machine`.
    pub by: String,
    /// The reason given; may be empty.
    pub why: String,
}

impl Run {
    /// Who paused the run, while it is paused.
    pub fn paused(&self) -> Option<&Pause> {
        self.paused.as_ref()
    }

    pub(super) fn run_paused(&mut self, by: &str, why: &str) -> Result<(), String> {
        if self.paused.is_some() {
            return Err("the run is paused already".to_owned());
        }
        self.set_paused(Some(Pause { by: by.to_owned(), why: why.to_owned() }));
        Ok(())
    }

    pub(super) fn run_resumed(&mut self) -> Result<(), String> {
        if self.paused.is_none() {
            return Err("the run is not paused".to_owned());
        }
        self.set_paused(None);
        Ok(())
    }

    /// What an active task wants may depend on it: a further attempt is nothing that is wanted in a pause.
    pub(super) fn set_paused(&mut self, paused: Option<Pause>) {
        let active: Vec<_> = self.active.iter().copied().collect();
        let wanted = |run: &Self| -> Vec<_> {
            active.iter().flat_map(|&index| run.effects_of(index, run.task(index))).collect()
        };
        let before = wanted(self);
        self.paused = paused;
        let after = wanted(self);
        for effect in before.iter().filter(|e| !after.contains(e)) {
            self.wanted.remove(effect);
            self.changes.push(Change::Drop(effect.clone()));
        }
        for effect in after.into_iter().filter(|e| !before.contains(e)) {
            self.wanted.insert(effect.clone());
            self.changes.push(Change::Begin(effect));
        }
    }
}
