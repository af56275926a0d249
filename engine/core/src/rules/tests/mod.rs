//! What rules make of alerts, with what everything has in common: the runbook, the rule, the clock.

mod bodies;
mod decisions;
mod documents;
mod hostile;

use crate::fault::Source as Text;
use crate::ids::{RunbookName, SourceName};
use crate::rules::*;
use crate::runbook::Library;
use crate::time::Timestamp;

const BOOK: &str = "runbook: start-guest
params:
  vm: { type: name }
  target: { type: host, default: hv1 }
  tries: { type: integer, default: 3, max: 5 }
steps: [{ id: a, run: x }]
";

const RULE: &str = "rule: guest-down
labels: { alertname: GuestDown }
runbook: start-guest
with: { vm: '{{ labels.domain }}' }
";

fn text(name: &str, text: &str) -> Text {
    Text { name: name.into(), text: text.into() }
}

fn library() -> Library {
    let source = text("start-guest.yaml", BOOK);
    let (runbook, faults) = crate::runbook::parse(&source);
    assert_eq!(faults, []);
    let name = RunbookName::new("start-guest").unwrap();
    Library::from([(name, (runbook.unwrap(), source))])
}

fn rule(yaml: &str) -> Rule {
    let (rule, faults) = parse(&text("rule.yaml", yaml));
    assert_eq!(faults, []);
    rule.unwrap()
}

fn rule_with(more: &str) -> Rule {
    rule(&format!("{RULE}{more}\n"))
}

fn source(name: &str) -> SourceName {
    SourceName::new(name).unwrap()
}

/// A firing alert about a guest, since ten in the morning.
fn firing(domain: &str) -> Alert {
    let label = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    Alert {
        source: source("prometheus"),
        fingerprint: format!("print of {domain}"),
        state: AlertState::Firing,
        title: String::new(),
        labels: [label("alertname", "GuestDown"), label("domain", domain)].into(),
        annotations: Default::default(),
        starts_at: Some(Timestamp(1_800_000_000_000)),
        url: None,
        body: serde_json::json!({}),
    }
}

/// So many seconds after the alert began.
fn after(seconds: i64) -> Timestamp {
    Timestamp(1_800_000_000_000 + seconds * 1_000)
}
