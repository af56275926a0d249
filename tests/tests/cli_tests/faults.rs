//! Mistakes in runbooks that faults bring to light.

use super::*;

fn faults(place: &Place) -> (i32, Vec<String>) {
    let ran = place.piton(&["test", "--faults", "--json"]);
    (ran.code, complaints(&ran))
}

/// The same, and nobody looks at the copy.
fn trusting() -> String {
    let look = MOVE.lines().find(|line| line.contains("sha256sum")).unwrap();
    MOVE.replace(&format!("{look}\n"), "")
}

#[test]
fn a_runbook_without_mistakes_passes_with_every_fault() {
    let place = place(MOVE, MOVE_TEST);
    let (code, complaints) = faults(&place);
    assert_eq!((code, complaints), (0, Vec::new()));
}

#[test]
fn a_missing_verify_is_found() {
    let without = trusting()
        .replace("    verify: { run: test \"$(virsh domstate \"$vm\")\" = \"shut off\", within: 5m, every: 2s }\n", "");
    assert_ne!(without, trusting());
    let place = place(&without, MOVE_TEST);
    let (code, complaints) = faults(&place);
    assert_eq!(code, 4);
    // The guest is still running when its disk is copied.
    assert!(complaints[0].contains("it runs from a torn image"), "{complaints:#?}");

    // What ends at once without doing its work is found only by making it so.
    let quick = MOVE_TEST.replace("later: { after: 30s, set: { running: false } }", "set: { running: false }");
    place.write("runbooks/move.test.yaml", &quick);
    assert_eq!(place.piton(&["test"]).code, 0);
    let (code, complaints) = faults(&place);
    assert_eq!(code, 4);
    let silent = "when `run` of stop[hv1] exits with 0, having done nothing";
    assert!(complaints.iter().any(|c| c.starts_with(silent) && c.contains("the guest runs twice")), "{complaints:#?}");
}

#[test]
fn repeat_safe_on_what_is_not_safe_is_found() {
    let place = place(&trusting(), MOVE_TEST);
    let counted = MOVE_TEST.replace(
        "    takes: 10m",
        "    takes: 10m\n    set: { copies: \"{{ (state.get(\\\"copies\\\") ?? 0) + 1 }}\" }",
    );
    assert_ne!(counted, MOVE_TEST);
    place.write("runbooks/move.test.yaml", &counted);
    assert_eq!(place.piton(&["test"]).code, 0, "without faults nothing is done twice");
    let (code, complaints) = faults(&place);
    assert_eq!(code, 4);
    let twice =
        "when `run` of copy[hv1] is lost, having done its work: copy[hv1] has `repeat: safe` and was done again";
    assert!(complaints.iter().any(|c| c.starts_with(twice)), "{complaints:#?}");
}

#[test]
fn a_wrong_undo_is_found() {
    // It takes the guest back to the old host before it is gone from the new one.
    let wrong = MOVE.replace("    undo: virsh destroy \"$vm\"\n", "    undo: echo forgotten\n");
    let place = place(&wrong, &MOVE_TEST.replace("part: undo, set: { running: false } }", "part: undo }"));
    assert_eq!(place.piton(&["test"]).code, 0, "without faults nothing is undone");
    let (code, complaints) = faults(&place);
    assert_eq!(code, 4);
    assert!(
        complaints.iter().any(|c| c.contains("start[hv2]") && c.contains("the guest runs twice")),
        "{complaints:#?}"
    );
}

#[test]
fn an_undo_that_is_not_there_is_found() {
    let without = MOVE.split("    undo: |").next().unwrap().to_owned() + &MOVE[MOVE.find("  - id: copy").unwrap()..];
    let place = place(&without, MOVE_TEST);
    let (code, complaints) = faults(&place);
    assert_eq!(code, 4);
    assert!(complaints.iter().any(|c| c.contains("it does not run where it ran")), "{complaints:#?}");
}

#[test]
fn the_same_test_gives_the_same_result() {
    let wrong = MOVE.replace("    undo: virsh destroy \"$vm\"\n", "");
    let place = place(&wrong, MOVE_TEST);
    let first = place.piton(&["test", "--faults", "--json"]);
    for _ in 0..3 {
        assert_eq!(place.piton(&["test", "--faults", "--json"]).out, first.out);
    }
}
