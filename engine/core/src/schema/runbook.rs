//! The form of runbooks.

use super::Form::{
    Any, Boolean, Duration, Either, Expression, Integer, List, Map, Matching, Maybe, Number, OneOrMore, Script,
    Shape as A, Template, Text, Word,
};
use super::{Shape, may, must};
use crate::runbook::words;

const NAME: &str = r"^[a-z][a-z0-9_-]*$";
const PARAM: &str = r"^[a-z][a-z0-9_]*$";
const ENV: &str = r"^[A-Za-z_][A-Za-z0-9_]*$";
const PATH: &str = r"^(/|\{\{)";
const USER: &str = r"^[A-Za-z0-9._$@][A-Za-z0-9._$@-]*$";
const OWNER: &str = r"^[A-Za-z0-9._$@][A-Za-z0-9._$@-]*(:[A-Za-z0-9._$@][A-Za-z0-9._$@-]*)?$";
const SECRET: &str = r"^(env:[^=\s]+|file:[\s\S]+|cmd:[\s\S]*\S[\s\S]*|prompt:?)$";
const SIZE: &str = r"^\s*[0-9][0-9.]*\s*([kmgtpeKMGTPE][iI]?)?[bB]?\s*$";
const VOTER: &str = r"^(%[^\s%@-][^\s%@]*|[^\s%@-][^\s%@]*(@[^\s%@-][^\s%@]*)?)$";
const FUNCTION: &str = r"^\s*[a-z][a-z0-9_-]{0,63}\.[a-z][a-z0-9_]{0,63}\s*$";
const TAG: &str = r"^[^\s,]+$";

/// A host, which may be a template, and a path behind a colon.
const FROM_PLACE: &str = r"^\s*\S[\s\S]*:(/|\{\{)";
const SOME: &str = r"^\s*([1-9][0-9]?|100)\s*%$";
const SOME_OR_NONE: &str = r"^\s*([0-9]|[1-9][0-9]|100)\s*%$";
const MODE: &str = "^[0-7]{3,4}$";

const MODE_HELP: &str = "Permission bits as three or four octal digits in quotes: \"0644\".";
const LOCKS: &str = "What it must have before it begins, and nobody else meanwhile: names, or maps.";
const SPARSE: &str = "Whether holes stay holes (true).";
const CHECKSUM: &str = "Whether what arrived is compared with what was sent (true).";
const RATE: &str = "At most so many bytes a second, such as `50M`.";

/// Every word of the language once.
const EXAMPLE: &str = include_str!("example.yaml");

