//! Approvals, pauses and locks from the operator's side, with real processes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod locks;

use std::process::{Child, Command};

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
    Place::with_runbook(PITON, "gate", GATE)
}

/// `piton` as somebody else, who has become root with sudo. What the environment says besides is not believed.
///
/// # Panics
/// If the tests do not run as root, or there is no such user on this machine.
fn by(place: &Place, user: &str, arguments: &[&str]) -> Ran {
    let told_uid = Command::new("id").args(["-u", user]).output().unwrap();
    assert!(told_uid.status.success() && id(&["-u"]) == "0", "this test plays {user}: it runs as root");
    let uid = String::from_utf8(told_uid.stdout).unwrap();
    let mut command = place.command(arguments);
    command.env("SUDO_UID", uid.trim()).env("USER", "bin").env("SUDO_USER", "bin").output().unwrap().into()
}

fn id(words: &[&str]) -> String {
    String::from_utf8(Command::new("id").args(words).output().unwrap().stdout).unwrap().trim().to_owned()
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
    let ran = Ran::of(run);
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
    let ran = Ran::of(run);
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
