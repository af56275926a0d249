//! `alerts.yaml`: who may send alerts, how they prove who they are, and which alerts are silenced.

use std::collections::BTreeMap;

use super::Match;
use super::body::parse_moment;
use super::syntax::read_match;
use crate::fault::{Fault, FaultCode, Span};
use crate::ids::{RuleName, SourceName};
use crate::runbook::SecretSource;
use crate::time::Timestamp;
use crate::yaml::read::{Fields, Reader};
use crate::yaml::{self, Node};

/// Who may send alerts, and what is not to be answered.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AlertSettings {
    /// Those who send, by name.
    pub sources: BTreeMap<SourceName, Source>,
    /// Alerts that are recorded and not answered.
    pub silences: Vec<Silence>,
}

/// Somebody who sends alerts.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// In which form.
    pub kind: SourceKind,
    /// How it is known that it is them.
    pub proof: Proof,
    /// Where its name stands.
    pub span: Span,
}

/// The form in which somebody sends alerts.
#[derive(Debug, Clone, PartialEq)]
pub enum SourceKind {
    /// Alertmanager's webhook, version 4.
    Alertmanager,
    /// Grafana's webhook.
    Grafana,
    /// PagerDuty's webhook, version 3.
    PagerDuty,
    /// Any JSON.
    Generic(Generic),
}

impl SourceKind {
    /// The word that a document has for it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Alertmanager => "alertmanager",
            Self::Grafana => "grafana",
            Self::PagerDuty => "pagerduty",
            Self::Generic(_) => "generic",
        }
    }

    /// The kind that a word means; a generic one with the places that [`Generic::default`] says.
    pub fn of_word(word: &str) -> Option<Self> {
        match word {
            "alertmanager" => Some(Self::Alertmanager),
            "grafana" => Some(Self::Grafana),
            "pagerduty" => Some(Self::PagerDuty),
            "generic" => Some(Self::Generic(Generic::default())),
            _ => None,
        }
    }
}

/// How it is known who sends. The secret itself is nowhere here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// `Authorization: Bearer …` (RFC 6750).
    Token(SecretSource),
    /// An HMAC with SHA-256 over the body (RFC 2104), in hexadecimal digits, in this header.
    Hmac {
        /// The key.
        key: SecretSource,
        /// The header's name.
        header: String,
    },
    /// PagerDuty's header with one or several signatures (developer.pagerduty.com/docs/verifying-signatures).
    PagerDuty(SecretSource),
}

impl Proof {
    /// Where the secret comes from.
    pub fn secret(&self) -> &SecretSource {
        match self {
            Self::Token(secret) | Self::Hmac { key: secret, .. } | Self::PagerDuty(secret) => secret,
        }
    }
}

/// Where in a JSON body an alert has what: JSON pointers (RFC 6901) from the alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generic {
    /// Where the list of alerts is, from the whole body; `None`: the body is one alert, or a list of them.
    pub alerts: Option<String>,
    /// What the sender knows the alert by.
    pub fingerprint: String,
    /// Whether it is wrong or well; where it is missing, it is wrong.
    pub state: String,
    /// The words in that place which mean that it is well.
    pub resolved: Vec<String>,
    /// A map.
    pub labels: String,
    /// A map.
    pub annotations: String,
    /// Since when.
    pub starts_at: String,
    /// One line.
    pub title: String,
}

impl Default for Generic {
    fn default() -> Self {
        Self {
            alerts: None,
            fingerprint: "/fingerprint".to_owned(),
            state: "/state".to_owned(),
            resolved: ["resolved", "ok"].map(str::to_owned).to_vec(),
            labels: "/labels".to_owned(),
            annotations: "/annotations".to_owned(),
            starts_at: "/starts_at".to_owned(),
            title: "/title".to_owned(),
        }
    }
}

/// Alerts that are recorded and not answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Silence {
    /// Which.
    pub only: Match,
    /// For which rules; empty: for all.
    pub rules: Vec<RuleName>,
    /// Until when; `None`: until somebody takes it out.
    pub until: Option<Timestamp>,
    /// Why, for whoever wonders.
    pub why: String,
}

/// The header that Grafana signs in where nothing else is said (grafana.com/docs, "HMAC signature").
const GRAFANA_HEADER: &str = "X-Grafana-Alerting-Signature";

