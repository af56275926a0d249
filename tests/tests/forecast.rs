//! How long a run takes, as earlier runs tell: in the plan, in `show` and in `watch`.

use piton_tests::cli::Place;
use serde_json::Value;

const PITON: &str = env!("CARGO_BIN_EXE_piton-under-test");

const BOOK: &str = r#"runbook: slow
params:
  open: { type: path }
steps:
  - id: work
    run: test -e "$open" || exit 1
  - id: rest
    wait: { for: 1h }
    when: "!open.ends_with(`now`)"
"#;

#[test]
fn a_plan_tells_how_long_it_takes_once_it_has_been_run() {
    let place = Place::with_runbook(PITON, "slow", BOOK);
    let go = format!("open={}", place.write("now", "").display());
    let expected = || -> Value { place.piton(&["--json", "plan", "slow", &go]).json()[0]["expected"].clone() };
    // A wait says itself how long it takes; of the work nothing is known.
    assert_eq!((&expected()["unknown"], &expected()["median"]), (&Value::from(1), &Value::from(3600.0)));
    let told = place.piton(&["plan", "slow", &go]).out;
    assert!(told.contains("takes   about 60 min; nothing is known of 1 of 2 tasks\n"), "{told}");
    for _ in 0..2 {
        let ran = place.piton(&["-q", "run", "slow", &go]);
        assert_eq!(ran.code, 0, "{}", ran.err);
    }
    assert_eq!(expected()["unknown"], 0, "{}", expected());
    assert!(expected()["median"].as_f64().unwrap() >= 3600.0, "{}", expected());
    let told = place.piton(&["plan", "slow", &go]).out;
    assert!(told.contains("takes   about 60 min\n"), "{told}");
    assert!(place.piton(&["run", "--dry-run", "slow", &go]).out.contains("takes   about 60 min\n"));

    // A run that goes on says how much is left of it.
    let later = format!("open={}", place.write("later", "").display());
    let id = place.piton(&["run", "--detach", "slow", &later]).out.trim().to_owned();
    let shown = place.wait(&["show", &id], |out| out.contains("pausing"));
    assert!(
        shown.lines().any(|line| line.starts_with("state    running") && line.ends_with("about 60 min left")),
        "{shown}"
    );
    let left = place.piton(&["--json", "show", &id]).json()[0]["left"].clone();
    assert!(left["median"].as_f64().unwrap() <= 3600.0 && left["tasks"] == 1, "{left}");
    assert_eq!(place.piton(&["cancel", &id]).code, 0);
    let over = place.wait(&["show", &id], |out| out.contains("cancelled"));
    assert!(!over.contains("left"), "{over}");
}

#[test]
fn an_estimate_counts_until_a_run_has_shown_how_long_it_takes() {
    let place =
        Place::with_runbook(PITON, "slow", &BOOK.replace("  - id: work\n", "  - id: work\n    estimate: 20m\n"));
    let go = format!("open={}", place.write("now", "").display());
    let told = place.piton(&["plan", "slow", &go]).out;
    assert!(told.contains("takes   about 80 min\n"), "{told}");
    let ran = place.piton(&["-q", "run", "slow", &go]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let told = place.piton(&["plan", "slow", &go]).out;
    assert!(told.contains("takes   about 60 min\n"), "{told}");
    let wrong =
        "runbook: slow\nsteps:\n  - { id: a, wait: { for: 1s }, estimate: 5s }\n  - { id: b, run: x, estimate: 0s }\n";
    place.write("runbooks/slow.yaml", wrong);
    let checked = place.piton(&["check", "slow"]);
    assert_eq!(checked.code, 3, "{}", checked.err);
    let faults = format!("{}{}", checked.out, checked.err);
    assert!(faults.contains("`estimate` does nothing on `wait for`"), "{faults}");
    assert!(faults.contains("`estimate` must be more than zero"), "{faults}");
}

#[test]
fn planning_makes_no_store() {
    let place = Place::with_runbook(PITON, "slow", BOOK);
    let nowhere = place.outside("nowhere");
    let planned = place.piton(&["--state", &nowhere.display().to_string(), "plan", "slow", "open=/x"]);
    assert_eq!(planned.code, 0, "{}", planned.err);
    assert!(!nowhere.exists());
}
