//! Approvals: what people were asked, who may say, what they said.

use imbl::Vector;

use crate::digest::Digest;
use crate::ids::TaskId;
use crate::plan::TaskIndex;
use crate::runbook::{Action, Approve, OnTimeout, Voter};

use super::cause::{FailureCause, SuccessCause};
use super::decide::Draft;
use super::event::Event;
use super::state::Run;
use super::task::{At, Attempt, Task, TaskState};

/// A question that people are asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Asking {
    /// The prompt with its values, as they were when it was asked.
    pub text: String,
    /// What a vote must name: a digest of the plan, the run, the task, the attempt and the text.
    pub facts: Digest,
    /// Who said yes, in that order. One no ends the asking.
    pub yes: Vector<String>,
}

/// What is said to a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Vote<'v> {
    pub(super) task: &'v TaskId,
    pub(super) facts: Digest,
    pub(super) groups: &'v [String],
    /// Why not; `None` for a yes.
    pub(super) no: Option<&'v str>,
}

impl Run {
    /// The question of a task and what its step says about it, while people are asked.
    pub fn asking(&self, index: TaskIndex) -> Option<(&Approve, &Asking)> {
        let Action::Approve(approve) = &self.step_of(index).action else { return None };
        let TaskState::Active(Attempt { at: At::Approval(Some(asking)), .. }) = &self.task(index).state else {
            return None;
        };
        Some((approve, asking))
    }

    /// The tasks that wait for an approval.
    pub fn asked(&self) -> impl Iterator<Item = TaskIndex> + '_ {
        self.asking.iter().copied()
    }

    /// What binds a vote to what was shown.
    pub(super) fn facts_of(&self, task: TaskIndex, text: &str) -> Digest {
        let (name, attempt) = (self.graph.id(task), self.task(task).attempts);
        Digest::of(
            format!("{}\0{}\0{name}\0{attempt}\0{text}", self.digest.unwrap_or(Digest([0; 32])), self.id).as_bytes(),
        )
    }

    /// Whether somebody may say yes or no to a question, or why not.
    pub fn may_vote(&self, task: TaskIndex, by: &str, groups: &[String]) -> Result<(), String> {
        let Some((approve, asking)) = self.asking(task) else {
            return Err(format!("{} waits for no approval", self.graph.id(task)));
        };
        let voter = Speaker::of(by);
        if !approve.who.is_empty() && !approve.who.iter().any(|who| voter.is(who, groups)) {
            return Err(format!("{by} may not approve this: it takes {}", approve.electorate()));
        }
        let requester = Speaker::of(&self.by);
        if approve.not_requester && voter.may_be(&requester) {
            return Err(format!("{by} asked for this run, and may not approve it"));
        }
        if asking.yes.iter().any(|other| Speaker::of(other).person == voter.person) {
            return Err(format!("{by} has approved this already"));
        }
        Ok(())
    }

    pub(super) fn approval_asked(
        &mut self,
        task: &TaskId,
        attempt: u32,
        text: &str,
        facts: Digest,
    ) -> Result<(), String> {
        self.change_asking(task, attempt, |asking| match asking {
            Some(_) => Err("it was asked before".to_owned()),
            None => {
                *asking = Some(Asking { text: text.to_owned(), facts, yes: Vector::new() });
                Ok(())
            }
        })
    }

    pub(super) fn voted(&mut self, task: &TaskId, attempt: u32, by: &str, yes: bool) -> Result<(), String> {
        self.change_asking(task, attempt, |asking| match asking {
            Some(asking) => {
                if yes {
                    asking.yes.push_back(by.to_owned());
                }
                Ok(())
            }
            None => Err("nobody was asked".to_owned()),
        })
    }

    fn change_asking(
        &mut self,
        task: &TaskId,
        attempt: u32,
        change: impl FnOnce(&mut Option<Asking>) -> Result<(), String>,
    ) -> Result<(), String> {
        let index = self.named(task)?;
        self.change(index, |t: &mut Task| {
            if t.attempts != attempt {
                return Err("another attempt is going on".to_owned());
            }
            let TaskState::Active(Attempt { at: At::Approval(asking), .. }) = &mut t.state else {
                return Err("it waits for no approval".to_owned());
            };
            change(asking)
        })
    }
}

