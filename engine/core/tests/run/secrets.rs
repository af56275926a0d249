//! Runs with secrets: nothing begins without them, and who takes a run over has none of them.

use std::collections::BTreeMap;

use piton_core::ids::ParamName;
use piton_core::run::{Event, Held, Input, Word};
use piton_core::runbook::{Piece, Sealed};
use piton_testkit::machine::{Machine, task};
use piton_testkit::plans::plan;

const RUNBOOK: &str = r#"
runbook: r
params: { token: { type: secret, from: "env:TOKEN" }, spare: { type: secret, required: false }, vm: { type: name, default: web1 } }
steps:
  - { id: a, run: 'echo "$token" "$vm"', unless: look, env: { URL: "http://u:{{ token }}@{{ vm }}/{{ spare }}" } }
  - { id: b, run: plain }
"#;

fn marks(mark: &str) -> BTreeMap<ParamName, String> {
    BTreeMap::from([(ParamName::new("token").unwrap(), mark.to_owned())])
}

fn fetched(mark: &str) -> Input {
    Input::SecretsFetched { marks: marks(mark) }
}

fn missing() -> Input {
    Input::SecretsMissing { missing: marks("the environment variable TOKEN is not set") }
}

#[test]
fn a_plan_says_where_a_secret_comes_from_and_a_job_gets_what_its_script_names() {
    let plan = plan(RUNBOOK);
    let json = plan.to_json();
    assert!(json.contains(r#""secrets":{"token":{"env":"TOKEN"}}"#), "{json}");
    let mut m = Machine::start(plan);
    m.tell(fetched("k:1"));
    let open = |m: &Machine, name| m.run.job_text(&m.job(name)).unwrap();
    let token = || Piece::Secret(ParamName::new("token").unwrap());
    let text = |text: &str| Piece::Text(text.into());
    let url =
        ("URL".to_owned(), Sealed(vec![text("http://u:"), token(), text("@"), text("web1"), text("/"), text("")]));
    // `unless` does not name the secret; the step's `env` is for all of its scripts.
    assert_eq!(open(&m, "a[local]").sealed, std::slice::from_ref(&url));
    m.exit("a[local]", 1);
    assert_eq!(open(&m, "a[local]").sealed, [url, ("token".to_owned(), Sealed(vec![token()]))]);
    assert_eq!(open(&m, "a[local]").env, [("spare".into(), String::new()), ("vm".into(), "web1".into())][1..]);
    m.exit("a[local]", 0);
    assert_eq!(open(&m, "b[local]").sealed, []);
}

#[test]
fn nothing_begins_before_the_secrets_are_there() {
    let mut m = Machine::start(plan(RUNBOOK));
    assert_eq!(m.wanted(), ["fetch"]);
    assert_eq!(m.run.secrets().held, Held::Awaited);
    m.crash();
    assert_eq!(m.wanted(), ["fetch"]);
    m.tell(fetched("k:1"));
    assert_eq!(m.wanted(), ["carry a[local]#1.unless1"]);
    // What is said twice is no news.
    assert_eq!(m.tell(fetched("k:2")), []);
    assert_eq!(m.tell(missing()), []);
}

#[test]
fn missing_secrets_park_the_run_until_the_next_engine_has_them() {
    let mut m = Machine::start(plan(RUNBOOK));
    m.tell(fetched("k:1"));
    m.exit("a[local]", 1);
    m.crash();
    assert_eq!(m.wanted(), ["fetch", "carry a[local]#1.main1"], "what is in flight stays in flight");
    assert!(!m.run.is_parked());
    let events = m.tell(missing());
    assert!(matches!(events.as_slice(), [Event::SecretsMissing { .. }]), "{events:?}");
    assert!(m.run.is_parked(), "nobody may follow a job whose output cannot be masked");
    // A word is heard, and followed by whoever has the secrets.
    m.say(Word::Cancel { why: "enough".into() });
    assert!(m.run.is_parked());
    m.crash();
    assert!(!m.run.is_parked());
    m.tell(fetched("k:1"));
    m.stopped("a[local]");
    assert_eq!(m.run.task(m.run.graph().find(&task("a[local]")).unwrap()).state.word(), "failed");
    assert!(m.run.outcome().is_some());
}

#[test]
fn that_a_secret_changed_is_a_fact() {
    let changed = |from: &str, to: &str| {
        let mut m = Machine::start(plan(RUNBOOK));
        m.tell(fetched(from));
        m.crash();
        let events = m.tell(fetched(to));
        let Some(Event::SecretsFetched { changed, .. }) = events.first() else { panic!("{events:?}") };
        assert_eq!(m.run.secrets().changed.is_some(), !changed.is_empty());
        m.crash();
        m.tell(fetched(to));
        // It stays true of what began before.
        assert_eq!(m.run.secrets().changed.is_some(), !changed.is_empty());
        !changed.is_empty()
    };
    assert!(changed("k:1", "k:2"));
    assert!(!changed("k:1", "k:1"));
    // Another key, or none: nobody can tell.
    assert!(!changed("k:1", "other:2"));
    assert!(!changed("", "k:2") && !changed("k:1", ""));
}

#[test]
fn a_run_without_secrets_is_what_it_was() {
    let m = Machine::start(plan(
        "runbook: r\nparams: { s: { type: secret, required: false } }\nsteps: [{ id: a, run: 'x $s' }]\n",
    ));
    assert_eq!(m.wanted(), ["carry a[local]#1.main1"]);
    assert_eq!(m.run.secrets().held, Held::Nothing);
    assert_eq!(m.run.job_text(&m.job("a[local]")).unwrap().sealed, []);
}
