//! The help of the verbs that act.

use super::*;

/// What the verbs for parked tasks take.
const OF_TASKS: &str = r"Arguments:
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

";

#[test]
fn the_help_of_verbs_that_act() {
    assert_snapshot!(help("run").replace(OF_A_START, "(of a start)\n\n"), @"
    Run a runbook

    Prints the id of the run first, on stdout; how it goes is told on stderr. The run is driven by this
    process. Ctrl-C asks whether to cancel it or to let it go on in the background; when the terminal
    closes, it goes on in the background. If this process is killed, nothing is lost: `piton resume`
    goes on where it was.

    Usage: piton run [OPTIONS] <RUNBOOK> [KEY=VALUE]...

    (of a start)

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
    assert_snapshot!(help("retry").replace(OF_TASKS, "(of tasks)\n\n"), @"
    Try parked tasks again

    While the run is being undone: try again to take the tasks back.

    Usage: piton retry [OPTIONS] <RUN> [TASK]...

    (of tasks)

      -h, --help
              Print help (see a summary with '-h')
    ");
    assert_snapshot!(help("skip").replace(OF_TASKS, "(of tasks)\n\n"), @"
    Go on as if parked tasks were not there

    While the run is being undone: leave the tasks as they are.

    Usage: piton skip [OPTIONS] --why <TEXT> <RUN> [TASK]...

    (of tasks)

      -h, --help
              Print help (see a summary with '-h')
    ");
    assert_snapshot!(help("resolve").replace(OF_TASKS, "(of tasks)\n\n"), @"
    Say that parked tasks were done by hand; their `verify` must pass

    While the run is being undone: say that the tasks were taken back by hand.

    Usage: piton resolve [OPTIONS] --why <TEXT> <RUN> [TASK]...

    (of tasks)

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
