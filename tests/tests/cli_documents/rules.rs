//! What `piton` says about rules, and what it would do about alerts.

use std::io::Write;
use std::process::Stdio;

use insta::assert_snapshot;
use piton_tests::cli::{Place, Ran};

use super::PITON;

const START: &str = "runbook: start-guest
title: Start a guest
params:
  vm: { type: name }
  target: { type: host }
  note: { type: string, required: false }
steps:
  - id: start
    hosts: '{{ target }}'
    run: virsh start \"$vm\"
";

const DOWN: &str = "rule: guest-down
title: A guest that should run does not
from: [prometheus]
labels: { alertname: GuestDown }
when: labels.severity != \"info\"
key: '{{ labels.domain }}'
runbook: start-guest
with:
  vm: '{{ labels.domain }}'
  target: '{{ labels.instance.split(`:`)[0] }}'
mode: propose
";

const ALERTS: &str = "sources:
  prometheus: { kind: alertmanager, token: env:ALERT_TOKEN }
silences:
  - { labels: { instance: 'hv2:9100' }, rules: [guest-down], until: 2100-01-01T00:00:00Z, why: hv2 is rewired }
";

fn alert(status: &str, domain: &str, instance: &str) -> String {
    format!(
        r#"{{ "status": "{status}", "labels": {{ "alertname": "GuestDown", "severity": "page", "domain": "{domain}", "instance": "{instance}" }},
        "annotations": {{ "summary": "{domain} is down" }}, "startsAt": "2026-11-21T10:00:00Z", "fingerprint": "{domain}" }}"#
    )
}

