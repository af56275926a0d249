//! Approvals, pauses and locks from the operator's side, with real processes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use std::process::{Child, Command, Output};

use insta::assert_snapshot;
use piton_tests::cli::{Place, Ran};

const PITON: &str = env!("CARGO_BIN_EXE_piton-under-test");

const GATE: &str = r#"runbook: gate
title: Ask before acting
steps:
  - id: look
    run: echo "disk=/dev/sdb" >> "$PITON_OUTPUT"
  - id: gate
    approve:
      prompt: "wipe {{ steps.look.outputs.disk }}?"
      who: [daemon, games, backup]
      count: 2
  - id: wipe
    run: echo wiped
"#;

fn place() -> Place {
    let place = Place::new(PITON);
    place.write("runbooks/gate.yaml", GATE);
    place
}

/// `piton` as somebody else, who has become root with sudo. What the environment says besides is not believed.
///
/// # Panics
/// If the tests do not run as root, or there is no such user on this machine.
fn by(place: &Place, user: &str, arguments: &[&str]) -> Ran {
    let told_uid = Command::new("id").args(["-u", user]).output().unwrap();
    assert!(told_uid.status.success() && id(&["-u"]) == "0", "this test plays {user}: it runs as root");
    let uid = String::from_utf8(told_uid.stdout).unwrap();
    told(
        place
            .command(arguments)
            .env("SUDO_UID", uid.trim())
            .env("USER", "bin")
            .env("SUDO_USER", "bin")
            .output()
            .unwrap(),
    )
}

fn id(words: &[&str]) -> String {
    String::from_utf8(Command::new("id").args(words).output().unwrap().stdout).unwrap().trim().to_owned()
}

