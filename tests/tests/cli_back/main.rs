//! Taking back, and what a person does after a failure: what is shown before, and what is then done.

mod waiting;

use insta::assert_snapshot;
use piton_tests::cli::Place;

const PITON: &str = env!("CARGO_BIN_EXE_piton-under-test");

/// Each step leaves a trace, and its undo another one; `gate` fails until there is a file.
const MOVE: &str = r#"runbook: move
title: Move a guest
params:
  dir: { type: path }
  vm: { type: name, default: web1 }
steps:
  - id: stop
    run: |
      echo "stop $vm" >> "$dir/trace"
      echo "was=running" >> "$PITON_OUTPUT"
    undo: echo "start $vm, it was $was" >> "$dir/trace"
  - id: note
    run: echo note >> "$dir/trace"
  - id: copied
    unless: 'true'
    run: 'false'
    undo: echo never >> "$dir/trace"
  - id: gate
    run: test -e "$dir/open"
    undo: echo "close the gate" >> "$dir/trace"
  - id: start
    point_of_no_return: true
    run: echo start >> "$dir/trace"
    undo: echo "stop again" >> "$dir/trace"
  - id: clean
    run: test -e "$dir/clean"
"#;

fn place() -> Place {
    Place::with_runbook(PITON, "move", MOVE)
}

fn parked(place: &Place) -> String {
    let dir = format!("dir={}", place.outside("").display());
    let ran = place.piton(&["run", "move", &dir, "-q"]);
    assert_eq!(ran.code, 5, "{}", ran.err);
    ran.out.trim().to_owned()
}

fn trace(place: &Place) -> String {
    std::fs::read_to_string(place.outside("trace")).unwrap_or_default()
}