impl Draft {
    /// Asks people, with what is known now.
    pub(in crate::run) fn ask_people(&mut self, task: TaskIndex) {
        let Action::Approve(approve) = &self.run.step_of(task).action else { return };
        let (need, who, until) = (approve.count, approve.electorate(), self.run.deadline(task));
        match self.run.render(task, "prompt", &approve.prompt) {
            Ok(text) => {
                let (attempt, facts) = (self.run.task(task).attempts, self.run.facts_of(task, &text));
                self.push(Event::ApprovalAsked { task: self.name(task), attempt, text, facts, need, who, until });
            }
            Err(error) => self.fail(task, FailureCause::Expression(error)),
        }
    }

    /// The facts that follow from a vote, or why it does not count.
    pub(super) fn vote(&self, by: &str, vote: Vote<'_>) -> Result<Vec<Event>, String> {
        let name = vote.task;
        let index = self.task_named(name)?;
        let Some((approve, asking)) = self.run.asking(index) else {
            let state = &self.run.task(index).state;
            return Err(match (&self.run.step_of(index).action, state) {
                (Action::Approve(_), TaskState::Succeeded(SuccessCause::Approved | SuccessCause::Unopposed)) => {
                    format!("{name} is approved already")
                }
                (Action::Approve(_), _) => format!("{name} waits for no approval: it is {state}"),
                (_, _) => format!("{name} is no approval"),
            });
        };
        if asking.facts != vote.facts {
            return Err(format!("{name} was asked anew since this was read: look at it again"));
        }
        self.run.may_vote(index, by, vote.groups)?;
        let attempt = self.run.task(index).attempts;
        let yes = vote.no.is_none();
        let have = u32::try_from(asking.yes.len()).unwrap_or(u32::MAX).saturating_add(u32::from(yes));
        let missing = approve.count.saturating_sub(have);
        Ok(vec![Event::Voted { task: name.clone(), attempt, by: by.to_owned(), yes, missing }])
    }

    /// What follows once a vote is counted.
    pub(super) fn counted(&mut self, by: &str, vote: Vote<'_>) {
        let Some(index) = self.run.graph.find(vote.task) else { return };
        let Some((approve, asking)) = self.run.asking(index) else { return };
        match vote.no {
            Some(why) => {
                self.fail(index, FailureCause::Rejected { by: by.to_owned(), why: why.to_owned() });
            }
            None if asking.yes.len() >= usize::try_from(approve.count).unwrap_or(usize::MAX) => {
                self.succeed(index, SuccessCause::Approved);
            }
            None => {}
        }
    }

    /// The time for an approval is over. Says whether that was it.
    pub(in crate::run) fn unanswered(&mut self, task: TaskIndex) -> bool {
        let Some((approve, asking)) = self.run.asking(task) else { return false };
        let have = u32::try_from(asking.yes.len()).unwrap_or(u32::MAX);
        match approve.on_timeout {
            OnTimeout::Approve => self.succeed(task, SuccessCause::Unopposed),
            OnTimeout::Fail => {
                let need = approve.count;
                self.fail(task, FailureCause::NotApproved { have, need });
            }
        }
        true
    }
}

/// Whoever speaks, as the inbox knows them: `person@machine`, or `person(user)@machine` where a person became a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Speaker<'s> {
    person: &'s str,
    user: Option<&'s str>,
    machine: &'s str,
}

impl<'s> Speaker<'s> {
    fn of(by: &'s str) -> Self {
        let (who, machine) = by.rsplit_once('@').unwrap_or((by, ""));
        match who.strip_suffix(')').and_then(|who| who.split_once('(')) {
            Some((person, user)) => Self { person, user: Some(user), machine },
            None => Self { person: who, user: None, machine },
        }
    }

    fn is(&self, voter: &Voter, groups: &[String]) -> bool {
        match voter {
            Voter::User(user) => user == self.person,
            Voter::UserAt(user, machine) => user == self.person && machine == self.machine,
            Voter::Group(group) => groups.iter().any(|known| known == group),
        }
    }

    /// Whether this may be the same person: the same name, also on another machine; or a user without a person whom
    /// the other had become.
    fn may_be(&self, other: &Self) -> bool {
        self.person == other.person || (self.user.is_none() && other.user == Some(self.person))
    }
}
