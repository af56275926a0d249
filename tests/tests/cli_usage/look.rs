//! The help of the verbs that look.

use super::*;

#[test]
fn the_help_of_verbs_that_look() {
    assert_snapshot!(help("check"), @"
    Find every fault of runbooks, windows, the inventory and piton.toml at once

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
    assert_snapshot!(help("plan").replace(OF_A_START, "(of a start)\n\n"), @"
    Show what a run would do, on each host, and the way back

    The tasks in order, the commands as they will run, what is retried, what an undo would do. Nothing
    is stored and no host is asked.

    Usage: piton plan [OPTIONS] <RUNBOOK> [KEY=VALUE]...

    (of a start)

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
