//! The simulated world while a test is played: it changes, and what must always hold is looked at after every change.

use std::collections::BTreeMap;
use std::sync::Arc;

use piton_core::fault::Fault;
use piton_core::ids::HostName;
use piton_core::testing::{Change, Test, World};
use piton_core::time::{Timestamp, show_duration};

/// The world, and everything that was wrong with it so far.
pub(crate) struct Stage {
    pub(crate) test: Arc<Test>,
    pub(crate) world: World,
    pub(crate) before: World,
    /// What is going to change by itself, by time and in the order in which it was begun.
    scheduled: BTreeMap<(Timestamp, u64), (HostName, Change, String)>,
    count: u64,
    began: Timestamp,
    /// What was found wrong on the way.
    pub(crate) complaints: Vec<Fault>,
    /// Places of conditions that were found broken: each is told once.
    broken: Vec<piton_core::fault::Span>,
}

impl Stage {
    pub(crate) fn new(test: Arc<Test>, world: World, began: Timestamp) -> Self {
        let before = world.clone();
        let mut stage = Self {
            test,
            world,
            before,
            scheduled: BTreeMap::new(),
            count: 0,
            began,
            complaints: Vec::new(),
            broken: Vec::new(),
        };
        stage.look(began, "at the beginning");
        stage
    }

    /// Makes a change; tells whether anything is different now.
    pub(crate) fn change(&mut self, host: &HostName, change: &Change, now: Timestamp, because: &str) -> bool {
        let differs = self.world.change(host, change);
        if differs {
            self.look(now, because);
        }
        differs
    }

    /// Writes a file; tells whether anything is different now.
    pub(crate) fn write(&mut self, host: &HostName, path: &str, text: &str, now: Timestamp, because: &str) -> bool {
        let differs = self.world.write(host, path, text);
        if differs {
            self.look(now, because);
        }
        differs
    }

    pub(crate) fn schedule(&mut self, at: Timestamp, host: HostName, change: Change, because: String) {
        self.count += 1;
        self.scheduled.insert((at, self.count), (host, change, because));
    }

    /// When the next change comes that nobody has to make.
    pub(crate) fn next_change(&self) -> Option<Timestamp> {
        self.scheduled.keys().next().map(|(at, _)| *at)
    }

    /// Makes the changes that are due.
    pub(crate) fn catch_up(&mut self, now: Timestamp) {
        while self.next_change().is_some_and(|at| at <= now)
            && let Some(((at, _), (host, change, because))) = self.scheduled.pop_first()
        {
            self.change(&host, &change, at, &because);
        }
    }

    fn look(&mut self, now: Timestamp, because: &str) {
        for fault in self.test.broken(&self.test.always, &self.world, &self.before) {
            let Some(span) = fault.place.as_ref().map(|place| place.span) else { continue };
            if self.broken.contains(&span) {
                continue;
            }
            self.broken.push(span);
            let since = show_duration(now.since(self.began));
            let message =
                format!("this must always hold, and does not: {} ({because}, {since} after the start)", fault.message);
            self.complaints.push(Fault { message, ..fault });
        }
    }
}
