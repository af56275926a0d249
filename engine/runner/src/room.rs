//! How many tasks one engine has under way at once, over all of the runs that it drives.
//!
//! A driver asks before it decides how many tasks its run may have under way, and says afterwards how many it has. What
//! it does not take up, others may have: their drivers are rung for. While others wait for room, no run gets more than
//! its share, so that a large run does not keep a small one waiting until its end.
//!
//! It limits what begins: what runs on hosts already when an engine takes a run over goes on, and counts.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use piton_core::ids::RunId;
use piton_core::run::Input;
use tokio::sync::{mpsc, watch};

/// The room that the runs of one engine share.
#[derive(Debug)]
pub struct Room {
    most: u32,
    state: Mutex<State>,
    bell: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    /// How many tasks each run has under way, or may begin while it decides.
    taken: BTreeMap<RunId, u32>,
    /// Runs that would begin more.
    wanting: BTreeSet<RunId>,
}

impl State {
    fn all(&self) -> u32 {
        self.taken.values().fold(0, |sum, taken| sum.saturating_add(*taken))
    }

    fn free(&self, most: u32) -> u32 {
        most.saturating_sub(self.all())
    }

    fn excess(&self, most: u32) -> u32 {
        self.all().saturating_sub(most)
    }
}

impl Room {
    /// Room for so many tasks.
    pub fn new(most: NonZeroU32) -> Arc<Self> {
        Arc::new(Self { most: most.get(), state: Mutex::default(), bell: watch::Sender::new(0) })
    }

    /// How many tasks the run may have under way now. It is kept for the run until [`Room::settle`].
    pub fn offer(&self, run: RunId) -> u32 {
        let mut state = self.state();
        let taken = state.taken.get(&run).copied().unwrap_or(0);
        // More than there may be can be under way: what ran before. Then it becomes less first.
        let mut offered = taken.saturating_add(state.free(self.most)).saturating_sub(state.excess(self.most));
        if state.wanting.iter().any(|other| *other != run) {
            let runs: BTreeSet<RunId> = state.taken.keys().chain(&state.wanting).copied().chain([run]).collect();
            let runs = u32::try_from(runs.len()).unwrap_or(u32::MAX);
            offered = offered.min(self.most.div_ceil(runs).max(1));
        }
        state.taken.insert(run, taken.max(offered));
        offered
    }

    /// The run has so many tasks under way, and would begin more or not. `before` is how many it had when it was offered
    /// room.
    pub fn settle(&self, run: RunId, before: u32, under_way: u32, wants: bool) {
        let mut state = self.state();
        if under_way == 0 {
            state.taken.remove(&run);
        } else {
            state.taken.insert(run, under_way);
        }
        let wanted = if wants { !state.wanting.insert(run) } else { state.wanting.remove(&run) };
        let others = state.wanting.iter().any(|other| *other != run);
        // Who is rung for and cannot begin anything does not ring in turn: it left nothing that was not left before.
        if others && state.free(self.most) > 0 && (under_way < before || (wanted && !wants)) {
            self.bell.send_modify(|rung| *rung = rung.wrapping_add(1));
        }
    }

    /// The run is not driven here any more.
    pub fn leave(&self, run: RunId) {
        let mut state = self.state();
        state.taken.remove(&run);
        state.wanting.remove(&run);
        self.bell.send_modify(|rung| *rung = rung.wrapping_add(1));
    }

    /// Tells a run whenever there may be room for more of its tasks; until nobody listens any more.
    pub(crate) fn ring(&self, news: mpsc::UnboundedSender<Input>) -> impl Future<Output = ()> + use<> {
        let mut bell = self.bell.subscribe();
        async move { while bell.changed().await.is_ok() && news.send(Input::Room).is_ok() {} }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics half way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(number: u64) -> RunId {
        RunId::from_parts(number, 0)
    }

    fn room(most: u32) -> Arc<Room> {
        Room::new(NonZeroU32::new(most).unwrap())
    }

    #[test]
    fn one_run_may_have_all_of_it_and_no_more() {
        let room = room(4);
        assert_eq!(room.offer(run(1)), 4);
        room.settle(run(1), 0, 4, true);
        assert_eq!(room.offer(run(1)), 4);
        room.settle(run(1), 4, 4, true);
        assert_eq!(room.offer(run(2)), 0);
        room.settle(run(2), 0, 0, true);
    }

    #[test]
    fn a_large_run_makes_room_for_a_small_one() {
        let room = room(5);
        let bell = room.bell.subscribe();
        room.offer(run(1));
        room.settle(run(1), 0, 5, true);
        assert_eq!(room.offer(run(2)), 0);
        room.settle(run(2), 0, 0, true);
        assert!(!bell.has_changed().unwrap(), "there is nothing to ring for");
        // One of the large run's tasks has ended: it begins no other, it has more than its share.
        assert_eq!(room.offer(run(1)), 3);
        room.settle(run(1), 5, 4, true);
        assert!(bell.has_changed().unwrap());
        assert_eq!(room.offer(run(2)), 1);
        room.settle(run(2), 0, 1, false);
        // Nobody else waits: what is free is the large run's.
        assert_eq!(room.offer(run(1)), 4);
        room.settle(run(1), 4, 4, true);
        room.leave(run(2));
        assert_eq!(room.offer(run(1)), 5);
    }

    #[test]
    fn what_ran_before_counts_though_it_is_too_much() {
        let room = room(2);
        room.offer(run(1));
        room.settle(run(1), 0, 7, true);
        assert_eq!(room.offer(run(1)), 2, "none is stopped, and none begun");
        room.settle(run(1), 7, 6, true);
        assert_eq!((room.offer(run(1)), room.offer(run(2))), (2, 0));
        room.settle(run(1), 6, 1, true);
        assert_eq!((room.offer(run(1)), room.offer(run(2))), (2, 0));
    }

    #[test]
    fn while_one_decides_nobody_else_is_offered_the_same() {
        let room = room(3);
        assert_eq!((room.offer(run(1)), room.offer(run(2))), (3, 0));
        room.settle(run(1), 0, 1, false);
        assert_eq!(room.offer(run(2)), 2);
    }
}