/// Every map of a runbook; the first is the document.
pub(super) const SHAPES: &[Shape] = &[
    Shape {
        name: "runbook",
        help: "A runbook: a tested procedure that Piton carries out on hosts.",
        fields: &[
            must("runbook", Matching(NAME), "Its name; equals the file's."),
            may("title", Text, "One line for lists."),
            may("about", Text, "When to use it, what it touches, what it cannot undo."),
            may(
                "params",
                Maybe(&Map(PARAM, &A("parameter"))),
                "What must be said when it is run. Each is an environment variable of scripts, and a name in expressions.",
            ),
            may(
                "on_failure",
                Word(words::on_failure),
                "What happens when a task fails: stop and ask (the default), take back what was done, or go on without what needs it.",
            ),
            may("max_parallel", Integer(1, 100_000), "How many tasks may be in flight at once (256)."),
            may("locks", OneOrMore(&Either(&[Template, A("locks")])), LOCKS),
            must(
                "steps",
                List(&A("step")),
                "What to do, in order: a step waits for the one above it unless it says otherwise.",
            ),
            may("finally", List(&A("step")), "Steps that run when the others have come to an end, however that was."),
            may(
                "outputs",
                Map(PARAM, &Template),
                "What whoever calls this runbook gets from it, when all of it succeeded.",
            ),
        ],
        one_of: &[],
        example: EXAMPLE,
    },
    Shape {
        name: "step",
        help: "One step: an id, exactly one action, and modifiers.",
        fields: &[
            must("id", Matching(NAME), "A short name; expressions and people call it by that."),
            may("title", Text, "One line for people."),
            may(
                "run",
                Script,
                "A script for each host. It is constant text: a value reaches it as an environment variable, \"$vm\".",
            ),
            may("exec", List(&Template), "A program and its words, without a shell; each template stays one word."),
            may("put", A("put"), "Brings a file or directory to the host."),
            may("get", A("get"), "Brings a file or directory from the host."),
            may("transfer", A("transfer"), "Brings a file from one host to another."),
            may(
                "reboot",
                Either(&[Boolean, A("reboot")]),
                "Has the host start anew, and waits until it answers again.",
            ),
            may(
                "hook",
                Either(&[Script, A("hook")]),
                "A function of the project's scripts, `libvirt.guests`, or a few lines of Rhai. It may call hosts.",
            ),
            may(
                "assert",
                OneOrMore(&Either(&[Expression, A("assert")])),
                "Conditions that must hold. All are evaluated, all failures shown.",
            ),
            may("wait", A("wait"), "Waits for some time, or until a script exits 0."),
            may(
                "approve",
                Either(&[Template, A("approve")]),
                "Waits until people agree: what they are asked, or a map.",
            ),
            may(
                "call",
                Either(&[Matching(NAME), A("call")]),
                "Carries out another runbook of the project: its name, or a map.",
            ),
            may(
                "steps",
                List(&A("step")),
                "A block: several steps as one, for `for_each`, `when`, `hosts` and `batch`. Its steps run on its hosts.",
            ),
            may(
                "before",
                Either(&[Script, A("hook")]),
                "A hook that is called before the action; where it fails, the step fails and its action does not begin.",
            ),
            may(
                "after",
                Either(&[Script, A("hook")]),
                "A hook that is called when the action was done and `verify` passed.",
            ),
            may(
                "hosts",
                OneOrMore(&Template),
                "Where: names, groups, patterns, or a template that gives a list. Left out: the machine that runs Piton.",
            ),
            may("needs", OneOrMore(&Text), "The steps it waits for; `[]` for none. Left out: the step above."),
            may("barrier", Boolean, "Wait for all tasks of the needed steps, also where both run on the same hosts."),
            may("when", Expression, "An expression; where it is false the step is left out and the rest goes on."),
            may(
                "for_each",
                Either(&[List(&Any), Expression]),
                "Once for each of these: a list, or an expression that gives one. Expressions see it as `item`.",
            ),
            may(
                "batch",
                OneOrMore(&Either(&[Integer(1, 1_000_000), Matching(SOME)])),
                "How many of its hosts or items at a time, batch by batch; the last size repeats.",
            ),
            may(
                "max_failures",
                Either(&[Integer(0, 1_000_000), Matching(SOME_OR_NONE)]),
                "How many of its hosts or items may fail before no further one begins.",
            ),
            may("max_parallel", Integer(1, 100_000), "How many of its hosts or items may be under way at once."),
            may("unless", Script, "A script that exits 0 where the work is done already."),
            may("verify", Either(&[Script, A("verify")]), "A script that must exit 0 afterwards."),
            may("undo", Either(&[Script, A("undo")]), "Takes the step back, also where it only may have happened."),
            may("shell", Text, "The interpreter of the step's scripts (sh)."),
            may(
                "repeat",
                Word(words::repeat),
                "May an attempt whose outcome is lost be run again? `safe`: yes. `ask` (the default): a person decides.",
            ),
            may(
                "retry",
                Either(&[Integer(1, 10_000), A("retry")]),
                "How a failed attempt is tried again: how many times, or a map.",
            ),
            may("timeout", Duration, "How long one attempt may take, connecting included; then all of it is killed."),
            may("estimate", Duration, "How long it usually takes, as long as no run has shown it."),
            may("become", Matching(USER), "The user to become on the host, through `sudo -n`."),
            may("env", Map(ENV, &Template), "Further environment variables for its scripts."),
            may(
                "outputs",
                Map(PARAM, &A("output")),
                "Values to read out of what it printed, besides the lines that it adds to $PITON_OUTPUT.",
            ),
            may(
                "on_failure",
                Word(words::on_failure),
                "What happens when a task of this step fails; instead of what the runbook says.",
            ),
            may("locks", OneOrMore(&Either(&[Template, A("locks")])), LOCKS),
            may("point_of_no_return", Boolean, "Once this step has begun, nothing is undone automatically."),
            may("no_log", Boolean, "Keep no output of it."),
            may("tags", OneOrMore(&Matching(TAG)), "Words to find it by."),
        ],
        one_of: &[
            "run", "exec", "put", "get", "transfer", "reboot", "hook", "assert", "wait", "approve", "call", "steps",
        ],
        example: EXAMPLE,
    },
    Shape {
        name: "parameter",
        help: "A parameter: its type, and what values it takes.",
        fields: &[
            must("type", Word(words::param_types), "What kind of value it takes."),
            may("help", Text, "A sentence for the person who fills it in."),
            may("default", Any, "The value where none is given; it must be a right one."),
            may("required", Boolean, "Whether a run cannot begin without a value (true where there is no default)."),
            may(
                "min",
                Either(&[Number(f64::MIN, f64::MAX), Text]),
                "The smallest number, size or duration, or the shortest text or list.",
            ),
            may("max", Either(&[Number(f64::MIN, f64::MAX), Text]), "The largest, likewise."),
            may("pattern", Text, "A regular expression that the whole text must match."),
            may(
                "from",
                Matching(SECRET),
                "Where a secret comes from: `env:NAME`, `file:PATH`, `cmd:COMMAND` or `prompt`.",
            ),
            may("choices", List(&Text), "The values there are, for the type `enum`."),
        ],
        one_of: &[],
        example: EXAMPLE,
    },
    Shape {
        name: "put",
        help: "A file or directory to the host.",
        fields: &[
            may("from", Template, "A path on the machine that runs Piton, from the project's top."),
            may("content", Template, "The text itself, instead of a file."),
            must("to", Matching(PATH), "An absolute path on the host."),
            may("mode", Matching(MODE), MODE_HELP),
            may("owner", Matching(OWNER), "`user` or `user:group`."),
            may("secret", Boolean, "The content may hold secrets: no one but the owner may read the file."),
            may("sparse", Boolean, SPARSE),
            may("checksum", Boolean, CHECKSUM),
            may("rate", Matching(SIZE), RATE),
        ],
        one_of: &["from", "content"],
        example: EXAMPLE,
    },
    Shape {
        name: "get",
        help: "A file or directory from the host.",
        fields: &[
            must("from", Matching(PATH), "An absolute path on the host."),
            must("to", Template, "A path on the machine that runs Piton; `{{ host.name }}` in it keeps hosts apart."),
            may("sparse", Boolean, SPARSE),
            may("checksum", Boolean, CHECKSUM),
            may("rate", Matching(SIZE), RATE),
        ],
        one_of: &[],
        example: EXAMPLE,
    },
    Shape {
        name: "transfer",
        help: "A file from one host to another: directly where they reach each other, else through this machine.",
        fields: &[
            must("from", Matching(FROM_PLACE), "A host and an absolute path on it: `hv1:/data/disk.img`."),
            must("to", Template, "A host and an absolute path; without the host, on each of the step's `hosts`."),
            may("mode", Matching(MODE), MODE_HELP),
            may("owner", Matching(OWNER), "`user` or `user:group`."),
            may("sparse", Boolean, SPARSE),
            may("checksum", Boolean, CHECKSUM),
            may("rate", Either(&[Matching(SIZE), Template]), RATE),
        ],
        one_of: &[],
        example: EXAMPLE,
    },
    Shape {
        name: "reboot",
        help: "A host starts anew, and is waited for until it answers with another boot id.",
        fields: &[
            may("message", Template, "What its users are told."),
            may("timeout", Duration, "How long it may take to answer again."),
            may("command", Script, "What has it start anew, instead of the usual ways."),
        ],
        one_of: &[],
        example: EXAMPLE,
    },
    Shape {
        name: "approve",
        help: "People decide whether the run goes on.",
        fields: &[
            must("prompt", Template, "What they are asked to agree to, as it is when they are asked."),
            may(
                "who",
                OneOrMore(&Matching(VOTER)),
                "Who may say: users, `user@machine`, unix groups as `%group`. Left out: everybody.",
            ),
            may("count", Integer(1, 100), "How many must say yes (1)."),
            may("not_requester", Boolean, "Whether the one who asked for the run has no say (true)."),
            may("timeout", Duration, "How long to wait; left out: as long as it takes."),
            may(
                "on_timeout",
                Word(|| vec!["fail", "approve"]),
                "What happens when that time is over (fail); only with `timeout`.",
            ),
        ],
        one_of: &[],
        example: EXAMPLE,
    },
    Shape {
        name: "call",
        help: "Another runbook of the project, with values for its parameters.",
        fields: &[
            must("runbook", Matching(NAME), "Its name."),
            may("with", Map(PARAM, &Any), "Values for its parameters; in texts `{{ }}` holds expressions."),
        ],
        one_of: &[],
        example: EXAMPLE,
    },
    Shape {
        name: "hook",
        help: "A function of the project's scripts, with arguments.",
        fields: &[
            must(
                "call",
                Matching(FUNCTION),
                "`script.function`: a file in `scripts/` without `.rhai`, and a function in it.",
            ),
            may("args", List(&Template), "The arguments, in order."),
        ],
        one_of: &[],
        example: EXAMPLE,
    },
    Shape {
        name: "locks",
        help: "A lock: alone, unless it is shared or counted.",
        fields: &[
            must("name", Template, "Its name: one word, such as `vm/{{ vm }}`."),
            may("shared", Boolean, "Held together with all who share it."),
            may("count", Integer(1, 10_000), "How many may hold it at once (1)."),
        ],
        one_of: &[],
        example: EXAMPLE,
    },
    Shape {
        name: "assert",
        help: "A condition, and what to say where it does not hold.",
        fields: &[
            must("that", Expression, "An expression that must be true."),
            may("else", Template, "What to say where it is not."),
        ],
        one_of: &[],
        example: EXAMPLE,
    },
    Shape {
        name: "wait",
        help: "Waits for some time, or until a script exits 0.",
        fields: &[
            may("for", Duration, "How long."),
            may("until", Script, "A script that is asked until it exits 0."),
            may("within", Duration, "How long to go on asking."),
            may("every", Duration, "The pause between two questions (2s)."),
        ],
        one_of: &["for", "until"],
        example: EXAMPLE,
    },
    Shape {
        name: "verify",
        help: "A script that must exit 0 after the work.",
        fields: &[
            must("run", Script, "The script."),
            may("within", Duration, "How long to go on asking; left out: once."),
            may("every", Duration, "The pause between two questions (2s)."),
        ],
        one_of: &[],
        example: EXAMPLE,
    },
    Shape {
        name: "undo",
        help: "A script that takes the step back.",
        fields: &[
            must("run", Script, "The script."),
            may("timeout", Duration, "How long it may take; left out: as long as the step."),
        ],
        one_of: &[],
        example: EXAMPLE,
    },
    Shape {
        name: "retry",
        help: "How a failed attempt is tried again.",
        fields: &[
            must("times", Integer(1, 10_000), "How many further attempts."),
            may("delay", Duration, "The pause before the first of them (1s)."),
            may("backoff", Number(1.0, 100.0), "What the pause is multiplied by each time (2)."),
            may("max_delay", Duration, "The longest pause (5m)."),
            may(
                "on",
                OneOrMore(&Matching(r"^([1-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5]|timeout|unreachable)$")),
                "Which failures: exit statuses, `timeout`, `unreachable`; left out: every one.",
            ),
        ],
        one_of: &[],
        example: EXAMPLE,
    },
    Shape {
        name: "output",
        help: "A value to read out of what a script printed.",
        fields: &[
            must("from", Word(|| vec!["stdout"]), "Where it is read from."),
            may("match", Text, "A regular expression: its first group, or the whole match."),
            may("json", Matching("^(/.*)?$"), "A JSON pointer (RFC 6901) into what was printed."),
        ],
        one_of: &[],
        example: EXAMPLE,
    },
];
