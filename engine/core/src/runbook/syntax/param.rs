//! Declarations of parameters.

use super::Drafter;
use crate::fault::{Fault, FaultCode};
use crate::ids::ParamName;
use crate::runbook::values::{check_value, whole};
use crate::runbook::{Param, ParamKind, SecretSource};
use crate::time::{parse_duration, parse_size};
use crate::yaml::read::{Fields, shorten};
use crate::yaml::{Content, Entry, Node};

/// The words for types, `enum` aside, which needs its choices.
pub(super) const KINDS: [(&str, Option<ParamKind>); 13] = [
    ("string", Some(ParamKind::String)),
    ("name", Some(ParamKind::Name)),
    ("host", Some(ParamKind::Host)),
    ("hosts", Some(ParamKind::Hosts)),
    ("integer", Some(ParamKind::Integer)),
    ("number", Some(ParamKind::Number)),
    ("boolean", Some(ParamKind::Boolean)),
    ("duration", Some(ParamKind::Duration)),
    ("size", Some(ParamKind::Size)),
    ("path", Some(ParamKind::Path)),
    ("list", Some(ParamKind::List)),
    ("secret", Some(ParamKind::Secret)),
    ("enum", None),
];

/// Names that expressions use for something else.
const TAKEN: [&str; 5] = ["params", "steps", "host", "item", "run"];

impl Drafter<'_, '_> {
    /// The parameters that could be read, and the names of all.
    pub(super) fn read_params(&mut self, node: &Node<'_>) -> (Vec<Param>, Vec<String>) {
        if node.is_null() {
            return (Vec::new(), Vec::new());
        }
        let entries = self.reader.map(node, "params").unwrap_or_default();
        let params = entries.iter().filter_map(|entry| self.read_param(entry)).collect();
        (params, entries.iter().map(|entry| entry.key.to_string()).collect())
    }

    fn read_param(&mut self, entry: &Entry<'_>) -> Option<Param> {
        let name = self.read_param_name(entry);
        let mut fields = self.reader.fields(&entry.value, "parameter")?;
        let kind = self.read_kind(&mut fields, entry);
        let help = self.prose(&mut fields, "help");
        let default = fields.take("default").filter(|node| !node.is_null());
        let required = fields.take("required").map(|node| (node, self.reader.boolean(node, "required")));
        let min = fields.take("min").and_then(|node| self.read_bound(node, "min", kind.as_ref()));
        let max = fields.take("max").and_then(|node| self.read_bound(node, "max", kind.as_ref()));
        if let (Some((node, min)), Some((_, max))) = (min, max)
            && min > max
        {
            self.reader.fault(FaultCode::Conflict, node.span, format!("`min` {min} is more than `max` {max}"));
        }
        let pattern = fields.take("pattern").and_then(|node| self.read_pattern(node, kind.as_ref()));
        if let (Some(_), Some((node, Some(true)))) = (default, &required) {
            let message = "a parameter with a `default` is never missing: take `required` out";
            self.reader.fault(FaultCode::Conflict, node.span, message);
        }
        let from = fields.entry("from").and_then(|entry| self.read_from(entry, kind.as_ref()));
        self.reader.finish(&fields);
        let mut param = Param {
            name: name?,
            kind: kind?,
            help,
            default: None,
            required: required.and_then(|(_, it)| it).unwrap_or(default.is_none()),
            min: min.map(|(_, number)| number),
            max: max.map(|(_, number)| number),
            pattern,
            from,
            span: entry.key_span,
        };
        if let (Some(node), ParamKind::Secret) = (default, &param.kind) {
            let message = "a secret has no default: it would stand here for everybody to read";
            let hint = "say where it comes from, such as `from: env:TOKEN`";
            self.reader.fault_with(FaultCode::SecretLeak, node.span, message, hint);
            return None;
        }
        if let Some(node) = default {
            let value = self.reader.value(node)?;
            match check_value(&param, &value) {
                Ok(value) => param.default = Some(value),
                Err(why) => {
                    let message = format!("the default of `{}` is refused: {why}", param.name);
                    self.reader.fault(FaultCode::BadParam, node.span, message);
                }
            }
        }
        Some(param)
    }

    /// `from`: where a secret comes from.
    fn read_from(&mut self, entry: &Entry<'_>, kind: Option<&ParamKind>) -> Option<SecretSource> {
        let text = self.reader.text(&entry.value, "from")?;
        match kind? {
            ParamKind::Secret => match SecretSource::parse(text) {
                Ok(source) => Some(source),
                Err(why) => {
                    let message = format!("`from`: {why}");
                    let hint = "`from: env:TOKEN`, `from: file:PATH`, `from: cmd:pass show token`, or `from: prompt`";
                    self.reader.fault_with(FaultCode::BadValue, entry.value.span, message, hint);
                    None
                }
            },
            ParamKind::String
            | ParamKind::Name
            | ParamKind::Host
            | ParamKind::Hosts
            | ParamKind::Integer
            | ParamKind::Number
            | ParamKind::Boolean
            | ParamKind::Duration
            | ParamKind::Size
            | ParamKind::Path
            | ParamKind::Enum(_)
            | ParamKind::List => {
                let message =
                    "`from` is for secrets: other parameters are given on the command line, or have a `default`";
                self.reader.fault(FaultCode::Conflict, entry.key_span, message);
                None
            }
        }
    }

