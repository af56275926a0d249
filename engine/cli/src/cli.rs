//! The command line as a whole: what can be said to every verb.

use std::path::PathBuf;

use clap::{Args, Parser};

use crate::screen::{ColorChoice, Screen};
use crate::verb::Verb;

/// Runs runbooks on hosts over plain OpenSSH, and survives crashes, lost connections and reboots on the way.
///
/// A runbook becomes a plan, a plan becomes a run, and everything that happens is written to a durable journal before
/// it is acted upon.
#[derive(Debug, Parser)]
#[command(name = "piton", bin_name = "piton", version, max_term_width = 100, after_help = AFTER)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub globals: Globals,
    #[command(subcommand)]
    pub verb: Verb,
}

const AFTER: &str = "\
Exit codes: 0 succeeded, 1 unexpected, 2 usage, 3 faulty document, 4 run failed or undone, 5 parked,
6 cancelled, 7 store unreachable, 130 interrupted.

RUN is the id of a run, as many of its first characters as are unique, or `latest`.
TASK is what `piton show` prints, such as `copy[hv1]`.";

/// What can be said to every verb.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct Globals {
    /// Use the project in DIR, or the nearest one above it, instead of the one here
    #[arg(short = 'C', long = "project", value_name = "DIR", global = true)]
    pub project: Option<PathBuf>,
    /// Keep runs in DIR [default: $PITON_STATE, else $XDG_STATE_HOME/piton, else ~/.local/state/piton]
    #[arg(long, value_name = "DIR", global = true)]
    pub state: Option<PathBuf>,
    /// The journal to use: `sqlite`, or `sled:PATH` [default: $PITON_JOURNAL, else what piton.toml says, else sqlite]
    #[arg(long, value_name = "SPEC", global = true)]
    pub journal: Option<String>,
    /// Data as JSON on stdout
    #[arg(long, global = true)]
    pub json: bool,
    /// When to use colours: auto, always, or never
    #[arg(long, value_enum, value_name = "WHEN", default_value_t, hide_possible_values = true, global = true)]
    pub color: ColorChoice,
    /// Say nothing but data and errors
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Tell more
    #[arg(short, long, action = clap::ArgAction::Count, global = true, conflicts_with = "quiet")]
    pub verbose: u8,
}

impl Globals {
    /// How to speak.
    pub(crate) fn screen(&self) -> Screen {
        Screen::new(self.json, self.quiet, self.verbose, self.color)
    }
}
