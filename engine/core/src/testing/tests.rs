use serde_json::json;

use super::*;
use crate::fault::Fault;
use crate::ids::{AttemptId, JobId};

fn read(text: &str) -> Result<TestFile, Vec<Fault>> {
    let source = Source { name: "x.test.yaml".into(), text: text.into() };
    let (file, faults) = parse(&source);
    file.ok_or(faults)
}

fn test(more: &str) -> Test {
    let text = format!(
        "test: x\nhosts: {{ h1: {{ state: {{ n: 1, up: true }} }}, h2: {{}} }}\ntests: [ {{ name: t }} ]\n{more}"
    );
    read(&text).unwrap_or_else(|faults| panic!("{faults:?}")).tests.remove(0)
}

fn job(task: &str, part: Part, number: u32) -> JobId {
    JobId { attempt: AttemptId { task: task.parse().unwrap(), number }, part, round: 1 }
}

fn ask(test: &Test, job: &JobId, script: &str) -> Result<Reply, Unanswered> {
    let world = World::new(&test.states, &BTreeMap::new());
    let host = job.attempt.task.host.clone().unwrap();
    let env = [("vm".to_owned(), "web1".to_owned())];
    test.reply(&Question { job, host: &host, script, env: &env }, &world)
}

#[test]
fn the_first_answer_that_fits_is_given() {
    let test = test(
        r#"
answers:
  - { step: a, attempt: 2, exit: 7 }
  - { step: a, host: h2, exit: 2 }
  - { step: a, part: verify, passes: state.up && state.n > 0 }
  - { step: "a*", when: "env.vm == \"web1\"", exit: 3, outputs: { vm: "{{ env.vm }}", n: "{{ state.n }}" } }
  - { script: '^virsh\s', exit: 4, set: { seen: "{{ task }}", n: null } }
"#,
    );
    let exit = |job: &JobId, script: &str| ask(&test, job, script).unwrap().exit;
    assert_eq!(exit(&job("a[h1]", Part::Main, 2), ""), Some(7));
    assert_eq!(exit(&job("a[h2]", Part::Main, 1), ""), Some(2));
    assert_eq!(exit(&job("a[h1]", Part::Verify, 1), ""), Some(0));
    assert_eq!(exit(&job("ab[h1]", Part::Main, 1), ""), Some(3));
    assert_eq!(ask(&test, &job("a[h1]", Part::Main, 1), "").unwrap().outputs, "n=1\nvm=web1\n");
    let reply = ask(&test, &job("b[h1]", Part::Undo, 1), "virsh start x").unwrap();
    assert_eq!(reply.exit, Some(4));
    assert_eq!(reply.changes[0].1, Change::Merge(json!({ "seen": "b[h1]", "n": null })));
    let Unanswered(fault) = ask(&test, &job("b[h1]", Part::Unless, 1), "test -e /x").unwrap_err();
    assert!(fault.message.contains("`unless` of b[h1] on h1"), "{fault}");
    assert!(fault.hint.unwrap().contains("- { step: b, part: unless, exit: 0 }"));
}

#[test]
fn a_model_answers_what_no_answer_fits_and_changes_the_state_of_its_host() {
    let test = test(
        r#"
answers: [ { step: a, exit: 9 } ]
model: |
  fn answer(host, task, script, env) {
    if task.step == "b" { this.n += 1; return #{ exit: 5, stdout: host + env.vm, outputs: #{ n: this.n } }; }
    if task.step == "c" { return this.up; }
    if task.step == "d" { loop { } }
    if task.step == "e" { return #{ exot: 1 }; }
    if task.step == "f" { return 300; }
  }
"#,
    );
    assert_eq!(ask(&test, &job("a[h1]", Part::Main, 1), "").unwrap().exit, Some(9));
    let reply = ask(&test, &job("b[h1]", Part::Main, 1), "").unwrap();
    assert_eq!((reply.exit, reply.stdout.as_str(), reply.outputs.as_str()), (Some(5), "h1web1", "n=2\n"));
    let Change::Replace(state) = &reply.changes[0].1 else { panic!("{reply:?}") };
    assert_eq!(state.get("n"), Some(&json!(2)));
    let looked = ask(&test, &job("c[h1]", Part::Verify, 1), "").unwrap();
    assert_eq!((looked.exit, looked.changes.len()), (Some(0), 0));
    for (task, why) in
        [("d[h1]", "operations"), ("e[h1]", "there is no `exot`"), ("f[h1]", "300 is not an exit status")]
    {
        let Unanswered(fault) = ask(&test, &job(task, Part::Main, 1), "").unwrap_err();
        assert!(fault.message.contains(why) || fault.message.contains("Too many"), "{task}: {fault}");
    }
    assert!(ask(&test, &job("g[h1]", Part::Main, 1), "").is_err(), "the model has no answer");
}

#[test]
fn states_are_merged_and_null_takes_away() {
    let host = HostName::new("h1").unwrap();
    let states =
        BTreeMap::from([(host.clone(), json!({ "a": { "b": 1, "c": 2 }, "d": [1] }).as_object().unwrap().clone())]);
    let mut world = World::new(&states, &BTreeMap::new());
    assert!(!world.change(&host, &Change::Merge(json!({ "a": { "b": 1 } }))), "nothing is different");
    assert!(
        world.change(&host, &Change::Merge(json!({ "a": { "b": null, "e": { "f": null, "g": 1 } }, "d": { "h": 1 } })))
    );
    assert_eq!(Value::Object(world.state(&host)), json!({ "a": { "c": 2, "e": { "g": 1 } }, "d": { "h": 1 } }));
    assert!(world.write(&host, "/x", "text"));
    assert_eq!(world.file(&host, "/x"), Some("text"));
}

#[test]
fn a_pattern_means_a_step_a_task_or_many() {
    let task: TaskId = "copy-disk[hv1]".parse().unwrap();
    for pattern in ["copy-disk", "copy-disk[hv1]", "*", "copy*", "*[hv1]", "c*-*k", "copy-disk[*]", "*disk*"] {
        assert!(means(pattern, &task), "{pattern}");
    }
    for pattern in ["copy", "copy-disk[hv2]", "*[hv2]", "d*", "", "copy-disk*disk*disk"] {
        assert!(!means(pattern, &task), "{pattern}");
    }
}

#[test]
fn nothing_that_is_written_makes_it_panic() {
    for text in [
        "",
        "[]",
        "test: x",
        "test: x\ntests: x",
        "test: x\nhosts: 1\ntests: [1]",
        "tests: [ { name: { } } ]",
        "a: &a [*a]",
    ] {
        assert!(read(text).is_err(), "{text}");
    }
}
