//! What would happen and why, case by case.

use std::collections::BTreeSet;

use insta::assert_snapshot;
use proptest::prelude::*;

use super::*;
use crate::rules::decide::Decision;

/// A rule, what it remembers, and the time.
struct Bench {
    rules: Vec<Rule>,
    silences: Vec<Silence>,
    past: Past,
}

impl Bench {
    fn of(rules: Vec<Rule>) -> Self {
        Self { rules, silences: Vec::new(), past: Past::default() }
    }

    fn decide(&self, alert: &Alert, now: Timestamp) -> Decision {
        decide(&self.rules, &self.silences, &library(), &self.past, alert, now)
    }

    /// Decides, and remembers it.
    fn take(&mut self, alert: &Alert, now: Timestamp) -> Vec<Verdict> {
        let decision = self.decide(alert, now);
        self.past.note(&decision, now);
        decision.verdicts
    }

    fn one(&mut self, alert: &Alert, now: Timestamp) -> Verdict {
        let verdicts = self.take(alert, now);
        assert_eq!(verdicts.len(), 1);
        verdicts.into_iter().next().unwrap()
    }

    fn words(&mut self, alert: &Alert, now: Timestamp) -> &'static str {
        self.one(alert, now).outcome.word()
    }
}

/// The run that a verdict is about.
fn run_of(verdict: &Verdict) -> crate::ids::RunId {
    match &verdict.outcome {
        Outcome::Run(start) | Outcome::Propose(start) => start.run,
        Outcome::SameRun { run } | Outcome::CooledDown { run, .. } => *run,
        Outcome::Storm { .. }
        | Outcome::Capped { .. }
        | Outcome::Silenced { .. }
        | Outcome::Resolved { .. }
        | Outcome::Refused => panic!("{verdict:?} is about no run"),
    }
}

fn resolved(domain: &str) -> Alert {
    Alert { state: AlertState::Resolved, ..firing(domain) }
}

/// The same thing, wrong again later.
fn anew(domain: &str, seconds: i64) -> Alert {
    Alert { starts_at: Some(after(seconds)), ..firing(domain) }
}