/// Reads and checks `alerts.yaml`: either what it says, or everything that is wrong with it.
pub fn parse(source: &crate::fault::Source) -> (Option<AlertSettings>, Vec<Fault>) {
    let (root, faults) = yaml::parse(source);
    let mut reader = Reader::new(source);
    reader.faults = faults;
    let settings = root.as_ref().and_then(|root| read_settings(&mut reader, root));
    let faults = yaml::told(reader.faults);
    if faults.is_empty() { (settings, faults) } else { (None, faults) }
}

fn read_settings(reader: &mut Reader<'_>, root: &Node<'_>) -> Option<AlertSettings> {
    let mut fields = reader.fields(root, "alerts")?;
    let mut settings = AlertSettings::default();
    for entry in fields.take("sources").and_then(|node| reader.map(node, "sources")).unwrap_or_default() {
        let name = SourceName::new(&entry.key);
        let source = read_source(reader, &entry.value, entry.key_span);
        match name {
            Ok(name) => settings.sources.extend(source.map(|source| (name, source))),
            Err(bad) => reader.fault(FaultCode::BadName, entry.key_span, bad.to_string()),
        }
    }
    for item in fields.take("silences").and_then(|node| reader.list(node, "silences")).unwrap_or_default() {
        settings.silences.extend(read_silence(reader, item));
    }
    reader.finish(&fields);
    Some(settings)
}

fn read_source(reader: &mut Reader<'_>, node: &Node<'_>, span: Span) -> Option<Source> {
    let mut fields = reader.fields(node, "source")?;
    let kind = match fields.take("kind") {
        Some(node) => reader.word(node, "kind", &words::KIND),
        None => {
            reader.missing(span, "source", "kind", "`alertmanager`, `grafana`, `pagerduty` or `generic`");
            None
        }
    };
    let proof = read_proof(reader, &mut fields, kind, span);
    let generic = match fields.entry("read") {
        Some(entry) if kind == Some("generic") => read_generic(reader, &entry.value),
        Some(entry) => {
            if kind.is_some() {
                let message = "`read` is for `kind: generic`: the form of the others is known";
                reader.fault(FaultCode::Conflict, entry.key_span, message);
            }
            None
        }
        None => Some(Generic::default()),
    };
    reader.finish(&fields);
    let kind = match SourceKind::of_word(kind?)? {
        SourceKind::Generic(_) => SourceKind::Generic(generic?),
        other @ (SourceKind::Alertmanager | SourceKind::Grafana | SourceKind::PagerDuty) => other,
    };
    Some(Source { kind, proof: proof?, span })
}

fn read_proof(reader: &mut Reader<'_>, fields: &mut Fields<'_>, kind: Option<&str>, span: Span) -> Option<Proof> {
    let (token, hmac, header) = (fields.entry("token"), fields.entry("hmac"), fields.entry("header"));
    let name = header.and_then(|entry| {
        let text = reader.text(&entry.value, "header")?;
        // RFC 9110, 5.6.2: a token.
        let fits = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        if text.is_empty() || text.len() > 100 || !text.chars().all(fits) {
            reader.fault(FaultCode::BadName, entry.value.span, "this is not the name of a header");
            return None;
        }
        Some(text.to_owned())
    });
    if let Some(entry) = header.filter(|_| hmac.is_none() || kind == Some("pagerduty")) {
        let message = match hmac {
            Some(_) => "`header` does nothing here: PagerDuty signs in a header of its own",
            None => "`header` does nothing without `hmac`",
        };
        reader.fault(FaultCode::Conflict, entry.key_span, message);
        return None;
    }
    match (token, hmac) {
        (Some(_), Some(hmac)) => {
            let message = "a source proves who it is in one way: by `token` or by `hmac`";
            reader.fault(FaultCode::Conflict, hmac.key_span, message);
            None
        }
        (None, None) => {
            let hint = "`token: env:NAME`, or `hmac: file:PATH` where the sender signs: whoever can send alerts can begin runs";
            reader.missing(span, "source", "token", hint);
            None
        }
        (Some(token), None) => read_secret(reader, &token.value, "token").map(Proof::Token),
        (None, Some(hmac)) => {
            let key = read_secret(reader, &hmac.value, "hmac");
            if kind == Some("pagerduty") {
                return key.map(Proof::PagerDuty);
            }
            let header = match (header, kind) {
                (Some(_), _) => name?,
                (None, Some("grafana")) => GRAFANA_HEADER.to_owned(),
                (None, _) => {
                    reader.missing(span, "source", "header", "the header with the signature: `header: X-Signature`");
                    return None;
                }
            };
            Some(Proof::Hmac { key: key?, header })
        }
    }
}

