//! Actions that move files, and the one that has a host start anew.

use std::time::Duration;

use super::param::is_map;
use super::step::is_user_name;
use super::{Drafter, Sees, Use, Used};
use crate::expr::Template;
use crate::fault::FaultCode;
use crate::runbook::check::secrets::SECRET_CONTENT;
use crate::runbook::{Action, Get, Manner, Put, PutSource, Reboot, Transfer};
use crate::yaml::read::{Fields, shorten};
use crate::yaml::{Content, Entry, Node};

/// How long a host may take to come back where nothing is said.
const REBOOT_WITHIN: Duration = Duration::from_secs(600);

/// How a place of a transfer is written.
const PLACE: &str = "a host and a path: `hv1:/data/disk.img`";

impl Drafter<'_, '_> {
    pub(super) fn read_put<'n>(&mut self, node: &'n Node<'n>, uses: &mut Vec<Use<'n>>) -> Option<Put> {
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
        let rate = fields.take("rate");
        let manner = self.read_manner(&mut fields, rate);
        self.reader.finish(&fields);
        Some(Put { source: file.or(content)??, to: to?, mode, owner, secret, manner })
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

    pub(super) fn read_get<'n>(&mut self, node: &'n Node<'n>, uses: &mut Vec<Use<'n>>) -> Option<Get> {
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
        let rate = fields.take("rate");
        let manner = self.read_manner(&mut fields, rate);
        self.reader.finish(&fields);
        Some(Get { from: from?, to: to?, manner })
    }

    pub(super) fn read_transfer<'n>(&mut self, node: &'n Node<'n>, uses: &mut Vec<Use<'n>>) -> Option<Transfer> {
        let mut fields = self.reader.fields(node, "transfer")?;
        let from = self.read_place(&mut fields, "from", uses);
        if let Some((None, path)) = &from {
            let message = format!("`from` is `{}`, and names no host", shorten(path.source()));
            let hint = format!("write {PLACE}; what comes from the engine's machine is a `put`");
            self.reader.fault_with(FaultCode::BadValue, fields.span(), message, hint);
        }
        let to = self.read_place(&mut fields, "to", uses);
        let mode = fields.take("mode").and_then(|node| self.read_mode(node));
        let owner = fields.take("owner").and_then(|node| self.read_owner(node));
        let rate = fields.take("rate");
        let of_plan = rate.filter(|node| matches!(&node.content, Content::Scalar(text) if text.text().contains("{{")));
        let manner = self.read_manner(&mut fields, rate.filter(|_| of_plan.is_none()));
        let rate = of_plan.and_then(|node| self.template(node, "rate", Sees::Host, uses));
        self.reader.finish(&fields);
        let ((from_host, from), (to_host, to)) = (from?, to?);
        Some(Transfer { from_host: from_host?, from, to_host, to, mode, owner, manner, rate })
    }

    /// `host:/path`: the host is known when the plan is made, the path when the task begins.
    fn read_place<'n>(
        &mut self,
        fields: &mut Fields<'n>,
        name: &'static str,
        uses: &mut Vec<Use<'n>>,
    ) -> Option<(Option<Template>, Template)> {
        let Some(node) = fields.take(name) else {
            self.reader.missing(fields.span(), "transfer", name, PLACE);
            return None;
        };
        let text = self.reader.text(node, name)?;
        let (host, path) = match colon(text) {
            Some(at) => (Some(&text[..at]), &text[at + 1..]),
            None => (None, text),
        };
        let begins = text.len() - path.len();
        let host = match host {
            Some(host) => Some(self.part(node, name, host, 0, Sees::PlanOnly, uses)?),
            None => None,
        };
        let path = self.part(node, name, path, begins, Sees::Host, uses)?;
        let absolute = path.source().starts_with('/') || path.source().starts_with("{{");
        if !absolute || host.as_ref().is_some_and(|host| host.source().trim().is_empty()) {
            let message = format!("`{name}` is `{}`, not a host and an absolute path", shorten(text));
            self.reader.fault_with(FaultCode::BadValue, node.span, message, format!("write {PLACE}"));
            return None;
        }
        Some((host, path))
    }

    /// A template that is a part of a text, noted among the uses.
    fn part<'n>(
        &mut self,
        node: &'n Node<'n>,
        field: &'static str,
        text: &str,
        begins: usize,
        sees: Sees,
        uses: &mut Vec<Use<'n>>,
    ) -> Option<Template> {
        match Template::parse(text) {
            Ok(template) => {
                if !template.is_constant() {
                    uses.push(Use { node, what: Used::Template(template.clone()), sees, field });
                }
                Some(template)
            }
            Err(error) => {
                let place = error.offset.and_then(|offset| self.reader.place_in(node, begins + offset));
                self.reader.fault(FaultCode::BadExpression, place.unwrap_or(node.span), error.message);
                None
            }
        }
    }

    fn read_manner(&mut self, fields: &mut Fields<'_>, rate: Option<&Node<'_>>) -> Manner {
        let usual = Manner::default();
        let sparse = fields.take("sparse").and_then(|node| self.reader.boolean(node, "sparse"));
        let checksum = fields.take("checksum").and_then(|node| self.reader.boolean(node, "checksum"));
        let rate = rate.and_then(|node| {
            let rate = self.reader.parsed(node, "rate", FaultCode::BadValue, crate::time::parse_size)?;
            if rate == 0 {
                let message = "`rate` is 0, and nothing would ever arrive";
                self.reader.fault_with(FaultCode::BadValue, node.span, message, "bytes per second, such as `50M`");
            }
            (rate > 0).then_some(rate)
        });
        Manner { sparse: sparse.unwrap_or(usual.sparse), checksum: checksum.unwrap_or(usual.checksum), rate }
    }

    /// `reboot`, and how long the host may take to come back.
    pub(super) fn read_reboot<'n>(
        &mut self,
        node: &'n Node<'n>,
        uses: &mut Vec<Use<'n>>,
    ) -> Option<(Reboot, Duration)> {
        let said_nothing = Template::parse("Piton reboots this host").ok()?;
        if !is_map(node) {
            return match self.reader.boolean(node, "reboot") {
                Some(true) => Some((Reboot { message: said_nothing, command: None }, REBOOT_WITHIN)),
                Some(false) => {
                    let hint = "take the step out, or give it a `when`";
                    self.reader.fault_with(FaultCode::BadValue, node.span, "`reboot: false` does nothing", hint);
                    None
                }
                None => None,
            };
        }
        let mut fields = self.reader.fields(node, "reboot")?;
        let message = match fields.take("message") {
            Some(node) => self.template(node, "message", Sees::Host, uses),
            None => Some(said_nothing),
        };
        let within = match fields.take("timeout") {
            Some(node) => self.positive(node, "timeout"),
            None => Some(REBOOT_WITHIN),
        };
        let command = fields.take("command").map(|node| self.script_text(node, "command"));
        self.reader.finish(&fields);
        let command = match command {
            Some(text) => Some(text?),
            None => None,
        };
        Some((Reboot { message: message?, command }, within?))
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

    /// What belongs to a step that moves files between hosts or has them start anew, beyond what fits any step.
    pub(super) fn check_hosts(&mut self, action: &Action, hosts: Option<crate::fault::Span>, key: crate::fault::Span) {
        match (action, hosts) {
            (Action::Transfer(Transfer { to_host: Some(_), .. }), Some(place)) => {
                let message = "`to` names the host already: this step runs there";
                let hint = "take `hosts` out, or leave the host out of `to` to send the file to each of them";
                self.reader.fault_with(FaultCode::Conflict, place, message, hint);
            }
            (Action::Transfer(Transfer { to_host: None, to, .. }), None) => {
                let message = format!("`to` is `{}`, and names no host", shorten(to.source()));
                let hint = format!("write {PLACE}, or give the step `hosts`");
                self.reader.fault_with(FaultCode::BadValue, key, message, hint);
            }
            (Action::Reboot(_), None) => {
                let hint = "name them; `hosts: local` is the machine that Piton runs on";
                self.reader.fault_with(FaultCode::MissingField, key, "`reboot` does not say which hosts", hint);
            }
            (
                Action::Run(_)
                | Action::Exec(_)
                | Action::Put(_)
                | Action::Get(_)
                | Action::Transfer(_)
                | Action::Reboot(_)
                | Action::Hook(_)
                | Action::Assert(_)
                | Action::WaitFor(_)
                | Action::WaitUntil(_)
                | Action::Approve(_)
                | Action::Block
                | Action::Call(_),
                _,
            ) => {}
        }
    }
}

/// The offset of the first `:` outside of `{{ }}`.
fn colon(text: &str) -> Option<usize> {
    let mut at = 0;
    while let Some(found) = text[at..].find(['{', ':']).map(|found| at + found) {
        if text[found..].starts_with("{{") {
            // Where an expression ends only its parser can tell; the path begins with `/` or another expression.
            at = crate::expr::end_of_template(text, found)?;
        } else if text[found..].starts_with(':') {
            return Some(found);
        } else {
            at = found + 1;
        }
    }
    None
}
