//! Locks between runs: who holds what, who waits for whom, and who may have it next. Pure; stores keep the tickets.
//!
//! A *ticket* asks for some locks at once, for a run or for one of its tasks, and gets all of them or none. Tickets are
//! served in the order in which they were asked for: a later one never overtakes an earlier one that wants the same lock.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{RunId, TaskId};
use crate::time::Timestamp;

/// The longest name of a lock, in bytes.
pub const MAX_NAME: usize = 200;

/// A lock by name, and with how many others it may be held.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Lock {
    /// Its name, such as `vm/web1`.
    pub name: String,
    /// How many may hold it at once, as far as this one is concerned: where several say different numbers, the smallest
    /// counts. 1: alone; [`Lock::SHARED`]: with all who share it, too.
    pub most: u32,
}

impl Lock {
    /// With any number of others.
    pub const SHARED: u32 = u32::MAX;
}

/// What is wrong with the name of a lock, if anything: it is one word that a terminal can show.
pub fn bad_name(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        Some("is empty")
    } else if name.len() > MAX_NAME {
        Some("is longer than 200 bytes")
    } else if name.chars().any(|c| c.is_control() || c.is_whitespace()) {
        Some("has a space or a control character")
    } else {
        None
    }
}

impl fmt::Display for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.most {
            1 => f.write_str(&self.name),
            Self::SHARED => write!(f, "{} (shared)", self.name),
            most => write!(f, "{} ({most} at once)", self.name),
        }
    }
}

/// Locks that a run or a task wants or holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// Its place in the queue: whoever asked later has a greater number.
    pub id: u64,
    /// Whose.
    pub run: RunId,
    /// For which task; `None`: for the run as a whole, until it is over.
    pub task: Option<TaskId>,
    /// Which locks; all at once or none. No name stands twice.
    pub locks: Vec<Lock>,
    /// When it was asked for.
    pub asked: Timestamp,
    /// Where it stands.
    pub state: TicketState,
}

/// Where a ticket stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TicketState {
    /// In the queue.
    Waiting,
    /// It has its locks, since then.
    Held(Timestamp),
    /// It will never have them: it would wait for somebody who waits for it.
    Refused(String),
}

impl Ticket {
    fn waits(&self) -> bool {
        self.state == TicketState::Waiting
    }

    fn holds(&self) -> bool {
        matches!(self.state, TicketState::Held(_))
    }

    fn lock(&self, name: &str) -> Option<&Lock> {
        self.locks.iter().find(|lock| lock.name == name)
    }

    /// What a run holds as a whole does not stand in the way of its own tasks.
    fn covers(&self, other: &Self) -> bool {
        self.run == other.run && self.task.is_none() && other.task.is_some()
    }
}

/// Gives locks to those whose turn it is, and refuses those who would wait for ever. Says whether anything changed.
///
/// `tickets` are all there are, in the order of their ids. What changes is a function of them alone.
pub fn settle(tickets: &mut [Ticket], now: Timestamp) -> bool {
    let mut changed = false;
    loop {
        let mut again = false;
        for index in 0..tickets.len() {
            if tickets[index].waits() && blockers(tickets, index).is_empty() {
                tickets[index].state = TicketState::Held(now);
                changed = true;
            }
        }
        // The youngest first: those who stood in the queue before it keep their places.
        for index in (0..tickets.len()).rev() {
            if !tickets[index].waits() {
                continue;
            }
            if let Some(circle) = circle(tickets, index) {
                tickets[index].state = TicketState::Refused(told(tickets, index, &circle));
                (changed, again) = (true, true);
            }
        }
        if !again {
            return changed;
        }
    }
}

/// Whom the ticket waits for, in the order of the queue: those who hold what it wants, and those who wait for it since before.
pub fn blockers(tickets: &[Ticket], index: usize) -> Vec<usize> {
    let own = &tickets[index];
    let mut found = holders(tickets, index);
    for (earlier, ticket) in tickets.iter().enumerate().take(index) {
        let wants_the_same = ticket.locks.iter().any(|lock| own.lock(&lock.name).is_some());
        // It cannot have its locks before our run gives some back: to let it go first would help nobody.
        if ticket.waits() && wants_the_same && !waits_for_run(tickets, earlier, own.run) {
            found.insert(earlier);
        }
    }
    found.into_iter().collect()
}

/// What a ticket waits for and who has it, in words: `vm/web1 (run 01… holds vm/web1)`.
pub fn tells(tickets: &[Ticket], own: usize) -> String {
    let before: Vec<String> = blockers(tickets, own).into_iter().map(|at| stands_before(tickets, own, at)).collect();
    let names: Vec<String> = tickets[own].locks.iter().map(Lock::to_string).collect();
    let before = if before.is_empty() { "free now".to_owned() } else { before.join(", ") };
    format!("{} ({before})", names.join(", "))
}

