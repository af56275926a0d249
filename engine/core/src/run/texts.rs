//! What a task's texts amount to: conditions, environment, scripts, paths. Pure functions of the state.

use std::collections::BTreeMap;

use crate::expr::{Expr, Scope, Template};
use crate::ids::{HostName, JobId, ParamName, Part};
use crate::plan::TaskIndex;
use crate::runbook::{Action, Hook, Manner, Piece, PutSource, Script, Sealed, speaks_of};
use crate::value::{Value, to_text};

use super::state::Run;

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
                | Action::Approve(_)
                | Action::Block
                | Action::Call(_),
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
                manner: match &transfer.rate {
                    Some(rate) => Manner { rate: self.rate(task, rate)?, ..transfer.manner.clone() },
                    None => transfer.manner.clone(),
                },
            }),
            Action::Run(_)
            | Action::Exec(_)
            | Action::Reboot(_)
            | Action::Hook(_)
            | Action::Assert(_)
            | Action::WaitFor(_)
            | Action::WaitUntil(_)
            | Action::Approve(_)
            | Action::Block
            | Action::Call(_) => Err(format!("step {} moves no files", step.id)),
        }
    }

    /// Bytes per second, from a size; 0 and an empty text are no bound.
    fn rate(&self, task: TaskIndex, rate: &Template) -> Result<Option<u64>, String> {
        let text = self.render(task, "rate", rate)?;
        let bytes = if text.is_empty() { Ok(0) } else { crate::time::parse_size(&text) };
        bytes.map(|bytes| (bytes > 0).then_some(bytes)).map_err(|why| format!("`rate`: {why}"))
    }

    /// The values of a hook's arguments.
    pub(super) fn hook_args(&self, task: TaskIndex, hook: &Hook) -> Result<Vec<Value>, String> {
        let value = |arg: &Template| {
            let value = arg.value(&self.scope(task, arg.steps())?);
            value.map_err(|e| format!("`args`: {e}"))
        };
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
            Action::Run(_)
            | Action::Hook(_)
            | Action::Assert(_)
            | Action::WaitFor(_)
            | Action::WaitUntil(_)
            | Action::Block
            | Action::Call(_) => Ok(()),
        }?;
        self.env(task, Part::Main, "").map(drop)
    }

    /// What `when` says, of the step and of the blocks that it stands in, from the outside in.
    ///
    /// The task that only finds out the items of its step asks as far as `item` and `host` have nothing to do with it;
    /// the rest is asked for each of them.
    pub(super) fn is_wanted_by_when(&self, task: TaskIndex) -> Result<bool, String> {
        let step = self.graph.step(task);
        let within = |at: &usize| *at == step || self.plan.steps[*at].step.is_block();
        let mut around: Vec<usize> = self.plan.around(step).take_while(within).collect();
        around.reverse();
        let source = self.graph.is_source(task);
        for when in around.into_iter().filter_map(|at| self.plan.steps[at].step.when.as_ref()) {
            if source && ["item", "host"].iter().any(|name| when.roots().contains(*name)) {
                continue;
            }
            let scope = self.scope(task, when.steps())?;
            if !when.is_true(&scope).map_err(|error| error.to_string())? {
                return Ok(false);
            }
        }
        Ok(true)
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
        that.is_true(&self.scope(task, that.steps())?).map_err(|error| format!("`{}`: {error}", that.source()))
    }

    pub(super) fn render(&self, task: TaskIndex, field: &str, template: &Template) -> Result<String, String> {
        if template.is_constant() {
            return template.render(&Scope::default()).map_err(|error| error.to_string());
        }
        let text = template.render(&self.scope(task, template.steps())?).map_err(|e| format!("`{field}`: {e}"))?;
        if text.contains('\0') {
            return Err(format!("`{field}`: the value has a NUL character, which no command can take"));
        }
        Ok(text)
    }

    /// A text with secrets in it, which stay closed.
    fn seal(&self, task: TaskIndex, field: &str, template: &Template) -> Result<Sealed, String> {
        let secret = |name: &str| self.plan.secrets.keys().find(|secret| secret.as_str() == name).cloned();
        let scope = self.scope(task, template.steps())?;
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

    /// The item, the parameters and the secrets that the script names, then what the step itself put out (where it is taken
    /// back), then what `env` names: the later one of the same name counts. What is open, and what holds secrets.
    #[expect(clippy::type_complexity, reason = "two lists of names and what they stand for")]
    fn env(
        &self,
        task: TaskIndex,
        part: Part,
        script: &str,
    ) -> Result<(Vec<(String, String)>, Vec<(String, Sealed)>), String> {
        let mut env: BTreeMap<String, String> = self.item_env(task);
        let params = self.params_of(task).iter().filter(|(_, value)| !value.is_null());
        env.extend(params.map(|(name, value)| (name.as_str().to_owned(), to_text(value))));
        // The secrets of a run are its own runbook's: those that it calls do not see them.
        let own = self.plan.caller(self.graph.step(task)).is_none();
        let secrets: Vec<&ParamName> = self.plan.secrets.keys().filter(|_| own).collect();
        let spoken_of = secrets.iter().filter(|name| speaks_of(script, name.as_str()));
        let mut sealed: BTreeMap<String, Sealed> =
            spoken_of.map(|&n| (n.as_str().to_owned(), Sealed(vec![Piece::Secret(n.clone())]))).collect();
        env.retain(|name, _| !sealed.contains_key(name));
        if part == Part::Undo {
            // A JSON object may have keys that are no names, and texts that no environment can hold.
            let named = self.task(task).outputs.iter().filter(|(name, _)| ParamName::new(name).is_ok());
            for (name, value) in named.map(|(n, v)| (n, to_text(v))).filter(|(_, text)| !text.contains('\0')) {
                sealed.remove(name);
                env.insert(name.clone(), value);
            }
        }
        for (name, template) in &self.step_of(task).env {
            let field = format!("env.{name}");
            env.remove(name.as_str());
            sealed.remove(name.as_str());
            let named = |secret: &&&ParamName| {
                template.roots().contains(secret.as_str()) || template.params().contains(secret.as_str())
            };
            if secrets.iter().any(|secret| named(&secret)) {
                sealed.insert(name.as_str().to_owned(), self.seal(task, &field, template)?);
            } else {
                env.insert(name.as_str().to_owned(), self.render(task, &field, template)?);
            }
        }
        Ok((env.into_iter().collect(), sealed.into_iter().collect()))
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
}

/// One word of a POSIX shell command (POSIX.1-2017, XCU 2.2.2): single quotes keep everything but themselves.
pub fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}
