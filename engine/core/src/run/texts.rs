//! What a task's texts amount to: conditions, environment, scripts, paths. Pure functions of the state.

use crate::expr::{Expr, Scope, Template};
use crate::ids::{HostName, JobId, ParamName, Part, StepId};
use crate::plan::{TaskIndex, param_scope};
use crate::runbook::{Action, Hook, Manner, Piece, PutSource, Script, Sealed, speaks_of};
use crate::value::{Map, Value, to_text};

use super::state::Run;
use super::task::Task;

/// Has the host start anew: `$PITON_COMMAND`, or what there is. Constant text; see the file.
const REBOOT: &str = include_str!("reboot.sh");

/// What a job is to execute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobText {
    /// The interpreter: a program name or an absolute path.
    pub shell: String,
    /// The script; no value of a parameter or output is in it, but for the quoted words of `exec`.
    pub script: String,
    /// Environment variables.
    pub env: Vec<(String, String)>,
    /// Further ones, with secrets in them. A script gets the secrets that it speaks of, and those of its step's `env`.
    pub sealed: Vec<(String, Sealed)>,
    /// The user to become.
    pub become_user: Option<String>,
}

/// What a transfer is to move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransferText {
    /// To the host.
    Put {
        /// The path on the engine's machine, or the text.
        source: PutText,
        /// The path on the host.
        to: String,
        /// Permission bits.
        mode: Option<u32>,
        /// `user` or `user:group`.
        owner: Option<String>,
        /// The user to become.
        become_user: Option<String>,
        /// How it is moved, if it is large.
        manner: Manner,
    },
    /// From another host to this one.
    Transfer {
        /// The host that has it.
        from_host: HostName,
        /// The path there.
        from: String,
        /// The path on the task's host.
        to: String,
        /// Permission bits.
        mode: Option<u32>,
        /// `user` or `user:group`.
        owner: Option<String>,
        /// The user to become, on both hosts.
        become_user: Option<String>,
        /// How it is moved.
        manner: Manner,
    },
    /// From the host.
    Get {
        /// The path on the host.
        from: String,
        /// The path on the engine's machine.
        to: String,
        /// The user to become.
        become_user: Option<String>,
        /// How it is moved, if it is large.
        manner: Manner,
    },
}

/// What a `put` brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PutText {
    /// The file or directory at this path, relative to the project.
    File(String),
    /// This text.
    Content(String),
    /// This text, with secrets in it.
    Sealed(Sealed),
}

impl Run {
    /// What the job is to execute, or why that cannot be told.
    pub fn job_text(&self, job: &JobId) -> Result<JobText, String> {
        let task =
            self.graph.find(&job.attempt.task).ok_or_else(|| format!("the plan has no task {}", job.attempt.task))?;
        let step = self.step_of(task);
        let script = match (job.part, &step.action) {
            (Part::Unless, _) => step.unless.clone(),
            (Part::Verify, _) => step.probe().map(|p| p.script.clone()),
            (Part::Undo, _) => step.undo.clone(),
            (Part::Main, Action::Run(script)) => Some(script.clone()),
            (Part::Main, Action::Exec(words)) => Some(self.exec_script(task, words)?),
            // The script of a call comes from the hook that makes it.
            (Part::Call, _) => {
                let (_, call) = self.call_of(job).ok_or_else(|| format!("{job} is not going on"))?;
                let become_user = call.become_user.clone();
                let (env, sealed) = self.env(task, job.part, &self.hook_words(task))?;
                let (shell, script) = ("sh".to_owned(), String::new());
                return Ok(JobText { shell, script, env, sealed, become_user });
            }
            (
                Part::Main,
                Action::Hook(_)
                | Action::Put(_)
                | Action::Get(_)
                | Action::Transfer(_)
                | Action::Assert(_)
                | Action::WaitFor(_)
                | Action::WaitUntil(_)
                | Action::Approve(_),
            )
            | (Part::Before | Part::After, _) => None,
            (Part::Main, Action::Reboot(_)) => Some(Script { text: REBOOT.to_owned(), shell: "sh".to_owned() }),
        };
        let Script { text, shell } = script.ok_or_else(|| format!("step {} has no script for {job}", step.id))?;
        let command = match (job.part, &step.action) {
            (Part::Main, Action::Reboot(reboot)) => reboot.command.as_deref().unwrap_or_default(),
            (_, _) => "",
        };
        let (mut env, sealed) = self.env(task, job.part, &format!("{text}{command}"))?;
        if let (Part::Main, Action::Reboot(reboot)) = (job.part, &step.action) {
            env.push(("PITON_MESSAGE".to_owned(), self.render(task, "message", &reboot.message)?));
            env.push(("PITON_COMMAND".to_owned(), command.to_owned()));
        }
        Ok(JobText { shell, script: text, env, sealed, become_user: step.become_user.clone() })
    }

