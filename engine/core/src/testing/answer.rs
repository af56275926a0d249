//! What a script does on a simulated host.

use std::time::Duration;

use crate::expr::{Expr, Scope, Template};
use crate::fault::{Fault, FaultCode, Span};
use crate::ids::{HostName, JobId, Part};
use crate::value::{Map, Value, to_text};

use super::{Answer, Ends, Test, World, means};

/// How long a script takes where nothing else is said: long enough to be seen running.
const TAKES: Duration = Duration::from_secs(1);

/// How many characters of a script are shown to whoever has to answer it.
const SHOWN: usize = 400;

/// A script that is about to run on a simulated host.
#[derive(Debug, Clone)]
pub struct Question<'a> {
    /// Which job it is.
    pub job: &'a JobId,
    /// Where.
    pub host: &'a HostName,
    /// Its text.
    pub script: &'a str,
    /// Its environment.
    pub env: &'a [(String, String)],
}

/// What a script does.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// Its exit status; `None`: it never ends.
    pub exit: Option<u8>,
    /// What it prints on standard output.
    pub stdout: String,
    /// What it prints on standard error.
    pub stderr: String,
    /// What it writes to `$PITON_OUTPUT`.
    pub outputs: String,
    /// What it changes, at once.
    pub changes: Vec<(HostName, Change)>,
    /// What changes on its host that much later.
    pub later: Option<(Duration, Change)>,
    /// How long it takes.
    pub takes: Duration,
}

/// A change of a host's state.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// A JSON merge patch (RFC 7396).
    Merge(Value),
    /// The whole state.
    Replace(Map<String, Value>),
}

/// Nothing says what a script does, or what says so is wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Unanswered(pub Box<Fault>);

impl Test {
    /// What the script does, given the world as it is now.
    ///
    /// # Errors
    /// With a fault of the test file where no answer fits, or the one that does has no value.
    pub fn reply(&self, question: &Question<'_>, world: &World) -> Result<Reply, Unanswered> {
        let scope = scope(question, world);
        for answer in &self.answers {
            if self.fits(answer, question, &scope)? {
                return self.give(answer, question, &scope);
            }
        }
        if let Some(model) = &self.model {
            let at = |message: String| Unanswered(Box::new(self.fault(model.span(), message)));
            if let Some(reply) = model.ask(question, world.state(question.host)).map_err(at)? {
                return Ok(reply);
            }
        }
        Err(self.nobody_answers(question))
    }

    fn fits(&self, answer: &Answer, question: &Question<'_>, scope: &Scope) -> Result<bool, Unanswered> {
        let job = question.job;
        let task = &job.attempt.task;
        let by_name = (answer.steps.is_empty() || answer.steps.iter().any(|step| means(step, task)))
            && answer.parts.contains(&job.part)
            && (answer.hosts.is_empty() || answer.hosts.iter().any(|host| host == question.host.as_str()))
            && answer.attempt.is_none_or(|number| number == job.attempt.number)
            && answer.round.is_none_or(|number| number == job.round)
            && answer.script.as_ref().is_none_or(|regex| regex.is_match(question.script));
        match &answer.when {
            Some(when) if by_name => self.holds(when, answer.span, scope),
            Some(_) | None => Ok(by_name),
        }
    }

    fn holds(&self, expr: &Expr, span: Span, scope: &Scope) -> Result<bool, Unanswered> {
        expr.is_true(scope).map_err(|error| Unanswered(Box::new(self.fault(span, error.to_string()))))
    }

