//! What others send, in the forms that their documentation shows.

use insta::assert_snapshot;

use super::*;

fn told(kind: &str, body: &str) -> String {
    let kind = SourceKind::of_word(kind).unwrap();
    match read(&kind, &source("them"), body.as_bytes()) {
        Ok(heard) => {
            let mut text = String::new();
            for alert in &heard.alerts {
                text.push_str(&format!(
                    "{} {} {:?} {:?} {:?} {:?}\n",
                    alert.state, alert.fingerprint, alert.title, alert.starts_at, alert.labels, alert.url
                ));
            }
            text.push_str(&format!("left out {}, {:?}", heard.left_out, heard.nothing));
            text
        }
        Err(faults) => faults.iter().map(|fault| format!("{fault}\n")).collect(),
    }
}

const GROUP: &str = r#"{
  "version": "4", "groupKey": "{}:{alertname=\"GuestDown\"}", "truncatedAlerts": 2, "status": "firing", "receiver": "piton",
  "groupLabels": { "alertname": "GuestDown" }, "commonLabels": {}, "commonAnnotations": {}, "externalURL": "http://alerts.example.org",
  "alerts": [
    { "status": "firing", "labels": { "alertname": "GuestDown", "domain": "web1" }, "annotations": { "summary": "web1 is down" },
      "startsAt": "2026-11-21T10:00:00.5Z", "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "http://prometheus.example.org/graph",
      "fingerprint": "1a30ba71cca2921f" },
    { "status": "resolved", "labels": { "alertname": "GuestDown", "domain": "web2" }, "annotations": {},
      "startsAt": "2026-11-21T11:00:00+01:00", "endsAt": "2026-11-21T10:05:00Z", "generatorURL": "", "fingerprint": "2b" }
  ]
}"#;