    /// What the attempt's transfer is to move, or why that cannot be told.
    pub fn transfer_text(&self, task: TaskIndex) -> Result<TransferText, String> {
        let step = self.step_of(task);
        let become_user = step.become_user.clone();
        match &step.action {
            Action::Put(put) => Ok(TransferText::Put {
                source: match &put.source {
                    PutSource::File(path) => PutText::File(self.render(task, "from", path)?),
                    PutSource::Content(text) if put.secret => PutText::Sealed(self.seal(task, "content", text)?),
                    PutSource::Content(text) => PutText::Content(self.render(task, "content", text)?),
                },
                to: self.absolute(task, "to", &put.to)?,
                mode: put.mode,
                owner: put.owner.clone(),
                become_user,
                manner: put.manner.clone(),
            }),
            Action::Get(get) => Ok(TransferText::Get {
                from: self.absolute(task, "from", &get.from)?,
                to: self.render(task, "to", &get.to)?,
                become_user,
                manner: get.manner.clone(),
            }),
            Action::Transfer(transfer) => Ok(TransferText::Transfer {
                from_host: HostName::new(&self.render(task, "from", &transfer.from_host)?)
                    .map_err(|bad| format!("`from`: {bad}"))?,
                from: self.absolute(task, "from", &transfer.from)?,
                to: self.absolute(task, "to", &transfer.to)?,
                mode: transfer.mode,
                owner: transfer.owner.clone(),
                become_user,
                manner: transfer.manner.clone(),
            }),
            Action::Run(_)
            | Action::Exec(_)
            | Action::Reboot(_)
            | Action::Hook(_)
            | Action::Assert(_)
            | Action::WaitFor(_)
            | Action::WaitUntil(_)
            | Action::Approve(_) => Err(format!("step {} moves no files", step.id)),
        }
    }

    /// The values of a hook's arguments.
    pub(super) fn hook_args(&self, task: TaskIndex, hook: &Hook) -> Result<Vec<Value>, String> {
        let value = |arg: &Template| arg.value(&self.scope(task, arg.steps())).map_err(|e| format!("`args`: {e}"));
        hook.args.iter().map(value).collect()
    }

    /// Checks that every text of a task has a value, before its attempt starts.
    pub(super) fn check_texts(&self, task: TaskIndex) -> Result<(), String> {
        for hook in self.step_of(task).hooks() {
            self.hook_args(task, hook)?;
        }
        match &self.step_of(task).action {
            Action::Put(_) | Action::Get(_) | Action::Transfer(_) => self.transfer_text(task).map(drop),
            Action::Reboot(reboot) => self.render(task, "message", &reboot.message).map(drop),
            Action::Exec(words) => self.exec_script(task, words).map(drop),
            Action::Approve(approve) => self.render(task, "prompt", &approve.prompt).map(drop),
            Action::Run(_) | Action::Hook(_) | Action::Assert(_) | Action::WaitFor(_) | Action::WaitUntil(_) => Ok(()),
        }?;
        self.env(task, Part::Main, "").map(drop)
    }

    pub(super) fn is_wanted_by_when(&self, task: TaskIndex) -> Result<bool, String> {
        let Some(when) = &self.step_of(task).when else { return Ok(true) };
        when.is_true(&self.scope(task, when.steps())).map_err(|error| error.to_string())
    }

