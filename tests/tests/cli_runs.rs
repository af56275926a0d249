//! Runs from the operator's side: how they are told, what a person can say to them, and what they leave behind.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

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
    let place = Place::new(PITON);
    place.write("runbooks/gate.yaml", GATE);
    place
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
    assert_snapshot!(place.snapshot(&["run", "gate", &open]), @"");
    assert_snapshot!(place.snapshot(&["show", "latest"]), @"");
    assert_snapshot!(place.snapshot(&["ls"]), @"");
    assert_snapshot!(place.snapshot(&["verify", "latest"]), @"");
    assert_snapshot!(place.snapshot(&["why", "latest", "last"]), @"");
    assert_snapshot!(place.snapshot(&["show", "latest", "--events"]), @"");
    assert_snapshot!(place.snapshot(&["graph", "latest"]), @"");
    assert_snapshot!(place.snapshot(&["retry", "latest", "last"]), @"");
    let id = place.piton(&["ls", "--json"]).json()[0]["run"].as_str().unwrap().to_owned();
    assert_eq!(place.piton(&["resume", &id]).code, 0, "a run that is over is told as it ended");
    assert_eq!(place.piton(&["watch", &id[..20]]).code, 0);
}

#[test]
fn a_parked_run_says_what_a_person_can_do() {
    let place = place();
    let (ran, open) = parked(&place);
    assert_snapshot!(place.steady(&ran.err), @"");
    assert_snapshot!(place.snapshot(&["show", "latest"]), @"");
    assert_snapshot!(place.snapshot(&["why", "latest", "last"]), @"");
    assert_snapshot!(place.snapshot(&["why", "latest", "tidy"]), @"");

    std::fs::write(open, "").unwrap();
    let ran = place.piton(&["retry", "latest", "gate", "--watch"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_snapshot!(place.snapshot(&["show", "latest"]), @"");
}

#[test]
fn a_parked_task_can_be_skipped_with_a_reason() {
    let place = place();
    parked(&place);
    assert_snapshot!(place.snapshot(&["skip", "latest", "gate"]), @"");
    assert_eq!(place.piton(&["skip", "latest", "gate", "--why", "  "]).code, 2);
    let ran = place.piton(&["skip", "latest", "gate[local]", "--why", "not needed", "--watch"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.contains("ann@") && ran.err.contains("says skip gate[local] (not needed)"), "{}", ran.err);
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
    assert_snapshot!(place.steady(&ran.err), @"");
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
    assert_snapshot!(place.snapshot(&["retry", "latest", "last"]), @"");
    assert_snapshot!(place.snapshot(&["retry", "latest", "nothing"]), @"");
    assert_snapshot!(place.snapshot(&["retry", "latest", "gate[hv1]"]), @"");
    assert_snapshot!(place.snapshot(&["retry", "latest", "Gate!"]), @"");
    assert_snapshot!(place.snapshot(&["show", "ZZZ"]), @"");
    assert_snapshot!(place.snapshot(&["show", "not-an-id"]), @"");
    assert_snapshot!(place.snapshot(&["resolve", "latest", "gate", "--why", "x", "--output", "key"]), @"");
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
    assert_snapshot!(place.snapshot(&["why", "latest", "after"]), @"");
    assert!(
        ran.err.contains("why RUN 'bad[local]'` tells why") || place.steady(&ran.err).contains("why RUN 'bad[local]'`")
    );
}

#[test]
fn a_run_for_programs_is_lines_of_json_with_the_id_first() {
    let place = place();
    let open = place.outside("open");
    let ran = place.piton(&["run", "gate", &format!("open={}", open.display()), "--json"]);
    let lines = ran.json();
    let id = lines[0]["run"].as_str().unwrap();
    assert_eq!(id.len(), 26);
    let seqs: Vec<u64> = lines[1..lines.len() - 1].iter().map(|l| l["seq"].as_u64().unwrap()).collect();
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
    assert_snapshot!(logs(&["--tail", "1"]), @"");
    assert_snapshot!(place.snapshot(&["logs", "latest", "talk", "--attempt", "2"]), @"");
    assert_snapshot!(place.snapshot(&["logs", "latest", "--since", "yesterday"]), @"");
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
    assert_eq!(ids(&["--open"]), [open.clone()]);
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
    assert_snapshot!(place.snapshot(&["ls"]), @"");
    assert_snapshot!(place.snapshot(&["show", "latest"]), @"");
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
