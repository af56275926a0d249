//! The form of rules, and of `alerts.yaml`.

use super::Form::{
    Any, Duration, Expression, Integer, List, Map, Matching, OneOrMore, Shape as A, Template, Text, Word,
};
use super::{Shape, may, must};
use crate::rules::words;

const NAME: &str = r"^[a-z][a-z0-9_-]*$";
const POINTER: &str = r"^(/|$)";
const SECRET: &str = r"^(env|file|cmd):";

const RULE: &str = "
rule: guest-down
title: A guest that should run does not
about: All of it
from: [prometheus]
labels: { alertname: GuestDown, severity: [critical, page] }
when: labels.domain != \"\"
key: '{{ labels.domain }}'
runbook: start-guest
with: { vm: '{{ labels.domain }}', tries: 3 }
mode: propose
cool_down: 15m
per_hour: 4
storm: { alerts: 10, within: 5m }
";

const ALERTS: &str = "
sources:
  prometheus: { kind: alertmanager, token: env:ALERT_TOKEN }
  own:
    kind: generic
    hmac: file:own.key
    header: X-Signature
    read: { alerts: /items, fingerprint: /id, state: /status, resolved: [ok], labels: /tags, annotations: /notes, starts_at: /since, title: /text }
silences:
  - { labels: { rack: a }, when: 'true', rules: [guest-down], until: 2026-12-01T06:00:00Z, why: the rack is rewired }
";

const LABELS: super::Form = Map("", &OneOrMore(&Text));

/// Every map of a rule; the first is the document.
pub(super) const RULES: &[Shape] = &[
    Shape {
        name: "rule",
        help: "Which alerts are answered by which runbook.",
        fields: &[
            must("rule", Matching(NAME), "Its name; also that of its file."),
            may("title", Text, "One line for lists."),
            may("about", Text, "For people."),
            may("from", OneOrMore(&Matching(NAME)), "Whose alerts: names of `sources` in alerts.yaml; left out: all."),
            may("labels", LABELS, "Labels that the alert must have, each with one of these texts."),
            may(
                "when",
                Expression,
                "An expression that must be true: it sees `labels`, `annotations`, `alert` and `body`.",
            ),
            may("key", Template, "What counts as the same incident; left out: the alert's fingerprint."),
            must("runbook", Matching(NAME), "The runbook that the alert asks for."),
            may("with", Map("", &Any), "Values for its parameters; texts are templates."),
            may("mode", Word(words::modes), "`propose` (a person approves) or `run` (`propose`)."),
            may("cool_down", Duration, "How long after one run for an incident no other is begun for it (15m)."),
            may("per_hour", Integer(1, 1000), "How many runs the rule begins in any hour (4)."),
            may("storm", A("storm"), "When so much is wrong at once that the rule keeps still."),
        ],
        one_of: &[],
        example: RULE,
    },
    Shape {
        name: "storm",
        help: "When so much is wrong at once that the rule keeps still.",
        fields: &[
            must("alerts", Integer(1, 100_000), "How many incidents are not a storm yet (10)."),
            may("within", Duration, "Within which time (5m)."),
        ],
        one_of: &[],
        example: RULE,
    },
];

/// Every map of `alerts.yaml`; the first is the document.
pub(super) const SETTINGS: &[Shape] = &[
    Shape {
        name: "alerts",
        help: "Who may send alerts, and which of them are not to be answered.",
        fields: &[
            may("sources", Map(NAME, &A("source")), "Those who send alerts, by name."),
            may("silences", List(&A("silence")), "Alerts that are recorded and not answered."),
        ],
        one_of: &[],
        example: ALERTS,
    },
    Shape {
        name: "source",
        help: "Somebody who sends alerts, and how it is known that it is them.",
        fields: &[
            must("kind", Word(words::kinds), "In which form."),
            may("token", Matching(SECRET), "Where the token comes from that they send as `Authorization: Bearer …`."),
            may("hmac", Matching(SECRET), "Where the key comes from that they sign with (HMAC-SHA256)."),
            may("header", Text, "The header with the signature."),
            may("read", A("read"), "With `kind: generic`: where in the body what is."),
        ],
        one_of: &["token", "hmac"],
        example: ALERTS,
    },
    Shape {
        name: "read",
        help: "Where in a JSON body an alert has what: JSON pointers from the alert.",
        fields: &[
            may(
                "alerts",
                Matching(POINTER),
                "Where the list of alerts is; left out: the body is one alert, or a list.",
            ),
            may("fingerprint", Matching(POINTER), "What the sender knows the alert by (/fingerprint)."),
            may("state", Matching(POINTER), "Whether it is wrong or well (/state); where it is missing, it is wrong."),
            may("resolved", OneOrMore(&Text), "The words there which mean that it is well (resolved, ok)."),
            may("labels", Matching(POINTER), "A map of texts (/labels)."),
            may("annotations", Matching(POINTER), "A map of texts (/annotations)."),
            may("starts_at", Matching(POINTER), "Since when it is wrong (/starts_at)."),
            may("title", Matching(POINTER), "One line for people (/title)."),
        ],
        one_of: &[],
        example: ALERTS,
    },
    Shape {
        name: "silence",
        help: "Alerts that are recorded and not answered.",
        fields: &[
            may("labels", LABELS, "Labels that the alert must have, each with one of these texts."),
            may("when", Expression, "An expression that must be true."),
            may("rules", OneOrMore(&Matching(NAME)), "For which rules; left out: for all."),
            may("until", Text, "Until when, such as 2026-12-01T06:00:00Z; left out: until it is taken out."),
            must("why", Text, "Why, for whoever wonders."),
        ],
        one_of: &[],
        example: ALERTS,
    },
];
