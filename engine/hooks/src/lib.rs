//! Evaluates hooks: Rhai with limits, and the functions that a hook may call.
//!
//! A hook has no file, no process, no network, no clock and no randomness of its own. What is not a function of its
//! arguments it asks of the engine through [`piton_runner::hooks::HookWorld`], which writes the question and the answer
//! into the journal. That is why a hook can be evaluated again after a crash and comes to the same place.

mod api;
mod check;
mod clash;
mod engine;
mod explain;
mod heard;
mod scripts;
mod xml;

use std::sync::Arc;

use piton_core::expr::{from_dynamic, to_dynamic};
use piton_core::runbook::HookCode;
use piton_core::value::{Map, Value};
use piton_runner::hooks::{HookOrder, HookWorld, Hooks};

use engine::Pace;
use explain::Wrong;
use heard::Heard;

pub use check::{check_hooks, check_script};
pub use scripts::used;

/// How much a hook may put out by name, in bytes of JSON: as much as a script may.
const MAX_OUTPUTS: usize = 256 << 10;

/// The [`Hooks`] that evaluate Rhai.
#[derive(Debug, Clone, Copy, Default)]
pub struct RhaiHooks;

impl Hooks for RhaiHooks {
    fn evaluate(&self, order: &HookOrder, world: Arc<dyn HookWorld>) -> Result<Map<String, Value>, String> {
        let heard = Arc::new(Heard::new(world));
        match evaluate(order, heard.clone(), Pace::Free) {
            Ok(outputs) => Ok(outputs),
            // Where it was is known only to an evaluation whose steps are noted, and that is told the same.
            Err(Wrong { said, limit: true }) => match evaluate(order, Arc::new(heard.again()), Pace::Followed) {
                Err(followed) if followed.limit => Err(followed.said),
                Err(_) | Ok(_) => Err(said),
            },
            Err(Wrong { said, limit: false }) => Err(said),
        }
    }
}

fn evaluate(order: &HookOrder, world: Arc<dyn HookWorld>, pace: Pace) -> Result<Map<String, Value>, Wrong> {
    let api = api::Api::new(order, world);
    let engine = engine::engine(&api, &order.run.plan().scripts, pace);
    let text = match &order.text.code {
        HookCode::Text(text) => text.clone(),
        HookCode::Function { script, function } => {
            let args: Vec<String> = (0..order.text.args.len()).map(|n| format!("arg{n}")).collect();
            format!("import \"{script}\" as script; script::{function}({})", args.join(", "))
        }
    };
    let name = match &order.text.code {
        HookCode::Text(_) => format!("{} of step {}", order.hook.part, order.hook.attempt.task.step),
        HookCode::Function { .. } => String::new(),
    };
    let mut ast = engine.compile(&text).map_err(|error| explain::syntax(&name, &error))?;
    ast.set_source(name.as_str());
    let mut scope = rhai::Scope::new();
    for (number, value) in order.text.args.iter().enumerate() {
        scope.push_dynamic(format!("arg{number}"), to_dynamic(value));
    }
    engine::begin();
    let result: Result<rhai::Dynamic, _> = engine.eval_ast_with_scope(&mut scope, &ast);
    let value = result.map_err(|error| explain::error(*error, &name))?;
    if engine::is_exhausted() {
        // What sorts a list passes over the errors of the function that compares.
        return Err(explain::exhausted());
    }
    let mut outputs = api.outputs();
    if value.is_map() {
        match from_dynamic(&value)? {
            Value::Object(map) => outputs.extend(map),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {}
        }
    }
    for key in outputs.keys() {
        piton_core::ids::ParamName::new(key).map_err(|bad| format!("an output of the hook: {bad}"))?;
    }
    let size = serde_json::to_string(&outputs).map_or(usize::MAX, |json| json.len());
    if size > MAX_OUTPUTS {
        return Err(format!("the hook puts out {size} bytes, more than {MAX_OUTPUTS}").into());
    }
    Ok(outputs)
}