/// Who stands before a ticket, and what of its locks they have or want.
fn stands_before(tickets: &[Ticket], own: usize, at: usize) -> String {
    let ticket = &tickets[at];
    let common = ticket.locks.iter().filter(|lock| tickets[own].lock(&lock.name).is_some());
    let common: Vec<&str> = common.map(|lock| lock.name.as_str()).collect();
    let task = ticket.task.as_ref().map(|task| format!(" for {task}")).unwrap_or_default();
    let does = if ticket.holds() { "holds" } else { "asked before for" };
    format!("run {} {does} {}{task}", ticket.run, common.join(", "))
}

/// Who holds something that the ticket cannot have beside them.
fn holders(tickets: &[Ticket], index: usize) -> BTreeSet<usize> {
    let own = &tickets[index];
    let mut found = BTreeSet::new();
    for lock in &own.locks {
        let held = || {
            let others = tickets.iter().enumerate().filter(|(_, t)| t.holds() && !t.covers(own));
            others.filter_map(|(at, t)| t.lock(&lock.name).map(|theirs| (at, theirs.most)))
        };
        let most = held().map(|(_, most)| most).min().unwrap_or(Lock::SHARED).min(lock.most);
        if holds_of(tickets, held().map(|(at, _)| at)) >= usize::try_from(most).unwrap_or(usize::MAX) {
            found.extend(held().map(|(at, _)| at));
        }
    }
    found
}

/// How often a lock is held: a task holds what its run holds as a whole already, unless several of its tasks do at once.
fn holds_of(tickets: &[Ticket], holders: impl Iterator<Item = usize>) -> usize {
    let mut runs: BTreeMap<RunId, (usize, usize)> = BTreeMap::new();
    for at in holders {
        let (whole, tasks) = runs.entry(tickets[at].run).or_default();
        *if tickets[at].task.is_none() { whole } else { tasks } += 1;
    }
    runs.into_values().map(|(whole, tasks)| whole.max(tasks)).sum()
}

/// Whether a waiting ticket waits for something that the run as a whole holds, directly or through others.
fn waits_for_run(tickets: &[Ticket], index: usize, run: RunId) -> bool {
    let mut open = vec![index];
    let mut seen = BTreeSet::new();
    while let Some(next) = open.pop() {
        if !seen.insert(next) {
            continue;
        }
        for holder in holders(tickets, next) {
            if tickets[holder].task.is_some() {
                continue;
            }
            if tickets[holder].run == run {
                return true;
            }
            open.extend(waiting_of(tickets, tickets[holder].run));
        }
    }
    false
}

/// What a run waits for: while it does, what it holds as a whole is not given back.
fn waiting_of(tickets: &[Ticket], run: RunId) -> impl Iterator<Item = usize> + '_ {
    tickets.iter().enumerate().filter(move |(_, t)| t.run == run && t.waits()).map(|(at, _)| at)
}

/// The way from a waiting ticket over those it waits for back to its own run, if there is one.
fn circle(tickets: &[Ticket], index: usize) -> Option<Vec<usize>> {
    let run = tickets[index].run;
    // Each entry: a waiting ticket, and the way to it.
    let mut open = vec![vec![index]];
    let mut seen = BTreeSet::from([index]);
    while let Some(way) = open.pop() {
        let Some(&last) = way.last() else { continue };
        for blocker in blockers(tickets, last) {
            let ticket = &tickets[blocker];
            let next: Vec<usize> = if ticket.waits() {
                vec![blocker]
            } else if ticket.task.is_some() {
                // A task that has its locks asks for no more, and gives them back when it is settled.
                continue;
            } else if ticket.run == run {
                return Some(way);
            } else {
                waiting_of(tickets, ticket.run).collect()
            };
            for next in next.into_iter().filter(|next| seen.insert(*next)) {
                let mut longer = way.clone();
                longer.push(next);
                open.push(longer);
            }
        }
    }
    None
}

/// Why a ticket is refused, in words.
fn told(tickets: &[Ticket], index: usize, way: &[usize]) -> String {
    let names = |at: usize| {
        let names: Vec<&str> = tickets[at].locks.iter().map(|lock| lock.name.as_str()).collect();
        names.join(", ")
    };
    let others: Vec<String> =
        way.iter().skip(1).map(|&at| format!("run {} waits for {}", tickets[at].run, names(at))).collect();
    format!(
        "to wait for {} would be to wait for ever: {}, and what it waits for is held by this run",
        names(index),
        others.join(", ")
    )
}

#[cfg(test)]
mod tests;