    fn give(&self, answer: &Answer, question: &Question<'_>, scope: &Scope) -> Result<Reply, Unanswered> {
        let wrong = |what: &str, why: String| {
            let message = format!("this answers {} and has no value: `{what}`: {why}", question.job);
            Unanswered(Box::new(self.fault(answer.span, message)))
        };
        let exit = match &answer.ends {
            Ends::Exit(status) => Some(*status),
            Ends::Passes(expr) => Some(u8::from(!self.holds(expr, answer.span, scope)?)),
            Ends::Hangs => None,
        };
        let text = |what: &str, template: &Option<Template>| match template {
            Some(template) => template.render(scope).map_err(|error| wrong(what, error.to_string())),
            None => Ok(String::new()),
        };
        let mut outputs = Map::new();
        for (name, tree) in &answer.outputs {
            outputs.insert(name.clone(), tree.value(scope).map_err(|why| wrong("outputs", why))?);
        }
        let mut changes = Vec::new();
        if let Some(tree) = &answer.set {
            let patch = tree.value(scope).map_err(|why| wrong("set", why))?;
            changes.push((question.host.clone(), Change::Merge(patch)));
        }
        for (host, tree) in &answer.elsewhere {
            let patch = tree.value(scope).map_err(|why| wrong("elsewhere", why))?;
            changes.push((host.clone(), Change::Merge(patch)));
        }
        let later = match &answer.later {
            Some((after, tree)) => Some((*after, Change::Merge(tree.value(scope).map_err(|why| wrong("later", why))?))),
            None => None,
        };
        Ok(Reply {
            exit,
            stdout: text("stdout", &answer.stdout)?,
            stderr: text("stderr", &answer.stderr)?,
            outputs: written(&outputs),
            changes,
            later,
            takes: answer.takes.unwrap_or(TAKES),
        })
    }

    pub(super) fn fault(&self, span: Span, message: impl Into<String>) -> Fault {
        Fault::at(FaultCode::Expectation, &self.source, span, message)
    }

    fn nobody_answers(&self, question: &Question<'_>) -> Unanswered {
        let job = question.job;
        let part = part_word(job.part);
        let mut shown: String = question.script.trim_end().chars().take(SHOWN).collect();
        if shown.len() < question.script.trim_end().len() {
            shown.push('…');
        }
        let script: String = shown.lines().map(|line| format!("  | {line}\n")).collect();
        let message = format!(
            "nothing answers `{part}` of {} on {} (attempt {})",
            job.attempt.task, question.host, job.attempt.number
        );
        let more = if job.part == Part::Main { String::new() } else { format!(", part: {part}") };
        let hint = format!(
            "the script is\n{script}add to `answers`, with what it does:\n  - {{ step: {}{more}, exit: 0 }}",
            job.attempt.task.step
        );
        Unanswered(Box::new(self.fault(self.span, message).hint(hint)))
    }
}

/// What an answer can name.
fn scope(question: &Question<'_>, world: &World) -> Scope {
    let job = question.job;
    let mut scope = world.scope(world);
    let env = question.env.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str())));
    let mut add = |name: &str, value: Value| scope.0.insert(name.to_owned(), value);
    add("state", Value::Object(world.state(question.host)));
    add("host", Value::from(question.host.as_str()));
    add("env", Value::Object(env.collect()));
    add("step", Value::from(job.attempt.task.step.as_str()));
    add("part", Value::from(part_word(job.part)));
    add("task", Value::from(job.attempt.task.to_string()));
    add("attempt", Value::from(job.attempt.number));
    add("round", Value::from(job.round));
    scope
}

/// The word for a part, as runbooks have it.
pub fn part_word(part: Part) -> &'static str {
    match part {
        Part::Main => "run",
        Part::Unless => "unless",
        Part::Verify => "verify",
        Part::Undo => "undo",
        Part::Before => "before",
        Part::After => "after",
        Part::Call => "call",
    }
}

/// Outputs as a script would write them: lines where that can be said in lines, else JSON.
pub(super) fn written(outputs: &Map<String, Value>) -> String {
    let plain = outputs.values().all(|v| !v.is_array() && !v.is_object() && !to_text(v).contains(['\n', '\r']));
    if plain {
        outputs.iter().map(|(name, value)| format!("{name}={}\n", to_text(value))).collect()
    } else {
        Value::Object(outputs.clone()).to_string()
    }
}

impl Reply {
    /// A script that ends with this status and does nothing.
    pub fn exits(exit: u8) -> Self {
        Self {
            exit: Some(exit),
            stdout: String::new(),
            stderr: String::new(),
            outputs: String::new(),
            changes: Vec::new(),
            later: None,
            takes: TAKES,
        }
    }
}
