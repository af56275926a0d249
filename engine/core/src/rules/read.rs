//! From what was sent to alerts. Each kind of sender has a form of its own; what comes out is the same.

use super::alert::{Alert, AlertState};
use super::body::{At, BadBody, Looker, parse};
use super::settings::{Generic, SourceKind};
use crate::digest::Digest;
use crate::ids::SourceName;
use crate::value::Value;

/// What one body holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Heard {
    /// The alerts in it, in its order.
    pub alerts: Vec<Alert>,
    /// How many alerts the sender left out, as it says itself.
    pub left_out: u64,
    /// Why there is no alert in it, where that is right: it is about something else.
    pub nothing: Option<String>,
}

/// Reads what a source of this kind sent.
///
/// # Errors
/// Every fault with its place, as a line and column where it is no JSON and as a JSON pointer where it is; twenty at most.
pub fn read(kind: &SourceKind, source: &SourceName, bytes: &[u8]) -> Result<Heard, Vec<BadBody>> {
    let value = parse(bytes).map_err(|bad| vec![bad])?;
    let whole = At::whole(&value);
    let mut looker = Looker::default();
    let heard = match kind {
        SourceKind::Alertmanager => alertmanager(&mut looker, source, &whole),
        SourceKind::Grafana => grouped(&mut looker, source, &whole),
        SourceKind::PagerDuty => pagerduty(&mut looker, source, &whole),
        SourceKind::Generic(generic) => self::generic(&mut looker, source, &whole, generic),
    };
    looker.done(heard)
}

/// What kind of source a body looks like it comes from; for people who try one that they kept.
pub fn recognise(bytes: &[u8]) -> SourceKind {
    let value = parse(bytes).unwrap_or_default();
    let group = value.get("alerts").is_some_and(Value::is_array);
    match (group, value.get("orgId").is_some(), value.pointer("/event/event_type").is_some()) {
        (true, true, _) => SourceKind::Grafana,
        (true, false, _) => SourceKind::Alertmanager,
        (false, _, true) => SourceKind::PagerDuty,
        (false, _, false) => SourceKind::Generic(Generic::default()),
    }
}

/// Alertmanager's webhook, version 4 (prometheus.io/docs/alerting/latest/configuration, `webhook_config`).
fn alertmanager(looker: &mut Looker, source: &SourceName, whole: &At<'_>) -> Option<Heard> {
    let version = looker.need(whole, "version")?;
    if version.value.as_str() != Some("4") {
        looker.fault(&version.pointer, "this must be \"4\": no other version of Alertmanager's webhook is known");
        return None;
    }
    grouped(looker, source, whole)
}

/// A group of alerts, as Alertmanager sends it, and Grafana with fields of its own
/// (grafana.com/docs/grafana/latest/alerting, "Configure webhook notifications").
fn grouped(looker: &mut Looker, source: &SourceName, whole: &At<'_>) -> Option<Heard> {
    let alerts = looker.need(whole, "alerts")?;
    let alerts = looker.list(&alerts)?;
    let left_out = whole.field("truncatedAlerts").and_then(|at| at.value.as_u64()).unwrap_or(0);
    // All are read, so that all their faults are told.
    let alerts: Vec<Option<Alert>> = alerts.iter().map(|at| one_of_group(looker, source, at)).collect();
    let alerts: Vec<Alert> = alerts.into_iter().collect::<Option<_>>()?;
    let nothing = alerts.is_empty().then(|| "there is no alert in it".to_owned());
    Some(Heard { alerts, left_out, nothing })
}

fn one_of_group(looker: &mut Looker, source: &SourceName, at: &At<'_>) -> Option<Alert> {
    if !at.value.is_object() {
        looker.wrong(at, "a map");
        return None;
    }
    let state = looker.need(at, "status").and_then(|at| match looker.text(&at)? {
        "firing" => Some(AlertState::Firing),
        "resolved" => Some(AlertState::Resolved),
        _ => {
            looker.fault(&at.pointer, "this must be \"firing\" or \"resolved\"");
            None
        }
    });
    let labels = looker.need(at, "labels").and_then(|at| looker.texts(&at, false));
    let annotations = at.field("annotations").map_or(Some(Default::default()), |at| looker.texts(&at, false));
    let starts_at = at.field("startsAt").map_or(Some(None), |at| looker.moment(&at));
    let url = at.field("generatorURL").map_or(Some(None), |at| looker.text(&at).map(Some));
    let fingerprint = at.field("fingerprint").map_or(Some(None), |at| looker.fingerprint(&at).map(Some));
    let (labels, annotations) = (labels?, annotations?);
    let title = annotations.get("summary").or_else(|| labels.get("alertname")).cloned().unwrap_or_default();
    // What came before Alertmanager 0.19 has none; there, too, the labels say which alert it is.
    let of_labels = || Digest::of(Value::from_iter(labels.clone()).to_string().as_bytes()).to_string();
    Some(Alert {
        source: source.clone(),
        fingerprint: fingerprint?.unwrap_or_else(of_labels),
        state: state?,
        title,
        annotations,
        starts_at: starts_at?,
        url: url?.filter(|url| !url.is_empty()).map(str::to_owned),
        body: at.value.clone(),
        labels,
    })
}

