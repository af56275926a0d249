//! The verbs.

use clap::Subcommand;

use crate::cli::Cli;
use crate::exit::{Code, Failure};
use crate::screen::Screen;

mod check;
pub(crate) mod completing;
mod completions;
mod graph;
mod init;
mod plan;

/// What `piton` can be asked to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    Check(check::Args),
    Plan(plan::Args),
    Graph(graph::Args),
    Init(init::Args),
    Completions(completions::Args),
}

/// Does what was asked.
pub(crate) fn run(cli: Cli, screen: &Screen) -> Result<Code, Failure> {
    let globals = &cli.globals;
    // One thread: waiting costs nothing, starting costs little, and whatever may block has a thread of its own.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::other(format!("the system does not let us wait for anything: {error}")))?;
    let code = runtime.block_on(async {
        match cli.verb {
            Verb::Check(args) => check::run(args, globals, screen).await,
            Verb::Plan(args) => plan::run(args, globals, screen).await,
            Verb::Graph(args) => graph::run(args, globals, screen).await,
            Verb::Init(args) => init::run(args, screen),
            Verb::Completions(args) => completions::run(args, screen),
        }
    });
    // A thread that waits for a terminal would otherwise keep the process from ending.
    runtime.shutdown_background();
    code
}
