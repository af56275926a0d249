//! Runs from the operator's side: how they are told, what a person can say to them, and what they leave behind.

mod parked;

use std::path::PathBuf;

use insta::assert_snapshot;
use piton_tests::cli::{Place, Ran};
use serde_json::Value;

const PITON: &str = env!("CARGO_BIN_EXE_piton-under-test");

/// `gate` fails until a file is there; undoing it fails until another one is.
const GATE: &str = r#"runbook: gate
title: Go through a gate
params:
  open: { type: path }
steps:
  - id: first
    run: echo first
    undo: echo "first taken back"
  - id: gate
    run: |
      echo "looking for $open"
      test -e "$open"
    undo: test -e "$open.undo"
  - id: last
    env: { key: "{{ if `key` in steps.gate.outputs { steps.gate.outputs.key } else { `none` } }}" }
    run: |
      echo "key is $key"
      echo "seen=$key" >> "$PITON_OUTPUT"
finally:
  - id: tidy
    run: echo tidy
"#;

fn place() -> Place {
    Place::with_runbook(PITON, "gate", GATE)
}

/// Runs `gate` until it is parked.
fn parked(place: &Place) -> (Ran, PathBuf) {
    let open = place.outside("open");
    let ran = place.piton(&["run", "gate", &format!("open={}", open.display())]);
    assert_eq!(ran.code, 5, "{}", ran.err);
    (ran, open)
}

