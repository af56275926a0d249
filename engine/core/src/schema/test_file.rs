//! The form of test files.

use super::Form::{
    Any, Boolean, Duration, Either, Expression, Integer, List, Map, Matching, Maybe, OneOrMore, Shape as A, Template,
    Text, Word,
};
use super::{Shape, may, must};
use crate::testing::words;

const EXAMPLE: &str = "
test: example
about: All of it
hosts: { h1: { state: { n: 1 }, labels: { a: b }, vars: { c: 1 } }, local: }
groups: { all_of_them: [h1] }
params: { p: 1, q: [a, b] }
secrets: { s: t }
answers:
  - { step: a, part: run, host: h1, script: x, attempt: 1, round: 1, when: 'true', exit: 1, stdout: a, stderr: b, outputs: { a: b }, set: { n: 2 }, elsewhere: { h1: { n: 3 } }, later: { after: 3s, set: { n: 4 } }, takes: 2s }
  - { step: b, passes: 'true' }
  - { step: c, hangs: true }
model: 'fn answer(host, task, script, env) { 0 }'
always: [{ that: 'true', else: x }]
undone: ['true']
tests:
  - name: one
    params: { p: 2 }
    hosts: { h1: { state: { n: 2 } } }
    answers: []
    says: [{ say: retry, at: 'a[h1]', by: me, why: because, outputs: { a: b } }]
    faults: { except: [{ at: a, fault: lost, why: because }] }
    expect:
      outcome: succeeded
      path: [a, [b, c]]
      order: [a, b]
      tasks: { a: ran }
      undone: []
      outputs: { a: { x: y } }
      state: { h1: { n: 2 } }
      that: 'true'
";

const NAME: &str = r"^[a-z][a-z0-9_-]*$";
const CONDITIONS: super::Form = OneOrMore(&Either(&[Expression, A("condition")]));

