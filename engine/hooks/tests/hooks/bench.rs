//! Evaluates one hook with a world that answers at once.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use piton_core::ids::{AttemptId, JobId, Part, RunId};
use piton_core::run::{CallKind, Run};
use piton_core::value::{Map, Value};
use piton_hooks::RhaiHooks;
use piton_runner::hooks::{CallError, CallSpec, HookOrder, HookWorld, Hooks};
use piton_testkit::plans::plan_with;

type Answers = dyn Fn(&CallSpec) -> Value + Send + Sync;

/// A world that answers at once.
pub struct World {
    answers: Box<Answers>,
    /// What was asked.
    pub calls: Mutex<Vec<CallSpec>>,
    /// What was logged.
    pub logged: Mutex<Vec<String>>,
    /// Set to have the hook stopped.
    pub stop: Arc<AtomicBool>,
}

impl World {
    pub fn new(answers: impl Fn(&CallSpec) -> Value + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            answers: Box::new(answers),
            calls: Mutex::default(),
            logged: Mutex::default(),
            stop: Arc::default(),
        })
    }

    /// What was asked, in one line each.
    pub fn asked(&self) -> Vec<String> {
        let shown = |call: &CallSpec| {
            let host = call.host.as_ref().map(|host| format!("{host} ")).unwrap_or_default();
            format!("{host}{}: {}", call.kind.word(), call.shown)
        };
        self.calls.lock().unwrap().iter().map(shown).collect()
    }
}

impl HookWorld for World {
    fn call(&self, call: CallSpec) -> Result<Value, CallError> {
        self.calls.lock().unwrap().push(call.clone());
        Ok(match call.kind {
            CallKind::Now => Value::from(1_700_000_000_000_i64),
            CallKind::Notify => Value::Null,
            CallKind::Run | CallKind::Exec | CallKind::Read | CallKind::Write => (self.answers)(&call),
        })
    }

    fn log(&self, text: &str) -> Result<(), CallError> {
        self.logged.lock().unwrap().push(text.to_owned());
        Ok(())
    }

    fn stop(&self) -> Arc<AtomicBool> {
        self.stop.clone()
    }
}

/// What a script printed, as an answer.
pub fn said(out: &str) -> Value {
    serde_json::json!({ "exit": 0, "out": out, "outputs": {} })
}

/// The order for a hook of a runbook's last step.
pub fn order(yaml: &str, params: &[(&str, &str)], scripts: &[(&str, &str)]) -> HookOrder {
    let mut plan = plan_with(yaml, params);
    plan.scripts = scripts.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    let run = Run::new(RunId::from_parts(0, 7), Arc::new(plan));
    let task = run.graph().id(run.graph().len() - 1).clone();
    let hook = JobId { attempt: AttemptId { task, number: 1 }, part: Part::Main, round: 1 };
    HookOrder { text: run.hook_text(&hook).unwrap(), hook, run }
}

/// Evaluates a text as the hook of a step on host `hv1`.
pub fn text(text: &str, world: &Arc<World>) -> Result<Map<String, Value>, String> {
    text_with(text, world, &[])
}

/// The same, with scripts to import.
pub fn text_with(text: &str, world: &Arc<World>, scripts: &[(&str, &str)]) -> Result<Map<String, Value>, String> {
    let lines: String = text.lines().map(|line| format!("      {line}\n")).collect();
    let yaml = format!(
        "runbook: bench\nparams:\n  vm: {{ type: name, default: web1 }}\nsteps:\n  - id: do\n    hosts: hv1\n    hook: |\n{lines}"
    );
    RhaiHooks.evaluate(&order(&yaml, &[], scripts), world.clone())
}

/// A text's only value: what it gives as `{ v: … }`.
pub fn value(expression: &str) -> Value {
    let nobody = World::new(|_| said(""));
    text(&format!("#{{ v: {expression} }}"), &nobody).unwrap().remove("v").unwrap()
}

/// The scripts that come along.
pub fn shipped() -> BTreeMap<String, String> {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts");
    let paths = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let rhai = paths.filter(|path| path.extension().is_some_and(|ext| ext == "rhai"));
    rhai.map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), std::fs::read_to_string(&path).unwrap()))
        .collect()
}
