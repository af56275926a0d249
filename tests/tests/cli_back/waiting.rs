//! An undo that waits, or hangs.

use super::*;

#[test]
fn an_undo_that_waits_is_told_with_what_it_waits_for() {
    let place = Place::new(PITON);
    place.write(
        "runbooks/stuck.yaml",
        "runbook: stuck\non_failure: undo\nsteps:\n  - { id: a, run: 'true', undo: 'true' }\n  - { id: b, run: 'true', undo: 'exit 7' }\n  - { id: c, run: 'exit 3' }\n",
    );
    let run = place.piton(&["run", "stuck", "-q"]);
    assert_eq!(run.code, 5, "{}", run.err);
    let run = run.out.trim();
    assert_snapshot!(place.snapshot(&["why", run, "a"]), @"
    exit 0
    --- stdout
    a[local] will be taken back after b[local]
      TIME a[local] started
      TIME a[local] main 1 exited with status 0
      TIME a[local] succeeded in SPAN
      The run was undone because c[local] failed.

    b[local] waits for a decision: its undo failed: it exited with status 7
      TIME b[local] started
      TIME b[local] main 1 exited with status 0
      TIME b[local] succeeded in SPAN
      TIME b[local] undo started
      TIME b[local] undo 1 exited with status 7
      TIME b[local] waits for a decision: its undo failed: it exited with status 7
      The run was undone because c[local] failed.
    ");
    assert_snapshot!(place.snapshot(&["undo", run, "--dry-run"]), @"
    exit 0
    --- stdout
    Taken back, in this order: 2 tasks
    1. b[local]: ran; its undo failed and waits for a decision: it exited with status 7
       | exit 7
    2. a[local]: ran
       | true

    Left as it is
      c[local]: its step has no `undo` (may have happened in part: it exited with status 3)
    ");
    assert_snapshot!(place.snapshot(&["undo", run, "--why", "again"]), @"
    exit 1
    --- stderr
    error: undo is refused: the run is being undone already; b[local] waits for a decision (retry, resolve or skip)
    ");
    assert_eq!(place.piton(&["skip", run, "--all-failed", "--why", "leave b", "--watch"]).code, 4);
    assert_snapshot!(place.snapshot(&["why", run, "b"]), @"
    exit 0
    --- stdout
    b[local] is left as it is: a person said so
      TIME b[local] started
      TIME b[local] main 1 exited with status 0
      TIME b[local] succeeded in SPAN
      TIME b[local] undo started
      TIME b[local] undo 1 exited with status 7
      TIME b[local] waits for a decision: its undo failed: it exited with status 7
      TIME ann@MACHINE says skip b[local] (leave b)
      TIME b[local] is left as it is
      The run was undone because c[local] failed.
    ");
    assert_snapshot!(place.snapshot(&["why", run, "c"]), @"
    exit 0
    --- stdout
    c[local] failed: it exited with status 3
      TIME c[local] started
      TIME c[local] main 1 exited with status 3
      TIME c[local] failed: it exited with status 3
      TIME c[local] is given up; the run goes on without it
      It could start because of b[local] (succeeded).
    ");
}

#[test]
fn an_undo_that_hangs_is_stopped_and_waits_for_a_person() {
    let place = Place::new(PITON);
    let yaml = r#"runbook: hanging
on_failure: undo
steps:
  - id: a
    run: 'true'
    undo: { run: echo hangs; exec sleep 100000, timeout: 1s }
  - { id: b, run: exit 7 }
"#;
    place.write("runbooks/hanging.yaml", yaml);
    let ran = place.piton(&["run", "hanging"]);
    assert_eq!(ran.code, 5, "{}", ran.err);
    assert_snapshot!(place.steady(&ran.err), @"
    TIME a[local] started
    TIME a[local] succeeded in SPAN
    TIME b[local] started
    TIME b[local] failed: it exited with status 7
    TIME b[local] is given up; the run goes on without it
    TIME what was done is being taken back, because b[local] failed
    TIME a[local] undo started
    TIME a[local] | hangs
    TIME a[local] takes longer to take back than it may, and that is being stopped
    TIME a[local] waits for a decision: its undo failed: it took longer than its timeout and was stopped
    Run RUN is parked; 1 succeeded, 1 failed.
    a[local] waits for a decision: its undo failed: it took longer than its timeout and was stopped
      piton logs RUN 'a[local]' --part undo    # look at what it printed
      piton retry RUN 'a[local]'               # try to take it back again
      piton resolve RUN 'a[local]' --why TEXT  # it was taken back by hand
      piton skip RUN 'a[local]' --why TEXT     # leave it as it is
      piton cancel RUN                         # stop here; `finally` still runs
    ");
}

#[test]
fn what_was_done_under_a_lock_waits_for_it_to_be_taken_back() {
    let place = Place::new(PITON);
    let dir = place.outside("").display().to_string();
    let first = format!(
        "runbook: first\nsteps:\n  - {{ id: a, run: 'true', undo: 'true', locks: vm/a }}\n  - {{ id: b, run: 'touch {dir}/begun; until test -e {dir}/go; do sleep 0.05; done; exit 7' }}\n"
    );
    place.write("runbooks/first.yaml", &first);
    let second = format!(
        "runbook: second\nlocks: vm/a\nsteps:\n  - {{ id: keep, run: 'touch {dir}/held; until test -e {dir}/enough; do sleep 0.05; done' }}\n"
    );
    place.write("runbooks/second.yaml", &second);
    let id = place.piton(&["run", "--detach", "first"]).out.trim().to_owned();
    place.wait_for_file(&place.outside("begun"));
    let other = place.piton(&["run", "--detach", "second"]).out.trim().to_owned();
    place.wait_for_file(&place.outside("held"));
    std::fs::write(place.outside("go"), "").unwrap();
    place.wait(&["show", &id], |out| out.contains("waits for a decision"));
    assert_eq!(place.piton(&["undo", &id, "--why", "back"]).code, 0);
    let shown = place.wait(&["show", &id], |out| out.contains("to be taken back"));
    assert!(shown.contains("to be taken back, stands in the queue for vm/a"), "{shown}");
    let why = place.piton(&["why", &id, "a"]).out;
    assert!(why.contains("is taken back as soon as it has its locks: vm/a"), "{why}");
    std::fs::write(place.outside("enough"), "").unwrap();
    place.wait(&["--json", "ls", "--all"], |out| {
        let runs = out.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let ends: Vec<_> = runs.map(|run| (run["run"].clone(), run["state"].clone())).collect();
        ends.contains(&(id.clone().into(), "undone".into()))
            && ends.contains(&(other.clone().into(), "succeeded".into()))
    });
}
