//! A run that is done again from where it failed, and a run that goes on with a corrected runbook.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use insta::assert_snapshot;
use piton_tests::cli::Place;

const PITON: &str = env!("CARGO_BIN_EXE_piton-under-test");

/// Each step leaves a trace; `copy` fails until there is a file.
const MOVE: &str = r#"runbook: move
title: Move a guest
params:
  dir: { type: path }
  keep: { type: duration, default: 1h }
on_failure: continue
steps:
  - id: facts
    run: |
      echo facts >> "$dir/trace"
      echo "disk=/data/web1" >> "$PITON_OUTPUT"
  - id: apart
    needs: []
    run: echo apart >> "$dir/trace"
  - id: copy
    needs: [facts]
    env: { disk: "{{ steps.facts.outputs.disk }}" }
    run: |
      echo "copy $disk" >> "$dir/trace"
      test -e "$dir/open"
  - id: start
    run: echo start >> "$dir/trace"
finally:
  - id: tidy
    run: echo tidy >> "$dir/trace"
"#;

fn place() -> Place {
    let place = Place::new(PITON);
    place.write("runbooks/move.yaml", MOVE);
    place
}

fn ran(place: &Place, code: i32) -> String {
    let dir = format!("dir={}", place.outside("").display());
    let ran = place.piton(&["run", "move", &dir, "-q"]);
    assert_eq!(ran.code, code, "{}", ran.err);
    ran.out.trim().to_owned()
}

/// What left a trace since this was last asked, sorted: some of it happens side by side.
fn trace(place: &Place) -> Vec<String> {
    let path = place.outside("trace");
    let mut lines: Vec<String> =
        std::fs::read_to_string(&path).unwrap_or_default().lines().map(str::to_owned).collect();
    lines.sort();
    std::fs::write(path, "").unwrap();
    lines
}

