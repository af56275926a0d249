//! Actions: what a step does.

use super::param::is_map;
use super::step::is_user_name;
use super::{Drafter, Sees, Use};
use crate::expr::Template;
use crate::fault::{FaultCode, Span};
use crate::runbook::check::secrets::SECRET_CONTENT;
use crate::runbook::{Action, Assertion, Get, Put, PutSource};
use crate::yaml::read::{Fields, shorten};
use crate::yaml::{Entry, Node};

impl Drafter<'_, '_> {
    /// Reads every action that is there, so that the faults of all are seen; more than one is a fault itself.
    pub(super) fn read_action<'n>(
        &mut self,
        fields: &mut Fields<'n>,
        shell: &str,
        uses: &mut Vec<Use<'n>>,
    ) -> (Vec<(&'static str, Span)>, Option<Action>) {
        let mut given = Vec::new();
        let mut action = None;
        for name in ["run", "exec", "put", "get", "assert", "wait", "call"] {
            let Some(entry) = fields.entry(name) else { continue };
            given.push((name, entry.key_span));
            let node = &entry.value;
            let read = match name {
                "run" => self.read_script(node, name, shell).map(Action::Run),
                "exec" => self.read_exec(node, uses).map(Action::Exec),
                "put" => self.read_put(node, uses).map(Action::Put),
                "get" => self.read_get(node, uses).map(Action::Get),
                "assert" => self.read_assert(node, uses).map(Action::Assert),
                "call" => self.read_call(node, uses).map(Action::Call),
                _ => self.read_wait(node, shell),
            };
            action = action.or(read);
        }
        (given, action)
    }

    fn read_exec<'n>(&mut self, node: &'n Node<'n>, uses: &mut Vec<Use<'n>>) -> Option<Vec<Template>> {
        if !is_map(node) && self.reader.list(node, "exec").is_none() {
            if let Some(fault) = self.reader.faults.last_mut() {
                fault.hint = Some(
                    "`exec` takes a program and its words, `[ls, -l]`; a line for a shell goes under `run`".into(),
                );
            }
            return None;
        }
        let items = self.reader.list(node, "exec")?;
        let words: Vec<_> = items.iter().map(|item| self.template(item, "exec", Sees::Host, uses)).collect();
        if words.first().is_none_or(|word| word.as_ref().is_some_and(|word| word.source().trim().is_empty())) {
            self.reader.fault(FaultCode::BadValue, node.span, "`exec` names no program");
            return None;
        }
        words.into_iter().collect()
    }

    fn read_put<'n>(&mut self, node: &'n Node<'n>, uses: &mut Vec<Use<'n>>) -> Option<Put> {
        let mut fields = self.reader.fields(node, "put")?;
        let file = fields.take("from").map(|n| self.template(n, "from", Sees::Host, uses).map(PutSource::File));
        let content = fields.entry("content").map(|entry| {
            if file.is_some() {
                let message = "the bytes come `from` a file or are the `content`, not both";
                self.reader.fault(FaultCode::Conflict, entry.key_span, message);
            }
            self.template(&entry.value, "content", Sees::Host, uses).map(PutSource::Content)
        });
        if file.is_none() && content.is_none() {
            self.reader.missing(
                fields.span(),
                "put",
                "from",
                "a path on the engine's machine, or `content:` with the text itself",
            );
        }
        let noted = uses.len();
        let to = self.read_remote_path(&mut fields, "put", "to", uses);
        let mode = fields.take("mode").and_then(|node| self.read_mode(node));
        let secret = fields.entry("secret").is_some_and(|entry| self.read_secret(entry, content.is_some(), mode));
        if secret && let Some(used) = uses[..noted].last_mut().filter(|used| used.field == "content") {
            used.field = SECRET_CONTENT;
        }
        let owner = fields.take("owner").and_then(|node| self.read_owner(node));
        self.reader.finish(&fields);
        Some(Put { source: file.or(content)??, to: to?, mode, owner, secret })
    }

    /// `secret: true` on a `put`: its content may hold secrets, so nobody else may read the file.
    fn read_secret(&mut self, entry: &Entry<'_>, content: bool, mode: Option<u32>) -> bool {
        let secret = self.reader.boolean(&entry.value, "secret").unwrap_or_default();
        if secret && !content {
            let message = "`secret` is about `content`: a file that is put as it is holds no secret of the runbook";
            self.reader.fault_with(FaultCode::Conflict, entry.key_span, message, "take it out");
        } else if secret && mode.is_none_or(|mode| mode & 0o077 != 0) {
            let message = "a file with secrets needs a `mode` that closes it to others";
            self.reader.fault_with(FaultCode::SecretLeak, entry.key_span, message, "`mode: \"0600\"`");
        }
        secret
    }

    fn read_get<'n>(&mut self, node: &'n Node<'n>, uses: &mut Vec<Use<'n>>) -> Option<Get> {
        let mut fields = self.reader.fields(node, "get")?;
        let from = self.read_remote_path(&mut fields, "get", "from", uses);
        let to = match fields.take("to") {
            Some(node) => self.template(node, "to", Sees::Host, uses),
            None => {
                self.reader.missing(
                    fields.span(),
                    "get",
                    "to",
                    "a path on the engine's machine, such as `to: \"{{ host.name }}.log\"`",
                );
                None
            }
        };
        self.reader.finish(&fields);
        Some(Get { from: from?, to: to? })
    }

    /// A path on the host: absolute, as far as that can be seen before the templates have values.
    fn read_remote_path<'n>(
        &mut self,
        fields: &mut Fields<'n>,
        action: &'static str,
        name: &'static str,
        uses: &mut Vec<Use<'n>>,
    ) -> Option<Template> {
        let Some(node) = fields.take(name) else {
            self.reader.missing(fields.span(), action, name, "an absolute path on the host");
            return None;
        };
        let template = self.template(node, name, Sees::Host, uses)?;
        if !template.source().starts_with('/') && !template.source().starts_with("{{") {
            let message = format!("`{name}` is `{}`, not an absolute path on the host", shorten(template.source()));
            self.reader.fault_with(FaultCode::BadValue, node.span, message, "begin it with `/`");
            return None;
        }
        Some(template)
    }

    fn read_mode(&mut self, node: &Node<'_>) -> Option<u32> {
        let text = self.reader.text(node, "mode")?;
        let octal = matches!(text.len(), 3 | 4) && text.bytes().all(|b| (b'0'..=b'7').contains(&b));
        match u32::from_str_radix(text, 8) {
            Ok(mode) if octal => Some(mode),
            Ok(_) | Err(_) => {
                let message = format!("`mode` is `{}`, not permission bits", shorten(text));
                self.reader.fault_with(FaultCode::BadValue, node.span, message, "three or four octal digits: \"0644\"");
                None
            }
        }
    }

    fn read_owner(&mut self, node: &Node<'_>) -> Option<String> {
        let text = self.reader.text(node, "owner")?;
        let (user, group) = text.split_once(':').unwrap_or((text, "x"));
        if !is_user_name(user) || !is_user_name(group) {
            let message = format!("`owner` is `{}`, not `user` or `user:group`", shorten(text));
            self.reader.fault(FaultCode::BadValue, node.span, message);
            return None;
        }
        Some(text.to_owned())
    }

    fn read_assert<'n>(&mut self, node: &'n Node<'n>, uses: &mut Vec<Use<'n>>) -> Option<Vec<Assertion>> {
        let items = if is_map(node) { std::slice::from_ref(node) } else { self.reader.one_or_list(node, "assert")? };
        if items.is_empty() {
            self.reader.fault(FaultCode::BadValue, node.span, "`assert` has no condition");
            return None;
        }
        let assertions: Vec<_> = items.iter().map(|item| self.read_assertion(item, uses)).collect();
        assertions.into_iter().collect()
    }

    fn read_assertion<'n>(&mut self, node: &'n Node<'n>, uses: &mut Vec<Use<'n>>) -> Option<Assertion> {
        if !is_map(node) {
            let that = self.expression(node, "assert", Sees::NoHost, uses)?;
            return Some(Assertion { that, otherwise: None });
        }
        let mut fields = self.reader.fields(node, "assert")?;
        let that = match fields.take("that") {
            Some(node) => self.expression(node, "that", Sees::NoHost, uses),
            None => {
                self.reader.missing(fields.span(), "assert", "that", "an expression that must be true");
                None
            }
        };
        let otherwise = fields.take("else").and_then(|node| self.template(node, "else", Sees::NoHost, uses));
        self.reader.finish(&fields);
        Some(Assertion { that: that?, otherwise })
    }

    fn read_wait(&mut self, node: &Node<'_>, shell: &str) -> Option<Action> {
        let hint = "`wait: { for: 30s }`, or `wait: { until: a script, within: 10m }`";
        if !is_map(node) {
            self.reader.fault_with(FaultCode::WrongType, node.span, "`wait` takes a map", hint);
            return None;
        }
        let mut fields = self.reader.fields(node, "wait")?;
        let span = fields.take("for").map(|node| self.positive(node, "for"));
        match (span, fields.entry("until")) {
            (Some(_), Some(until)) => {
                let message = "`wait` is `for` some time or `until` a script exits 0, not both";
                self.reader.fault(FaultCode::Conflict, until.key_span, message);
                None
            }
            (Some(span), None) => {
                for name in ["within", "every"] {
                    if let Some(entry) = fields.entry(name) {
                        let message = format!("`{name}` does nothing on `wait for`");
                        self.reader.fault(FaultCode::Conflict, entry.key_span, message);
                    }
                }
                self.reader.finish(&fields);
                span.map(Action::WaitFor)
            }
            (None, Some(until)) => {
                let script = self.read_script(&until.value, "until", shell);
                self.read_probe(fields, script, None).map(Action::WaitUntil)
            }
            (None, None) => {
                self.reader.missing(fields.span(), "wait", "for", hint);
                self.reader.finish(&fields);
                None
            }
        }
    }
}