/// Every map of a test file; the first is the document.
pub(super) const SHAPES: &[Shape] = &[
    Shape {
        name: "test file",
        help: "Tests of a runbook on simulated hosts.",
        fields: &[
            must("test", Matching(NAME), "The runbook's name; also that of this file, before `.test.yaml`."),
            may("about", Text, "For people."),
            may("hosts", Map("", &Maybe(&A("host"))), "The hosts there are; `local` is the machine that runs Piton."),
            may("groups", Map("", &OneOrMore(&Text)), "Lists of these hosts."),
            may("params", Map("", &Any), "Values for the runbook's parameters, in all tests."),
            may("secrets", Map("", &Any), "Stand-ins for the runbook's secrets, in all tests."),
            may("answers", List(&A("answer")), "What scripts do, in all tests; the first that fits answers."),
            may("model", Text, "A function in Rhai for scripts that no answer fits."),
            may("always", CONDITIONS, "Conditions that hold at every moment."),
            may("undone", CONDITIONS, "Conditions that hold whenever a run was undone."),
            must("tests", List(&A("test")), "The tests."),
        ],
        one_of: &[],
        example: EXAMPLE,
    },
    Shape {
        name: "host",
        help: "A simulated host.",
        fields: &[
            may("state", Map("", &Any), "What it is like at the beginning; scripts change it."),
            may("labels", Map("", &Text), "Words to select hosts by."),
            may("vars", Map("", &Any), "Values that expressions read as `host.vars.NAME`."),
        ],
        one_of: &[],
        example: EXAMPLE,
    },
    Shape {
        name: "answer",
        help: "Which scripts, and what they do.",
        fields: &[
            may("step", OneOrMore(&Text), "Steps or tasks, `*` for any letters."),
            may("part", OneOrMore(&Word(words::parts)), "Which of a step's scripts; left out: the action."),
            may("host", OneOrMore(&Text), "Hosts."),
            may("script", Text, "A regular expression, found anywhere in the script."),
            may("attempt", Integer(1, 1_000_000), "Only in this attempt."),
            may("round", Integer(1, 1_000_000), "Only when asked this time in the attempt, from 1."),
            may("when", Expression, "An expression that must be true."),
            may("exit", Integer(0, 255), "The exit status (0)."),
            may("passes", Expression, "An expression: exit 0 where it is true, else 1."),
            may("hangs", Boolean, "It never ends by itself."),
            may("stdout", Template, "What it prints."),
            may("stderr", Template, "What it prints to standard error."),
            may("outputs", Map("", &Any), "What it writes to $PITON_OUTPUT."),
            may("set", Map("", &Any), "What changes in the state of its host: a JSON merge patch."),
            may("elsewhere", Map("", &Any), "What changes on other hosts, by host."),
            may("later", A("later"), "What changes on its host some time after it began."),
            may("takes", Duration, "How long it takes (1s); no real time passes."),
        ],
        one_of: &[],
        example: EXAMPLE,
    },
    Shape {
        name: "later",
        help: "What changes some time after a script began, whether it still runs or not.",
        fields: &[
            must("after", Duration, "How long after."),
            must("set", Map("", &Any), "What changes then: a JSON merge patch."),
        ],
        one_of: &[],
        example: EXAMPLE,
    },
    Shape {
        name: "condition",
        help: "A condition, and what to say where it does not hold.",
        fields: &[
            must("that", Expression, "An expression that must be true."),
            may("else", Template, "What to say where it is not."),
        ],
        one_of: &[],
        example: EXAMPLE,
    },
    Shape {
        name: "test",
        help: "One test: a world, what is asked of it, and what must come of it.",
        fields: &[
            must("name", Text, "A sentence; `piton test --only TEXT` chooses by it."),
            may("params", Map("", &Any), "On top of the file's."),
            may("secrets", Map("", &Any), "On top of the file's."),
            may("hosts", Map("", &Maybe(&A("host"))), "On top of the file's; states are merged, `null` takes away."),
            may("answers", List(&A("answer")), "Before the file's."),
            may("says", List(&A("says")), "What people say, in this order."),
            may("faults", Either(&[Boolean, A("faults")]), "`false`, or where no fault is tried."),
            may("expect", A("expect"), "What must come of it; left out: that the run succeeds."),
        ],
        one_of: &[],
        example: EXAMPLE,
    },
    Shape {
        name: "says",
        help: "What a person says to the run.",
        fields: &[
            must("say", Word(words::said), "The word."),
            may("at", Text, "The task that it is about."),
            may("by", Text, "Who says it."),
            may("why", Text, "Why."),
            may("outputs", Map("", &Any), "Outputs, with `resolve`."),
        ],
        one_of: &[],
        example: EXAMPLE,
    },
    Shape {
        name: "faults",
        help: "Where no fault is tried.",
        fields: &[may("except", List(&A("except")), "The places that are left out, and why.")],
        one_of: &[],
        example: EXAMPLE,
    },
    Shape {
        name: "except",
        help: "A place where a fault is not tried.",
        fields: &[
            must("at", OneOrMore(&Text), "Steps, tasks, or `*`."),
            may("fault", OneOrMore(&Word(words::faults)), "Which faults; left out: all."),
            must("why", Text, "Why not."),
        ],
        one_of: &[],
        example: EXAMPLE,
    },
    Shape {
        name: "expect",
        help: "What must come of the run.",
        fields: &[
            may("outcome", Word(words::outcomes), "How it ends (succeeded)."),
            may(
                "path",
                OneOrMore(&OneOrMore(&Text)),
                "Exactly the tasks that begin, in this order; in a list within the list the order does not matter.",
            ),
            may("order", OneOrMore(&Text), "These begin in this order; others may begin between them."),
            may("tasks", Map("", &Word(words::ends)), "How tasks end."),
            may("undone", OneOrMore(&Text), "Exactly the tasks that are taken back, in this order."),
            may("outputs", Map("", &Map("", &Any)), "What tasks put out; what is not named may be anything."),
            may("state", Map("", &Any), "What is in the states of hosts at the end; `null` must not be there."),
            may("that", CONDITIONS, "Conditions that hold at the end."),
        ],
        one_of: &[],
        example: EXAMPLE,
    },
];
