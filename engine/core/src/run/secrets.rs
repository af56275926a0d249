//! Where a run stands with its secrets. Each engine fetches them anew before anything else begins; until then nothing does.

use std::collections::BTreeMap;

use crate::ids::ParamName;
use crate::time::Timestamp;

use super::effect::{Change, Effect};
use super::event::Event;
use super::state::Run;

/// Where a run stands with its secrets.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Secrets {
    /// Whether the engine that drives the run has them.
    pub held: Held,
    /// What they were recognized by when they were last fetched; empty where that is not known.
    pub marks: BTreeMap<ParamName, String>,
    /// When one of them was last found to have changed. What began before may print the old text, which nobody can mask.
    pub changed: Option<Timestamp>,
}

/// Whether the engine that drives a run has its secrets.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Held {
    /// There is nothing to have, or no engine yet that could have it.
    #[default]
    Nothing,
    /// They are being fetched.
    Awaited,
    /// It has them.
    Fetched,
    /// These cannot be had, for the reasons given: a person must see to it.
    Missing(BTreeMap<ParamName, String>),
}

impl Run {
    /// Where the run stands with its secrets.
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Whether something may begin.
    pub(super) fn has_secrets(&self) -> bool {
        self.plan.secrets.is_empty() || self.secrets.held == Held::Fetched
    }

    /// Whether the run stands still because secrets cannot be had.
    pub(super) fn misses_secrets(&self) -> bool {
        matches!(self.secrets.held, Held::Missing(_))
    }

    /// The facts that follow from secrets having been fetched.
    pub(super) fn secrets_fetched_now(&self, marks: &BTreeMap<ParamName, String>) -> Option<Event> {
        if self.secrets.held != Held::Awaited {
            return None;
        }
        let differs = |(name, mark): &(&ParamName, &String)| {
            let old = self.secrets.marks.get(*name).filter(|old| !old.is_empty());
            old.is_some_and(|old| !mark.is_empty() && kind(old) == kind(mark) && old != *mark)
        };
        let changed = marks.iter().filter(differs).map(|(name, _)| name.clone()).collect();
        Some(Event::SecretsFetched { marks: marks.clone(), changed })
    }

    /// A new engine has none of the secrets.
    pub(super) fn await_secrets(&mut self) {
        if self.plan.secrets.is_empty() || self.outcome().is_some() {
            return;
        }
        self.secrets.held = Held::Awaited;
        if self.wanted.insert(Effect::Fetch).is_none() {
            self.changes.push(Change::Begin(Effect::Fetch));
        }
    }

    pub(super) fn secrets_fetched(
        &mut self,
        marks: &BTreeMap<ParamName, String>,
        changed: &[ParamName],
        at: Timestamp,
    ) -> Result<(), String> {
        self.no_longer_awaited()?;
        self.secrets.held = Held::Fetched;
        self.secrets.marks.clone_from(marks);
        if !changed.is_empty() {
            self.secrets.changed = Some(at);
        }
        Ok(())
    }

    pub(super) fn secrets_missing(&mut self, missing: &BTreeMap<ParamName, String>) -> Result<(), String> {
        self.no_longer_awaited()?;
        self.secrets.held = Held::Missing(missing.clone());
        Ok(())
    }

    fn no_longer_awaited(&mut self) -> Result<(), String> {
        if self.secrets.held != Held::Awaited {
            return Err("no secrets are awaited".to_owned());
        }
        if self.wanted.remove(&Effect::Fetch).is_some() {
            self.changes.push(Change::Drop(Effect::Fetch));
        }
        Ok(())
    }
}

/// Marks can only be compared that were made with the same key, which is named before the colon.
fn kind(mark: &str) -> &str {
    mark.split_once(':').map_or("", |(key, _)| key)
}
