//! A run that waits for a person, and what the person says.

use super::*;

#[test]
fn a_parked_run_says_what_a_person_can_do() {
    let place = place();
    let (ran, open) = parked(&place);
    assert_snapshot!(place.steady(&ran.err), @"
    TIME first[local] started
    TIME first[local] | first
    TIME first[local] succeeded in SPAN
    TIME gate[local] started
    TIME gate[local] | looking for HERE/open
    TIME gate[local] failed: it exited with status 1
    TIME gate[local] waits for a decision
    Run RUN is parked; 1 succeeded, 1 parked, 2 waiting.
    gate[local] waits for a decision: it exited with status 1
      piton logs RUN 'gate[local]'                # look at what it printed
      piton retry RUN 'gate[local]'               # try it again
      piton resolve RUN 'gate[local]' --why TEXT  # it was done by hand
      piton skip RUN 'gate[local]' --why TEXT     # go on without it
      piton undo RUN --why TEXT                   # take back what was done
      piton cancel RUN                            # stop here; `finally` still runs
    ");
    let said = place.steady(&ran.err);
    let (_, advice) = said.split_once("2 waiting.\n").unwrap();
    assert_snapshot!(place.snapshot(&["show", "latest"]).replace(advice, "(the same advice)"), @"
    exit 0
    --- stdout
    gate  Go through a gate
    run      RUN
    state    parked, SPAN
    asked    DATE by ann@MACHINE
    param    open = HERE/open

    TASK          STATE      TRIES      TOOK
    first[local]  succeeded      1 SPAN
    gate[local]   parked         1            it exited with status 1
    last[local]   waiting
    tidy[local]   waiting

    (the same advice)
    ");
    assert_snapshot!(place.snapshot(&["why", "latest", "last"]), @"
    exit 0
    --- stdout
    last[local] waits for gate[local]

    gate[local] waits for a decision: it exited with status 1
      TIME gate[local] started
      TIME gate[local] main 1 exited with status 1
      TIME gate[local] failed: it exited with status 1
      TIME gate[local] waits for a decision
      It could start because of first[local] (succeeded).
    ");
    assert_snapshot!(place.snapshot(&["why", "latest", "tidy"]), @"
    exit 0
    --- stdout
    tidy[local] waits for the other steps to come to an end: it stands under `finally`
    ");

    std::fs::write(open, "").unwrap();
    let ran = place.piton(&["retry", "latest", "gate", "--watch"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_snapshot!(place.snapshot(&["show", "latest"]), @"
    exit 0
    --- stdout
    gate  Go through a gate
    run      RUN
    state    succeeded, SPAN
    asked    DATE by ann@MACHINE
    param    open = HERE/open

    TASK          STATE      TRIES      TOOK
    first[local]  succeeded      1 SPAN
    gate[local]   succeeded      2 SPAN
    last[local]   succeeded      1 SPAN
      | seen=none
    tidy[local]   succeeded      1 SPAN
    ");
}

#[test]
fn a_parked_task_can_be_skipped_with_a_reason() {
    let place = place();
    parked(&place);
    assert_snapshot!(place.snapshot(&["skip", "latest", "gate"]), @"
    exit 2
    --- stderr
    error: the following required arguments were not provided:
      --why <TEXT>

    Usage: piton skip --why <TEXT> <RUN> <TASK>...

    For more information, try '--help'.
    ");
    assert_eq!(place.piton(&["skip", "latest", "gate", "--why", "  "]).code, 2);
    let ran = place.piton(&["skip", "latest", "gate[local]", "--why", "not needed", "--watch"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let said = place.steady(&ran.err);
    assert!(said.contains("ann@MACHINE says skip gate[local] (not needed)"), "{said}");
}

#[test]
fn a_parked_task_can_be_resolved_by_hand_with_its_outputs() {
    let place = place();
    parked(&place);
    let ran = place.piton(&["resolve", "latest", "gate", "--why", "did it", "--output", "key=42", "--watch"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let shown = &place.piton(&["show", "latest", "--json"]).json()[0];
    assert_eq!(shown["tasks"][1]["outputs"]["key"], "42");
    assert_eq!(shown["tasks"][2]["outputs"]["seen"], "42");
    assert_eq!(place.piton(&["logs", "latest", "last"]).out, "key is 42\n");
}

#[test]
fn a_run_can_be_undone_and_the_undo_can_park() {
    let place = place();
    let (_, open) = parked(&place);
    let ran = place.piton(&["undo", "latest", "--why", "wrong gate", "--watch"]);
    assert_eq!(ran.code, 5, "{}", ran.err);
    assert_snapshot!(place.steady(&ran.err), @"
    undo: taken up; `piton watch RUN` follows the run
    TIME engine ENGINE took the run over
    TIME ann@MACHINE says undo (wrong gate)
    TIME what was done is being taken back
    TIME gate[local] undo started
    TIME gate[local] waits for a decision: its undo failed: it exited with status 1
    Run RUN is parked; 1 succeeded, 1 parked, 2 waiting.
    gate[local] waits for a decision: its undo failed: it exited with status 1
      piton logs RUN 'gate[local]' --part undo    # look at what it printed
      piton retry RUN 'gate[local]'               # try to take it back again
      piton resolve RUN 'gate[local]' --why TEXT  # it was taken back by hand
      piton skip RUN 'gate[local]' --why TEXT     # leave it as it is
      piton cancel RUN                            # stop here; `finally` still runs
    ");
    std::fs::write(open.with_extension("undo"), "").unwrap();
    let ran = place.piton(&["retry", "latest", "gate", "--watch"]);
    assert_eq!(ran.code, 4, "{}", ran.err);
    assert_eq!(place.piton(&["ls", "--json"]).json()[0]["state"], "undone");
    assert_eq!(place.piton(&["logs", "latest", "first", "--part", "undo"]).out, "first taken back\n");
}

#[test]
fn a_run_can_be_cancelled() {
    let place = place();
    parked(&place);
    let ran = place.piton(&["cancel", "latest", "--watch"]);
    assert_eq!(ran.code, 6, "{}", ran.err);
    assert!(ran.err.contains("tidy[local] succeeded"), "{}", ran.err);
}

#[test]
fn what_makes_no_sense_is_refused_and_said() {
    let place = place();
    parked(&place);
    assert_snapshot!(place.snapshot(&["retry", "latest", "last"]), @"
    exit 1
    --- stderr
    error: retry last[local] is refused: last[local] does not wait for a decision: it is waiting; its turn has not come, `why` tells what it waits for
    ");
    assert_snapshot!(place.snapshot(&["retry", "latest", "nothing"]), @"
    exit 2
    --- stderr
    error: run RUN has no task nothing
    hint: `piton show RUN` lists its tasks
    ");
    assert_snapshot!(place.snapshot(&["retry", "latest", "gate[hv1]"]), @"
    exit 2
    --- stderr
    error: run RUN has no task gate[hv1]
    hint: step gate has gate[local]
    ");
    assert_snapshot!(place.snapshot(&["retry", "latest", "Gate!"]), @"
    exit 2
    --- stderr
    error: `Gate!` is not a task: a lower-case letter, then lower-case letters, digits, `-` or `_`, 64 at most
    hint: `piton show RUN` lists the tasks
    ");
    assert_snapshot!(place.snapshot(&["show", "ZZZ"]), @"
    exit 2
    --- stderr
    error: there is no run whose id begins with ZZZ
    hint: `piton ls --all` lists the runs there are
    ");
    assert_snapshot!(place.snapshot(&["show", "not-an-id"]), @"
    exit 2
    --- stderr
    error: `not-an-id` is not the id of a run
    hint: `piton ls --all` lists the runs there are; the first characters of an id are enough
    ");
    assert_snapshot!(place.snapshot(&["resolve", "latest", "gate", "--why", "x", "--output", "key"]), @"
    exit 2
    --- stderr
    error: `key` is not of the form KEY=VALUE
    ");
}