    fn read_param_name(&mut self, entry: &Entry<'_>) -> Option<ParamName> {
        match ParamName::new(&entry.key) {
            Ok(name) if TAKEN.contains(&name.as_str()) => {
                let message =
                    format!("no parameter can be called `{name}`: expressions use the name for something else");
                let hint = if name.as_str() == "host" { "`target`, for example" } else { "choose another name" };
                self.reader.fault_with(FaultCode::BadName, entry.key_span, message, hint);
                None
            }
            Ok(name) if crate::expr::is_reserved(name.as_str()) => {
                let message = format!("no parameter can be called `{name}`: it is a word of the expression language");
                self.reader.fault_with(FaultCode::BadName, entry.key_span, message, "choose another name");
                None
            }
            Ok(name) => Some(name),
            Err(bad) => {
                self.reader.fault(FaultCode::BadName, entry.key_span, bad.to_string());
                None
            }
        }
    }

    fn read_kind(&mut self, fields: &mut Fields<'_>, entry: &Entry<'_>) -> Option<ParamKind> {
        let node = fields.take("type");
        let choices = fields.take("choices").map(|node| (node, self.read_choices(node)));
        let Some(node) = node else {
            let hint =
                "one of string, name, host, hosts, integer, number, boolean, duration, size, path, enum, list, secret";
            self.reader.missing(entry.key_span, &format!("parameter {}", shorten(&entry.key)), "type", hint);
            return None;
        };
        let words: Vec<(&'static str, usize)> = KINDS.iter().enumerate().map(|(i, (word, _))| (*word, i)).collect();
        let index = self.reader.word(node, "type", &words)?;
        let (word, kind) = &KINDS[index];
        match (kind, choices) {
            (Some(_), Some((node, _))) => {
                let message = format!("`choices` does nothing for the type `{word}`");
                self.reader.fault_with(FaultCode::Conflict, node.span, message, "did you mean `type: enum`?");
                None
            }
            (Some(kind), None) => Some(kind.clone()),
            (None, Some((_, choices))) => Some(ParamKind::Enum(choices?)),
            (None, None) => {
                self.reader.missing(entry.key_span, "enum", "choices", "a list of texts");
                None
            }
        }
    }

    fn read_choices(&mut self, node: &Node<'_>) -> Option<Vec<String>> {
        let items = self.reader.list(node, "choices")?;
        let mut choices: Vec<String> = Vec::with_capacity(items.len());
        for item in items {
            let text = self.reader.text(item, "choices")?;
            if choices.iter().any(|choice| choice == text) {
                let message = format!("the choice `{}` stands here twice", shorten(text));
                self.reader.fault(FaultCode::Duplicate, item.span, message);
            }
            choices.push(text.to_owned());
        }
        if choices.is_empty() {
            self.reader.fault(FaultCode::BadValue, node.span, "`choices` is empty: no value would be right");
        }
        Some(choices)
    }

    fn read_bound<'n>(
        &mut self,
        node: &'n Node<'n>,
        what: &str,
        kind: Option<&ParamKind>,
    ) -> Option<(&'n Node<'n>, f64)> {
        let number = match kind? {
            ParamKind::Duration => self.reader.parsed(node, what, FaultCode::BadValue, parse_duration)?.as_secs_f64(),
            #[expect(clippy::cast_precision_loss, reason = "limits beyond 2^53 bytes do not matter")]
            ParamKind::Size => self.reader.parsed(node, what, FaultCode::BadValue, parse_size)? as f64,
            ParamKind::Integer
            | ParamKind::Number
            | ParamKind::String
            | ParamKind::Name
            | ParamKind::Path
            | ParamKind::Hosts
            | ParamKind::List => self.reader.number(node, what)?,
            ParamKind::Host | ParamKind::Boolean | ParamKind::Enum(_) | ParamKind::Secret => {
                self.reader.fault(FaultCode::Conflict, node.span, format!("`{what}` does nothing for this type"));
                return None;
            }
        };
        Some((node, number))
    }

    fn read_pattern(&mut self, node: &Node<'_>, kind: Option<&ParamKind>) -> Option<String> {
        let text = self.reader.text(node, "pattern")?;
        if let Err(why) = whole(text) {
            let fault = Fault::at(FaultCode::BadRegex, self.reader.source, node.span, format!("`pattern`: {why}"));
            self.reader.push(fault);
            return None;
        }
        match kind? {
            ParamKind::String
            | ParamKind::Name
            | ParamKind::Host
            | ParamKind::Hosts
            | ParamKind::Path
            | ParamKind::List => Some(text.to_owned()),
            ParamKind::Integer
            | ParamKind::Number
            | ParamKind::Boolean
            | ParamKind::Duration
            | ParamKind::Size
            | ParamKind::Secret
            | ParamKind::Enum(_) => {
                self.reader.fault(FaultCode::Conflict, node.span, "`pattern` does nothing for this type");
                None
            }
        }
    }
}

/// Whether a node is a map: for forms that can be short or long.
pub(super) fn is_map(node: &Node<'_>) -> bool {
    match node.content {
        Content::Map(_) => true,
        Content::Scalar(_) | Content::List(_) => false,
    }
}
