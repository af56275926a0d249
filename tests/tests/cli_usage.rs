//! The command line itself: its help, letter by letter, and what it does with nonsense.

use insta::assert_snapshot;
use piton_tests::cli::Place;
use proptest::prelude::*;

const PITON: &str = env!("CARGO_BIN_EXE_piton-under-test");

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
      check        Find every fault of runbooks, of the inventory and of piton.toml at once
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

#[test]
fn the_help_of_verbs_that_look() {
    assert_snapshot!(help("check"), @"
    Find every fault of runbooks, of the inventory and of piton.toml at once

    Without RUNBOOK the whole project is checked. Where every parameter has a default, a plan is made,
    too, so that hosts which do not exist are found.

    Usage: piton check [OPTIONS] [RUNBOOK]...

    Arguments:
      [RUNBOOK]...
              Names or paths of runbooks

    Options:
      -h, --help
              Print help (see a summary with '-h')
    ");
    assert_snapshot!(help("plan"), @"
    Show what a run would do, on each host, and the way back

    The tasks in order, the commands as they will run, what is retried, what an undo would do. Nothing
    is stored and no host is asked.

    Usage: piton plan [OPTIONS] <RUNBOOK> [KEY=VALUE]...

    Arguments:
      <RUNBOOK>
              The name of a runbook of the project, or the path of one

      [KEY=VALUE]...
              Values for its parameters; `KEY=@FILE` takes the value from a file, `KEY=@@…` is a value
              that begins with `@`

    Options:
          --secret <NAME=SOURCE>
              Where a secret comes from: `env:NAME`, `file:PATH`, `cmd:COMMAND`, or `prompt` to be asked
              for it

          --undo
              Show the way back instead: the order, the scripts, what is left as it is

      -h, --help
              Print help (see a summary with '-h')
    ");
    assert_snapshot!(help("ls"), @"
    List runs: those that are open first, then the newest

    Usage: piton ls [OPTIONS]

    Options:
          --all             All runs there are, newest first
          --open            Only runs that are not over
          --runbook <NAME>  Only runs of this runbook
          --limit <N>       At most so many [default: 20 that are over, and all that are open]
      -h, --help            Print help
    ");
    assert_snapshot!(help("show"), @"
    Show where each task of a run stands, and what a person can do

    Usage: piton show [OPTIONS] <RUN>

    Arguments:
      <RUN>  The run

    Options:
          --events       The journal instead: every fact, in order
          --at <MOMENT>  The run as it was after the event with this number, or at this time: 10m (ago),
                         10:02, DATEZ
      -h, --help         Print help
    ");
    assert_snapshot!(help("watch"), @"
    Follow a run that is driven elsewhere, until it is over or parked

    Ends with the exit code that the run would have had. Ctrl-C ends the watching, not the run.

    Usage: piton watch [OPTIONS] <RUN>

    Arguments:
      <RUN>
              The run

    Options:
          --all
              Tell everything from the beginning

      -h, --help
              Print help (see a summary with '-h')
    ");
    assert_snapshot!(help("logs"), @"
    Show what a run's jobs printed

    Into a file or a pipe the bytes come as they are; on a terminal, control characters are shown
    instead of obeyed, unless --raw is given. Where more than one stream has something in it, a line
    says whose output follows; with --stream and one task there is nothing but the bytes. Any amount is
    paged through in constant memory.

    Usage: piton logs [OPTIONS] <RUN> [TASK]

    Arguments:
      <RUN>
              The run

      [TASK]
              The task, or a step for all its tasks [default: all]

    Options:
          --attempt <N>
              Only this attempt [default: the last one that printed, of each task]

          --part <PART>
              What of an attempt

              Possible values:
              - main:   The step's action
              - unless: The question whether it is done already
              - verify: The question whether it worked
              - undo:   Taking it back
              - before: The hook before the action
              - after:  The hook after the action
              - call:   What hooks have hosts do

              [default: main]

          --stream <STREAM>
              Only one of the two streams

              Possible values:
              - out: Standard output
              - err: Standard error

      -f, --follow
              Go on as more is printed, until the task has come to an end

          --tail <N>
              Only the last N lines

          --since <TIME>
              Only lines that came since then: `10m` (so long ago), `10:02`, or `DATEZ`

          --raw
              The bytes as they are, also on a terminal

      -h, --help
              Print help (see a summary with '-h')
    ");
    assert_snapshot!(help("why"), @"
    Tell why a task ran, waits, was skipped, failed, or is unknown

    The chain of causes: the facts about the task, then those about the task it waits for or was skipped
    for, and so on.

    Usage: piton why [OPTIONS] <RUN> <TASK>

    Arguments:
      <RUN>
              The run

      <TASK>
              The task, or a step with one task

    Options:
          --at <MOMENT>
              As it was after the event with this number, or at this time: 10m (ago), 10:02,
              DATEZ

      -h, --help
              Print help (see a summary with '-h')
    ");
    assert_snapshot!(help("graph"), @"
    Draw the steps of a runbook, or of a run with where they stand

    Usage: piton graph [OPTIONS] <RUNBOOK|RUN>

    Arguments:
      <RUNBOOK|RUN>
              The name or path of a runbook, or a run

    Options:
          --format <FORMAT>
              As what

              Possible values:
              - mermaid: For Markdown pages (https://mermaid.js.org)
              - dot:     For Graphviz
              - svg:     A picture

              [default: mermaid]

      -h, --help
              Print help (see a summary with '-h')
    ");
    assert_snapshot!(help("hosts"), @"
    List hosts, see whether they answer, and what they are

    Usage: piton hosts [OPTIONS] [COMMAND]

    Commands:
      list   List hosts, their groups, labels and addresses (the default)
      ping   See whether hosts answer, and how quickly
      facts  Ask hosts what they are: system, kernel, processors, memory, boot id; changes nothing
      help   Print this message or the help of the given subcommand(s)

    Options:
      -h, --help  Print help
    ");
    assert_snapshot!(help("verify"), @"
    Prove that nothing in the journal of a run was changed

    Recomputes the chain of digests from the first event to the last. Whoever keeps the digest of the
    last one elsewhere can also tell that nothing was cut off.

    Usage: piton verify [OPTIONS] [RUN]

    Arguments:
      [RUN]
              The run

    Options:
          --all
              All runs there are

      -h, --help
              Print help (see a summary with '-h')
    ");
}

#[test]
fn the_help_of_verbs_that_act() {
    assert_snapshot!(help("run"), @"
    Run a runbook

    Prints the id of the run first, on stdout; how it goes is told on stderr. The run is driven by this
    process. Ctrl-C asks whether to cancel it or to let it go on in the background; when the terminal
    closes, it goes on in the background. If this process is killed, nothing is lost: `piton resume`
    goes on where it was.

    Usage: piton run [OPTIONS] <RUNBOOK> [KEY=VALUE]...

    Arguments:
      <RUNBOOK>
              The name of a runbook of the project, or the path of one

      [KEY=VALUE]...
              Values for its parameters; `KEY=@FILE` takes the value from a file, `KEY=@@…` is a value
              that begins with `@`

    Options:
          --secret <NAME=SOURCE>
              Where a secret comes from: `env:NAME`, `file:PATH`, `cmd:COMMAND`, or `prompt` to be asked
              for it

          --detach
              Let the run go on in the background from the start

          --no-wait
              Do not wait for people: end, with exit code 5, as soon as only they can move the run on.
              It goes on in the background when they have

          --dry-run
              Only show the plan, as `piton plan` does

      -h, --help
              Print help (see a summary with '-h')
    ");
    assert_snapshot!(help("resume"), @"
    Drive a run that nobody drives, or that is paused, from where it is

    What was finished is not done again, and what runs on hosts is found and followed. A run whose
    engine died is taken over, one that another engine drives is only watched. `--secret` gets a secret
    from elsewhere than the run says, this time only.

    Usage: piton resume [OPTIONS] [RUN]

    Arguments:
      [RUN]
              The run [default: the newest that is open]

    Options:
          --latest
              The newest run that is open

          --onto <FILE>
              Go on with this corrected runbook: what has not begun, or has failed and waits for a
              decision, may be another

          --yes
              Do not ask whether the corrected runbook is right

          --dry-run
              Only show what the corrected runbook changes

          --retry
              Try the failed tasks whose steps are corrected again at once

          --why <TEXT>
              The reason for ending a pause, or for going on with another runbook, for the journal

          --no-wait
              Do not wait for people: end, with exit code 5, as soon as only they can move the run on

          --secret <NAME=SOURCE>
              Where a secret comes from: `env:NAME`, `file:PATH`, `cmd:COMMAND`, or `prompt` to be asked
              for it

      -h, --help
              Print help (see a summary with '-h')
    ");
    assert_snapshot!(help("cancel"), @"
    Stop a run; the steps under `finally` still run

    Nothing new starts, and what runs on hosts is stopped.

    Usage: piton cancel [OPTIONS] <RUN>

    Arguments:
      <RUN>
              The run

    Options:
          --no-wait
              Do not wait for the answer

      -w, --watch
              Follow the run afterwards

          --why <TEXT>
              The reason, for the journal

      -h, --help
              Print help (see a summary with '-h')
    ");
    assert_snapshot!(help("retry"), @"
    Try parked tasks again

    While the run is being undone: try again to take the tasks back.

    Usage: piton retry [OPTIONS] <RUN> [TASK]...

    Arguments:
      <RUN>
              The run

      [TASK]...
              The tasks; `*` stands for any characters, as in `copy[*]`

    Options:
          --no-wait
              Do not wait for the answer

      -w, --watch
              Follow the run afterwards

          --all-failed
              All tasks that wait for a decision

          --why <TEXT>
              The reason, for the journal

      -h, --help
              Print help (see a summary with '-h')
    ");
    assert_snapshot!(help("skip"), @"
    Go on as if parked tasks were not there

    While the run is being undone: leave the tasks as they are.

    Usage: piton skip [OPTIONS] --why <TEXT> <RUN> [TASK]...

    Arguments:
      <RUN>
              The run

      [TASK]...
              The tasks; `*` stands for any characters, as in `copy[*]`

    Options:
          --no-wait
              Do not wait for the answer

      -w, --watch
              Follow the run afterwards

          --all-failed
              All tasks that wait for a decision

          --why <TEXT>
              The reason, for the journal

      -h, --help
              Print help (see a summary with '-h')
    ");
    assert_snapshot!(help("resolve"), @"
    Say that parked tasks were done by hand; their `verify` must pass

    While the run is being undone: say that the tasks were taken back by hand.

    Usage: piton resolve [OPTIONS] --why <TEXT> <RUN> [TASK]...

    Arguments:
      <RUN>
              The run

      [TASK]...
              The tasks; `*` stands for any characters, as in `copy[*]`

    Options:
          --no-wait
              Do not wait for the answer

      -w, --watch
              Follow the run afterwards

          --all-failed
              All tasks that wait for a decision

          --why <TEXT>
              The reason, for the journal

          --output <KEY=VALUE>
              An output that the tasks would have had; may be given several times

      -h, --help
              Print help (see a summary with '-h')
    ");
    assert_snapshot!(help("undo"), @"
    Take back what a run did, in reverse order

    Also what may have happened. Steps without `undo` are passed over. `--dry-run` shows what would be
    taken back, in which order, and what would be left as it is.

    Usage: piton undo [OPTIONS] <RUN>

    Arguments:
      <RUN>
              The run

    Options:
          --no-wait
              Do not wait for the answer

      -w, --watch
              Follow the run afterwards

          --why <TEXT>
              The reason, for the journal

          --dry-run
              Only show what would be taken back

      -h, --help
              Print help (see a summary with '-h')
    ");
    assert_snapshot!(help("init"), @"
    Make a small project that works at once

    Writes piton.toml, inventory.yaml, runbooks/hello.yaml with its test, and .gitignore; what is there
    already is left alone, and said.

    Usage: piton init [OPTIONS] [DIR]

    Arguments:
      [DIR]
              Where

              [default: .]

    Options:
      -h, --help
              Print help (see a summary with '-h')
    ");
    assert_snapshot!(help("completions"), @"
    Print what makes a shell complete `piton`, its runbooks and its runs

    For bash: `source <(piton completions bash)` in ~/.bashrc; likewise for the others.

    Usage: piton completions [OPTIONS] <SHELL>

    Arguments:
      <SHELL>
              The shell

              [possible values: bash, elvish, fish, powershell, zsh]

    Options:
      -h, --help
              Print help (see a summary with '-h')
    ");
    assert_snapshot!(help("engine"), @"
    Drive runs without showing them

    Those that are named, or all that are open and that nobody drives. Ends when there is nothing left
    to drive; with `--stay` it goes on looking. On SIGTERM it gives its runs back and ends: what runs on
    hosts goes on, and the next engine follows it. `piton` starts this by itself when a run is to go on
    in the background.

    Usage: piton engine [OPTIONS] [RUN]...

    Arguments:
      [RUN]...
              The runs; without any, all that nobody drives

    Options:
          --stay
              Stay, and take up runs that nobody drives from now on

          --max-parallel <N>
              How many tasks to have under way at once, over all runs [default: what piton.toml says,
              else no limit]

      -h, --help
              Print help (see a summary with '-h')
    ");
}

/// Words that could stand on a command line, and some that could not.
const WORDS: [&str; 46] = [
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
