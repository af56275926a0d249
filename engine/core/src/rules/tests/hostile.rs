//! Whatever somebody sends: it is taken or refused with a place, and nothing panics or runs away.

use proptest::prelude::*;

use super::*;
use crate::value::Value;

const KINDS: [&str; 4] = ["alertmanager", "grafana", "pagerduty", "generic"];

fn group(labels: &Value) -> String {
    let alert = serde_json::json!({ "status": "firing", "labels": labels, "fingerprint": "x" });
    serde_json::json!({ "version": "4", "alerts": [alert] }).to_string()
}

/// Reads and decides with rules that look at everything.
fn decide_all(body: &str) -> Result<Vec<Verdict>, Vec<BadBody>> {
    let rules = [
        rule_with("mode: run"),
        // Says which labels there are.
        rule(&RULE.replace("guest-down", "missing").replace("labels.domain", "labels.nothing")),
        rule(
            "rule: any\nwhen: labels.len() > 0\nkey: '{{ labels }}'\nrunbook: start-guest\nwith: { vm: '{{ labels.values()[0] }}' }\n",
        ),
    ];
    let heard = read(&SourceKind::Alertmanager, &source("a"), body.as_bytes())?;
    let decide = |alert| decide(&rules, &[], &library(), &Past::default(), alert, after(0)).verdicts;
    Ok(heard.alerts.iter().flat_map(decide).collect())
}

#[test]
fn a_hostile_label_reaches_no_runbook_whose_type_refuses_it() {
    for label in [
        "<script>alert(1)</script>",
        "a\nb",
        "$(reboot)",
        "'; reboot #",
        "-rf",
        "\u{1b}[2J",
        "a\0b",
        "../../etc",
        "{{ 1 }}",
        "",
    ] {
        let body = group(&serde_json::json!({ "alertname": "GuestDown", "domain": label, label: "a name" }));
        let verdicts = decide_all(&body).unwrap();
        assert_eq!(verdicts[0].outcome, Outcome::Refused, "{label:?}");
        for why in verdicts.iter().map(|verdict| &verdict.why) {
            assert!(!why.chars().any(char::is_control), "{why:?} would be obeyed by a terminal");
        }
    }
}

/// A template in a label is text: it is never evaluated.
#[test]
fn what_looks_like_a_template_is_not_one() {
    let book = BOOK.replace("type: name", "type: string");
    let name = RunbookName::new("start-guest").unwrap();
    let source = text("b.yaml", &book);
    let library = Library::from([(name, (crate::runbook::parse(&source).0.unwrap(), source))]);
    let verdict = decide(&[rule_with("mode: run")], &[], &library, &Past::default(), &firing("{{ 1 + 1 }}"), after(0));
    let Outcome::Run(start) = &verdict.verdicts[0].outcome else { panic!("{verdict:?}") };
    assert_eq!(start.params.values().last().unwrap(), "{{ 1 + 1 }}");
}

#[test]
fn what_is_too_large_is_refused_with_its_place() {
    let large = "x".repeat(1 << 20);
    let refused = |body: &str| {
        let faults = decide_all(body).unwrap_err();
        let told = faults[0].to_string();
        assert!(told.len() < 500, "{} bytes to say it", told.len());
        told
    };
    assert_eq!(
        refused(&group(&serde_json::json!({ "domain": large }))),
        "/alerts/0/labels/domain: it has 1048576 bytes; 65536 at most are taken"
    );
    assert!(refused(&group(&serde_json::json!({ large.clone(): "x" }))).starts_with("/alerts/0/labels/xxx"));
    let many: Value = (0..300).map(|n| (n.to_string(), Value::from("x"))).collect::<crate::value::Map<_, _>>().into();
    assert_eq!(refused(&group(&many)), "/alerts/0/labels: it has 300 entries; 256 at most are taken");
    assert_eq!(refused(&" ".repeat(MAX_BODY + 1)), "the whole body: it has 4194305 bytes; 4194304 at most are taken");
    let alerts = vec![serde_json::json!({ "status": "firing", "labels": {} }); MAX_ALERTS + 1];
    let body = serde_json::json!({ "version": "4", "alerts": alerts }).to_string();
    assert_eq!(refused(&body), "/alerts: it has 10001 items; 10000 at most are taken");
}