#[test]
fn alertmanager_sends_groups() {
    assert_snapshot!(told("alertmanager", GROUP), @r#"
    firing 1a30ba71cca2921f "web1 is down" Some(Timestamp(1795255200500)) {"alertname": "GuestDown", "domain": "web1"} Some("http://prometheus.example.org/graph")
    resolved 2b "GuestDown" Some(Timestamp(1795255200000)) {"alertname": "GuestDown", "domain": "web2"} None
    left out 2, None
    "#);
}

#[test]
fn an_alert_without_a_fingerprint_is_known_by_its_labels() {
    let body = |labels: &str| format!(r#"{{"version":"4","alerts":[{{"status":"firing","labels":{labels}}}]}}"#);
    let print = |labels: &str| {
        let heard = read(&SourceKind::Alertmanager, &source("a"), body(labels).as_bytes()).unwrap();
        heard.alerts[0].fingerprint.clone()
    };
    assert_eq!(print(r#"{"a":"1","b":"2"}"#), print(r#"{"b":"2","a":"1"}"#));
    assert_ne!(print(r#"{"a":"1","b":"2"}"#), print(r#"{"a":"1","b":"3"}"#));
}

#[test]
fn grafana_sends_groups_with_more_in_them() {
    let body = r#"{ "receiver": "piton", "status": "firing", "orgId": 1, "version": "1", "title": "[FIRING:1]", "state": "alerting",
      "message": "text", "groupKey": "{}:{}", "truncatedAlerts": 0, "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {},
      "externalURL": "https://grafana.example.org/",
      "alerts": [{ "status": "firing", "labels": { "alertname": "High memory usage", "zone": "us-1" },
        "annotations": { "description": "The system has high memory usage" }, "startsAt": "2021-10-12T09:51:03.157076+02:00",
        "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "https://grafana.example.org/alerting/1/edit", "fingerprint": "c6eadffa33fcdf37",
        "silenceURL": "", "dashboardURL": "", "panelURL": "", "values": { "B": 44.2, "C": 1 } }] }"#;
    assert_snapshot!(told("grafana", body), @r#"
    firing c6eadffa33fcdf37 "High memory usage" Some(Timestamp(1634025063157)) {"alertname": "High memory usage", "zone": "us-1"} Some("https://grafana.example.org/alerting/1/edit")
    left out 0, None
    "#);
    let heard = read(&SourceKind::Grafana, &source("g"), body.as_bytes()).unwrap();
    let value = Expr::parse("body.values.B > 44.0").unwrap();
    assert_eq!(value.is_true(&heard.alerts[0].scope()), Ok(true));
}

#[test]
fn a_body_is_recognised_by_its_form() {
    let word = |body: &str| recognise(body.as_bytes()).word();
    assert_eq!(word(GROUP), "alertmanager");
    assert_eq!(word(r#"{ "orgId": 1, "alerts": [] }"#), "grafana");
    assert_eq!(word(&incident("pagey.ping")), "pagerduty");
    assert_eq!((word("[]"), word("no JSON")), ("generic", "generic"));
}

fn incident(event: &str) -> String {
    format!(
        r#"{{ "event": {{ "id": "5ac64822", "event_type": "{event}", "resource_type": "incident",
          "occurred_at": "2026-05-20T15:00:00.000Z", "agent": null, "client": null,
          "data": {{ "id": "PT4KHLK", "type": "incident", "html_url": "https://x.pagerduty.com/incidents/PT4KHLK", "number": 1234,
            "status": "triggered", "incident_key": "baf7cf21b1da41b4b0221008339ff357", "created_at": "2026-05-20T14:00:00.000Z",
            "title": "The server is on fire.", "service": {{ "id": "PF9KMXH", "summary": "hv1", "type": "service_reference" }},
            "urgency": "high", "priority": null, "escalation_policy": {{ "summary": "Default" }} }} }} }}"#
    )
}

#[test]
fn pagerduty_sends_events_of_incidents() {
    let all: Vec<String> =
        ["incident.triggered", "incident.reopened", "incident.resolved", "incident.acknowledged", "pagey.ping"]
            .map(|event| told("pagerduty", &incident(event)))
            .to_vec();
    assert_snapshot!(all.join("\n"), @r#"
    firing PT4KHLK "The server is on fire." Some(Timestamp(1779285600000)) {"escalation_policy": "Default", "incident_key": "baf7cf21b1da41b4b0221008339ff357", "number": "1234", "service": "hv1", "urgency": "high"} Some("https://x.pagerduty.com/incidents/PT4KHLK")
    left out 0, None
    firing PT4KHLK "The server is on fire." Some(Timestamp(1779289200000)) {"escalation_policy": "Default", "incident_key": "baf7cf21b1da41b4b0221008339ff357", "number": "1234", "service": "hv1", "urgency": "high"} Some("https://x.pagerduty.com/incidents/PT4KHLK")
    left out 0, None
    resolved PT4KHLK "The server is on fire." Some(Timestamp(1779285600000)) {"escalation_policy": "Default", "incident_key": "baf7cf21b1da41b4b0221008339ff357", "number": "1234", "service": "hv1", "urgency": "high"} Some("https://x.pagerduty.com/incidents/PT4KHLK")
    left out 0, None
    left out 0, Some("`incident.acknowledged` says neither that an incident began nor that it is over")
    left out 0, Some("`pagey.ping` says neither that an incident began nor that it is over")
    "#);
}

#[test]
fn any_json_is_read_where_pointers_say() {
    let own = |read: &str, body: &str| {
        let yaml = format!("sources: {{ own: {{ kind: generic, token: env:T, read: {read} }} }}");
        let settings = parse_settings(&text("alerts.yaml", &yaml)).0.unwrap();
        let kind = settings.sources.values().next().unwrap().kind.clone();
        read_one(&kind, body)
    };
    let read = "{ alerts: /d/items, fingerprint: /id, state: /up, resolved: ['true'], labels: /tags, title: /text, starts_at: /since }";
    let body = r#"{ "d": { "items": [
        { "id": 7, "up": false, "tags": { "host": "hv1", "slot": 3, "ssd": true }, "text": "disk", "since": "2026-11-21T10:00:00Z" },
        { "id": "8", "up": true, "tags": {} } ] } }"#;
    assert_snapshot!(own(read, body), @r#"
    firing 7 "disk" Some(Timestamp(1795255200000)) {"host": "hv1", "slot": "3", "ssd": "true"}
    resolved 8 "" None {}
    "#);
    assert_snapshot!(own(read, r#"{ "d": {} }"#), @"/d/items: this is missing");
    assert_snapshot!(own("{}", r#"[{ "fingerprint": "x" }, { "fingerprint": "y", "state": "ok" }]"#), @r#"
    firing x "" None {}
    resolved y "" None {}
    "#);
}

fn read_one(kind: &SourceKind, body: &str) -> String {
    match read(kind, &source("own"), body.as_bytes()) {
        Ok(heard) => {
            let one =
                |a: &Alert| format!("{} {} {:?} {:?} {:?}\n", a.state, a.fingerprint, a.title, a.starts_at, a.labels);
            heard.alerts.iter().map(one).collect()
        }
        Err(faults) => faults.iter().map(|fault| format!("{fault}\n")).collect(),
    }
}

#[test]
fn every_fault_says_where() {
    let bodies = [
        ("alertmanager", ""),
        ("alertmanager", "{\n  \"version\": 4,\n  oops }"),
        ("alertmanager", "[]"),
        ("alertmanager", r#"{ "version": "3", "alerts": [] }"#),
        ("alertmanager", r#"{ "version": "4" }"#),
        ("alertmanager", r#"{ "version": "4", "alerts": {} }"#),
        (
            "alertmanager",
            r#"{ "version": "4", "alerts": [ 5, { "status": "pending", "labels": { "a/b": 1, "c": null } },
              { "status": "firing", "labels": {}, "startsAt": "yesterday", "fingerprint": "" } ] }"#,
        ),
        (
            "pagerduty",
            r#"{ "event": { "event_type": "incident.triggered", "data": { "title": 1, "service": { "summary": [] } } } }"#,
        ),
        ("generic", r#"{ "labels": [], "state": {} }"#),
        ("generic", "7"),
    ];
    let all: Vec<String> = bodies.iter().map(|(kind, body)| told(kind, body)).collect();
    assert_snapshot!(all.join("--\n"), @r#"
    line 1, column 1: this is not JSON: EOF while parsing a value
    --
    line 3, column 3: this is not JSON: key must be a string
    --
    the whole body: this must be a map, not a list
    --
    /version: this must be "4": no other version of Alertmanager's webhook is known
    --
    /alerts: this is missing
    --
    /alerts: this must be a list, not a map
    --
    /alerts/0: this must be a map, not a number
    /alerts/1/status: this must be "firing" or "resolved"
    /alerts/1/labels/a~1b: this must be a text, not a number
    /alerts/1/labels/c: this must be a text, not nothing
    /alerts/2/startsAt: `yesterday` is no moment such as 2026-11-21T22:30:00Z
    /alerts/2/fingerprint: it has 0 bytes; it must have 1 to 1024
    --
    /event/data/id: this is missing
    /event/data/title: this must be a text, not a number
    /event/data/service/summary: this must be a text, not a list
    --
    /fingerprint: this is missing: it says which alert it is
    /state: this must be a text, not a map
    /labels: this must be a map of texts, not a list
    --
    the whole body: this must be a map, not a number
    "#);
}