/// A PagerDuty v3 webhook (developer.pagerduty.com/docs/webhooks-overview): one event about one incident.
///
/// Its labels are what PagerDuty says of the incident: `service`, `urgency`, `priority`, `escalation_policy`, `number`, `type`.
fn pagerduty(looker: &mut Looker, source: &SourceName, whole: &At<'_>) -> Option<Heard> {
    let event = looker.need(whole, "event")?;
    let kind = looker.need(&event, "event_type").and_then(|at| looker.text(&at))?;
    let (state, since) = match kind {
        "incident.triggered" => (AlertState::Firing, "created_at"),
        // The same incident fires anew.
        "incident.reopened" => (AlertState::Firing, ""),
        "incident.resolved" => (AlertState::Resolved, "created_at"),
        other => {
            let nothing = format!("`{}` says neither that an incident began nor that it is over", super::shown(other));
            return Some(Heard { nothing: Some(nothing), ..Heard::default() });
        }
    };
    let data = looker.need(&event, "data")?;
    let fingerprint = looker.need(&data, "id").and_then(|at| looker.fingerprint(&at));
    let title = data.field("title").map_or(Some(""), |at| looker.text(&at));
    let url = data.field("html_url").map_or(Some(None), |at| looker.text(&at).map(Some));
    let begins = if since.is_empty() { event.field("occurred_at") } else { data.field(since) };
    let starts_at = begins.map_or(Some(None), |at| looker.moment(&at));
    let mut labels = std::collections::BTreeMap::new();
    let places = [
        ("service", "/service/summary"),
        ("urgency", "/urgency"),
        ("priority", "/priority/summary"),
        ("escalation_policy", "/escalation_policy/summary"),
        ("type", "/incident_type/name"),
        ("incident_key", "/incident_key"),
    ];
    let mut good = true;
    for (name, pointer) in places {
        let Some(at) = data.find(pointer) else { continue };
        match looker.text(&at) {
            Some(text) => drop(labels.insert(name.to_owned(), text.to_owned())),
            None => good = false,
        }
    }
    labels.extend(
        data.field("number")
            .filter(|at| at.value.is_number())
            .map(|at| ("number".to_owned(), crate::value::to_text(at.value))),
    );
    let alert = Alert {
        source: source.clone(),
        fingerprint: fingerprint?,
        state,
        title: title?.to_owned(),
        labels,
        annotations: Default::default(),
        starts_at: starts_at?,
        url: url?.map(str::to_owned),
        body: event.value.clone(),
    };
    good.then(|| Heard { alerts: vec![alert], ..Heard::default() })
}

/// Any JSON, with pointers to what is wanted of it.
fn generic(looker: &mut Looker, source: &SourceName, whole: &At<'_>, form: &Generic) -> Option<Heard> {
    let alerts = match &form.alerts {
        Some(pointer) => match whole.find(pointer) {
            Some(at) => looker.list(&at)?,
            None => {
                looker.fault(pointer, "this is missing");
                return None;
            }
        },
        None if whole.value.is_array() => looker.list(whole)?,
        None => vec![whole.clone()],
    };
    let alerts: Vec<Option<Alert>> = alerts.iter().map(|at| one_generic(looker, source, at, form)).collect();
    let alerts: Vec<Alert> = alerts.into_iter().collect::<Option<_>>()?;
    let nothing = alerts.is_empty().then(|| "there is no alert in it".to_owned());
    Some(Heard { alerts, left_out: 0, nothing })
}

fn one_generic(looker: &mut Looker, source: &SourceName, at: &At<'_>, form: &Generic) -> Option<Alert> {
    if !at.value.is_object() {
        looker.wrong(at, "a map");
        return None;
    }
    let fingerprint = match at.find(&form.fingerprint) {
        Some(at) => looker.fingerprint(&at),
        None => {
            looker.fault(&format!("{}{}", at.pointer, form.fingerprint), "this is missing: it says which alert it is");
            None
        }
    };
    let state = at.find(&form.state).map_or(Some(AlertState::Firing), |at| {
        let word = match at.value {
            Value::Bool(_) | Value::Number(_) => crate::value::to_text(at.value),
            Value::Null | Value::String(_) | Value::Array(_) | Value::Object(_) => looker.text(&at)?.to_owned(),
        };
        let resolved = form.resolved.contains(&word);
        Some(if resolved { AlertState::Resolved } else { AlertState::Firing })
    });
    let labels = at.find(&form.labels).map_or(Some(Default::default()), |at| looker.texts(&at, true));
    let annotations = at.find(&form.annotations).map_or(Some(Default::default()), |at| looker.texts(&at, true));
    let starts_at = at.find(&form.starts_at).map_or(Some(None), |at| looker.moment(&at));
    let title = at.find(&form.title).map_or(Some(""), |at| looker.text(&at));
    Some(Alert {
        source: source.clone(),
        fingerprint: fingerprint?,
        state: state?,
        title: title?.to_owned(),
        labels: labels?,
        annotations: annotations?,
        starts_at: starts_at?,
        url: None,
        body: at.value.clone(),
    })
}
