//! Hooks through the binary, on a real sshd: the engine is killed in the middle of one, scripts run away, secrets are printed.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod played;
mod secrets;

use std::fs;
use std::path::Path;
use std::process::{Child, Command};

use piton_testkit::sshd::Sshd;
use piton_tests::cli::{Place, Ran};
use piton_tests::lab::wait_for;

const PITON: &str = env!("CARGO_BIN_EXE_piton-under-test");

/// A place without hosts: everything happens on this machine.
fn local(files: &[(&str, &str)]) -> Place {
    let place = Place::new(PITON);
    for (name, text) in files {
        place.write(name, text);
    }
    place
}

fn lines(path: &Path) -> Vec<String> {
    fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

fn kill(mut child: Child) {
    // SIGKILL; it may have come to its end by itself.
    let _over = child.kill();
    child.wait().unwrap();
}

fn latest(place: &Place) -> String {
    place.piton(&["--json", "ls", "--all", "--limit", "1"]).json()[0]["run"].as_str().unwrap().to_owned()
}

/// How many calls of hooks stand in the journal, and how many of them were answered.
fn calls(place: &Place, run: &str) -> (usize, usize) {
    let events = place.piton(&["--json", "show", run, "--events"]).json();
    let made = events.iter().filter(|e| e["event"]["type"] == "hook_called").count();
    let exited = events.iter().filter(|e| e["event"]["type"] == "job_exited");
    (made, exited.filter(|e| e["event"]["job"]["part"] == "call").count())
}

/// Five calls on a host, each of which leaves a line; the hook logs after each. Where the engine is to die the hook computes
/// for a while, or its call waits for a file.
const FIVE: &str = r#"
runbook: five
title: Five calls on a host
params:
  witness: { type: path }
  gate: { type: path, default: /dev/null }
steps:
  - id: five
    hosts: h
    hook: |
      let found = [];
      for name in ["1", "2", "3", "4", "5"] {
          let script = "echo " + name + " >> \"$witness\"; WAIT; echo n=" + name + " >> \"$PITON_OUTPUT\"";
          if name != "4" { script = replace(script, "WAIT; ", ""); }
          found.push(host.run(script).outputs.n);
          log("done " + name);
          if name == "3" {
              let n = 0;
              while n < TURNS { n += 1; }
          }
      }
      #{ found: join(found, " ") }
  - id: last
    hosts: h
    env: { FOUND: "{{ steps.five.outputs.found }}" }
    run: echo "last $FOUND" >> "$witness"
"#;

/// The engine is killed after the third call was answered and before the fourth was written down: the calls that were made
/// are answered from the journal, the others are made now, what was logged is there once.
#[test]
fn killed_between_two_calls_of_a_hook_each_call_is_made_once() {
    let sshd = Sshd::start();
    let place = Place::with_host(PITON, &sshd);
    place.write("runbooks/five.yaml", &FIVE.replace("WAIT", "true").replace("TURNS", "120000"));
    let witness = place.outside("witness");
    let mut in_between = 0;
    for round in 0..5 {
        fs::write(&witness, "").unwrap();
        let engine = place.start(&["run", "five", &format!("witness={}", witness.display())]);
        let run =
            wait_for(&|| "no run begins".to_owned(), &|| (lines(&witness) == ["1", "2", "3"]).then(|| latest(&place)));
        wait_for(&|| "the third call is never answered".to_owned(), &|| (calls(&place, &run).1 >= 3).then_some(()));
        kill(engine);
        in_between += u32::from(calls(&place, &run) == (3, 3));
        let resumed = place.piton(&["resume", &run]);
        assert_eq!(resumed.code, 0, "round {round}: {}", resumed.err);
        assert_eq!(lines(&witness), ["1", "2", "3", "4", "5", "last 1 2 3 4 5"], "round {round}");
        assert_eq!(calls(&place, &run), (5, 5), "round {round}");
        let logs = place.piton(&["logs", &run, "five", "--raw"]);
        assert_eq!(logs.out, "done 1\ndone 2\ndone 3\ndone 4\ndone 5\n", "round {round}: {}", logs.err);
        assert_eq!(place.piton(&["verify", &run]).code, 0);
    }
    assert!(in_between > 0, "it never died between the two calls");
}

/// The engine is killed while a call of a hook is going on: its job is found again, and not begun a second time.
#[test]
fn killed_in_a_call_of_a_hook_its_job_is_found_again() {
    let sshd = Sshd::start();
    let place = Place::with_host(PITON, &sshd);
    let wait = r#"while [ ! -e \"$gate\" ]; do sleep 0.05; done"#;
    place.write("runbooks/five.yaml", &FIVE.replace("WAIT", wait).replace("TURNS", "1"));
    let (witness, gate) = (place.outside("witness"), place.outside("gate"));
    let params = [format!("witness={}", witness.display()), format!("gate={}", gate.display())];
    let engine = place.start(&["run", "five", &params[0], &params[1]]);
    wait_for(&|| "the fourth call never begins".to_owned(), &|| (lines(&witness).len() == 4).then_some(()));
    let run = latest(&place);
    kill(engine);
    assert_eq!(calls(&place, &run), (4, 3));
    let engine = place.start(&["resume", &run]);
    let why = place.wait(&["why", &run, "five[h]"], |out| out.contains("waits for call 4"));
    assert!(why.contains("h run: echo 4 >>"), "{why}");
    fs::write(&gate, "").unwrap();
    let resumed = Ran::of(engine);
    assert_eq!(resumed.code, 0, "{}", resumed.err);
    assert_eq!(lines(&witness), ["1", "2", "3", "4", "5", "last 1 2 3 4 5"]);
    assert_eq!(calls(&place, &run), (5, 5));
    let logs = place.piton(&["logs", &run, "five", "--raw"]);
    assert_eq!(logs.out, "done 1\ndone 2\ndone 3\ndone 4\ndone 5\n");
}

/// What the hook asks for after a crash is not what stands in the journal, as with an engine that computes something else:
/// nothing is done, and both are shown.
#[test]
fn a_hook_that_asks_for_something_else_after_a_crash_is_parked_with_both_sides() {
    let sshd = Sshd::start();
    let place = Place::with_host(PITON, &sshd);
    place.write(
        "runbooks/two.yaml",
        "runbook: two\ntitle: Two calls\nparams:\n  witness: { type: path }\n  gate: { type: path }\nsteps:\n  - id: two\n    hosts: h\n    hook: |\n      host.run(\"echo 1 >> \\\"$witness\\\"\");\n      host.run(\"echo 2 >> \\\"$witness\\\"; while [ ! -e \\\"$gate\\\" ]; do sleep 0.05; done\");\n",
    );
    let (witness, gate) = (place.outside("witness"), place.outside("gate"));
    let params = [format!("witness={}", witness.display()), format!("gate={}", gate.display())];
    let engine = place.start(&["run", "two", &params[0], &params[1]]);
    wait_for(&|| "the second call never begins".to_owned(), &|| (lines(&witness).len() == 2).then_some(()));
    let run = latest(&place);
    kill(engine);
    let journal = rusqlite::Connection::open(place.state().join("journal.db")).unwrap();
    let changed = journal.execute("UPDATE plans SET plan = replace(plan, 'echo 1 >>', 'echo other >>')", []).unwrap();
    assert_eq!(changed, 1);
    drop(journal);
    let parked = place.piton(&["resume", &run]);
    assert_eq!(parked.code, 5, "{parked:?}");
    let why = place.piton(&["why", &run, "two[h]"]);
    let both = "call 1 was `h run: echo 1 >> \"$witness\"`, and now is `h run: echo other >> \"$witness\"`";
    assert!(why.out.contains(both), "{}", why.out);
    assert_eq!(lines(&witness), ["1", "2"]);
    assert_eq!(calls(&place, &run), (2, 1));
    fs::write(&gate, "").unwrap();
    let skipped = place.piton(&["skip", &run, "two[h]", "--why", "I looked"]);
    assert_eq!(skipped.code, 0, "{skipped:?}");
    assert_eq!(place.piton(&["resume", &run]).code, 0);
}

/// A script that runs away is stopped, whatever it runs out of, and says where it was.
#[test]
fn a_hook_that_runs_away_is_stopped_and_says_where() {
    for (script, place_and_why) in [
        ("fn work() {\n    loop { }\n}\n", "scripts/own.rhai:2:5: it takes more than 2000000 operations"),
        ("fn deeper(n) {\n    deeper(n + 1)\n}\nfn work() { deeper(1) }\n", "functions call each other too deep"),
        (
            "fn work() {\n    let all = #{};\n    let n = 0;\n    let text = \"\";\n    text.pad(400000, \"x\");\n    loop {\n        n += 1;\n        all[`k${n}`] = text + n;\n    }\n}\n",
            "it takes too much memory",
        ),
        ("fn work() {\n    let text = \"x\";\n    loop { text += text; }\n}\n", "scripts/own.rhai:3:20: "),
        (
            "fn work() {\n    let text = \"\";\n    text.pad(100000, \"x\");\n    loop { log(text); }\n}\n",
            "scripts/own.rhai:4:16: a hook logs 1048576 bytes at most",
        ),
    ] {
        let place = local(&[
            (
                "runbooks/away.yaml",
                "runbook: away\ntitle: Runs away\nsteps:\n  - { id: a, hosts: local, hook: own.work }\n",
            ),
            ("scripts/own.rhai", script),
        ]);
        let ran = place.piton(&["run", "away"]);
        assert_eq!(ran.code, 5, "{script}\n{ran:?}");
        let why = place.piton(&["why", "latest", "a[local]"]);
        assert!(why.out.contains(place_and_why) && why.out.contains("scripts/own.rhai:"), "{script}\n{}", why.out);
    }
}

/// Time runs out: the hook ends, the job that it waits for is killed, and where it was is told.
#[test]
fn a_hook_that_takes_too_long_is_stopped_with_the_job_that_it_waits_for() {
    let mark = format!("32{}", std::process::id());
    let place = local(&[
        (
            "runbooks/late.yaml",
            "runbook: late\ntitle: Takes too long\nsteps:\n  - { id: a, hosts: local, hook: own.work, timeout: 1s }\n",
        ),
        ("scripts/own.rhai", &format!("fn work() {{\n    host.run(\"true\");\n    host.run(\"sleep {mark}\");\n}}\n")),
    ]);
    let ran = place.piton(&["run", "late"]);
    assert_eq!(ran.code, 5, "{ran:?}");
    let why = place.piton(&["why", "latest", "a[local]"]);
    assert!(why.out.contains("took longer than its timeout"), "{}", why.out);
    let shown = place.piton(&["show", "latest", "--events"]);
    for told in [&shown, &why] {
        let call = format!("call 2 (scripts/own.rhai:3:10): local run: sleep {mark}");
        assert!(told.out.contains(&call), "{}", told.out);
    }
    let sleeps = Command::new("pgrep").args(["-f", &format!("^sleep {mark}$")]).status().unwrap();
    assert_eq!(sleeps.code(), Some(1), "nothing of it lives");
}

/// A hook before the action that fails fails the step, and its action does not begin; one after it fails a step whose action
/// was done.
#[test]
fn hooks_around_an_action_decide_about_it() {
    let place = local(&[(
        "runbooks/around.yaml",
        r#"
runbook: around
title: Hooks around an action
on_failure: continue
params:
  witness: { type: path }
steps:
  - id: guarded
    hosts: local
    before: fail("the disk is too full");
    run: echo guarded >> "$witness"
  - id: looked_after
    needs: []
    hosts: local
    before: host.run("echo before >> \"$witness\"");
    run: echo during >> "$witness"
    after: |
      host.run("echo after >> \"$witness\"");
      fail("it is not as it should be");
  - id: good
    needs: []
    hosts: local
    run: echo good=1 >> "$PITON_OUTPUT"
    after: log("all is well");
"#,
    )]);
    let witness = place.outside("witness");
    let ran = place.piton(&["run", "around", &format!("witness={}", witness.display())]);
    assert_eq!(ran.code, 4, "{ran:?}");
    assert_eq!(lines(&witness), ["before", "during", "after"]);
    let why = place.piton(&["why", "latest", "guarded"]).out;
    assert!(why.contains("failed: before of step guarded:1:1: the disk is too full"), "{why}");
    let why = place.piton(&["why", "latest", "looked_after"]).out;
    assert!(why.contains("failed: after of step looked_after:2:1: it is not as it should be"), "{why}");
    let logs = place.piton(&["logs", "latest", "good", "--part", "after", "--raw"]);
    assert_eq!(logs.out, "all is well\n", "{}", logs.err);
}

/// A run has its scripts with it: what is changed in `scripts/` afterwards is seen by a run only when it goes on with a
/// corrected runbook.
#[test]
fn a_corrected_script_is_taken_up_by_onto_and_by_replan_alone() {
    let place = local(&[
        ("runbooks/wrong.yaml", "runbook: wrong\ntitle: Wrong\nsteps:\n  - { id: a, hosts: local, hook: own.look }\n"),
        ("scripts/own.rhai", "import \"lib\" as lib;\nfn look() { #{ found: lib::found() } }\n"),
        ("scripts/lib.rhai", "fn found() { fail(\"not right yet\") }\n"),
    ]);
    assert_eq!(place.piton(&["run", "wrong"]).code, 5);
    place.write("scripts/lib.rhai", "fn found() { 42 }\n");
    let run = latest(&place);
    assert_eq!(place.piton(&["retry", &run, "a"]).code, 0);
    assert_eq!(place.piton(&["resume", &run]).code, 5, "it has the script that it began with");
    let path = place.project().join("runbooks/wrong.yaml");
    let onto = place.piton(&["resume", &run, "--onto", path.to_str().unwrap(), "--yes"]);
    assert!(onto.err.contains("scripts"), "{onto:?}");
    assert_eq!(place.piton(&["retry", &run, "a"]).code, 0);
    let ended = place.piton(&["resume", &run]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let shown = place.piton(&["--json", "show", &run]).out;
    assert!(shown.contains("\"found\":42"), "{shown}");
    place.write("scripts/lib.rhai", "fn found() { 43 }\n");
    let again = place.piton(&["rerun", &run, "--replan", "--from", "a"]);
    assert_eq!(again.code, 0, "{again:?}");
    assert!(place.piton(&["--json", "show", "latest"]).out.contains("\"found\":43"));
}