#[test]
fn a_plan_shows_its_way_back() {
    let place = place();
    assert_snapshot!(place.snapshot(&["plan", "move", "dir=/x", "--undo"]), @r#"
    exit 0
    --- stdout
    If everything has been done, it is taken back in this order
    1. start[local]
       | echo "stop again" >> "$dir/trace"
    -- once start[local] has begun, only a person's word undoes the run --
    2. gate[local]
       | echo "close the gate" >> "$dir/trace"
    3. copied[local]
       | echo never >> "$dir/trace"
    4. stop[local]
       | echo "start $vm, it was $was" >> "$dir/trace"

    Left as it is, because its step has no `undo`
      note[local]
      clean[local]
    "#);
    let json = &place.piton(&["plan", "move", "dir=/x", "--undo", "--json"]).json()[0];
    assert_eq!(json["undo"][0]["task"], "start[local]");
    assert_eq!((&json["undo"][0]["behind_point"], &json["undo"][1]["behind_point"]), (&true.into(), &false.into()));
    assert_eq!(json["no_return"][0], "start[local]");
}

#[test]
fn a_run_shows_what_undo_would_do_and_then_does_that() {
    let place = place();
    let run = parked(&place);
    assert_snapshot!(place.snapshot(&["undo", &run, "--dry-run"]), @r#"
    exit 0
    --- stdout
    Taken back, in this order: 2 tasks
    1. gate[local]: may have happened in part: it exited with status 1
       | echo "close the gate" >> "$dir/trace"
    2. stop[local]: ran
       | echo "start $vm, it was $was" >> "$dir/trace"

    Left as it is
      note[local]: its step has no `undo` (ran)
      copied[local]: it was done before this run came to it
    "#);
    let json = &place.piton(&["undo", &run, "--dry-run", "--json"]).json()[0];
    assert_eq!(
        (json["undo"][0]["task"].as_str(), json["undo"][0]["happened"].as_str()),
        (Some("gate[local]"), Some("maybe"))
    );
    assert_eq!(
        (json["left"][1]["task"].as_str(), json["left"][1]["why"].as_str()),
        (Some("copied[local]"), Some("already_done"))
    );
    assert_eq!(trace(&place), "stop web1\nnote\n", "showing does nothing");

    let ran = place.piton(&["undo", &run, "--why", "wrong guest", "--watch"]);
    assert_eq!(ran.code, 4, "{}", ran.err);
    assert_snapshot!(place.snapshot(&["why", &run, "stop"]), @"
    exit 0
    --- stdout
    stop[local] was taken back
      TIME stop[local] started
      TIME stop[local] main 1 exited with status 0
      TIME stop[local] succeeded in SPAN
      TIME stop[local] undo started
      TIME stop[local] undo 1 exited with status 0
      TIME stop[local] was taken back
      The run was undone because ann@MACHINE (wrong guest) said so.
    ");
    assert_snapshot!(place.snapshot(&["why", &run, "clean"]), @"
    exit 0
    --- stdout
    clean[local] never began: the run was undone
      The run was undone because ann@MACHINE (wrong guest) said so.
    ");
    assert_eq!(trace(&place), "stop web1\nnote\nclose the gate\nstart web1, it was running\n");
    assert_snapshot!(place.snapshot(&["undo", &run, "--dry-run"]), @"
    exit 1
    --- stderr
    error: undo would be refused: the run is over: it was undone
    ");
    assert_snapshot!(place.snapshot(&["undo", &run]), @"
    exit 2
    --- stderr
    error: the following required arguments were not provided:
      --why <TEXT>

    Usage: piton undo --why <TEXT> <RUN>

    For more information, try '--help'.
    ");
}

#[test]
fn behind_the_point_of_no_return_only_a_person_undoes() {
    let place = place();
    std::fs::write(place.outside("open"), "").unwrap();
    let run = parked(&place);
    assert_snapshot!(place.snapshot(&["undo", &run, "--dry-run"]), @r#"
    exit 0
    --- stdout
    Taken back, in this order: 3 tasks
    1. start[local]: ran
       | echo "stop again" >> "$dir/trace"
    2. gate[local]: ran
       | echo "close the gate" >> "$dir/trace"
    3. stop[local]: ran
       | echo "start $vm, it was $was" >> "$dir/trace"

    Left as it is
      note[local]: its step has no `undo` (ran)
      copied[local]: it was done before this run came to it
      clean[local]: its step has no `undo` (may have happened in part: it exited with status 1)

    The point of no return is passed (start[local]): only a person's word undoes the run.
    "#);
}

/// Three steps that fail until there is a file, each for itself.
const WIDE: &str = r#"runbook: wide
title: wide
params:
  dir: { type: path }
steps:
  - { id: one, run: 'test -e "$dir/one"', }
  - { id: two, needs: [], run: 'test -e "$dir/two"', retry: { times: 1, delay: 0s } }
  - { id: three, needs: [], run: 'test -e "$dir/three"' }
  - { id: last, needs: [one, two, three], run: 'true' }
"#;

fn wide() -> (Place, String) {
    let place = Place::with_runbook(PITON, "wide", WIDE);
    let dir = format!("dir={}", place.outside("").display());
    let ran = place.piton(&["run", "wide", &dir, "-q"]);
    assert_eq!(ran.code, 5, "{}", ran.err);
    (place, ran.out.trim().to_owned())
}

#[test]
fn several_tasks_are_told_at_once() {
    let (place, run) = wide();
    std::fs::write(place.outside("one"), "").unwrap();
    let ran = place.piton(&["retry", &run, "--all-failed", "--why", "again"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let said = |ran: &piton_tests::cli::Ran| ran.err.lines().filter(|l| l.contains(": taken up")).count();
    assert_eq!(said(&ran), 3, "{}", ran.err);
    place.wait(&["ls", "--json"], |out| out.contains("\"parked\""));
    assert_snapshot!(place.snapshot(&["retry", &run, "one", "t*"]), @"
    exit 1
    --- stderr
    retry two[local]: taken up; `piton watch RUN` follows the run
    retry three[local]: taken up; `piton watch RUN` follows the run
    error: retry one[local] is refused: one[local] does not wait for a decision: it is succeeded; `undo` takes back what was done; when the run is over, `rerun --from` does it again
    ");
    place.wait(&["ls", "--json"], |out| out.contains("\"parked\""));
    let ran = place.piton(&["resolve", &run, "t*[local]", "--why", "by hand", "--watch"]);
    assert_eq!((ran.code, said(&ran)), (0, 2), "{}", ran.err);
    assert_snapshot!(place.snapshot(&["skip", &run, "--all-failed", "--why", "x"]), @"
    exit 1
    --- stderr
    error: the run is over: it succeeded
    hint: `piton rerun RUN --from STEP` does a part of it again, in a new run
    ");
    assert_snapshot!(place.snapshot(&["retry", &run]), @"
    exit 2
    --- stderr
    error: the following required arguments were not provided:
      <TASK>...

    Usage: piton retry <RUN> <TASK>...

    For more information, try '--help'.
    ");
}

#[test]
fn patterns_that_mean_nothing_are_refused() {
    let (place, run) = wide();
    assert_snapshot!(place.snapshot(&["retry", &run, "nothing*"]), @"
    exit 2
    --- stderr
    error: no task of run RUN is called `nothing*`
    hint: `piton show RUN` tells where each task stands
    ");
    assert_snapshot!(place.snapshot(&["retry", &run, "l*"]), @"
    exit 2
    --- stderr
    error: the one task that is called `l*` does not wait for a decision
    hint: `piton show RUN` tells where each task stands
    ");
    let json = place.piton(&["retry", &run, "one", "two", "last", "--json"]);
    assert_eq!(json.code, 1, "{}", json.err);
    let refused: Vec<bool> = json.json().iter().map(|line| line["refused"].is_string()).collect();
    assert_eq!(refused, [false, false, true]);
}

#[test]
fn a_run_is_shown_as_it_was() {
    let place = place();
    let run = parked(&place);
    assert_snapshot!(place.snapshot(&["show", &run, "--at", "7"]), @"
    exit 0
    --- stdout
    move  Move a guest
    run      RUN
    as of    event 7, DATE
    state    running, SPAN
    asked    DATE by ann@MACHINE
    param    dir = HERE/
    param    vm = web1

    TASK           STATE      TRIES      TOOK
    stop[local]    succeeded      1 SPAN
      | was=running
    note[local]    ending         1 SPAN
    copied[local]  waiting
    gate[local]    waiting
    start[local]   waiting
    clean[local]   waiting
    ");
    assert_snapshot!(place.snapshot(&["why", &run, "note", "--at", "6"]), @"
    exit 0
    --- stdout
    note[local] is running
      TIME note[local] started
      It could start because of stop[local] (succeeded).
    ");
    assert_snapshot!(place.snapshot(&["why", &run, "note", "--at", "3"]), @"
    exit 0
    --- stdout
    note[local] waits for stop[local]

    stop[local] is running
      TIME stop[local] started
      It could start because it needs nothing.
    ");
    let now = &place.piton(&["show", &run, "--at", "0s", "--json"]).json()[0];
    assert_eq!(now["state"], "parked");
    let then = &place.piton(&["show", &run, "--at", "4", "--json"]).json()[0];
    assert_eq!((&then["state"], &then["events"]), (&"running".into(), &4.into()));
    assert_snapshot!(place.snapshot(&["show", &run, "--at", "999"]), @"
    exit 2
    --- stderr
    error: run RUN has 15 events, none with the number 999
    hint: `piton show RUN --events` shows them
    ");
    assert_snapshot!(place.snapshot(&["show", &run, "--at", "1d"]), @"
    exit 2
    --- stderr
    error: at 1d there was no run RUN yet
    hint: `piton show RUN --events` shows the events with numbers and times
    ");
    assert_snapshot!(place.snapshot(&["show", &run, "--at", "noon"]), @"
    exit 2
    --- stderr
    error: `noon` is no time: write 10m (so long ago), 10:02, or DATEZ
    hint: a moment is the number of an event, or a time; a number alone is an event's
    ");
}