    /// The messages of the assertions that do not hold.
    pub(super) fn broken_assertions(&self, task: TaskIndex) -> Result<Vec<String>, String> {
        let Action::Assert(assertions) = &self.step_of(task).action else { return Ok(Vec::new()) };
        let mut broken = Vec::new();
        for assertion in assertions {
            if self.holds(task, &assertion.that)? {
                continue;
            }
            broken.push(match &assertion.otherwise {
                Some(text) => self.render(task, "else", text)?,
                None => format!("`{}` is not true", assertion.that.source()),
            });
        }
        Ok(broken)
    }

    fn holds(&self, task: TaskIndex, that: &Expr) -> Result<bool, String> {
        that.is_true(&self.scope(task, that.steps())).map_err(|error| format!("`{}`: {error}", that.source()))
    }

    pub(super) fn render(&self, task: TaskIndex, field: &str, template: &Template) -> Result<String, String> {
        if template.is_constant() {
            return template.render(&Scope::default()).map_err(|error| error.to_string());
        }
        let text = template.render(&self.scope(task, template.steps())).map_err(|e| format!("`{field}`: {e}"))?;
        if text.contains('\0') {
            return Err(format!("`{field}`: the value has a NUL character, which no command can take"));
        }
        Ok(text)
    }

    /// A text with secrets in it, which stay closed.
    fn seal(&self, task: TaskIndex, field: &str, template: &Template) -> Result<Sealed, String> {
        let secret = |name: &str| self.plan.secrets.keys().find(|secret| secret.as_str() == name).cloned();
        let scope = self.scope(task, template.steps());
        let sealed = template.seal(&scope, secret).map_err(|e| format!("`{field}`: {e}"))?;
        let has_nul = |piece: &Piece| matches!(piece, Piece::Text(text) if text.contains('\0'));
        if sealed.0.iter().any(has_nul) {
            return Err(format!("`{field}`: the value has a NUL character, which no command can take"));
        }
        Ok(sealed)
    }

    fn absolute(&self, task: TaskIndex, field: &str, template: &Template) -> Result<String, String> {
        let path = self.render(task, field, template)?;
        if path.starts_with('/') { Ok(path) } else { Err(format!("`{field}`: `{path}` is not an absolute path")) }
    }

    /// Parameters and the secrets that the script names, then what the step itself put out (where it is taken back), then what
    /// `env` names: the later one of the same name counts. What is open, and what holds secrets.
    #[expect(clippy::type_complexity, reason = "two lists of names and what they stand for")]
    fn env(
        &self,
        task: TaskIndex,
        part: Part,
        script: &str,
    ) -> Result<(Vec<(String, String)>, Vec<(String, Sealed)>), String> {
        let params = self.plan.params.iter().filter(|(_, value)| !value.is_null());
        let mut env: Vec<(String, String)> = params.map(|(n, v)| (n.as_str().to_owned(), to_text(v))).collect();
        let spoken_of = self.plan.secrets.keys().filter(|name| speaks_of(script, name.as_str()));
        let mut sealed: Vec<(String, Sealed)> =
            spoken_of.map(|n| (n.as_str().to_owned(), Sealed(vec![Piece::Secret(n.clone())]))).collect();
        if part == Part::Undo {
            // A JSON object may have keys that are no names, and texts that no environment can hold.
            let named = self.task(task).outputs.iter().filter(|(name, _)| ParamName::new(name).is_ok());
            for (name, value) in named.map(|(n, v)| (n, to_text(v))).filter(|(_, text)| !text.contains('\0')) {
                env.retain(|(known, _)| known != name);
                sealed.retain(|(known, _)| known != name);
                env.push((name.clone(), value));
            }
        }
        for (name, template) in &self.step_of(task).env {
            let field = format!("env.{name}");
            env.retain(|(n, _)| n != name.as_str());
            sealed.retain(|(n, _)| n != name.as_str());
            if self
                .plan
                .secrets
                .keys()
                .any(|secret| template.roots().contains(secret.as_str()) || template.params().contains(secret.as_str()))
            {
                sealed.push((name.as_str().to_owned(), self.seal(task, &field, template)?));
            } else {
                env.push((name.as_str().to_owned(), self.render(task, &field, template)?));
            }
        }
        Ok((env, sealed))
    }