#[test]
fn a_run_tells_its_id_first_and_then_how_it_goes() {
    let place = place();
    let open = place.write("open", "");
    let open = format!("open={}", open.display());
    assert_snapshot!(place.snapshot(&["run", "gate", &open]), @"
    exit 0
    --- stdout
    RUN
    --- stderr
    TIME first[local] started
    TIME first[local] | first
    TIME first[local] succeeded in SPAN
    TIME gate[local] started
    TIME gate[local] | looking for HERE/project/open
    TIME gate[local] succeeded in SPAN
    TIME last[local] started
    TIME last[local] | key is none
    TIME last[local] succeeded in SPAN
    TIME tidy[local] started
    TIME tidy[local] | tidy
    TIME tidy[local] succeeded in SPAN
    Run RUN succeeded after SPAN; 4 succeeded.
    ");
    assert_snapshot!(place.snapshot(&["show", "latest"]), @"
    exit 0
    --- stdout
    gate  Go through a gate
    run      RUN
    state    succeeded, SPAN
    asked    DATE by ann@MACHINE
    param    open = HERE/project/open

    TASK          STATE      TRIES      TOOK
    first[local]  succeeded      1 SPAN
    gate[local]   succeeded      1 SPAN
    last[local]   succeeded      1 SPAN
      | seen=none
    tidy[local]   succeeded      1 SPAN
    ");
    assert_snapshot!(place.snapshot(&["ls"]), @"
    exit 0
    --- stdout
    RUN                         STATE      CREATED                 TOOK  RUNBOOK                   TITLE
    RUN  succeeded  DATE SPAN  gate                      Go through a gate
    ");
    assert_snapshot!(place.snapshot(&["verify", "latest"]), @"
    exit 0
    --- stdout
    ok  RUN  16 events  DIGEST
    ");
    assert_snapshot!(place.snapshot(&["why", "latest", "last"]), @"
    exit 0
    --- stdout
    last[local] succeeded: it ran
      TIME last[local] started
      TIME last[local] main 1 exited with status 0
      TIME last[local] succeeded in SPAN
      It could start because of gate[local] (succeeded).
    ");
    assert_snapshot!(place.snapshot(&["show", "latest", "--events"]), @"
    exit 0
    --- stdout
         1  TIME ann@MACHINE asked for gate
         2  TIME engine ENGINE drives the run
         3  TIME first[local] started
         4  TIME first[local] main 1 exited with status 0
         5  TIME first[local] succeeded in SPAN
         6  TIME gate[local] started
         7  TIME gate[local] main 1 exited with status 0
         8  TIME gate[local] succeeded in SPAN
         9  TIME last[local] started
        10  TIME last[local] main 1 exited with status 0
        11  TIME last[local] succeeded in SPAN
        12  TIME the steps under `finally` begin
        13  TIME tidy[local] started
        14  TIME tidy[local] main 1 exited with status 0
        15  TIME tidy[local] succeeded in SPAN
        16  TIME the run succeeded after SPAN
    ");
    assert_snapshot!(place.snapshot(&["graph", "latest"]), @r#"
    exit 0
    --- stdout
    flowchart TD
        s0["first<br/>local: succeeded"]
        style s0 fill:#b7e4c7
        s1["gate<br/>local: succeeded"]
        style s1 fill:#b7e4c7
        s2["last<br/>local: succeeded"]
        style s2 fill:#b7e4c7
        s3(["tidy<br/>local: succeeded"])
        style s3 fill:#b7e4c7
        s0 --> s1
        s1 --> s2
    "#);
    assert_snapshot!(place.snapshot(&["retry", "latest", "last"]), @"
    exit 1
    --- stderr
    error: the run is over: it succeeded
    hint: `piton rerun RUN --from STEP` does a part of it again, in a new run
    ");
    let id = place.piton(&["ls", "--json"]).json()[0]["run"].as_str().unwrap().to_owned();
    assert_eq!(place.piton(&["resume", &id]).code, 0, "a run that is over is told as it ended");
    assert_eq!(place.piton(&["watch", &id[..20]]).code, 0);
}

#[test]
fn a_failure_that_the_runbook_goes_on_after_ends_as_failed() {
    let place = Place::new(PITON);
    place.write(
        "runbooks/fails.yaml",
        "runbook: fails\non_failure: continue\nsteps:\n  - id: bad\n    run: exit 7\n  - id: after\n    run: 'true'\n  - id: apart\n    needs: []\n    run: 'true'\n",
    );
    let ran = place.piton(&["run", "fails"]);
    assert_eq!(ran.code, 4, "{}", ran.err);
    assert_snapshot!(place.snapshot(&["why", "latest", "after"]), @"
    exit 0
    --- stdout
    after[local] was skipped: bad[local] failed, which it needs
      TIME after[local] skipped: bad[local] failed, which it needs

    bad[local] failed: it exited with status 7
      TIME bad[local] started
      TIME bad[local] main 1 exited with status 7
      TIME bad[local] failed: it exited with status 7
      TIME bad[local] is given up; the run goes on without it
      It could start because it needs nothing.
    ");
    assert!(place.steady(&ran.err).contains("`piton why RUN 'bad[local]'` tells why."), "{}", ran.err);
}

#[test]
fn a_run_for_programs_is_lines_of_json_with_the_id_first() {
    let place = place();
    let open = place.outside("open");
    let ran = place.piton(&["run", "gate", &format!("open={}", open.display()), "--json"]);
    let lines = ran.json();
    let id = lines[0]["run"].as_str().unwrap();
    assert_eq!(id.len(), 26);
    let seq = |line: &Value| line["seq"].as_u64().unwrap_or_else(|| panic!("{line} is no fact"));
    let seqs: Vec<u64> = lines[1..lines.len() - 1].iter().map(seq).collect();
    assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>(), "no fact is missing");
    let end = lines.last().unwrap();
    assert_eq!((end["end"].as_str(), end["exit"].as_i64()), (Some("parked"), Some(5)));
    assert_eq!(end["parked"][0]["task"], "gate[local]");
    let commands = end["parked"][0]["commands"].as_array().unwrap();
    assert!(commands.iter().any(|c| c == &Value::from(format!("piton retry {id} 'gate[local]'"))), "{commands:?}");

    let events = place.piton(&["show", id, "--events", "--json"]).json();
    assert_eq!(events, lines[1..lines.len() - 1]);
    let error = place.piton(&["retry", id, "last", "--json"]);
    assert_eq!((error.code, error.json()[0]["refused"].is_string()), (1, true), "{}", error.out);
    let error = place.piton(&["show", "0000", "--json"]);
    assert_eq!((error.code, error.json()[0]["error"]["exit"].as_i64()), (2, Some(2)), "{}", error.out);
}

#[test]
fn what_hosts_print_cannot_play_with_the_terminal() {
    let place = Place::new(PITON);
    place.write(
        "runbooks/rude.yaml",
        "runbook: rude\nsteps:\n  - id: rude\n    run: |\n      printf '\\033]0;owned\\007\\033[31mred\\r\\n'\n",
    );
    let ran = place.piton(&["run", "rude"]);
    assert!(ran.err.contains("rude[local] | ␛]0;owned␇␛[31mred\n"), "{}", ran.err);
    assert!(!ran.err.contains('\x1b'), "{:?}", ran.err);
    assert_eq!(
        place.piton(&["logs", "latest", "rude"]).out,
        "\x1b]0;owned\x07\x1b[31mred\r\n",
        "a pipe gets the bytes"
    );
}

#[test]
fn logs_can_be_cut_to_what_is_wanted() {
    let place = Place::new(PITON);
    place.write(
        "runbooks/talk.yaml",
        "runbook: talk\nsteps:\n  - id: talk\n    run: |\n      seq 1 5\n      echo oops >&2\n  - id: more\n    run: echo more\n",
    );
    assert_eq!(place.piton(&["run", "talk", "-q"]).code, 0);
    let logs = |more: &[&str]| place.piton(&[&["logs", "latest"], more].concat()).out;
    assert_eq!(logs(&["talk", "--stream", "out"]), "1\n2\n3\n4\n5\n");
    assert_eq!(logs(&["talk", "--stream", "out", "--tail", "2"]), "4\n5\n");
    assert_eq!(logs(&["talk", "--stream", "err"]), "oops\n");
    assert_eq!(logs(&["talk", "--stream", "out", "--since", "1h"]), "1\n2\n3\n4\n5\n");
    assert_eq!(logs(&["more", "--follow"]), "more\n");
    assert_snapshot!(logs(&["--tail", "1"]), @"
    ==> talk[local]#1.main1 stdout <==
    5

    ==> talk[local]#1.main1 stderr <==
    oops

    ==> more[local]#1.main1 stdout <==
    more
    ");
    assert_snapshot!(place.snapshot(&["logs", "latest", "talk", "--attempt", "2"]), @"
    exit 0
    --- stderr
    Nothing was printed there; `piton why RUN talk` tells what happened.
    ");
    assert_snapshot!(place.snapshot(&["logs", "latest", "--since", "yesterday"]), @"
    exit 2
    --- stderr
    error: `yesterday` is no time: write 10m (so long ago), 10:02, or DATEZ
    ");
}

#[test]
fn runs_are_listed_with_the_open_ones_first() {
    let place = place();
    let (open, _) = parked(&place);
    place.write("runbooks/ok.yaml", "runbook: ok\nsteps:\n  - id: a\n    run: 'true'\n");
    for _ in 0..3 {
        assert_eq!(place.piton(&["run", "ok", "-q"]).code, 0);
    }
    let ids = |arguments: &[&str]| -> Vec<String> {
        let lines = place.piton(&[&["ls", "--json"], arguments].concat()).json();
        lines.iter().map(|l| l["run"].as_str().unwrap().to_owned()).collect()
    };
    let open = open.out.trim().to_owned();
    assert_eq!((ids(&[]).len(), &ids(&[])[0]), (4, &open));
    assert_eq!(ids(&["--all"]).last(), Some(&open));
    assert_eq!(ids(&["--open"]), std::slice::from_ref(&open));
    assert_eq!(ids(&["--runbook", "gate"]), [open]);
    assert_eq!(ids(&["--all", "--limit", "2"]).len(), 2);
    let shared = &ids(&[])[1][..4];
    let ran = place.piton(&["show", shared]);
    assert!(ran.code == 2 && ran.err.contains("could be "), "{}", ran.err);
}

#[test]
fn a_dry_run_stores_nothing() {
    let place = place();
    assert_eq!(place.piton(&["run", "gate", "open=/x", "--dry-run"]).code, 0);
    assert_snapshot!(place.snapshot(&["ls"]), @"
    exit 0
    --- stderr
    There is no such run.
    ");
    assert_snapshot!(place.snapshot(&["show", "latest"]), @"
    exit 2
    --- stderr
    error: there is no run yet
    ");
}

#[test]
fn a_store_that_cannot_be_used_is_exit_seven() {
    let place = place();
    let file = place.write("file", "");
    let ran = place.piton(&["--state", file.to_str().unwrap(), "ls"]);
    assert_eq!(ran.code, 7, "{}", ran.err);
    assert!(ran.err.contains("hint: "), "{}", ran.err);
    assert_eq!(place.piton(&["--journal", "floppy", "ls"]).code, 7);
}
