//! The `piton` command line: one file per verb, and the only place that names concrete parts.
//!
//! It is a library so that the end-to-end tests can build the same program as a binary of their own package;
//! its one public item is [`main`].

mod advice;
mod asking;
mod background;
mod cli;
mod exit;
mod faults;
mod follow;
mod foreground;
mod history;
mod inventory;
mod library;
mod moment;
mod notifying;
mod onto;
mod parts;
mod planning;
mod project;
mod queue;
mod report;
mod screen;
mod scripts;
mod secrets;
mod select;
mod speaker;
mod store;
mod tell;
mod times;
mod timetable;
mod verb;
mod visible;
mod way_back;
mod words;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::cli::Cli;
use crate::exit::{Code, Failure};
use crate::screen::Screen;

/// Runs `piton` with the arguments and the environment of the process.
pub fn main() -> ExitCode {
    clap_complete::CompleteEnv::with_factory(Cli::command).complete();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // That nobody reads the message is no reason to fail in another way.
            let _nobody_reads = error.print();
            let code = if error.use_stderr() { Code::Usage } else { Code::Succeeded };
            return ExitCode::from(code as u8);
        }
    };
    trace();
    allow_many_files();
    let screen = cli.globals.screen();
    let code = verb::run(cli, &screen).unwrap_or_else(|failure| report(&screen, &failure));
    ExitCode::from(code as u8)
}

/// Tells about a failure, on stderr for people and with `--json` on stdout for programs.
fn report(screen: &Screen, failure: &Failure) -> Code {
    let code = failure.code();
    match failure {
        Failure::ReaderGone => {}
        Failure::Faults(faults) => faults::report(screen, faults),
        Failure::Usage { .. } | Failure::Journal(_) | Failure::Drive(_) | Failure::Other { .. } => {
            screen.error(failure, failure.advice());
            if screen.json {
                let mut out = screen.out();
                let error = serde_json::json!({
                    "error": { "message": failure.to_string(), "hint": failure.advice(), "exit": code as u8 }
                });
                // Whoever went away has the exit code.
                let _nobody_reads = out.json(&error).and_then(|()| out.flush());
            }
        }
    }
    code
}

/// Lets this process have as many files open as the system permits: each job in flight has two output files, and each
/// channel to a host three pipes (getrlimit(2), RLIMIT_NOFILE). Best effort: with fewer, fewer hosts are reached at once.
fn allow_many_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.unwrap_or(MANY_FILES).min(MANY_FILES);
    if limit.current.is_some_and(|now| now < wanted) {
        let _best_effort = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limit.maximum });
    }
}

/// More than any run needs.
const MANY_FILES: u64 = 65_536;

/// Traces to stderr what `PITON_LOG` asks for, in the form of tracing-subscriber's `EnvFilter`.
fn trace() {
    let Some(wanted) = std::env::var("PITON_LOG").ok().filter(|w| !w.is_empty()) else { return };
    let filter = tracing_subscriber::EnvFilter::builder().parse_lossy(wanted);
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}