    fn exec_script(&self, task: TaskIndex, words: &[Template]) -> Result<Script, String> {
        let mut text = "exec".to_owned();
        for word in words {
            text.push(' ');
            text.push_str(&quote(&self.render(task, "exec", word)?));
        }
        text.push('\n');
        Ok(Script { text, shell: "sh".to_owned() })
    }

    /// What the task's expressions may name. Only the steps that are asked for are in it.
    fn scope(&self, task: TaskIndex, named: &std::collections::BTreeSet<StepId>) -> Scope {
        let mut scope = param_scope(&self.plan.params);
        scope.0.append(&mut self.surroundings(task));
        let steps = named.iter().map(|id| (id.as_str().to_owned(), self.step_value(id, task))).collect();
        scope.0.insert("steps".to_owned(), Value::Object(steps));
        scope
    }

    /// What a hook knows from the beginning: `params`, `host` and `run`.
    pub(super) fn facts(&self, task: TaskIndex) -> Map<String, Value> {
        let params = param_scope(&self.plan.params).0.remove("params").unwrap_or_default();
        let mut facts = self.surroundings(task);
        facts.insert("params".to_owned(), params);
        facts
    }

    /// `host`, where there is one, and `run`.
    fn surroundings(&self, task: TaskIndex) -> Map<String, Value> {
        let mut scope = Map::new();
        let host = self.graph.id(task).host.as_ref();
        if let Some(name) = host {
            let known = self.plan.hosts.get(name).cloned().unwrap_or_default();
            let labels = known.labels.into_iter().map(|(k, v)| (k, Value::String(v))).collect();
            let mut map = Map::new();
            map.insert("name".to_owned(), Value::String(name.as_str().to_owned()));
            map.insert("labels".to_owned(), Value::Object(labels));
            map.insert("vars".to_owned(), Value::Object(known.vars));
            scope.insert("host".to_owned(), Value::Object(map));
        }
        let mut run = Map::new();
        run.insert("id".to_owned(), Value::String(self.id.to_string()));
        run.insert("runbook".to_owned(), Value::String(self.plan.runbook.as_str().to_owned()));
        run.insert("by".to_owned(), Value::String(self.by.to_string()));
        scope.insert("run".to_owned(), Value::Object(run));
        scope
    }

    /// `steps.<id>`: the task on the same host, or the only one; and under `hosts` every one by its host.
    pub(super) fn step_value(&self, id: &StepId, asking: TaskIndex) -> Value {
        let tasks = self.graph.of_step(id);
        let host = &self.graph.id(asking).host;
        let same = tasks.clone().find(|&t| host.is_some() && self.graph.id(t).host == *host);
        let own = same.or_else(|| (tasks.len() == 1).then_some(tasks.start));
        let mut value = own.map_or_else(Map::new, |t| task_value(self.task(t)));
        let hosts = tasks.filter_map(|t| {
            let host = self.graph.id(t).host.as_ref()?;
            Some((host.as_str().to_owned(), Value::Object(task_value(self.task(t)))))
        });
        value.insert("hosts".to_owned(), Value::Object(hosts.collect()));
        Value::Object(value)
    }
}

fn task_value(task: &Task) -> Map<String, Value> {
    let mut value = Map::new();
    value.insert("state".to_owned(), Value::String(task.state.word().to_owned()));
    value.insert("exit".to_owned(), task.exit.map_or(Value::Null, |e| Value::from(e.0)));
    value.insert("outputs".to_owned(), Value::Object(task.outputs.as_ref().clone()));
    value
}

/// One word of a POSIX shell command (POSIX.1-2017, XCU 2.2.2): single quotes keep everything but themselves.
pub fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}
