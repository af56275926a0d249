//! A run that goes on with a corrected runbook.

use super::*;

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
    let shown = place.piton(&["resume", &run, "--onto", "fixed.yaml", "--dry-run"]);
    assert_eq!((shown.code, shown.err.as_str()), (0, ""));
    assert_snapshot!(place.steady(&shown.out), @r#"
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
    let unsaid = place.piton(&["resume", &run, "--onto", "fixed.yaml"]);
    assert_eq!((unsaid.code, unsaid.out.as_str()), (2, ""));
    let asked = unsaid.err.strip_prefix(&shown.out).unwrap_or_else(|| panic!("it shows the same: {}", unsaid.err));
    assert_snapshot!(place.steady(asked), @"
    error: whether the run is to go on with this plan must be said
    hint: `--yes` says it; `--dry-run` only shows what differs
    ");
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
    assert_snapshot!(place.snapshot(&["show", &run]).replace(SUCCEEDED, "(the run)\n"), @"
    exit 0
    --- stdout
    (the run)
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

#[test]
fn a_run_that_an_engine_drives_keeps_its_plan() {
    let place = Place::with_runbook(PITON, "hold", HOLD);
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
