//! What a hook was answered, so that it can be evaluated once more without anybody being asked.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use piton_core::value::Value;
use piton_runner::hooks::{CallError, CallSpec, HookWorld};

/// Passes everything on, and remembers the answers.
pub(crate) struct Heard {
    world: Arc<dyn HookWorld>,
    answers: Mutex<Vec<Result<Value, CallError>>>,
}

impl Heard {
    pub(crate) fn new(world: Arc<dyn HookWorld>) -> Self {
        Self { world, answers: Mutex::default() }
    }

    fn keep(&self, answer: Result<Value, CallError>) {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).push(answer);
    }

    /// A world that gives the same answers, does nothing, and hears nothing.
    pub(crate) fn again(&self) -> Echo {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Echo { answers, next: AtomicUsize::new(0), stop: self.world.stop() }
    }
}

impl HookWorld for Heard {
    fn call(&self, call: CallSpec) -> Result<Value, CallError> {
        let answer = self.world.call(call);
        self.keep(answer.clone());
        answer
    }

    fn log(&self, text: &str) -> Result<(), CallError> {
        let answer = self.world.log(text);
        self.keep(answer.clone().map(|()| Value::Null));
        answer
    }

    fn stop(&self) -> Arc<AtomicBool> {
        self.world.stop()
    }
}

/// Says again what was said.
pub(crate) struct Echo {
    answers: Vec<Result<Value, CallError>>,
    next: AtomicUsize,
    stop: Arc<AtomicBool>,
}

impl Echo {
    fn next(&self) -> Result<Value, CallError> {
        let number = self.next.fetch_add(1, Ordering::AcqRel);
        self.answers.get(number).cloned().unwrap_or(Err(CallError::Stopped))
    }
}

impl HookWorld for Echo {
    fn call(&self, _call: CallSpec) -> Result<Value, CallError> {
        self.next()
    }

    fn log(&self, _text: &str) -> Result<(), CallError> {
        self.next().map(drop)
    }

    fn stop(&self) -> Arc<AtomicBool> {
        self.stop.clone()
    }
}