#[test]
fn what_nests_too_deep_is_refused() {
    for deep in [format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000)), "{\"a\":".repeat(100_000)] {
        for kind in KINDS {
            let faults = read(&SourceKind::of_word(kind).unwrap(), &source("a"), deep.as_bytes()).unwrap_err();
            assert!(faults[0].to_string().contains("recursion limit"), "{}", faults[0]);
        }
    }
    // As deep as JSON may be, in a place that expressions see.
    let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
    let body = format!(r#"{{ "fingerprint": "x", "more": {deep} }}"#);
    let heard = read(&SourceKind::of_word("generic").unwrap(), &source("a"), body.as_bytes()).unwrap();
    let rules = [rule("rule: r\nwhen: body.more.len() == 1\nkey: '{{ body.more }}'\nrunbook: start-guest\n")];
    let verdict = decide(&rules, &[], &library(), &Past::default(), &heard.alerts[0], after(0));
    assert_eq!(verdict.verdicts[0].outcome, Outcome::Refused);
}

/// The moments that a sender can claim are not those of a clock that one can trust.
#[test]
fn no_moment_is_too_far() {
    for moment in ["0001-01-01T00:00:00Z", "9999-12-30T00:00:00Z", "1969-12-31T23:59:59Z", "-009999-01-02T02:00:00Z"] {
        let body =
            format!(r#"{{"version":"4","alerts":[{{"status":"firing","labels":{{"a":"b"}},"startsAt":"{moment}"}}]}}"#);
        let heard = read(&SourceKind::Alertmanager, &source("a"), body.as_bytes()).unwrap();
        let rules = [rule("rule: r\nwhen: true\nrunbook: start-guest\nwith: { vm: x }\n")];
        for now in [Timestamp(i64::MIN), after(0), Timestamp(i64::MAX)] {
            let decision = decide(&rules, &[], &library(), &Past::default(), &heard.alerts[0], now);
            assert_eq!(decision.verdicts[0].outcome.word(), "propose", "{moment}");
        }
    }
}

/// JSON that resembles what is expected, with something else in any place of it.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        prop::sample::select(vec!["4", "firing", "resolved", "incident.triggered", "2026-01-01T00:00:00Z"])
            .prop_map(Value::from),
    ];
    let names = prop::sample::select(vec![
        "version",
        "alerts",
        "status",
        "labels",
        "annotations",
        "fingerprint",
        "startsAt",
        "event",
        "event_type",
        "data",
        "id",
        "service",
        "state",
        "title",
        "number",
        "summary",
        "a/b~c",
    ]);
    leaf.prop_recursive(5, 64, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(names.clone(), inner, 0..8).prop_map(|map| {
                Value::Object(map.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
            }),
        ]
    })
}

proptest! {
    #[test]
    fn no_body_panics(body in prop::collection::vec(any::<u8>(), 0..200), value in any_json()) {
        for kind in KINDS {
            let kind = SourceKind::of_word(kind).unwrap();
            let _read = read(&kind, &source("a"), &body);
            match read(&kind, &source("a"), value.to_string().as_bytes()) {
                Ok(heard) => {
                    for alert in &heard.alerts {
                        let _verdicts = decide(&[rule_with("")], &[], &library(), &Past::default(), alert, after(0));
                    }
                }
                Err(faults) => prop_assert!(!faults.is_empty(), "refused without a word"),
            }
        }
    }

    /// A fault's pointer leads to what it complains of, or to where it should be.
    #[test]
    fn every_pointer_leads_somewhere(value in any_json()) {
        for kind in KINDS {
            let Err(faults) = read(&SourceKind::of_word(kind).unwrap(), &source("a"), value.to_string().as_bytes()) else { continue };
            for fault in faults {
                let BodyPlace::Pointer(pointer) = fault.place else { continue };
                let parent = pointer.rfind('/').map_or("", |at| &pointer[..at]);
                prop_assert!(value.pointer(&pointer).is_some() || value.pointer(parent).is_some(), "{} in {}", pointer, value);
            }
        }
    }

    #[test]
    fn no_document_panics(yaml in "\\PC{0,80}|(rule|when|labels|storm|with|sources|silences|kind|read): [a-z{}\\[\\]:, '\"|]{0,30}\n") {
        let (rule, faults) = parse(&text("rule.yaml", &yaml));
        prop_assert!(rule.is_some() == faults.is_empty());
        let (settings, faults) = parse_settings(&text("alerts.yaml", &yaml));
        prop_assert!(settings.is_some() == faults.is_empty());
    }
}