/// Where a secret comes from; nobody can be asked for it when an alert comes.
fn read_secret(reader: &mut Reader<'_>, node: &Node<'_>, what: &str) -> Option<SecretSource> {
    const HINT: &str = "`env:NAME`, `file:PATH` or `cmd:COMMAND`";
    let text = reader.text(node, what)?;
    let why = match SecretSource::parse(text) {
        Ok(SecretSource::Prompt) => "nobody can be asked for it when an alert comes".to_owned(),
        Ok(source @ (SecretSource::Env(_) | SecretSource::File(_) | SecretSource::Command(_))) => return Some(source),
        Err(why) => why,
    };
    reader.fault_with(FaultCode::BadValue, node.span, format!("`{what}`: {why}"), HINT);
    None
}

fn read_generic(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Generic> {
    let mut fields = reader.fields(node, "read")?;
    let mut good = true;
    let mut generic = Generic::default();
    let alerts = fields.take("alerts").map(|node| pointer(reader, node, "alerts"));
    good &= alerts != Some(None);
    generic.alerts = alerts.flatten();
    let places: [(&'static str, &mut String); 6] = [
        ("fingerprint", &mut generic.fingerprint),
        ("state", &mut generic.state),
        ("labels", &mut generic.labels),
        ("annotations", &mut generic.annotations),
        ("starts_at", &mut generic.starts_at),
        ("title", &mut generic.title),
    ];
    for (name, place) in places {
        match fields.take(name).map(|node| pointer(reader, node, name)) {
            Some(Some(found)) => *place = found,
            Some(None) => good = false,
            None => {}
        }
    }
    if let Some(node) = fields.take("resolved") {
        let items = reader.one_or_list(node, "resolved").unwrap_or_default();
        generic.resolved = items.iter().filter_map(|item| reader.text(item, "resolved").map(str::to_owned)).collect();
    }
    reader.finish(&fields);
    good.then_some(generic)
}

fn pointer(reader: &mut Reader<'_>, node: &Node<'_>, what: &str) -> Option<String> {
    let text = reader.text(node, what)?;
    if !text.is_empty() && !text.starts_with('/') {
        let message = format!("`{what}` is no JSON pointer");
        reader.fault_with(FaultCode::BadValue, node.span, message, format!("did you mean `/{text}`?"));
        return None;
    }
    Some(text.to_owned())
}

fn read_silence(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Silence> {
    let mut fields = reader.fields(node, "silence")?;
    let span = fields.span();
    let only = read_match(reader, &mut fields);
    if let Some(Match { labels, when: None }) = &only
        && labels.is_empty()
    {
        reader.missing(
            span,
            "silence",
            "labels",
            "which alerts: `labels: { rack: a }`; `when: true` means every alert",
        );
    }
    let mut rules = Vec::new();
    for item in fields.take("rules").and_then(|node| reader.one_or_list(node, "rules")).unwrap_or_default() {
        rules.extend(reader.parsed(item, "rules", FaultCode::BadName, RuleName::new));
    }
    let until = fields.take("until").map(|node| reader.parsed(node, "until", FaultCode::BadValue, parse_moment));
    let why = match fields.take("why") {
        Some(node) => reader.text(node, "why"),
        None => {
            reader.missing(span, "silence", "why", "why nobody needs to answer, for whoever wonders");
            None
        }
    };
    reader.finish(&fields);
    let until = match until {
        Some(until) => Some(until?),
        None => None,
    };
    Some(Silence { only: only?, rules, until, why: why?.trim().to_owned() })
}

/// The words that fields choose from, for the schema.
pub(crate) mod words {
    pub(super) const KIND: [(&str, &str); 4] =
        [("alertmanager", "alertmanager"), ("grafana", "grafana"), ("pagerduty", "pagerduty"), ("generic", "generic")];

    /// The kinds of sources.
    pub(crate) fn kinds() -> Vec<&'static str> {
        KIND.iter().map(|(word, _)| *word).collect()
    }

    pub(crate) use super::super::syntax::modes;
}
