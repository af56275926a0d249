//! What a hook may call.

mod host;
pub(crate) mod text;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use piton_core::expr::{from_dynamic, to_dynamic};
use piton_core::ids::{HostName, StepId};
use piton_core::inventory::Host;
use piton_core::run::CallKind;
use piton_core::value::{Map, Value, to_text};
use piton_runner::hooks::{CallError, CallSpec, HookOrder, HookWorld};
use rhai::{Dynamic, Engine, EvalAltResult, Position};

use crate::engine::Ended;

/// What a function of ours gives.
pub(crate) type Made<T> = Result<T, Box<EvalAltResult>>;

/// How long a notification may be, in characters.
const MAX_NOTE: usize = 4000;

/// What one evaluation knows and can ask for. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Api(Arc<Inner>);

struct Inner {
    /// `None`: nothing is evaluated, only the names of the functions are wanted.
    order: Option<HookOrder>,
    world: Option<Arc<dyn HookWorld>>,
    outputs: Mutex<Map<String, Value>>,
}

/// `steps`: what came out of the steps before, by their ids.
#[derive(Clone)]
struct Steps(Api);

impl Api {
    pub(crate) fn new(order: &HookOrder, world: Arc<dyn HookWorld>) -> Self {
        Self(Arc::new(Inner { order: Some(order.clone()), world: Some(world), outputs: Mutex::default() }))
    }

    /// One that knows nothing and can ask for nothing.
    pub(crate) fn nowhere() -> Self {
        Self(Arc::new(Inner { order: None, world: None, outputs: Mutex::default() }))
    }

    fn world(&self) -> Made<&dyn HookWorld> {
        self.0.world.as_deref().ok_or_else(|| refused(CallError::Stopped))
    }

    /// The hosts of the plan.
    fn hosts(&self) -> &BTreeMap<HostName, Host> {
        static NONE: BTreeMap<HostName, Host> = BTreeMap::new();
        self.0.order.as_ref().map_or(&NONE, |order| &order.run.plan().hosts)
    }

    pub(crate) fn stop(&self) -> Arc<AtomicBool> {
        self.0.world.as_ref().map(|world| world.stop()).unwrap_or_default()
    }

    /// What was put out by name so far.
    pub(crate) fn outputs(&self) -> Map<String, Value> {
        self.0.outputs.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn call(&self, call: CallSpec) -> Made<Value> {
        let answer = self.world()?.call(call).map_err(refused);
        crate::engine::computes();
        answer
    }

    /// Asks for something that no host has to do.
    fn ask(&self, kind: CallKind, shown: &str) -> Made<Value> {
        self.call(CallSpec {
            kind,
            host: None,
            become_user: None,
            safe: true,
            script: String::new(),
            env: Vec::new(),
            shown: shown.to_owned(),
            at: String::new(),
        })
    }

    fn step(&self, id: &str) -> Made<Dynamic> {
        let id = StepId::new(id).map_err(|bad| bad.to_string())?;
        let order = self.0.order.as_ref().ok_or("nothing is known here")?;
        let task = order.run.graph().find(&order.hook.attempt.task);
        let task = task.ok_or("the plan does not have the hook's task")?;
        Ok(to_dynamic(&order.run.step_for_hook(task, &id)?))
    }

    /// Registers everything that asks, answers or remembers.
    pub(crate) fn register(&self, engine: &mut Engine) {
        let api = self.clone();
        engine.register_fn("log", move |text: Dynamic| -> Made<()> {
            api.world()?.log(&to_text(&from_dynamic(&text)?)).map_err(refused)
        });
        engine.register_fn("fail", |message: &str| -> Made<()> { Err(message.into()) });
        let api = self.clone();
        engine.register_fn("notify", move |text: &str| -> Made<()> {
            if text.trim().is_empty() || text.chars().count() > MAX_NOTE {
                return Err(format!("a notification has from 1 to {MAX_NOTE} characters").into());
            }
            api.ask(CallKind::Notify, text).map(drop)
        });
        let api = self.clone();
        engine.register_fn("now", move || -> Made<i64> {
            let now = api.ask(CallKind::Now, "")?;
            now.as_i64().map(|ms| ms.div_euclid(1000)).ok_or_else(|| "the engine did not tell the time".into())
        });
        let api = self.clone();
        engine.register_fn("set_output", move |name: &str, value: Dynamic| -> Made<()> {
            piton_core::ids::ParamName::new(name).map_err(|bad| format!("an output's name: {bad}"))?;
            let value = from_dynamic(&value)?;
            api.0.outputs.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), value);
            Ok(())
        });
        engine.register_type_with_name::<Steps>("steps");
        engine.register_indexer_get(|steps: &mut Steps, id: &str| steps.0.step(id));
        host::register(self, engine);
        let api = self.clone();
        #[expect(
            deprecated,
            reason = "Rhai calls it volatile, not wrong: it is how names are looked up in functions too"
        )]
        engine.on_var(move |name, _index, context| {
            Ok(match name {
                // Rhai asks here before it looks at what the script itself calls so.
                _ if context.scope().contains(name) => None,
                "steps" => Some(Dynamic::from(Steps(api.clone()))),
                "host" => api.own_host(),
                "params" | "item" | "run" => {
                    api.0.order.as_ref().and_then(|order| order.text.facts.get(name)).map(to_dynamic)
                }
                _ => None,
            })
        });
    }
}

fn refused(error: CallError) -> Box<EvalAltResult> {
    match error {
        CallError::Stopped => EvalAltResult::ErrorTerminated(Dynamic::from(Ended::Stopped), Position::NONE).into(),
        // It must not be caught: a hook that asks for too much would go on asking.
        CallError::TooMuch(why) => EvalAltResult::ErrorTerminated(why.into(), Position::NONE).into(),
    }
}
