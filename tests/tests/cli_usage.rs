//! The command line itself: its help, letter by letter, and what it does with nonsense.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use insta::assert_snapshot;
use piton_tests::cli::Place;
use proptest::prelude::*;

const PITON: &str = env!("CARGO_BIN_EXE_piton-under-test");

/// The help of a verb, without what is the same for all.
fn help(verb: &str) -> String {
    let ran = Place::empty(PITON).piton(&[verb, "--help"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let own = ran.out.split("Everywhere:").next().unwrap();
    own.trim_end().to_owned()
}

#[test]
fn the_help_as_a_whole() {
    let place = Place::empty(PITON);
    assert_snapshot!(place.snapshot(&["--help"]), @"");
    assert_snapshot!(place.snapshot(&["--version"]), @"");
    assert_snapshot!(place.snapshot(&[]).lines().take(3).collect::<Vec<_>>().join("\n"), @"");
    assert_snapshot!(place.snapshot(&["rnu"]), @"");
}

#[test]
fn the_help_of_verbs_that_look() {
    assert_snapshot!(help("check"), @"");
    assert_snapshot!(help("plan"), @"");
    assert_snapshot!(help("ls"), @"");
    assert_snapshot!(help("show"), @"");
    assert_snapshot!(help("watch"), @"");
    assert_snapshot!(help("logs"), @"");
    assert_snapshot!(help("why"), @"");
    assert_snapshot!(help("graph"), @"");
    assert_snapshot!(help("hosts"), @"");
    assert_snapshot!(help("verify"), @"");
}

#[test]
fn the_help_of_verbs_that_act() {
    assert_snapshot!(help("run"), @"");
    assert_snapshot!(help("resume"), @"");
    assert_snapshot!(help("cancel"), @"");
    assert_snapshot!(help("retry"), @"");
    assert_snapshot!(help("skip"), @"");
    assert_snapshot!(help("resolve"), @"");
    assert_snapshot!(help("undo"), @"");
    assert_snapshot!(help("init"), @"");
    assert_snapshot!(help("completions"), @"");
    assert_snapshot!(help("engine"), @"");
}

/// Words that could stand on a command line, and some that could not.
const WORDS: [&str; 44] = [
    "check",
    "plan",
    "run",
    "ls",
    "show",
    "watch",
    "logs",
    "why",
    "graph",
    "resume",
    "cancel",
    "retry",
    "skip",
    "resolve",
    "undo",
    "hosts",
    "verify",
    "init",
    "completions",
    "engine",
    "help",
    "ok",
    "ok.yaml",
    "latest",
    "01",
    "a",
    "a[local]",
    "a=b",
    "=",
    "[",
    "--json",
    "--all",
    "--latest",
    "--why",
    "--tail",
    "-f",
    "-q",
    "-v",
    "--since",
    "1h",
    "\u{202e}",
    "",
    "--",
    "ping",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_command_line_makes_it_panic(words in proptest::collection::vec(proptest::sample::select(&WORDS[..]), 0..5)) {
        let place = Place::new(PITON);
        place.write("runbooks/ok.yaml", "runbook: ok\nsteps:\n  - id: a\n    run: 'true'\n");
        let ran = place.piton(&words);
        prop_assert!([0, 1, 2, 3, 4, 5, 6, 7].contains(&ran.code), "{words:?}: {ran:?}");
        prop_assert!(!ran.err.contains("panicked"), "{words:?}: {}", ran.err);
        prop_assert!(ran.code != 2 || !ran.err.is_empty(), "{words:?}: usage without a word");
    }
}