#[test]
fn an_alert_that_fits_begins_one_run_however_often_it_comes() {
    let mut bench = Bench::of(vec![rule_with("mode: run")]);
    let first = bench.one(&firing("web1"), after(30));
    let Outcome::Run(start) = &first.outcome else { panic!("{first:?}") };
    let params: Vec<String> = start.params.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(params.join(" "), r#"target="hv1" tries=3 vm="web1""#);
    assert_eq!(start.runbook.as_str(), "start-guest");
    for seconds in [60, 4_000, 400_000] {
        let again = bench.one(&firing("web1"), after(seconds));
        assert_eq!((again.outcome.word(), run_of(&again)), ("same-run", start.run));
    }
    // Also when that run has failed and Alertmanager repeats itself.
    bench.past.ended(start.run);
    let again = bench.one(&firing("web1"), after(500_000));
    assert_eq!(again.outcome, Outcome::SameRun { run: start.run });
    assert!(again.why.contains("is over"), "{}", again.why);
}

/// An engine that died between the answer and the run decides the same again, about the same run.
#[test]
fn the_run_follows_from_the_rule_the_incident_and_its_beginning_alone() {
    let run = |rule: Rule, alert: &Alert, now| run_of(&Bench::of(vec![rule]).one(alert, now));
    let base = run(rule_with("mode: run"), &firing("web1"), after(1));
    assert_eq!(base, run(rule_with("mode: propose\nper_hour: 9"), &firing("web1"), after(9_999)));
    let other = RULE.replace("guest-down", "guest-gone");
    let others = [
        run(rule(&other), &firing("web1"), after(1)),
        run(rule_with(""), &firing("web2"), after(1)),
        run(rule_with(""), &anew("web1", 60), after(1)),
    ];
    assert_eq!(others.iter().chain([&base]).collect::<BTreeSet<_>>().len(), 4);
    assert_snapshot!(base, @"01MCC5RM0044R52ZMYKXNDKY1R");
}

#[test]
fn while_a_run_is_open_the_incident_begins_no_other() {
    let mut bench = Bench::of(vec![rule_with("mode: run")]);
    let run = run_of(&bench.one(&firing("web1"), after(0)));
    // It was well for a moment and is wrong again: another firing, the same incident.
    let verdict = bench.one(&resolved("web1"), after(10));
    assert_eq!(verdict.outcome, Outcome::Resolved { run: Some(run) });
    let again = bench.one(&anew("web1", 20), after(20));
    assert_eq!(again.outcome, Outcome::SameRun { run });
    bench.past.ended(run);
    let again = bench.one(&anew("web1", 60), after(60));
    assert_eq!(again.outcome, Outcome::CooledDown { run, until: after(900) });
    assert_snapshot!(again.why, @"run 01MCC5RM0044R52ZMYKXNDKY1R was begun for it 1m ago, and the rule cools down for 15m");
    let again = bench.one(&anew("web1", 899), after(900));
    assert_eq!(again.outcome.word(), "run");
    assert_ne!(run_of(&again), run);
    // Another guest has nothing to do with it.
    assert_eq!(bench.words(&firing("web2"), after(901)), "run");
}

#[test]
fn a_key_says_what_the_same_incident_is() {
    let mut bench = Bench::of(vec![rule_with("key: '{{ labels.domain }}'\nmode: run")]);
    let print = |text: &str| Alert { fingerprint: text.to_owned(), ..firing("web1") };
    let run = run_of(&bench.one(&print("by one exporter"), after(0)));
    assert_eq!(run_of(&bench.one(&print("by another"), after(1))), run);
    let mut nameless = firing("web1");
    nameless.labels.remove("domain");
    let verdict = bench.one(&nameless, after(2));
    assert_eq!(verdict.outcome, Outcome::Refused);
    assert_snapshot!(verdict.why, @"its `key` cannot be told: `labels.domain`: there is no `domain` in `labels`; there is `alertname`");
    nameless.labels.insert("domain".to_owned(), " ".to_owned());
    assert_snapshot!(bench.one(&nameless, after(3)).why, @"its `key` is empty, and nothing could be told apart by it");
}

#[test]
fn no_more_runs_than_the_cap_within_any_hour() {
    let mut bench = Bench::of(vec![rule_with("mode: run\nper_hour: 2\nstorm: { alerts: 1000 }")]);
    assert_eq!(bench.words(&firing("a"), after(0)), "run");
    assert_eq!(bench.words(&firing("b"), after(600)), "run");
    let third = bench.one(&firing("c"), after(1_200));
    assert_eq!(third.outcome, Outcome::Capped { until: after(3_600) });
    assert_snapshot!(third.why, @"the rule began 2 runs within the last hour, and may begin 2");
    assert_eq!(bench.words(&firing("c"), after(3_599)), "capped");
    assert_eq!(bench.words(&firing("c"), after(3_600)), "run");
    assert_eq!(bench.one(&firing("d"), after(3_601)).outcome, Outcome::Capped { until: after(4_200) });
}

#[test]
fn in_a_storm_nothing_is_begun() {
    let mut bench = Bench::of(vec![rule_with("mode: run\nper_hour: 1000\nstorm: { alerts: 3, within: 1m }")]);
    for (seconds, name) in [(0, "a"), (1, "b"), (2, "c")] {
        assert_eq!(bench.words(&firing(name), after(seconds)), "run");
    }
    let verdict = bench.one(&firing("d"), after(3));
    assert_eq!(verdict.outcome, Outcome::Storm { incidents: 4 });
    assert_snapshot!(verdict.why, @"it is one of 4 incidents within 1m, more than 3: that is a storm");
    // The same incident again and again is no storm, and after a quiet minute it is over.
    assert_eq!(bench.words(&anew("d", 60), after(62)), "run");
}

#[test]
fn a_thousand_alerts_in_a_burst_begin_few_runs() {
    let mut bench = Bench::of(vec![rule_with("mode: run")]);
    let words: Vec<&str> = (0..1_000).map(|n| bench.words(&firing(&format!("web{n}")), after(n / 100))).collect();
    let count = |word| words.iter().filter(|w| **w == word).count();
    assert_eq!((count("run"), count("capped"), count("storm")), (4, 6, 990));
    // And once more, as a sender does that got no answer.
    let begun = |past: &Past| past.started_by(&bench.rules[0].name).count();
    assert_eq!(begun(&bench.past), 4);
}

#[test]
fn what_is_silenced_is_said_to_be() {
    let mut bench = Bench::of(vec![rule_with("mode: run")]);
    let yaml = "silences:
  - { labels: { domain: web1 }, until: 2027-01-15T08:01:00Z, why: is being moved }
  - { labels: { domain: web2 }, rules: [another], why: not about this rule }
  - { when: labels.nothing == 1, why: cannot be told }
";
    bench.silences = parse_settings(&text("alerts.yaml", yaml)).0.unwrap().silences;
    let verdict = bench.one(&firing("web1"), after(30));
    assert_eq!(verdict.outcome, Outcome::Silenced { until: Some(after(60)) });
    assert_eq!(verdict.why, "is being moved");
    assert_eq!(bench.words(&firing("web2"), after(31)), "run");
    assert_eq!(bench.words(&firing("web1"), after(60)), "run");
    assert_eq!(bench.words(&resolved("web1"), after(61)), "resolved");
}

#[test]
fn what_concerns_no_rule_says_why() {
    let rules = vec![
        rule(&format!("{RULE}from: [grafana, pager]\n")),
        rule("rule: b\nlabels: { alertname: [DiskFull, DiskBad], rack: a }\nrunbook: start-guest\n"),
        rule("rule: c\nlabels: { rack: a }\nrunbook: start-guest\n"),
        rule("rule: d\nwhen: labels.domain.starts_with(\"db\")\nrunbook: start-guest\n"),
        rule("rule: e\nwhen: labels.rack == \"a\"\nrunbook: start-guest\n"),
        rule("rule: f\nwhen: alert.title\nrunbook: start-guest\n"),
    ];
    let decision = Bench::of(rules).decide(&firing("web1"), after(0));
    assert_eq!(decision.verdicts, []);
    let why: Vec<String> = decision.passed.iter().map(|(rule, why)| format!("{rule}: {why}")).collect();
    assert_snapshot!(why.join("\n"), @r#"
    guest-down: it comes from `prometheus`, not from `grafana` or `pager`
    b: its label `alertname` is `GuestDown`, not `DiskBad` or `DiskFull`
    c: the alert has no label `rack`
    d: `labels.domain.starts_with("db")` is false
    e: `labels.rack == "a"`: there is no `rack` in `labels`; there is `alertname`, `domain`
    f: `alert.title`: it is "", a text, and must be true or false
    "#);
}

#[test]
fn what_the_runbook_does_not_take_is_refused() {
    let with = |with: &str| {
        rule(&format!("rule: r\nlabels: {{ alertname: GuestDown }}\nrunbook: start-guest\nmode: run\nwith: {with}\n"))
    };
    let why: Vec<String> = [
        "{ vm: '{{ labels.domain }}' }",
        "{ vm: '{{ labels.nothing }}', tries: '{{ 7 }}' }",
        "{ target: '{{ labels.domain }}', other: 1 }",
        "{ vm: x, tries: '{{ labels.alertname }}' }",
    ]
    .into_iter()
    .map(|given| {
        let verdict = Bench::of(vec![with(given)]).one(&firing("-rf /"), after(0));
        assert_eq!(verdict.outcome, Outcome::Refused, "{given}");
        verdict.why
    })
    .collect();
    assert_snapshot!(why.join("\n"), @"
    `vm`: `-rf /` is not a name: letters, digits, `.`, `_`, `-`, `@`, `+`, `:`, not beginning with `-`
    `vm`: `labels.nothing`: there is no `nothing` in `labels`; there is `alertname`, `domain`; `tries`: it is 7, more than 5
    `start-guest` has no parameter `other`; `vm`: the rule gives it no value; `target`: `-rf /` is not a host name: letters, digits, `.`, `_` or `-`, not beginning with `-` or `.`, 253 at most
    `tries`: `GuestDown` is not a whole number (of 64 bits)
    ");
    let gone = rule("rule: r\nwhen: true\nrunbook: gone\n");
    assert_eq!(Bench::of(vec![gone]).one(&firing("a"), after(0)).why, "there is no runbook `gone`");
}

#[test]
fn each_rule_answers_for_itself() {
    let other = RULE.replace("guest-down", "tell");
    let mut bench = Bench::of(vec![rule_with("mode: run"), rule(&other)]);
    let words: Vec<&str> = bench.take(&firing("web1"), after(0)).iter().map(|v| v.outcome.word()).collect();
    assert_eq!(words, ["run", "propose"]);
}

#[test]
fn what_is_old_can_be_forgotten() {
    let mut bench = Bench::of(vec![rule_with("mode: run")]);
    let run = run_of(&bench.one(&firing("web1"), after(0)));
    bench.past.forget_before(after(10));
    assert_eq!(bench.words(&firing("web1"), after(20)), "same-run", "a run that is open is not forgotten");
    bench.past.ended(run);
    bench.past.forget_before(after(100));
    assert_eq!(bench.past, Past::default());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever comes in whatever order, and however the clock jumps: no incident has two open runs, no run begins twice, and no
    /// hour has more of them than the cap.
    #[test]
    fn no_order_of_news_begins_too_much(news in prop::collection::vec((0..4_usize, 0..3_i64, -600..4_000_i64, any::<bool>(), any::<bool>()), 1..80)) {
        let mut bench = Bench::of(vec![rule_with("mode: run\nper_hour: 3\nstorm: { alerts: 3, within: 2m }")]);
        let mut begun: Vec<(crate::ids::RunId, Timestamp, usize)> = Vec::new();
        let mut open = BTreeSet::new();
        let mut clock = 0;
        for (guest, round, step, is_over, ends) in news {
            clock += step;
            let state = if is_over { AlertState::Resolved } else { AlertState::Firing };
            let alert = Alert { state, ..anew(&format!("web{guest}"), round * 1_000) };
            let verdict = bench.one(&alert, after(clock));
            if let Outcome::Run(start) = &verdict.outcome {
                prop_assert!(open.insert(guest), "two open runs");
                prop_assert!(begun.iter().all(|(run, ..)| *run != start.run), "one run twice");
                let within = begun.iter().filter(|(_, at, _)| at.plus(Duration::from_secs(3_600)) > after(clock));
                prop_assert!(within.count() < 3, "too many in an hour");
                begun.push((start.run, after(clock), guest));
            }
            if ends && let Some((run, _, guest)) = begun.last() {
                bench.past.ended(*run);
                open.remove(guest);
            }
        }
    }
}
