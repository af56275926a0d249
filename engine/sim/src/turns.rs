//! Hooks take turns: one of them computes at a time, and only when nothing else in the simulation can go on. So a test that
//! has hooks always comes to the same result too.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::future::BoxFuture;
use piton_core::value::{Map, Value};
use piton_runner::hooks::{CallError, HookOrder, HookWorld, Hooks, STACK};
use tokio::runtime::Handle;

thread_local! {
    /// Which hook this thread evaluates.
    static OWN: Cell<u64> = const { Cell::new(0) };
}

/// Who may compute.
#[derive(Default)]
pub(crate) struct Turns {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// The hooks there are, in the order in which they began, and whether each has something to do.
    hooks: BTreeMap<u64, bool>,
    began: u64,
    /// The hook whose turn it is.
    computes: Option<u64>,
    /// Nobody gives turns any more.
    over: bool,
}

impl Turns {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets every hook that has something to do come to where it waits or ends, one after the other; tells whether there
    /// was one.
    pub(crate) fn go(&self) -> bool {
        let mut went = false;
        let mut state = self.state();
        while let Some(id) = state.hooks.iter().find(|(_, ready)| **ready).map(|(id, _)| *id) {
            went = true;
            state.hooks.insert(id, false);
            state.computes = Some(id);
            self.changed.notify_all();
            state = self
                .changed
                .wait_while(state, |state| state.computes.is_some())
                .unwrap_or_else(PoisonError::into_inner);
        }
        went
    }

    /// Lets all hooks go on at once: nothing comes of what they do any more.
    pub(crate) fn end(&self) {
        self.state().over = true;
        self.changed.notify_all();
    }

    fn enter(&self) -> u64 {
        let mut state = self.state();
        state.began += 1;
        let id = state.began;
        state.hooks.insert(id, true);
        id
    }

    fn take(&self, id: u64) {
        let others = |state: &mut State| state.computes != Some(id) && !state.over;
        drop(self.changed.wait_while(self.state(), others).unwrap_or_else(PoisonError::into_inner));
    }

    /// Gives the turn back.
    fn give(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state();
        change(&mut state);
        state.computes = None;
        drop(state);
        self.changed.notify_all();
    }
}

/// Wakes a hook: it has something to do at its next turn.
struct Rouse {
    turns: Arc<Turns>,
    id: u64,
}

impl Wake for Rouse {
    fn wake(self: Arc<Self>) {
        if let Some(ready) = self.turns.state().hooks.get_mut(&self.id) {
            *ready = true;
        }
    }
}

/// Gives the last turn of a hook back, however it ended.
struct Leaves {
    turns: Arc<Turns>,
    id: u64,
}

impl Drop for Leaves {
    fn drop(&mut self) {
        self.turns.give(|state| {
            state.hooks.remove(&self.id);
        });
    }
}

/// Hooks that are evaluated in turn.
pub(crate) struct InTurn {
    pub(crate) hooks: Arc<dyn Hooks>,
    pub(crate) turns: Arc<Turns>,
}

impl Hooks for InTurn {
    fn evaluate(&self, order: &HookOrder, world: Arc<dyn HookWorld>) -> Result<Map<String, Value>, String> {
        self.hooks.evaluate(order, world)
    }

    fn begin(&self, work: Box<dyn FnOnce() + Send>) -> std::io::Result<()> {
        let turns = self.turns.clone();
        let id = turns.enter();
        let own = move || {
            OWN.set(id);
            turns.take(id);
            let _leaves = Leaves { turns, id };
            work();
        };
        let began = std::thread::Builder::new().name("hook".to_owned()).stack_size(STACK).spawn(own);
        if began.is_err() {
            self.turns.state().hooks.remove(&id);
        }
        began.map(drop)
    }

    fn wait(&self, _runtime: &Handle, mut answer: BoxFuture<'_, Result<Value, CallError>>) -> Result<Value, CallError> {
        let id = OWN.get();
        let waker = Waker::from(Arc::new(Rouse { turns: self.turns.clone(), id }));
        let mut context = Context::from_waker(&waker);
        loop {
            if let Poll::Ready(answer) = answer.as_mut().poll(&mut context) {
                return answer;
            }
            self.turns.give(|_state| ());
            self.turns.take(id);
        }
    }
}
