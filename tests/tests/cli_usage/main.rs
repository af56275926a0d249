//! The command line itself: its help, letter by letter, and what it does with nonsense.

mod act;
mod look;

use insta::assert_snapshot;
use piton_tests::cli::Place;
use proptest::prelude::*;

const PITON: &str = env!("CARGO_BIN_EXE_piton-under-test");

/// What the verbs take that begin with a runbook.
const OF_A_START: &str = r"Arguments:
  <RUNBOOK>
          The name of a runbook of the project, or the path of one

  [KEY=VALUE]...
          Values for its parameters; `KEY=@FILE` takes the value from a file, `KEY=@@…` is a value
          that begins with `@`

Options:
      --secret <NAME=SOURCE>
          Where a secret comes from: `env:NAME`, `file:PATH`, `cmd:COMMAND`, or `prompt` to be asked
          for it

";

/// The help of a verb, without what is the same for all.
fn help(verb: &str) -> String {
    let place = Place::empty(PITON);
    let ran = place.piton(&[verb, "--help"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let help = place.steady(&ran.out);
    let own = help.split("Everywhere:").next().unwrap_or_default();
    own.trim_end().to_owned()
}

#[test]
fn the_help_as_a_whole() {
    let place = Place::empty(PITON);
    assert_snapshot!(place.snapshot(&["--help"]), @"
    exit 0
    --- stdout
    Runs runbooks on hosts over plain OpenSSH, and survives crashes, lost connections and reboots on the
    way.

    A runbook becomes a plan, a plan becomes a run, and everything that happens is written to a durable
    journal before it is acted upon.

    Usage: piton [OPTIONS] <COMMAND>

    Commands:
      check        Find every fault of runbooks, windows, the inventory and piton.toml at once
      plan         Show what a run would do, on each host, and the way back
      run          Run a runbook
      ls           List runs: those that are open first, then the newest
      show         Show where each task of a run stands, and what a person can do
      watch        Follow a run that is driven elsewhere, until it is over or parked
      logs         Show what a run's jobs printed
      why          Tell why a task ran, waits, was skipped, failed, or is unknown
      graph        Draw the steps of a runbook, or of a run with where they stand
      report       Tell the whole story of a run to somebody who was not there
      resume       Drive a run that nobody drives, or that is paused, from where it is
      rerun        Do a run that is over again, from where it failed
      approve      Say yes to what a run asks
      reject       Say no to what a run asks: the step fails
      pause        Begin nothing new in a run; what runs goes on
      cancel       Stop a run; the steps under `finally` still run
      retry        Try parked tasks again
      skip         Go on as if parked tasks were not there
      resolve      Say that parked tasks were done by hand; their `verify` must pass
      undo         Take back what a run did, in reverse order
      locks        Show who holds which lock, and who waits, in the order in which they will have it
      windows      Show when windows open next, and what is started then
      serve        Start what the project's schedules say, and drive it, until asked to end
      hosts        List hosts, see whether they answer, and what they are
      test         Play the tests of runbooks on simulated hosts
      verify       Prove that nothing in the journal of a run was changed
      schema       Print the JSON Schema of a kind of document, for editors
      init         Make a small project that works at once
      completions  Print what makes a shell complete `piton`, its runbooks and its runs
      engine       Drive runs without showing them
      help         Print this message or the help of the given subcommand(s)

    Options:
      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version

    Everywhere:
      -C, --project <DIR>
              Use the project in DIR, or the nearest one above it, instead of the one here

          --state <DIR>
              Keep runs in DIR [default: $PITON_STATE, else $XDG_STATE_HOME/piton, else
              ~/.local/state/piton]

          --journal <SPEC>
              The journal to use: `sqlite`, or `sled:PATH` [default: $PITON_JOURNAL, else what
              piton.toml says, else sqlite]

          --json
              Data as JSON on stdout

          --color <WHEN>
              When to use colours: auto, always, or never

              [default: auto]

      -q, --quiet
              Say nothing but data and errors

      -v, --verbose...
              Tell more

    Exit codes: 0 succeeded, 1 unexpected, 2 usage, 3 faulty document, 4 run failed or undone, 5 parked,
    6 cancelled, 7 store unreachable, 130 interrupted.

    RUN is the id of a run, as many of its first characters as are unique, or `latest`.
    TASK is what `piton show` prints, such as `copy[hv1]`.
    ");
    assert_snapshot!(place.snapshot(&["--version"]), @"
    exit 0
    --- stdout
    piton 0.1.0
    ");
    assert_snapshot!(place.snapshot(&[]).lines().take(3).collect::<Vec<_>>().join("\n"), @"
    exit 2
    --- stderr
    Runs runbooks on hosts over plain OpenSSH, and survives crashes, lost connections and reboots on the
    ");
    assert_snapshot!(place.snapshot(&["rnu"]), @"
    exit 2
    --- stderr
    error: unrecognized subcommand 'rnu'

    Usage: piton [OPTIONS] <COMMAND>

    For more information, try '--help'.
    ");
}

/// Words that could stand on a command line, and some that could not.
const WORDS: [&str; 48] = [
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
    "test",
    "--faults",
    "verify",
    "init",
    "completions",
    "engine",
    "windows",
    "simulate",
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
