//! What rules need to know of the time before: what they began, and what they heard lately.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Outcome;
use super::decide::Decision;
use crate::ids::{RuleName, RunId};
use crate::time::Timestamp;

/// What was begun, and what was heard lately. A fold over decisions: [`Past::note`] takes one in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Past {
    /// In the order in which they were begun.
    started: Vec<Started>,
    /// When each incident was heard of last.
    heard: BTreeMap<(RuleName, String), Timestamp>,
}

/// A run that a rule began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    /// Which rule.
    pub rule: RuleName,
    /// For which incident.
    pub key: String,
    /// The run.
    pub run: RunId,
    /// When.
    pub at: Timestamp,
    /// Whether the run has come to its end.
    pub over: bool,
}

impl Past {
    /// Takes in what was decided about an alert: only what is noted here can keep a second run from being begun.
    pub fn note(&mut self, decision: &Decision, now: Timestamp) {
        for verdict in &decision.verdicts {
            match &verdict.outcome {
                Outcome::Run(start) | Outcome::Propose(start) => {
                    let (rule, key) = (verdict.rule.clone(), verdict.key.clone());
                    self.started.push(Started { rule, key, run: start.run, at: now, over: false });
                }
                Outcome::Silenced { .. } | Outcome::Resolved { .. } => continue,
                Outcome::SameRun { .. }
                | Outcome::CooledDown { .. }
                | Outcome::Storm { .. }
                | Outcome::Capped { .. }
                | Outcome::Refused => {}
            }
            self.heard.insert((verdict.rule.clone(), verdict.key.clone()), now);
        }
    }

    /// Takes in a run that was begun, as it was kept elsewhere.
    pub fn begun(&mut self, started: Started) {
        self.started.push(started);
    }

    /// Takes in that a run is over.
    pub fn ended(&mut self, run: RunId) {
        for started in self.started.iter_mut().filter(|started| started.run == run) {
            started.over = true;
        }
    }

    /// Forgets what nothing can depend on any more: what was heard before that moment, and runs that were begun before it and
    /// are over. Nothing later than the longest cool-down, the longest window of a storm, and an hour ago may be forgotten.
    pub fn forget_before(&mut self, moment: Timestamp) {
        self.heard.retain(|_, at| *at >= moment);
        self.started.retain(|started| !started.over || started.at >= moment);
    }

    /// The runs that a rule began, in the order in which it did.
    pub fn started_by<'p>(&'p self, rule: &'p RuleName) -> impl DoubleEndedIterator<Item = &'p Started> {
        self.started.iter().filter(move |started| started.rule == *rule)
    }

    /// How many incidents of a rule were heard of within `span` before now, this one among them.
    pub(super) fn incidents(&self, rule: &RuleName, key: &str, span: Duration, now: Timestamp) -> usize {
        let from = (rule.clone(), String::new());
        let of_rule = self.heard.range(from..).take_while(|((of, _), _)| of == rule);
        1 + of_rule.filter(|((_, other), at)| other != key && at.plus(span) > now).count()
    }
}
