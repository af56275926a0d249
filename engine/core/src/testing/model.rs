//! A model of the hosts in Rhai: `fn answer(host, task, script, env)`, with the host's state as `this`.

#![expect(clippy::wildcard_enum_match_arm, reason = "the enums are Rhai's, and may grow")]

use std::time::Duration;

use rhai::{AST, CallFnOptions, Dynamic, Engine, Map as RhaiMap};

use crate::expr;
use crate::fault::Span;
use crate::time::parse_duration;
use crate::value::{Map, Value};

use super::answer::{Change, Question, Reply, part_word, written};

/// The function that a model has.
const ANSWER: &str = "answer";

/// A model of the hosts.
pub struct Model {
    engine: Engine,
    ast: AST,
    span: Span,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Model({:?})", self.span)
    }
}

impl Model {
    /// Takes the text if it can be parsed and has the function.
    ///
    /// # Errors
    /// With the offset into the text, where known.
    pub(super) fn parse(text: &str, span: Span) -> Result<Self, (String, Option<usize>)> {
        let engine = expr::script_engine();
        let ast = engine.compile(text).map_err(|error| (error.0.to_string(), expr::offset_in(text, error.1)))?;
        let there = ast.iter_functions().any(|f| f.name == ANSWER && f.params.len() == 4);
        if !there {
            return Err(("a model needs `fn answer(host, task, script, env) { … }`".to_owned(), None));
        }
        Ok(Self { engine, ast, span })
    }

    /// Where it was written.
    pub(super) fn span(&self) -> Span {
        self.span
    }

    /// What the script does; `None` where the model has no answer.
    pub(super) fn ask(&self, question: &Question<'_>, state: Map<String, Value>) -> Result<Option<Reply>, String> {
        let job = question.job;
        let mut this = expr::to_dynamic(&Value::Object(state.clone()));
        let mut task = RhaiMap::new();
        let mut add = |name: &str, value: Dynamic| task.insert(name.into(), value);
        add("id", job.attempt.task.to_string().into());
        add("step", job.attempt.task.step.as_str().into());
        add("part", part_word(job.part).into());
        add("attempt", i64::from(job.attempt.number).into());
        add("round", i64::from(job.round).into());
        let env: RhaiMap =
            question.env.iter().map(|(name, value)| (name.as_str().into(), value.as_str().into())).collect();
        let host: Dynamic = question.host.as_str().into();
        let script: Dynamic = question.script.into();
        let options = CallFnOptions::new().bind_this_ptr(&mut this).eval_ast(false);
        let mut scope = rhai::Scope::new();
        expr::reset_operations();
        let answer: Dynamic = self
            .engine
            .call_fn_with_options(options, &mut scope, &self.ast, ANSWER, (host, task, script, env))
            .map_err(|error| format!("the model cannot answer {job}: {error}"))?;
        let Some(mut reply) = reply(&answer).map_err(|why| format!("what the model answers to {job}: {why}"))? else {
            return Ok(None);
        };
        match expr::from_dynamic(&this)? {
            Value::Object(after) if after == state => {}
            Value::Object(after) => reply.changes.push((question.host.clone(), Change::Replace(after))),
            other => return Err(format!("the model has made {} of the host's state", crate::value::kind(&other))),
        }
        Ok(Some(reply))
    }
}

/// Reads what `answer` returned: nothing, an exit status, or a map.
fn reply(answer: &Dynamic) -> Result<Option<Reply>, String> {
    let status = |number: i64| u8::try_from(number).map_err(|_| format!("{number} is not an exit status"));
    match expr::from_dynamic(answer)? {
        Value::Null => Ok(None),
        Value::Bool(passes) => Ok(Some(Reply::exits(u8::from(!passes)))),
        Value::Number(number) => number
            .as_i64()
            .ok_or_else(|| format!("{number} is not an exit status"))
            .and_then(|number| status(number).map(|exit| Some(Reply::exits(exit)))),
        Value::Object(map) => {
            let mut reply = Reply::exits(0);
            for (key, value) in &map {
                let text = || value.as_str().map(str::to_owned).ok_or_else(|| format!("`{key}` is not a text"));
                match key.as_str() {
                    "exit" => {
                        let number = value.as_i64().ok_or_else(|| "`exit` is not a number".to_owned())?;
                        reply.exit = Some(status(number)?);
                    }
                    "hangs" if value == &Value::Bool(true) => reply.exit = None,
                    "stdout" => reply.stdout = text()?,
                    "stderr" => reply.stderr = text()?,
                    "takes" => reply.takes = parse_duration(&text()?)?.max(Duration::from_millis(1)),
                    "outputs" => match value {
                        Value::Object(outputs) => reply.outputs = written(outputs),
                        _ => return Err("`outputs` is not a map".to_owned()),
                    },
                    _ => {
                        return Err(format!(
                            "there is no `{key}`; there is `exit`, `stdout`, `stderr`, `outputs`, `takes`, `hangs`"
                        ));
                    }
                }
            }
            Ok(Some(reply))
        }
        other => Err(format!("{} is not an answer: return an exit status or a map", crate::value::kind(&other))),
    }
}