fn told(output: Output) -> Ran {
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn end(child: Child) -> Ran {
    told(child.wait_with_output().unwrap())
}

/// A run that is kept up by a file: it makes `NAME.begun` and waits for `NAME.go`.
fn keeper(extra: &str) -> String {
    format!(
        r#"runbook: keeper
params:
  dir: {{ type: path }}
  name: {{ type: name }}
{extra}steps:
  - id: keep
    run: |
      touch "$dir/$name.begun"
      while ! test -e "$dir/$name.go"; do sleep 0.05; done
"#
    )
}

#[test]
fn two_people_approve_and_the_run_goes_on_by_itself() {
    let place = place();
    let run = place.start(&["run", "gate"]);
    place.wait(&["show", "latest", "--json"], |out| out.contains("\"asking\""));
    assert_snapshot!(place.snapshot(&["show", "latest"]), @"
    exit 0
    --- stdout
    gate  Ask before acting
    run      RUN
    state    approval, SPAN
    asked    DATE by ann@MACHINE
    engine   ENGINE
    waits    gate has 0 of 2; who may: daemon or games or backup, not the requester

    TASK         STATE      TRIES      TOOK
    look[local]  succeeded      1 SPAN
      | disk=/dev/sdb
    gate         asking         1 SPAN  0 of 2 approved; who may: daemon or games or backup, not the requester
    wipe[local]  waiting

    gate waits for approval: wipe /dev/sdb?
      0 of 2 approved; who may: daemon or games or backup, not the requester
      piton approve RUN gate --why TEXT  # yes
      piton reject RUN gate --why TEXT   # no: the step fails
      piton cancel RUN                   # stop here; `finally` still runs
    ");
    assert_snapshot!(place.snapshot(&["ls"]), @"
    exit 0
    --- stdout
    RUN                         STATE      CREATED                 TOOK  RUNBOOK                   TITLE
    RUN  approval   DATE SPAN  gate                      Ask before acting
                                gate has 0 of 2; who may: daemon or games or backup, not the requester
    ");
    assert_snapshot!(place.snapshot(&["why", "latest", "gate"]), @"
    exit 0
    --- stdout
    gate waits for approval: 0 of 2 approved; who may: daemon or games or backup, not the requester
      TIME gate started
      TIME gate waits for 2 approvals (daemon or games or backup, not the requester): wipe /dev/sdb?
      It could start because of look[local] (succeeded).
    ");
    // The requester, a stranger, a second vote: each is told why it does not count.
    assert_snapshot!(place.snapshot(&["approve", "latest"]), @"
    exit 1
    --- stderr
    gate asks: wipe /dev/sdb?
    0 of 2 approved; who may: daemon or games or backup, not the requester
    error: approve gate is refused: ann@MACHINE may not approve this: it takes daemon or games or backup, not the requester
    ");
    assert_snapshot!(place.steady(&by(&place, "man", &["approve", "latest", "gate"]).err), @"
    gate asks: wipe /dev/sdb?
    0 of 2 approved; who may: daemon or games or backup, not the requester
    error: approve gate is refused: man(root)@MACHINE may not approve this: it takes daemon or games or backup, not the requester
    ");
    assert_snapshot!(place.steady(&by(&place, "daemon", &["approve", "latest", "--why", "looked at it"]).err), @"
    gate asks: wipe /dev/sdb?
    0 of 2 approved; who may: daemon or games or backup, not the requester
    approve gate: taken up; `piton watch RUN` follows the run
    ");
    assert_snapshot!(place.steady(&by(&place, "daemon", &["approve", "latest"]).err), @"
    gate asks: wipe /dev/sdb?
    1 of 2 approved by daemon(root)@MACHINE; who may: daemon or games or backup, not the requester
    error: approve gate is refused: daemon(root)@MACHINE has approved this already
    ");
    let other = by(&place, "games", &["approve", "latest", "--facts", &"0".repeat(64)]);
    assert_eq!(other.code, 1, "{}", other.err);
    assert!(other.err.contains("was asked anew since this was read"), "{}", other.err);
    assert_eq!(by(&place, "games", &["approve", "latest"]).code, 0);
    let ran = end(run);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_snapshot!(place.steady(&ran.err), @"
    TIME look[local] started
    TIME look[local] succeeded in SPAN
    TIME gate started
    TIME gate waits for 2 approvals (daemon or games or backup, not the requester): wipe /dev/sdb?
    TIME ann@MACHINE says approve gate, which is refused: ann@MACHINE may not approve this: it takes daemon or games or backup, not the requester
    TIME man(root)@MACHINE says approve gate, which is refused: man(root)@MACHINE may not approve this: it takes daemon or games or backup, not the requester
    TIME daemon(root)@MACHINE says approve gate (looked at it)
    TIME gate needs 1 more to approve
    TIME daemon(root)@MACHINE says approve gate, which is refused: daemon(root)@MACHINE has approved this already
    TIME games(root)@MACHINE says approve gate, which is refused: gate was asked anew since this was read: look at it again
    TIME games(root)@MACHINE says approve gate
    TIME gate was approved
    TIME wipe[local] started
    TIME wipe[local] | wiped
    TIME wipe[local] succeeded in SPAN
    Run RUN succeeded after SPAN; 3 succeeded.
    ");
    assert_snapshot!(place.snapshot(&["approve", "latest"]), @"
    exit 2
    --- stderr
    error: run RUN waits for no approval
    ");
    assert_snapshot!(place.snapshot(&["approve", "latest", "gate"]), @"
    exit 1
    --- stderr
    error: the run is over: it succeeded
    hint: `piton rerun RUN --from STEP` does a part of it again, in a new run
    ");
}

#[test]
fn nobody_waits_who_does_not_want_to_and_a_no_fails_the_step() {
    let place = place();
    let ran = place.piton(&["run", "gate", "--no-wait"]);
    assert_eq!(ran.code, 5, "{}", ran.err);
    assert_snapshot!(place.steady(&ran.err), @"
    TIME look[local] started
    TIME look[local] succeeded in SPAN
    TIME gate started
    TIME gate waits for 2 approvals (daemon or games or backup, not the requester): wipe /dev/sdb?
    Run RUN waits for approval; 1 succeeded, 1 asking, 1 waiting.
    gate waits for approval: wipe /dev/sdb?
      0 of 2 approved; who may: daemon or games or backup, not the requester
      piton approve RUN gate --why TEXT  # yes
      piton reject RUN gate --why TEXT   # no: the step fails
      piton cancel RUN                   # stop here; `finally` still runs
    ");
    assert_eq!(by(&place, "games", &["reject", "latest"]).code, 2, "a no has a reason");
    assert_eq!(by(&place, "games", &["reject", "latest", "--why", "that is the wrong disk"]).code, 0);
    place.wait(&["ls", "--json"], |out| out.contains("\"parked\""));
    assert_snapshot!(place.snapshot(&["show", "latest"]), @"
    exit 0
    --- stdout
    gate  Ask before acting
    run      RUN
    state    parked, SPAN
    asked    DATE by ann@MACHINE

    TASK         STATE      TRIES      TOOK
    look[local]  succeeded      1 SPAN
      | disk=/dev/sdb
    gate         parked         1            games(root)@MACHINE rejected it: that is the wrong disk
    wipe[local]  waiting

    gate waits for a decision: games(root)@MACHINE rejected it: that is the wrong disk
      piton retry RUN gate       # ask again
      piton undo RUN --why TEXT  # take back what was done
      piton cancel RUN           # stop here; `finally` still runs
    ");
    // There is no way round it.
    assert_snapshot!(place.snapshot(&["skip", "latest", "gate", "--why", "hurry"]), @"
    exit 1
    --- stderr
    error: skip gate is refused: gate is an approval, which cannot be skipped; `piton retry` has it asked again
    ");
    assert_eq!(place.piton(&["retry", "latest", "gate"]).code, 0);
    for user in ["daemon", "games"] {
        place.wait(&["show", "latest", "--json"], |out| out.contains("\"asking\""));
        let ran = by(&place, user, &["approve", "latest"]);
        assert_eq!(ran.code, 0, "{}", ran.err);
    }
    place.wait(&["ls", "--json"], |out| out.contains("\"succeeded\""));
    assert_eq!(place.piton(&["logs", "latest"]).out, "wiped\n");
}

#[test]
fn a_unix_group_may_approve() {
    let place = Place::new(PITON);
    let yaml = "runbook: x\nsteps:\n  - id: gate\n    approve: { prompt: go on?, who: \"%games\" }\n";
    place.write("runbooks/x.yaml", yaml);
    assert_eq!(place.piton(&["run", "x", "--no-wait"]).code, 5);
    let nobody = by(&place, "nobody", &["approve", "latest"]);
    assert!(
        nobody.err.contains("nobody(root)@") && nobody.err.contains("may not approve this: it takes %games"),
        "{}",
        nobody.err
    );
    let games = by(&place, "games", &["approve", "latest"]);
    assert_eq!(games.code, 0, "{}", games.err);
    place.wait(&["ls", "--json"], |out| out.contains("\"succeeded\""));
}

#[test]
fn the_time_for_an_answer_runs_although_nobody_waits() {
    let place = Place::new(PITON);
    let yaml = "runbook: x\nsteps:\n  - id: gate\n    approve: { prompt: go on?, timeout: 1s }\n";
    place.write("runbooks/x.yaml", yaml);
    assert_eq!(place.piton(&["run", "x", "--no-wait"]).code, 5);
    let shown = place.wait(&["show", "latest"], |out| out.contains("nobody approved it in time"));
    assert!(shown.contains("0 of 1 said yes"), "{shown}");
}

#[test]
fn a_paused_run_begins_nothing_and_resume_lets_it_go_on() {
    let place = Place::new(PITON);
    let more = "  - id: after\n    run: echo after\n";
    place.write("runbooks/keeper.yaml", &format!("{}{more}", keeper("")));
    let dir = format!("dir={}", place.outside("").display());
    let run = place.start(&["run", "keeper", &dir, "name=a"]);
    place.wait_for_file(&place.outside("a.begun"));
    assert_snapshot!(place.snapshot(&["pause", "latest", "--why", "the array rebuilds"]), @"
    exit 0
    --- stderr
    pause: taken up; `piton watch RUN` follows the run
    ");
    assert_snapshot!(place.snapshot(&["pause", "latest"]), @"
    exit 1
    --- stderr
    error: pause is refused: the run is paused already
    ");
    std::fs::write(place.outside("a.go"), "").unwrap();
    let ran = end(run);
    assert_eq!(ran.code, 5, "{}", ran.err);
    assert_snapshot!(place.steady(&ran.err), @"
    TIME keep[local] started
    TIME ann@MACHINE says pause (the array rebuilds)
    TIME the run is paused: nothing new begins
    TIME ann@MACHINE says pause, which is refused: the run is paused already
    TIME keep[local] succeeded in SPAN
    Run RUN is paused; 1 succeeded, 1 waiting.
    The run is paused by ann@MACHINE: the array rebuilds
      piton resume RUN  # go on
    ");
    assert_snapshot!(place.snapshot(&["ls"]), @"
    exit 0
    --- stdout
    RUN                         STATE      CREATED                 TOOK  RUNBOOK                   TITLE
    RUN  paused     DATE SPAN  keeper
                                paused by ann@MACHINE: the array rebuilds
    ");
    assert_snapshot!(place.snapshot(&["why", "latest", "after"]), @"
    exit 0
    --- stdout
    after[local] does not start because ann@MACHINE paused the run
    ");
    assert_snapshot!(place.snapshot(&["resume", "--why", "it is whole again"]), @"
    exit 0
    --- stdout
    RUN
    --- stderr
    TIME engine ENGINE took the run over
    TIME ann@MACHINE says resume (it is whole again)
    TIME the run goes on
    TIME after[local] started
    TIME after[local] | after
    TIME after[local] succeeded in SPAN
    Run RUN succeeded after SPAN; 2 succeeded.
    ");
    let over = place.piton(&["pause", "latest"]);
    assert!(over.err.contains("the run is over: it succeeded"), "{}", over.err);
}

#[test]
fn a_run_waits_for_the_locks_of_another_and_all_of_it_can_be_seen() {
    let place = Place::new(PITON);
    place.write("runbooks/keeper.yaml", &keeper("locks: [\"vm/web1\", { name: images, shared: true }]\n"));
    let dir = format!("dir={}", place.outside("").display());
    let first = place.start(&["run", "keeper", &dir, "name=a"]);
    place.wait_for_file(&place.outside("a.begun"));
    let second = place.start(&["run", "keeper", &dir, "name=b"]);
    place.wait(&["locks"], |out| out.contains("waits"));
    assert_snapshot!(place.snapshot(&["locks"]), @"
    exit 0
    --- stdout
    LOCK                      SINCE                RUN                         STATE      RUNBOOK                   TASK
    images (shared)  holds    DATE  RUN  running    keeper
    images (shared)  waits    DATE  RUN  locked     keeper
    vm/web1          holds    DATE  RUN  running    keeper
    vm/web1          waits    DATE  RUN  locked     keeper
    ");
    assert_snapshot!(place.snapshot(&["ls"]), @"
    exit 0
    --- stdout
    RUN                         STATE      CREATED                 TOOK  RUNBOOK                   TITLE
    RUN  locked     DATE SPAN  keeper
                                waits for images (shared), vm/web1
    RUN  running    DATE SPAN  keeper
    ");
    assert_snapshot!(place.snapshot(&["why", "latest", "keep"]), @"
    exit 0
    --- stdout
    keep[local] waits for the locks of the run: images (shared), vm/web1 (run RUN holds images, vm/web1)
    ");
    assert_snapshot!(place.snapshot(&["show", "latest"]), @"
    exit 0
    --- stdout
    keeper
    run      RUN
    state    running, SPAN
    asked    DATE by ann@MACHINE
    engine   ENGINE
    waits    for images (shared), vm/web1
    param    dir = HERE/
    param    name = b

    TASK         STATE      TRIES      TOOK
    keep[local]  waiting
    ");
    let lines = place.piton(&["locks", "vm", "--json"]).json();
    assert_eq!((lines.len(), &lines[0]["state"], &lines[1]["behind"][0]), (2, &"holds".into(), &lines[0]["run"]));
    assert!(!place.outside("b.begun").exists(), "nothing of it has begun");
    std::fs::write(place.outside("a.go"), "").unwrap();
    std::fs::write(place.outside("b.go"), "").unwrap();
    assert_eq!(end(first).code, 0);
    let ran = end(second);
    assert_eq!(ran.code, 0);
    assert_snapshot!(place.steady(&ran.err), @"
    TIME the run waits for images (shared), vm/web1 (run RUN holds images, vm/web1)
    TIME keep[local] started
    TIME keep[local] succeeded in SPAN
    Run RUN succeeded after SPAN; 1 succeeded.
    ");
    assert_snapshot!(place.snapshot(&["locks"]), @"
    exit 0
    --- stderr
    Nobody holds or waits for a lock.
    ");
    assert_snapshot!(place.snapshot(&["show", "latest", "--events"]), @"
    exit 0
    --- stdout
         1  TIME ann@MACHINE asked for keeper
         2  TIME engine ENGINE drives the run
         3  TIME the run stands in the queue for images (shared), vm/web1
         4  TIME the run has its locks
         5  TIME keep[local] started
         6  TIME keep[local] main 1 exited with status 0
         7  TIME keep[local] succeeded in SPAN
         8  TIME the steps under `finally` begin
         9  TIME the run succeeded after SPAN
    ");
    assert_snapshot!(place.snapshot(&["plan", "keeper", &dir, "name=b"]), @r#"
    exit 0
    --- stdout
    keeper
    from    runbooks/keeper.yaml
    takes   about a moment
    digest  DIGEST
    tasks   1 on 1 host, 256 at once at most, on failure stop and ask
    locks   images (shared), vm/web1
    params
      dir = HERE/
      name = b

    1. keep
       hosts    local
       needs    nothing
       run
         | touch "$dir/$name.begun"
         | while ! test -e "$dir/$name.go"; do sleep 0.05; done

    way back  none
    no undo   keep
    "#);
}

/// The engine of the holder is killed: the lock is the run's, and stays; when the run is taken up and over, it goes on.
#[test]
fn a_killed_holder_keeps_its_lock_until_its_run_is_over() {
    let place = Place::new(PITON);
    place.write("runbooks/keeper.yaml", &keeper("locks: vm/web1\n"));
    let dir = format!("dir={}", place.outside("").display());
    let mut first = place.start(&["run", "keeper", &dir, "name=a"]);
    place.wait_for_file(&place.outside("a.begun"));
    first.kill().unwrap();
    first.wait().unwrap();
    let held = place.piton(&["locks"]);
    assert!(held.out.contains("vm/web1") && held.out.contains("holds") && held.out.contains("adrift"), "{}", held.out);
    // Whoever comes takes the run up in the background, and waits for it like for any other.
    let second = place.start(&["run", "keeper", &dir, "name=b"]);
    place.wait(&["locks"], |out| out.contains("waits") && !out.contains("adrift"));
    assert!(!place.outside("b.begun").exists());
    std::fs::write(place.outside("a.go"), "").unwrap();
    place.wait_for_file(&place.outside("b.begun"));
    std::fs::write(place.outside("b.go"), "").unwrap();
    let ran = end(second);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(place.piton(&["locks"]).err, "Nobody holds or waits for a lock.\n");
}

/// Run 1 holds a and wants b, run 2 holds b and wants a: the one that asks last is told, and the other goes on.
#[test]
fn two_runs_with_crossing_locks_do_not_wait_for_ever() {
    let place = Place::new(PITON);
    let yaml = r#"runbook: cross
params:
  dir: { type: path }
  own: { type: name }
  other: { type: name }
locks: ["{{ own }}"]
on_failure: continue
steps:
  - id: hold
    run: |
      touch "$dir/$own.holds"
      while ! test -e "$dir/$other.holds"; do sleep 0.05; done
  - id: cross
    locks: ["{{ other }}"]
    run: echo "$own crossed"
"#;
    place.write("runbooks/cross.yaml", yaml);
    let dir = format!("dir={}", place.outside("").display());
    let one = place.start(&["run", "cross", &dir, "own=a", "other=b"]);
    let two = place.start(&["run", "cross", &dir, "own=b", "other=a"]);
    let (one, two) = (end(one), end(two));
    let mut codes = [one.code, two.code];
    codes.sort_unstable();
    assert_eq!(codes, [0, 4], "{}\n{}", one.err, two.err);
    let refused = if one.code == 4 { &one.err } else { &two.err };
    assert!(refused.contains("would be to wait for ever: run "), "{refused}");
    assert_eq!(place.piton(&["locks"]).err, "Nobody holds or waits for a lock.\n");
}

/// Twenty processes, three at a time.
#[test]
fn twenty_runs_on_a_counted_lock_are_never_more_than_three() {
    let place = Place::new(PITON);
    let yaml = r#"runbook: slots
params:
  dir: { type: path }
steps:
  - id: work
    locks: { name: slots, count: 3 }
    run: |
      mkdir "$dir/in.$$"
      set -- "$dir"/in.*
      echo "$#" >> "$dir/seen"
      sleep 0.3
      rmdir "$dir/in.$$"
"#;
    place.write("runbooks/slots.yaml", yaml);
    let dir = format!("dir={}", place.outside("").display());
    let runs: Vec<Child> = (0..20).map(|_| place.start(&["run", "slots", &dir])).collect();
    for run in runs {
        let ran = end(run);
        assert_eq!(ran.code, 0, "{}", ran.err);
    }
    let seen = std::fs::read_to_string(place.outside("seen")).unwrap();
    let seen: Vec<u32> = seen.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(seen.len(), 20);
    assert!(seen.iter().all(|&at_once| at_once <= 3), "{seen:?}");
    assert!(seen.iter().any(|&at_once| at_once > 1), "they ran one after the other: {seen:?}");
    assert_eq!(place.piton(&["locks"]).err, "Nobody holds or waits for a lock.\n");
}
