//! Rules and `alerts.yaml` on paper: every fault at once, each with its place.

use std::collections::BTreeSet;

use insta::assert_snapshot;

use super::*;
use crate::fault::Fault;

fn told(faults: &[Fault]) -> String {
    faults.iter().map(|fault| format!("{fault}\n")).collect()
}

#[test]
fn a_rule_that_says_little_asks_people_and_does_little_at_once() {
    let rule = rule_with("");
    assert_eq!((rule.mode, rule.cool_down, rule.per_hour), (Mode::Propose, DEFAULT_COOL_DOWN, DEFAULT_PER_HOUR));
    assert_eq!(rule.storm, DEFAULT_STORM);
    assert!(rule.key.is_none() && rule.from.is_empty());
}

#[test]
fn every_fault_of_a_rule_is_told_at_once() {
    let (rule, faults) = parse(&text(
        "rule.yaml",
        "rule: Guest
from: [Prom, ok]
labels: { a: [], b: [x, { y: z }] }
when: labels.a = 1
key: '{{ host.name }}'
runbok: start
with: { vm: '{{ labels. }}' }
mode: act
cool_down: 5
per_hour: 0
storm: { within: 1m }
",
    ));
    assert_eq!(rule, None);
    assert_snapshot!(told(&faults), @"
    rule.yaml:1:1: missing-field: `rule` needs `runbook` (the runbook that the alert asks for)
    rule.yaml:1:7: bad-name: `Guest` is not a rule name: a lower-case letter, then lower-case letters, digits, `-` or `_`, 64 at most
    rule.yaml:2:8: bad-name: `Prom` is not a name of a source: a lower-case letter, then lower-case letters, digits, `-` or `_`, 64 at most
    rule.yaml:3:14: bad-value: this list is empty: no alert would fit
    rule.yaml:3:25: wrong-type: `labels` takes a text, not a map
    rule.yaml:4:16: bad-expression: Unexpected '='; `==` compares
    rule.yaml:5:6: bad-expression: there is no `host` here (there is `alert`, `labels`, `annotations`, `body`)
    rule.yaml:6:1: unknown-field: `rule` has no field `runbok` (did you mean `runbook`?)
    rule.yaml:7:25: bad-expression: Expecting name of a property
    rule.yaml:8:7: bad-value: `mode` cannot be `act` (it is one of `propose`, `run`)
    rule.yaml:9:12: bad-value: `5` is not a duration: add a unit, such as 5s, 5m or 5h
    rule.yaml:10:11: bad-value: `per_hour` is 0 and must be from 1 to 1000
    rule.yaml:11:8: missing-field: `storm` needs `alerts` (how many incidents at once are not a storm yet)
    ");
}

#[test]
fn a_rule_must_say_which_alerts_it_means() {
    let (_, faults) = parse(&text("rule.yaml", "rule: r\nrunbook: b\n"));
    assert_snapshot!(told(&faults), @r#"rule.yaml:1:1: missing-field: `rule` needs `labels` (`labels: { alertname: GuestDown }` or `when: labels.severity == "page"`; `when: true` means every alert)"#);
    assert_eq!(parse(&text("rule.yaml", "rule: r\nrunbook: b\nwhen: true\n")).1, []);
}

#[test]
fn a_rule_is_held_against_its_runbook() {
    let yaml = "rule: r
from: [prometeus, grafana]
when: true
runbook: start-guest
with: { vmm: x, tries: 9, target: '{{ labels.host }}' }
";
    let source = text("rule.yaml", yaml);
    let rule = rule(yaml);
    let settings = "sources: { prometheus: { kind: alertmanager, token: env:T } }";
    let (settings, faults) = parse_settings(&text("alerts.yaml", settings));
    assert_eq!(faults, []);
    let library = library();
    let book = library.values().next().map(|(book, _)| book);
    let faults = check(&rule, &source, book, settings.as_ref(), &[], &BTreeSet::new());
    assert_snapshot!(told(&faults), @"
    rule.yaml:2:8: unknown-param: no source of alerts is called `prometeus` (did you mean `prometheus`?)
    rule.yaml:5:24: bad-param: `start-guest` refuses its parameter `tries`: it is 9, more than 5
    rule.yaml:5:14: unknown-param: `start-guest` has no parameter `vmm` (did you mean `vm`?)
    rule.yaml:4:10: bad-param: `start-guest` needs a value for `vm` (give it under `with:`)
    ");
    let names: Vec<RunbookName> = ["start-gust", "other"].map(|name| RunbookName::new(name).unwrap()).to_vec();
    let faults = check(&rule, &source, None, Some(&AlertSettings::default()), &names, &BTreeSet::new());
    assert_snapshot!(told(&faults), @"
    rule.yaml:2:8: unknown-param: no source of alerts is called `prometeus` (sources are declared in alerts.yaml, under `sources:`)
    rule.yaml:4:10: unknown-runbook: there is no runbook `start-guest` (did you mean `start-gust`?)
    ");
}

/// When an alert comes, nobody sits there to type a secret in, and an alert cannot bring one.
#[test]
fn secrets_come_from_where_the_runbook_or_the_project_says() {
    let book = text(
        "b.yaml",
        "runbook: b\nparams: { pass: { type: secret }, key: { type: secret, from: env:KEY } }\nsteps: [{ id: a, run: 'echo $pass $key' }]\n",
    );
    let (runbook, faults) = crate::runbook::parse(&book);
    assert_eq!(faults, []);
    let yaml = "rule: r\nwhen: true\nrunbook: b\nwith: { key: '{{ labels.key }}' }\n";
    let (source, rule) = (text("rule.yaml", yaml), rule(yaml));
    let none = Some(&AlertSettings::default());
    let faults = check(&rule, &source, runbook.as_ref(), none, &[], &BTreeSet::new());
    assert_snapshot!(told(&faults), @r#"
    rule.yaml:3:10: bad-param: nothing says where `b` gets its secret `pass` from (when an alert comes, nobody can be asked: `[secrets]` in piton.toml, `pass = "env:NAME"`)
    rule.yaml:4:14: secret-leak: `key` is a secret: an alert cannot give it
    "#);
    let known = BTreeSet::from([crate::ids::ParamName::new("pass").unwrap()]);
    assert_eq!(check(&rule, &source, runbook.as_ref(), none, &[], &known).len(), 1);
}

#[test]
fn every_fault_of_the_sources_is_told_at_once() {
    let (settings, faults) = parse_settings(&text(
        "alerts.yaml",
        "sources:
  Prom: { kind: alertmanager, token: env:T }
  open: { kind: alertmanager }
  both: { kind: grafana, token: env:T, hmac: env:H }
  typed: { kind: grafana, token: prompt }
  plain: { kind: grafana, token: hunter2 }
  pager: { kind: pagerduty, hmac: env:H, header: X-Mine }
  bare: { kind: generic, hmac: env:H }
  odd: { kind: generic, hmac: env:H, header: 'X Y', read: { labels: tags, resolved: [ok] } }
  wrong: { kind: alertmanager, token: env:T, read: { labels: /a } }
silences:
  - { why: x }
  - { when: true, until: tomorrow }
",
    ));
    assert_eq!(settings, None);
    let all = told(&faults);
    assert!(!all.contains("hunter2"), "{all}");
    assert_snapshot!(all, @"
    alerts.yaml:2:3: bad-name: `Prom` is not a name of a source: a lower-case letter, then lower-case letters, digits, `-` or `_`, 64 at most
    alerts.yaml:3:3: missing-field: `source` needs `token` (`token: env:NAME`, or `hmac: file:PATH` where the sender signs: whoever can send alerts can begin runs)
    alerts.yaml:4:40: conflict: a source proves who it is in one way: by `token` or by `hmac`
    alerts.yaml:5:34: bad-value: `token`: nobody can be asked for it when an alert comes (`env:NAME`, `file:PATH` or `cmd:COMMAND`)
    alerts.yaml:6:34: bad-value: `token`: a secret comes from `env:NAME`, `file:PATH`, `cmd:COMMAND` or `prompt` (`env:NAME`, `file:PATH` or `cmd:COMMAND`)
    alerts.yaml:7:42: conflict: `header` does nothing here: PagerDuty signs in a header of its own
    alerts.yaml:8:3: missing-field: `source` needs `header` (the header with the signature: `header: X-Signature`)
    alerts.yaml:9:46: bad-name: this is not the name of a header
    alerts.yaml:9:69: bad-value: `labels` is no JSON pointer (did you mean `/tags`?)
    alerts.yaml:10:46: conflict: `read` is for `kind: generic`: the form of the others is known
    alerts.yaml:12:5: missing-field: `silence` needs `labels` (which alerts: `labels: { rack: a }`; `when: true` means every alert)
    alerts.yaml:13:5: missing-field: `silence` needs `why` (why nobody needs to answer, for whoever wonders)
    alerts.yaml:13:26: bad-value: `tomorrow` is no moment such as 2026-11-21T22:30:00Z
    ");
}

#[test]
fn sources_prove_who_they_are_in_their_own_way() {
    let (settings, faults) = parse_settings(&text(
        "alerts.yaml",
        "sources:
  a: { kind: alertmanager, token: env:T }
  g: { kind: grafana, hmac: env:G }
  p: { kind: pagerduty, hmac: file:pd.key }
  o: { kind: generic, hmac: 'cmd:pass o', header: X-Own }
",
    ));
    assert_eq!(faults, []);
    let sources = settings.unwrap().sources;
    let proofs: Vec<String> = sources.iter().map(|(name, source)| format!("{name}: {:?}", source.proof)).collect();
    assert_snapshot!(proofs.join("\n"), @r#"
    a: Token(Env("T"))
    g: Hmac { key: Env("G"), header: "X-Grafana-Alerting-Signature" }
    o: Hmac { key: Command("pass o"), header: "X-Own" }
    p: PagerDuty(File("pd.key"))
    "#);
}