#[test]
fn a_failed_run_is_done_again_from_where_it_failed() {
    let place = place();
    let old = ran(&place, 4);
    assert_eq!(trace(&place), ["apart", "copy /data/web1", "facts", "tidy"]);
    assert_snapshot!(place.snapshot(&["rerun", &old, "--dry-run"]), @"
    exit 0
    --- stdout
    taken over: facts[local], apart[local]
    done again: copy[local], start[local]
    ");
    assert_eq!(trace(&place), Vec::<String>::new());
    std::fs::write(place.outside("open"), "").unwrap();
    let again = place.piton(&["rerun", &old]);
    assert_eq!(again.code, 0, "{}", again.err);
    assert_snapshot!(place.steady(&again.err), @"
    taken over: facts[local], apart[local]
    done again: copy[local], start[local]
    TIME 2 results of run RUN taken over
    TIME copy[local] started
    TIME copy[local] succeeded in SPAN
    TIME start[local] started
    TIME start[local] succeeded in SPAN
    TIME tidy[local] started
    TIME tidy[local] succeeded in SPAN
    Run RUN succeeded after SPAN; 5 succeeded.
    ");
    assert_eq!(trace(&place), ["copy /data/web1", "start", "tidy"], "what was finished is not done again");
    let new = again.out.trim();
    assert_snapshot!(place.snapshot(&["show", new]), @"
    exit 0
    --- stdout
    move  Move a guest
    run      RUN
    state    succeeded, SPAN
    asked    DATE by ann@MACHINE
    param    dir = HERE/
    param    keep = 3600

    TASK          STATE      TRIES      TOOK
    facts[local]  succeeded                   taken over from RUN
      | disk=/data/web1
    apart[local]  succeeded                   taken over from RUN
    copy[local]   succeeded      1 SPAN
    start[local]  succeeded      1 SPAN
    tidy[local]   succeeded      1 SPAN
    ");
    assert_snapshot!(place.snapshot(&["why", new, "facts"]), @"
    exit 0
    --- stdout
    facts[local] was done by run RUN (it ran), and this run took its result over
    ");
    let event = &place.piton(&["show", new, "--events", "--json"]).json()[1]["event"];
    let head = &place.piton(&["verify", &old, "--json"]).json()[0];
    assert_eq!((&event["type"], &event["from"]), (&"taken_over".into(), &old.clone().into()));
    assert_eq!((&event["head"], &event["seq"]), (&head["head"], &head["events"]), "bound to what stood there");
    assert_eq!(event["plan"], place.piton(&["show", &old, "--json"]).json()[0]["plan"]);
    assert_eq!(event["tasks"][0]["outputs"]["disk"], "/data/web1");
    assert_eq!(place.piton(&["verify", "--all"]).code, 0);
    assert_snapshot!(place.snapshot(&["rerun", new]), @"
    exit 2
    --- stderr
    error: everything of run RUN has been done
    hint: `--from STEP` does a step, and what follows from it, again
    ");

    let third = place.piton(&["rerun", new, "--from", "copy", "--json"]);
    assert_eq!(third.code, 0, "{}", third.err);
    assert_eq!(trace(&place), ["copy /data/web1", "start", "tidy"], "outputs are handed on and on");
    assert_eq!(third.json()[0]["taken_over"], serde_json::json!(["facts[local]", "apart[local]"]));
}

#[test]
fn where_it_begins_is_refused_if_what_comes_before_is_missing() {
    let place = place();
    let old = ran(&place, 4);
    assert_snapshot!(place.snapshot(&["rerun", &old, "--from", "start"]), @"
    exit 2
    --- stderr
    error: the run cannot begin there: copy[local] comes before, and it has not been done (it is failed)
    hint: `--from 'copy[local]'` begins with it, and does what follows from it again
    ");
    assert_snapshot!(place.snapshot(&["rerun", &old, "--from", "tidy"]), @"
    exit 2
    --- stderr
    error: tidy[local] stands under `finally`, which is done again in any case
    ");
    assert_snapshot!(place.snapshot(&["rerun", &old, "--from", "nothing"]), @"
    exit 2
    --- stderr
    error: run RUN has no task nothing
    hint: `piton show RUN` lists its tasks
    ");
    place.write("runbooks/move.yaml", &MOVE.replace("on_failure: continue", "on_failure: stop"));
    let parked = ran(&place, 5);
    assert_snapshot!(place.snapshot(&["rerun", &parked]), @"
    exit 2
    --- stderr
    error: run RUN is not over: what it would do could be done twice
    hint: `piton retry` goes on with it; `piton cancel RUN` ends it
    ");
}

#[test]
fn what_may_have_happened_is_done_again_only_if_a_person_says_so() {
    let place = Place::new(PITON);
    place.write(
        "runbooks/lost.yaml",
        "runbook: lost\nparams:\n  dir: { type: path }\nsteps:\n  - id: lost\n    run: |\n      echo lost >> \"$dir/trace\"\n      test -e \"$dir/again\" || { kill -9 $PPID; kill -9 $$; }\n",
    );
    let dir = format!("dir={}", place.outside("").display());
    let run = place.piton(&["run", "lost", &dir, "-q"]);
    assert_eq!(run.code, 5, "{}", run.err);
    let old = run.out.trim();
    assert_eq!(place.piton(&["cancel", old, "--why", "x", "--watch"]).code, 6);
    assert_eq!(trace(&place), ["lost"]);
    std::fs::write(place.outside("again"), "").unwrap();
    assert_snapshot!(place.snapshot(&["rerun", old]), @"
    exit 2
    --- stderr
    done again: lost[local]
    may have happened in the old run: lost[local]
    error: lost[local] may have happened in run RUN, and would be done again
    hint: look at the host, then say `--yes`; `piton why RUN 'lost[local]'` tells what was found
    ");
    assert_eq!(trace(&place), Vec::<String>::new());
    assert_eq!(place.piton(&["rerun", old, "--yes", "-q"]).code, 0);
    assert_eq!(trace(&place), ["lost"]);
}

#[test]
fn a_rerun_can_take_the_runbook_as_it_is_now() {
    let place = place();
    let old = ran(&place, 4);
    trace(&place);
    place.write(
        "runbooks/move.yaml",
        &MOVE.replace("test -e \"$dir/open\"", "true").replace("echo start", "echo START"),
    );
    let again = place.piton(&["rerun", &old, "--replan", "-q"]);
    assert_eq!(again.code, 0, "{}", again.err);
    assert_eq!(trace(&place), ["START", "copy /data/web1", "tidy"]);
    assert_eq!(place.piton(&["show", again.out.trim(), "--json"]).json()[0]["params"]["keep"], 3600);
    place.write("runbooks/move.yaml", &MOVE.replace("echo facts", "echo other facts"));
    assert_snapshot!(place.snapshot(&["rerun", &old, "--replan"]), @"
    exit 2
    --- stderr
    error: the result of facts[local] cannot be taken over: its step is another one now (run.text)
    hint: `--from facts` does it again, and what follows from it
    ");
}

fn parked(place: &Place) -> String {
    place.write("runbooks/move.yaml", &MOVE.replace("on_failure: continue", "on_failure: stop"));
    ran(place, 5)
}

fn corrected() -> String {
    MOVE.replace("on_failure: continue", "on_failure: stop").replace("test -e \"$dir/open\"", "test -e /").replace(
        "  - id: start\n",
        "  - id: look\n    run: echo look >> \"$dir/trace\"\n  - id: start\n    timeout: 1m\n",
    )
}

#[test]
fn a_parked_run_goes_on_with_a_corrected_runbook() {
    let place = place();
    let run = parked(&place);
    trace(&place);
    place.write("fixed.yaml", &corrected());
    assert_snapshot!(place.snapshot(&["resume", &run, "--onto", "fixed.yaml", "--dry-run"]), @r#"
    exit 0
    --- stdout
    + step look
    ~ step copy
        run.text
          - test -e "$dir/open"
          + test -e /
    ~ step start
        needs
          - copy
          + look
        timeout
          + 1m
    copy[local] has failed with the old step; `retry` tries it with the new one
    "#);
    assert_snapshot!(place.snapshot(&["resume", &run, "--onto", "fixed.yaml"]), @r#"
    exit 2
    --- stderr
    + step look
    ~ step copy
        run.text
          - test -e "$dir/open"
          + test -e /
    ~ step start
        needs
          - copy
          + look
        timeout
          + 1m
    copy[local] has failed with the old step; `retry` tries it with the new one
    error: whether the run is to go on with this plan must be said
    hint: `--yes` says it; `--dry-run` only shows what differs
    "#);
    let replaced = |line: &serde_json::Value| line["event"]["type"] == "plan_replaced";
    assert!(!place.piton(&["show", &run, "--events", "--json"]).json().iter().any(replaced), "nothing was said yet");
    let ran = place.piton(&["resume", &run, "--onto", "fixed.yaml", "--yes", "--retry", "--why", "typo"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_snapshot!(place.steady(&ran.err), @r#"
    + step look
    ~ step copy
        run.text
          - test -e "$dir/open"
          + test -e /
    ~ step start
        needs
          - copy
          + look
        timeout
          + 1m
    copy[local] has failed with the old step; `retry` tries it with the new one
    TIME ann@MACHINE has the run go on with another plan (typo): DIGEST
    TIME engine ENGINE took the run over
    TIME ann@MACHINE says retry copy[local] (its step is corrected)
    TIME copy[local] started, attempt 2
    TIME copy[local] succeeded in SPAN
    TIME look[local] started
    TIME look[local] succeeded in SPAN
    TIME start[local] started
    TIME start[local] succeeded in SPAN
    TIME tidy[local] started
    TIME tidy[local] succeeded in SPAN
    Run RUN succeeded after SPAN; 6 succeeded.
    "#);
    assert_eq!(trace(&place), ["copy /data/web1", "look", "start", "tidy"]);
    assert_eq!(place.piton(&["verify", &run]).code, 0);
    assert_snapshot!(place.snapshot(&["show", &run]), @"
    exit 0
    --- stdout
    move  Move a guest
    run      RUN
    state    succeeded, SPAN
    asked    DATE by ann@MACHINE
    param    dir = HERE/
    param    keep = 3600

    TASK          STATE      TRIES      TOOK
    facts[local]  succeeded      1 SPAN
      | disk=/data/web1
    apart[local]  succeeded      1 SPAN
    copy[local]   succeeded      2 SPAN
    look[local]   succeeded      1 SPAN
    start[local]  succeeded      1 SPAN
    tidy[local]   succeeded      1 SPAN
    ");
    // Before the event the run is told as it was then, with the plan of then.
    let events = place.piton(&["show", &run, "--events", "--json"]).json();
    let replaced = events.iter().find(|e| replaced(e)).unwrap();
    let seq = replaced["seq"].as_u64().unwrap();
    let tasks = |at: u64| {
        place.piton(&["show", &run, "--at", &at.to_string(), "--json"]).json()[0]["tasks"].as_array().unwrap().len()
    };
    assert_eq!((tasks(seq - 1), tasks(seq)), (5, 6));
    assert_snapshot!(place.snapshot(&["resume", &run, "--onto", "fixed.yaml", "--yes"]), @"
    exit 2
    --- stderr
    error: run RUN is over: it succeeded
    hint: `piton rerun RUN --replan` begins anew with its results and the runbook as it is now
    ");
}

#[test]
fn what_has_begun_stays_as_it_is() {
    let place = place();
    let run = parked(&place);
    place.write(
        "fixed.yaml",
        &corrected()
            .replace("echo facts", "echo other facts")
            .replace("  - id: apart\n    needs: []\n    run: echo apart >> \"$dir/trace\"\n", ""),
    );
    assert_snapshot!(place.snapshot(&["resume", &run, "--onto", "fixed.yaml", "--yes"]), @r#"
    exit 2
    --- stderr
    - step apart
    + step look
    ~ step facts
        run.text
          - echo facts >> "$dir/trace"
          + echo other facts >> "$dir/trace"
    ~ step copy
        run.text
          - test -e "$dir/open"
          + test -e /
    ~ step start
        needs
          - copy
          + look
        timeout
          + 1m
    copy[local] has failed with the old step; `retry` tries it with the new one
    cannot: step apart: is removed, and apart[local] has come to its end
    cannot: step facts: facts[local] has come to its end, and what differs is run.text
    error: run RUN cannot go on with fixed.yaml
    hint: what has begun stays as it is; `piton cancel RUN`, then `piton rerun RUN --replan`, begins anew
    "#);
    let json = place.piton(&["resume", &run, "--onto", "fixed.yaml", "--yes", "--json"]);
    let lines = json.json();
    assert_eq!((json.code, lines[0]["onto"]["obstacles"].as_array().unwrap().len()), (2, 2), "{}", json.out);
    assert_eq!(lines[0]["onto"]["diff"]["changed"][0]["fields"][0]["field"], "run.text");
    place.write("same.yaml", &MOVE.replace("on_failure: continue", "on_failure: stop"));
    assert_snapshot!(place.snapshot(&["resume", &run, "--onto", "same.yaml", "--yes"]), @"
    exit 0
    --- stderr
    Nothing differs.
    ");
    place.write("faulty.yaml", "runbook: move\nsteps:\n  - id: a\n");
    assert_eq!(place.piton(&["resume", &run, "--onto", "faulty.yaml", "--yes"]).code, 3);
    assert_eq!(place.piton(&["resume", &run, "--onto", "none.yaml", "--yes"]).code, 2);
}

/// `hold` fails until it may begin, and then waits until it may end.
const HOLD: &str = r#"runbook: hold
params:
  dir: { type: path }
on_failure: continue
steps:
  - id: facts
    run: |
      echo facts >> "$dir/trace"
      echo "disk=/data/web1" >> "$PITON_OUTPUT"
  - id: hold
    env: { disk: "{{ steps.facts.outputs.disk }}" }
    run: |
      test -e "$dir/open" || exit 1
      echo "hold $disk" >> "$dir/trace"
      touch "$dir/begun"
      while ! test -e "$dir/go"; do sleep 0.1; done
  - id: last
    run: echo last >> "$dir/trace"
"#;

#[test]
fn a_killed_rerun_goes_on_with_what_it_took_over() {
    let place = Place::new(PITON);
    place.write("runbooks/hold.yaml", HOLD);
    let dir = format!("dir={}", place.outside("").display());
    let old = place.piton(&["run", "hold", &dir, "-q"]);
    assert_eq!(old.code, 4, "{}", old.err);
    std::fs::write(place.outside("open"), "").unwrap();
    let mut rerun = place.start(&["rerun", old.out.trim()]);
    place.wait_for_file(&place.outside("begun"));
    // SIGKILL.
    rerun.kill().unwrap();
    rerun.wait().unwrap();
    let resumed = place.start(&["resume", "--latest"]);
    std::fs::write(place.outside("go"), "").unwrap();
    let resumed = resumed.wait_with_output().unwrap();
    assert_eq!(resumed.status.code(), Some(0), "{}", String::from_utf8_lossy(&resumed.stderr));
    assert_eq!(trace(&place), ["facts", "hold /data/web1", "last"], "each once, over both runs and both engines");
    assert_eq!(place.piton(&["verify", "--all"]).code, 0);
    assert_snapshot!(place.snapshot(&["logs", "latest", "facts"]), @"
    exit 0
    --- stderr
    Run RUN did that, and this one took its result over; `piton logs RUN facts` has the output.
    ");
}

#[test]
fn a_run_that_an_engine_drives_keeps_its_plan() {
    let place = Place::new(PITON);
    place.write("runbooks/hold.yaml", HOLD);
    std::fs::write(place.outside("open"), "").unwrap();
    let dir = format!("dir={}", place.outside("").display());
    let run = place.start(&["run", "hold", &dir, "-q"]);
    place.wait_for_file(&place.outside("begun"));
    place.write("new.yaml", &HOLD.replace("echo last", "echo LAST"));
    assert_snapshot!(place.snapshot(&["resume", "--latest", "--onto", "new.yaml", "--yes"]), @r#"
    exit 2
    --- stderr
    ~ step last
        run.text
          - echo last >> "$dir/trace"
          + echo LAST >> "$dir/trace"
    error: engine ENGINE drives run RUN: it must stand still
    hint: a run stands still when it is parked; `piton cancel RUN` ends it
    "#);
    assert_snapshot!(place.snapshot(&["rerun", "latest", "--from", "facts"]), @"
    exit 2
    --- stderr
    error: run RUN is not over: what it would do could be done twice
    hint: `piton retry` goes on with it; `piton cancel RUN` ends it
    ");
    std::fs::write(place.outside("go"), "").unwrap();
    assert_eq!(run.wait_with_output().unwrap().status.code(), Some(0));
    assert_eq!(trace(&place), ["facts", "hold /data/web1", "last"]);
}
