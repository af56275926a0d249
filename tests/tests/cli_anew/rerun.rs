//! A run that is done again from where it failed.

use super::*;

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
    assert_snapshot!(place.snapshot(&["show", new]).replace(SUCCEEDED, "(the run)\n"), @"
    exit 0
    --- stdout
    (the run)
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

#[test]
fn a_killed_rerun_goes_on_with_what_it_took_over() {
    let place = Place::with_runbook(PITON, "hold", HOLD);
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