fn group(alerts: &[String]) -> String {
    format!(r#"{{ "version": "4", "truncatedAlerts": 2, "alerts": [{}] }}"#, alerts.join(",\n"))
}

fn project() -> Place {
    let place = Place::with_runbook(PITON, "start-guest", START);
    place.write("inventory.yaml", "hosts: { hv1: {}, hv2: {} }\n");
    place.write("piton.toml", "[project]\nallow_unknown_hosts = false\n");
    place.write("alerts.yaml", ALERTS);
    place.write("rules/guest-down.yaml", DOWN);
    place.write("rules/disks/disk.yaml", "rule: disk\nlabels: { alertname: [DiskBad, DiskFull] }\nrunbook: start-guest\nwith: { vm: x, target: hv1 }\nmode: run\ncool_down: 1h\n");
    place
}

#[test]
fn rules_are_listed() {
    let place = project();
    assert_snapshot!(place.snapshot(&["rules"]), @r#"
    exit 0
    --- stdout
    RULE        MODE     RUNBOOK      AT MOST               ALERTS
    disk        run      start-guest  4/h, one in 1h        alertname=DiskBad|DiskFull
    guest-down  propose  start-guest  4/h, one in 15m       from prometheus, alertname=GuestDown, when labels.severity != "info"
    "#);
    assert_snapshot!(place.snapshot(&["--json", "rules"]), @r#"
    exit 0
    --- stdout
    {"cool_down":3600.0,"file":"rules/disks/disk.yaml","from":[],"labels":{"alertname":["DiskBad","DiskFull"]},"mode":"run","per_hour":4,"rule":"disk","runbook":"start-guest","storm":{"alerts":10,"within":300.0},"title":"","when":null}
    {"cool_down":900.0,"file":"rules/guest-down.yaml","from":["prometheus"],"labels":{"alertname":["GuestDown"]},"mode":"propose","per_hour":4,"rule":"guest-down","runbook":"start-guest","storm":{"alerts":10,"within":300.0},"title":"A guest that should run does not","when":"labels.severity != \"info\""}
    "#);
    assert_snapshot!(place.snapshot(&["check"]), @"
    exit 0
    --- stdout
    ok  alerts.yaml  1 source, 1 silence
    ok  rules/disks/disk.yaml  rule disk: run start-guest
    ok  rules/guest-down.yaml  rule guest-down: propose start-guest
    ok  inventory.yaml  2 hosts
    ok  runbooks/start-guest.yaml  start-guest: 1 step
    ");
}

#[test]
fn what_would_happen_with_an_alert_is_told_and_why() {
    let place = project();
    let all = [
        alert("firing", "web1", "hv1:9100"),
        alert("firing", "web2", "hv2:9100"),
        alert("firing", "web3", "hv9:9100"),
        alert("resolved", "web1", "hv1:9100"),
    ];
    place.write("alert.json", &group(&all));
    assert_snapshot!(place.snapshot(&["rules", "try", "alert.json"]), @"
    exit 0
    --- stdout
    firing  web1  web1 is down
      from    prometheus
      labels  alertname=GuestDown domain=web1 instance=hv1:9100 severity=page
      guest-down: propose, the rule says `mode: propose`: a person approves of it first
        run   RUN  start-guest target=hv1 vm=web1
        plan  1 step on hv1, digest DIGEST
      disk: not concerned, its label `alertname` is `GuestDown`, not `DiskBad` or `DiskFull`
    firing  web2  web2 is down
      from    prometheus
      labels  alertname=GuestDown domain=web2 instance=hv2:9100 severity=page
      guest-down: silenced, hv2 is rewired
      disk: not concerned, its label `alertname` is `GuestDown`, not `DiskBad` or `DiskFull`
    firing  web3  web3 is down
      from    prometheus
      labels  alertname=GuestDown domain=web3 instance=hv9:9100 severity=page
      guest-down: propose, the rule says `mode: propose`: a person approves of it first
        run   RUN  start-guest target=hv9 vm=web3
        plan: there would be no plan
          unknown-host: parameter `target`: there is no host or group `hv9` in the inventory
          runbooks/start-guest.yaml:8:5: unknown-host: step `start`: there is no host or group `hv9` in the inventory
      disk: not concerned, its label `alertname` is `GuestDown`, not `DiskBad` or `DiskFull`
    resolved  web1  web1 is down
      from    prometheus
      labels  alertname=GuestDown domain=web1 instance=hv1:9100 severity=page
      guest-down: resolved, run RUN was begun for it
      disk: not concerned, its label `alertname` is `GuestDown`, not `DiskBad` or `DiskFull`
    --- stderr
    The sender left out 2 alerts.
    ");
    assert_snapshot!(place.snapshot(&["--json", "rules", "try", "alert.json", "--source", "prometheus"]), @r#"
    exit 0
    --- stdout
    {"fingerprint":"web1","labels":{"alertname":"GuestDown","domain":"web1","instance":"hv1:9100","severity":"page"},"not_concerned":[{"rule":"disk","why":"its label `alertname` is `GuestDown`, not `DiskBad` or `DiskFull`"}],"source":"prometheus","starts_at":"DATE","state":"firing","title":"web1 is down","verdicts":[{"incident":"web1","outcome":"propose","params":{"note":null,"target":"hv1","vm":"web1"},"plan":{"digest":"DIGEST","hosts":["hv1"],"steps":1},"rule":"guest-down","run":"RUN","runbook":"start-guest","why":"the rule says `mode: propose`: a person approves of it first"}]}
    {"fingerprint":"web2","labels":{"alertname":"GuestDown","domain":"web2","instance":"hv2:9100","severity":"page"},"not_concerned":[{"rule":"disk","why":"its label `alertname` is `GuestDown`, not `DiskBad` or `DiskFull`"}],"source":"prometheus","starts_at":"DATE","state":"firing","title":"web2 is down","verdicts":[{"incident":"web2","outcome":"silenced","rule":"guest-down","until":"DATE","why":"hv2 is rewired"}]}
    {"fingerprint":"web3","labels":{"alertname":"GuestDown","domain":"web3","instance":"hv9:9100","severity":"page"},"not_concerned":[{"rule":"disk","why":"its label `alertname` is `GuestDown`, not `DiskBad` or `DiskFull`"}],"source":"prometheus","starts_at":"DATE","state":"firing","title":"web3 is down","verdicts":[{"faults":[{"code":"unknown-host","column":null,"file":null,"hint":null,"line":null,"message":"parameter `target`: there is no host or group `hv9` in the inventory","span":null},{"code":"unknown-host","column":5,"file":"runbooks/start-guest.yaml","hint":null,"line":8,"message":"step `start`: there is no host or group `hv9` in the inventory","span":{"end":158,"start":149}}],"incident":"web3","outcome":"propose","params":{"note":null,"target":"hv9","vm":"web3"},"rule":"guest-down","run":"RUN","runbook":"start-guest","why":"the rule says `mode: propose`: a person approves of it first"}]}
    {"fingerprint":"web1","labels":{"alertname":"GuestDown","domain":"web1","instance":"hv1:9100","severity":"page"},"not_concerned":[{"rule":"disk","why":"its label `alertname` is `GuestDown`, not `DiskBad` or `DiskFull`"}],"source":"prometheus","starts_at":"DATE","state":"resolved","title":"web1 is down","verdicts":[{"incident":"web1","outcome":"resolved","rule":"guest-down","run":"RUN","why":"run RUN was begun for it"}]}
    --- stderr
    The sender left out 2 alerts.
    "#);
    // Another source says the same, and the rule does not listen to it.
    place.write("other.json", r#"{ "fingerprint": "x", "labels": { "alertname": "Other" }, "title": "a\u001b[2Jb" }"#);
    assert_snapshot!(place.snapshot(&["rules", "try", "other.json"]), @"
    exit 0
    --- stdout
    firing  x  a␛[2Jb
      from    generic
      labels  alertname=Other
      unmatched: it would be recorded, and nothing would happen
      disk: not concerned, its label `alertname` is `Other`, not `DiskBad` or `DiskFull`
      guest-down: not concerned, it comes from `generic`, not from `prometheus`
    ");
}

/// Nothing is begun by asking, and nothing is stored.
#[test]
fn to_try_is_not_to_do() {
    let place = project();
    place.write("alert.json", &group(&[alert("firing", "web1", "hv1:9100")]));
    let first = place.piton(&["--json", "rules", "try", "alert.json"]);
    assert_eq!(first.code, 0, "{}", first.err);
    assert_eq!(std::fs::read_dir(place.state()).unwrap().count(), 0);
    let again = place.piton(&["--json", "rules", "try", "alert.json"]);
    assert_eq!(first.out, again.out, "the same alert asks for the same run");
}

#[test]
fn an_alert_comes_by_standard_input_as_well() {
    let place = project();
    let mut child = place
        .command(&["--json", "rules", "try", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(group(&[alert("firing", "web1", "hv1:9100")]).as_bytes()).unwrap();
    let ran = Ran::of(child);
    assert_eq!(ran.json()[0]["verdicts"][0]["outcome"], "propose", "{}", ran.err);
}

#[test]
fn what_is_wrong_with_an_alert_is_told_with_its_place() {
    let place = project();
    place.write("cut.json", "{\n  \"version\": \"4\",\n  \"alerts\": [{]\n}\n");
    assert_snapshot!(place.snapshot(&["rules", "try", "cut.json"]), @r#"
    exit 3
    --- stderr
    error[syntax]: this is not JSON: key must be a string
     --> cut.json:3:15
      |
    3 |   "alerts": [{]
      |               ^

    1 fault in cut.json
    "#);
    place.write("odd.json", r#"{ "version": "4", "alerts": [{ "status": "on", "labels": { "a": 1 } }] }"#);
    assert_snapshot!(place.snapshot(&["rules", "try", "odd.json"]), @r#"
    exit 3
    --- stderr
    error[bad-value]: odd.json: /alerts/0/status: this must be "firing" or "resolved"

    error[bad-value]: odd.json: /alerts/0/labels/a: this must be a text, not a number

    2 faults
    "#);
    assert_snapshot!(place.snapshot(&["rules", "try", "odd.json", "--source", "prom"]), @"
    exit 2
    --- stderr
    error: there is no source `prom`
    hint: there is prometheus, alertmanager, grafana, pagerduty, generic
    ");
    assert_snapshot!(place.snapshot(&["rules", "try", "none.json"]), @"
    exit 2
    --- stderr
    error: none.json cannot be read: No such file or directory (os error 2)
    ");
}

#[test]
fn every_fault_of_rules_is_found_by_the_check() {
    let place = project();
    place.write(
        "rules/other.yaml",
        "rule: guest-down\nlabels: { alertname: X }\nrunbook: start-gest\nfrom: prometeus\n",
    );
    place.write(
        "rules/bad.yaml",
        "rule: bad\nwhen: labels.a = 1\nrunbook: start-guest\nwith: { target: 'a b' }\nmode: act\n",
    );
    place.write("rules/short.yaml", "rule: short\nwhen: true\nrunbook: start-guest\nwith: { target: 'a b', vmm: x }\n");
    place.write(
        "alerts.yaml",
        "sources: { prometheus: { kind: alertmanager } }\nsilences: [{ when: true, why: x, rules: guest-dwn }]\n",
    );
    assert_snapshot!(place.snapshot(&["check"]), @"
    exit 3
    --- stdout
    ok  rules/disks/disk.yaml  rule disk: run start-guest
    ok  rules/guest-down.yaml  rule guest-down: propose start-guest
    ok  inventory.yaml  2 hosts
    ok  runbooks/start-guest.yaml  start-guest: 1 step
    --- stderr
    error[missing-field]: `source` needs `token`
     --> alerts.yaml:1:12
      |
    1 | sources: { prometheus: { kind: alertmanager } }
      |            ^^^^^^^^^^
      |
      = help: `token: env:NAME`, or `hmac: file:PATH` where the sender signs: whoever can send alerts can begin runs

    error[bad-expression]: Unexpected '='; `==` compares
     --> rules/bad.yaml:2:16
      |
    2 | when: labels.a = 1
      |                ^

    error[bad-value]: `mode` cannot be `act`
     --> rules/bad.yaml:5:7
      |
    5 | mode: act
      |       ^^^
      |
      = help: it is one of `propose`, `run`

    error[bad-name]: the rule calls itself `guest-down`, and its file is `other.yaml`
     --> rules/other.yaml:1:7
      |
    1 | rule: guest-down
      |       ^^^^^^^^^^
      |
      = help: a rule has the name of its file, so that it is found by it

    error[duplicate]: two rules are called `guest-down`; the other is rules/guest-down.yaml
     --> rules/other.yaml:1:7
      |
    1 | rule: guest-down
      |       ^^^^^^^^^^

    error[unknown-runbook]: there is no runbook `start-gest`
     --> rules/other.yaml:3:10
      |
    3 | runbook: start-gest
      |          ^^^^^^^^^^
      |
      = help: did you mean `start-guest`?

    error[bad-param]: `start-guest` refuses its parameter `target`: `a b` is not a host name: letters, digits, `.`, `_` or `-`, not beginning with `-` or `.`, 253 at most
     --> rules/short.yaml:4:17
      |
    4 | with: { target: 'a b', vmm: x }
      |                 ^^^^^

    error[unknown-param]: `start-guest` has no parameter `vmm`
     --> rules/short.yaml:4:29
      |
    4 | with: { target: 'a b', vmm: x }
      |                             ^
      |
      = help: did you mean `vm`?

    error[bad-param]: `start-guest` needs a value for `vm`
     --> rules/short.yaml:3:10
      |
    3 | runbook: start-guest
      |          ^^^^^^^^^^^
      |
      = help: give it under `with:`

    9 faults in 4 documents
    ");
    // What is faulty answers nothing.
    place.write("alert.json", &group(&[alert("firing", "web1", "hv1:9100")]));
    assert_eq!(place.piton(&["rules", "try", "alert.json"]).code, 3);
}

#[test]
fn there_may_be_no_rules_and_no_project() {
    assert_snapshot!(Place::new(PITON).snapshot(&["rules"]), @"
    exit 0
    --- stderr
    There are no rules: they are files rules/NAME.yaml of the project.
    ");
    assert_snapshot!(Place::empty(PITON).snapshot(&["rules"]), @"
    exit 2
    --- stderr
    error: there is no project here (piton.toml marks one)
    hint: rules are files rules/NAME.yaml of a project; choose one with -C DIR
    ");
}
