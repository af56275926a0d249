//! A step: its id, its action, its modifiers, and which of them go together.

use std::collections::BTreeMap;
use std::time::Duration;

use super::param::is_map;
use super::{DraftStep, Drafter, ON_FAILURE, Sees, Use, Within};
use crate::expr::Template;
use crate::fault::{FaultCode, Span};
use crate::ids::{EnvName, StepId};
use crate::runbook::{Action, Probe, Repeat, Script, Step, Transfer};
use crate::yaml::Node;
use crate::yaml::read::{Fields, shorten};

/// The interpreter of scripts where a step names none.
const DEFAULT_SHELL: &str = "sh";
/// The pause between two questions of a probe where none is given.
const DEFAULT_EVERY: Duration = Duration::from_secs(2);

/// Fields of steps that are designed, and not there yet. The first one is an action.
const LATER: [&str; 1] = ["notify"];
const LATER_ACTIONS: usize = 1;

/// Modifiers that somebody gave, with the places of their keys.
pub(super) struct Given(pub(super) Vec<(&'static str, Span)>);

impl Given {
    pub(super) fn take<'n>(&mut self, fields: &mut Fields<'n>, name: &'static str) -> Option<&'n Node<'n>> {
        let entry = fields.entry(name)?;
        self.0.push((name, entry.key_span));
        Some(&entry.value)
    }

    pub(super) fn place(&self, name: &str) -> Option<Span> {
        self.0.iter().find(|(given, _)| *given == name).map(|(_, span)| *span)
    }
}

impl Drafter<'_, '_> {
    /// Reads a step, and those that stand in it after it.
    pub(super) fn read_step<'n>(&mut self, node: &'n Node<'n>, within: Within, out: &mut Vec<DraftStep<'n>>) {
        let Some(mut fields) = self.reader.fields(node, "step") else { return };
        let mut uses = Vec::new();
        let mut given = Given(Vec::new());
        let first_line = self.reader.first_line(node.span);
        let (id, id_span) = match fields.take("id") {
            Some(node) => (self.read_id(node), node.span),
            None => {
                self.reader.missing(node.span, "step", "id", "a short name, such as `id: stop`");
                (None, first_line)
            }
        };
        let shell = given.take(&mut fields, "shell").and_then(|node| self.read_shell(node));
        let shell = shell.unwrap_or_else(|| DEFAULT_SHELL.to_owned());
        let own_hosts = fields.rest().iter().any(|entry| entry.key == "hosts");
        let hooks_see = if own_hosts || within.hosts { Sees::Host } else { Sees::NoHost };
        let (mut actions, action, own_timeout) = self.read_action(&mut fields, &shell, hooks_see, &mut uses);
        let block = fields.entry("steps");
        let action = match (action, block) {
            (None, Some(_)) => Some(Action::Block),
            (action, _) => action,
        };
        actions.extend(block.map(|entry| ("steps", entry.key_span)));
        let sees = match &action {
            Some(Action::Hook(_) | Action::Block) => hooks_see,
            Some(Action::Assert(_) | Action::WaitFor(_) | Action::Approve(_) | Action::Call(_)) => Sees::NoHost,
            Some(
                Action::Run(_)
                | Action::Exec(_)
                | Action::Put(_)
                | Action::Get(_)
                | Action::Transfer(_)
                | Action::Reboot(_)
                | Action::WaitUntil(_),
            )
            | None => Sees::Host,
        };
        let title = self.prose(&mut fields, "title");
        let hosts = given.take(&mut fields, "hosts").and_then(|node| self.read_hosts(node, &mut uses));
        let needs = given.take(&mut fields, "needs").and_then(|node| self.read_needs(node));
        let barrier = self.read_flag(&mut fields, &mut given, "barrier");
        let when = given.take(&mut fields, "when").and_then(|n| self.expression(n, "when", sees, &mut uses));
        let many = self.read_many(&mut fields, &mut given, &mut uses);
        let before = given.take(&mut fields, "before").and_then(|n| self.read_hook(n, "before", sees, &mut uses));
        let after = given.take(&mut fields, "after").and_then(|n| self.read_hook(n, "after", sees, &mut uses));
        let unless = given.take(&mut fields, "unless").and_then(|n| self.read_script(n, "unless", &shell));
        let verify = given.take(&mut fields, "verify").and_then(|n| self.read_verify(n, &shell));
        let undo = given.take(&mut fields, "undo").map(|n| self.read_undo(n, &shell));
        let (undo, undo_timeout) = undo.unwrap_or_default();
        let repeat = given
            .take(&mut fields, "repeat")
            .and_then(|n| self.reader.word(n, "repeat", &[("safe", Repeat::Safe), ("ask", Repeat::Ask)]));
        let retry = given.take(&mut fields, "retry").and_then(|node| self.read_retry(node));
        let timeout = given.take(&mut fields, "timeout").and_then(|node| self.positive(node, "timeout"));
        let estimate = given.take(&mut fields, "estimate").and_then(|node| self.positive(node, "estimate"));
        let become_user = given.take(&mut fields, "become").and_then(|node| self.read_user(node));
        let env = given.take(&mut fields, "env").map(|node| self.read_env(node, sees, &mut uses)).unwrap_or_default();
        let outputs = given.take(&mut fields, "outputs").map(|node| self.read_outputs(node)).unwrap_or_default();
        let locks =
            given.take(&mut fields, "locks").map(|node| self.read_locks(node, sees, &mut uses)).unwrap_or_default();
        let on_failure =
            given.take(&mut fields, "on_failure").and_then(|node| self.reader.word(node, "on_failure", &ON_FAILURE));
        let point_of_no_return = self.read_flag(&mut fields, &mut given, "point_of_no_return");
        let no_log = self.read_flag(&mut fields, &mut given, "no_log");
        let tags = fields.take("tags").map(|node| self.read_tags(node)).unwrap_or_default();

        let comes_later = fields.rest().iter().any(|e| LATER[..LATER_ACTIONS].contains(&&*e.key));
        self.refuse_later(&mut fields, &LATER);
        self.check_one_action(&actions, comes_later, id.as_ref(), first_line);
        if let ([(name, key)], Some(action)) = (actions.as_slice(), &action) {
            self.check_fit(name, action, &given);
            let to_each = !matches!(action, Action::Transfer(Transfer { to_host: Some(_), .. }));
            // The hosts of a block around are as good as its own.
            let there = given.place("hosts").or((within.hosts && to_each).then_some(*key));
            self.check_hosts(action, there, *key);
            self.check_many((action, first_line), &many, &given, within, hosts.is_some() || own_hosts);
        }
        if let (Some(_), Some(place)) = (own_timeout, given.place("timeout")) {
            let message = "`reboot` has a `timeout` of its own";
            self.reader.fault_with(FaultCode::Conflict, place, message, "write it into `reboot`");
        }
        let looped = within.looped || given.place("for_each").is_some();
        let counted = many.counts() && !looped;
        if let (true, Some(needs), Some(place)) = (barrier, &needs, given.place("barrier"))
            && needs.is_empty()
        {
            let message = "`barrier` does nothing on a step that needs no other step";
            self.reader.fault(FaultCode::Conflict, place, message);
        }
        self.reader.finish(&fields);

        let step = match (&id, action) {
            (Some(id), Some(action)) => Some(Step {
                id: id.clone(),
                title,
                action,
                hosts,
                needs: Vec::new(),
                barrier,
                when,
                before,
                after,
                unless,
                verify,
                undo,
                undo_timeout,
                repeat: repeat.unwrap_or_default(),
                retry,
                timeout: timeout.or(own_timeout),
                estimate,
                become_user,
                env,
                outputs,
                on_failure,
                point_of_no_return,
                no_log,
                locks,
                tags,
                parent: None,
                for_each: many.for_each,
                batch: many.batch,
                max_failures: many.max_failures,
                max_parallel: many.max_parallel,
                span: first_line,
            }),
            _ => None,
        };
        let inner = Within {
            parent: Some(out.len()),
            hosts: within.hosts || own_hosts,
            looped,
            counted: within.counted || counted,
        };
        out.push(DraftStep { parent: within.parent, looped, id, id_span, needs, uses, step });
        if let Some(block) = block {
            self.read_block(&block.value, inner, out);
        }
    }

    fn read_id(&mut self, node: &Node<'_>) -> Option<StepId> {
        let id = self.reader.parsed(node, "id", FaultCode::BadName, StepId::new)?;
        if !id.is_plain() {
            let message = format!("`{id}` is not a step id: `/` stands between a call and the steps of its runbook");
            self.reader.fault(FaultCode::BadName, node.span, message);
            return None;
        }
        Some(id)
    }

    fn read_flag(&mut self, fields: &mut Fields<'_>, given: &mut Given, name: &'static str) -> bool {
        given.take(fields, name).and_then(|node| self.reader.boolean(node, name)).unwrap_or_default()
    }

    fn read_shell(&mut self, node: &Node<'_>) -> Option<String> {
        let text = self.reader.text(node, "shell")?;
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+' | '/');
        let place = !text.contains('/') || (text.starts_with('/') && !text.ends_with('/'));
        if text.is_empty() || text.starts_with('-') || !text.chars().all(fits) || !place {
            let message = format!("`shell` is `{}`, not the name of a program or an absolute path", shorten(text));
            let hint = "options belong into the script, such as `set -e`";
            self.reader.fault_with(FaultCode::BadValue, node.span, message, hint);
            return None;
        }
        Some(text.to_owned())
    }

    pub(super) fn read_script(&mut self, node: &Node<'_>, what: &str, shell: &str) -> Option<Script> {
        Some(Script { text: self.script_text(node, what)?, shell: shell.to_owned() })
    }

    /// The script that takes a step back, and how long it may take.
    fn read_undo(&mut self, node: &Node<'_>, shell: &str) -> (Option<Script>, Option<Duration>) {
        if !is_map(node) {
            return (self.read_script(node, "undo", shell), None);
        }
        let Some(mut fields) = self.reader.fields(node, "undo") else { return (None, None) };
        let run = fields.take("run");
        if run.is_none() {
            self.reader.missing(fields.span(), "undo", "run", "a script that takes the step back");
        }
        let script = run.and_then(|node| self.read_script(node, "undo", shell));
        let timeout = fields.take("timeout").and_then(|node| self.positive(node, "timeout"));
        self.reader.finish(&fields);
        (script, timeout)
    }

    fn read_verify(&mut self, node: &Node<'_>, shell: &str) -> Option<Probe> {
        if !is_map(node) {
            let script = self.read_script(node, "verify", shell)?;
            return Some(Probe { script, within: Duration::ZERO, every: DEFAULT_EVERY });
        }
        let mut fields = self.reader.fields(node, "verify")?;
        let run = fields.take("run");
        if run.is_none() {
            self.reader.missing(fields.span(), "verify", "run", "a script that exits 0 when the work is done");
        }
        let script = run.and_then(|node| self.read_script(node, "verify", shell));
        self.read_probe(fields, script, Some(Duration::ZERO))
    }

    /// `within` and `every`, and the end of the fields.
    pub(super) fn read_probe(
        &mut self,
        mut fields: Fields<'_>,
        script: Option<Script>,
        default_within: Option<Duration>,
    ) -> Option<Probe> {
        let given = fields.take("within");
        let within = match (given, default_within) {
            (Some(node), _) => self.reader.duration(node, "within"),
            (None, Some(within)) => Some(within),
            (None, None) => {
                let hint = "how long to go on asking, such as `within: 10m`";
                self.reader.missing(fields.span(), "wait", "within", hint);
                None
            }
        };
        let every = match fields.entry("every") {
            Some(entry) => {
                if given.is_none() && default_within.is_some() {
                    let message = "`every` does nothing without `within`: the script is asked once";
                    self.reader.fault(FaultCode::Conflict, entry.key_span, message);
                }
                self.positive(&entry.value, "every")
            }
            None => Some(DEFAULT_EVERY),
        };
        self.reader.finish(&fields);
        Some(Probe { script: script?, within: within?, every: every? })
    }

    /// A duration that is not zero.
    pub(super) fn positive(&mut self, node: &Node<'_>, what: &str) -> Option<Duration> {
        let span = self.reader.duration(node, what)?;
        if span.is_zero() {
            self.reader.fault(FaultCode::BadValue, node.span, format!("`{what}` must be more than zero"));
            return None;
        }
        Some(span)
    }

    fn read_hosts<'n>(&mut self, node: &'n Node<'n>, uses: &mut Vec<Use<'n>>) -> Option<Vec<Template>> {
        let items = self.reader.one_or_list(node, "hosts")?;
        if items.is_empty() {
            let hint = "leave `hosts` out for the engine's own machine";
            self.reader.fault_with(FaultCode::BadValue, node.span, "`hosts` is an empty list", hint);
        }
        let hosts: Vec<_> = items.iter().map(|n| self.template(n, "hosts", Sees::PlanOnly, uses)).collect();
        hosts.into_iter().collect()
    }

    fn read_needs<'n>(&mut self, node: &'n Node<'n>) -> Option<Vec<(&'n str, Span)>> {
        let items = self.reader.one_or_list(node, "needs")?;
        let mut needs: Vec<(&str, Span)> = Vec::with_capacity(items.len());
        for item in items {
            let Some(id) = self.reader.text(item, "needs") else { continue };
            if items.len() <= 100 && needs.iter().any(|(other, _)| *other == id) {
                self.reader.fault(FaultCode::Duplicate, item.span, format!("`{}` stands here twice", shorten(id)));
            }
            needs.push((id, item.span));
        }
        Some(needs)
    }

    /// The name of a user, as useradd(8) takes it and a little more; never an option.
    fn read_user(&mut self, node: &Node<'_>) -> Option<String> {
        let text = self.reader.text(node, "become")?;
        if !is_user_name(text) {
            let hint = "the name of a user, such as `become: root`; templates are not taken here";
            let message = format!("`become` is `{}`, not the name of a user", shorten(text));
            self.reader.fault_with(FaultCode::BadValue, node.span, message, hint);
            return None;
        }
        Some(text.to_owned())
    }

    fn read_env<'n>(&mut self, node: &'n Node<'n>, sees: Sees, uses: &mut Vec<Use<'n>>) -> BTreeMap<EnvName, Template> {
        let mut env = BTreeMap::new();
        for entry in self.reader.map(node, "env").unwrap_or_default() {
            let name = match EnvName::new(&entry.key) {
                Ok(name) => Some(name),
                Err(bad) => {
                    self.reader.fault(FaultCode::BadName, entry.key_span, bad.to_string());
                    None
                }
            };
            let value = self.template(&entry.value, "env", sees, uses);
            if let (Some(name), Some(value)) = (name, value) {
                env.insert(name, value);
            }
        }
        env
    }

    fn read_tags(&mut self, node: &Node<'_>) -> Vec<String> {
        let mut tags = Vec::new();
        for node in self.reader.one_or_list(node, "tags").unwrap_or_default() {
            let Some(text) = self.reader.text(node, "tags") else { continue };
            if text.is_empty() || text.chars().any(|c| c.is_control() || c.is_whitespace() || c == ',') {
                let message = format!("`{}` is not a tag: no spaces, commas or control characters", shorten(text));
                self.reader.fault(FaultCode::BadName, node.span, message);
            }
            tags.push(text.to_owned());
        }
        tags
    }
}

/// Whether the text can be a user or group: never an option, never two words.
pub(super) fn is_user_name(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '$' | '@');
    !text.is_empty() && text.len() <= 256 && !text.starts_with('-') && text.chars().all(fits)
}
