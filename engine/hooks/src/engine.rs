//! The Rhai engine behind hooks: what it may do, and how much of it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use rhai::debugger::{DebuggerCommand, DebuggerEvent};
use rhai::{Dynamic, Engine, Position};

use crate::api::{Api, text};
use crate::scripts::Scripts;

/// How many steps of evaluation a hook may take: about a second of computing.
pub(crate) const MAX_OPERATIONS: u64 = 2_000_000;
/// How much larger the engine's process may become while a hook computes, in bytes. Rhai's own limits do not see what is put
/// into a list or map by its index (`m[k] = v`); this one does, and is looked at every [`LOOK`] operations.
const MAX_GROWTH: u64 = 256 << 20;
/// In that many operations a hook makes 64 MiB of text at most.
const LOOK: u64 = 128;
/// How large a text, and all texts in a list or map together, may become, in bytes. More than a host's answer.
pub(crate) const MAX_STRING: usize = 512 << 10;
/// How many items a list or map may get.
pub(crate) const MAX_ITEMS: usize = 20_000;
/// How deep functions may call each other.
const MAX_CALLS: usize = 32;
/// How many variables may be alive in one function.
const MAX_VARIABLES: usize = 100;

thread_local! {
    /// Rhai gives each call of a function such as a `sort` comparator a fresh count; this one goes on.
    static OPERATIONS: Cell<u64> = const { Cell::new(0) };
    /// How large the process was when the hook last began to compute, in bytes.
    static SIZE: Cell<u64> = const { Cell::new(0) };
    /// What is being evaluated: in which script, and where in it.
    static AT: RefCell<(String, Position)> = const { RefCell::new((String::new(), Position::NONE)) };
}

/// Why an evaluation was ended from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It takes too many operations.
    TooLong,
    /// It takes too much memory.
    TooLarge,
    /// Nobody wants it any more.
    Stopped,
}

/// To be called before each evaluation, on the thread that evaluates.
pub(crate) fn begin() {
    OPERATIONS.set(0);
    AT.take();
    computes();
}

/// Where the evaluation on this thread has come to: the script, and the place in it.
pub(crate) fn at() -> (String, Position) {
    AT.with_borrow(Clone::clone)
}

/// Remembers where the evaluation is.
fn note(source: Option<&str>, position: Position) {
    if is_exhausted() {
        return;
    }
    AT.with_borrow_mut(|at| {
        let source = source.unwrap_or_default();
        if at.0 != source {
            source.clone_into(&mut at.0);
        }
        if !position.is_none() {
            at.1 = position;
        }
    });
}

/// To be called after the hook has waited: what the process grew by meanwhile is not the hook's.
pub(crate) fn computes() {
    SIZE.set(size());
}

/// How much memory the process has in use (proc(5), /proc/self/statm), in bytes; 0 where that cannot be told.
fn size() -> u64 {
    const PAGE: u64 = 4096;
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or_default() * PAGE
}

/// Whether the evaluation on this thread has used up its operations.
pub(crate) fn is_exhausted() -> bool {
    OPERATIONS.get() > MAX_OPERATIONS
}

/// How closely an evaluation is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// It goes as fast as it can.
    Free,
    /// Each step is noted, for [`at`]; that takes several times as long.
    Followed,
}

/// An engine for one hook.
pub(crate) fn engine(api: &Api, scripts: &BTreeMap<String, String>, pace: Pace) -> Engine {
    let mut engine = bare();
    engine.set_module_resolver(Scripts::new(scripts.clone()));
    let stop = api.stop();
    engine.on_progress(move |_| {
        let count = OPERATIONS.get() + 1;
        OPERATIONS.set(count);
        if count > MAX_OPERATIONS {
            return Some(Dynamic::from(Ended::TooLong));
        }
        if !count.is_multiple_of(LOOK) {
            return None;
        }
        if stop.load(Ordering::Relaxed) {
            return Some(Dynamic::from(Ended::Stopped));
        }
        (size() > SIZE.get() + MAX_GROWTH).then(|| Dynamic::from(Ended::TooLarge))
    });
    if pace == Pace::Followed {
        #[expect(deprecated, reason = "Rhai calls it volatile, not wrong: nothing else tells where an evaluation is")]
        engine.register_debugger(
            |_engine, debugger| debugger,
            |_context, event, _node, source, position| {
                // Whatever ends a function has gone wrong before.
                if matches!(event, DebuggerEvent::Start | DebuggerEvent::Step) {
                    note(source, position);
                }
                Ok(DebuggerCommand::StepInto)
            },
        );
    }
    api.register(&mut engine);
    engine
}

/// The language with its limits, and what needs nothing from outside.
pub(crate) fn bare() -> Engine {
    let mut engine = piton_core::expr::language(MAX_STRING, MAX_ITEMS);
    engine.set_max_operations(MAX_OPERATIONS);
    engine.set_max_expr_depths(64, 32);
    engine.set_max_call_levels(MAX_CALLS);
    engine.set_max_variables(MAX_VARIABLES);
    engine.set_max_functions(500);
    // Each evaluated `import` counts, also of what is at hand already; how much is evaluated is limited above.
    engine.set_max_modules(usize::MAX);
    for symbol in ["sleep", "timestamp"] {
        engine.disable_symbol(symbol);
    }
    text::register(&mut engine);
    crate::xml::register(&mut engine);
    engine
}
