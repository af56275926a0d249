//! The verbs.

use clap::Subcommand;

use crate::cli::Cli;
use crate::exit::{Code, Failure};
use crate::screen::Screen;

mod check;
pub(crate) mod completing;
mod completions;
mod engine;
mod graph;
mod hosts;
mod init;
mod locks;
mod logs;
mod ls;
mod plan;
mod report;
mod rerun;
mod resume;
mod run;
mod say;
mod schema;
mod serve;
mod show;
mod test;
mod undo;
mod verify;
mod vote;
mod watch;
mod why;
mod windows;

pub(crate) use ls::state;
pub(crate) use plan::text as plan_text;
pub(crate) use show::{detail, shown_value};
pub(crate) use watch::follow;

/// What `piton` can be asked to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    Check(check::Args),
    Plan(plan::Args),
    Run(run::Args),
    Ls(ls::Args),
    Show(show::Args),
    Watch(watch::Args),
    Logs(logs::Args),
    Why(why::Args),
    Graph(graph::Args),
    Report(report::Args),
    Resume(resume::Args),
    Rerun(rerun::Args),
    Approve(vote::ApproveArgs),
    Reject(vote::RejectArgs),
    Pause(say::PauseArgs),
    Cancel(say::CancelArgs),
    Retry(say::RetryArgs),
    Skip(say::SkipArgs),
    Resolve(say::ResolveArgs),
    Undo(undo::Args),
    Locks(locks::Args),
    Windows(windows::Args),
    Serve(serve::Args),
    Hosts(hosts::Args),
    Test(test::Args),
    Verify(verify::Args),
    Schema(schema::Args),
    Init(init::Args),
    Completions(completions::Args),
    Engine(engine::Args),
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
            Verb::Run(args) => run::run(args, globals, screen).await,
            Verb::Ls(args) => ls::run(args, globals, screen).await,
            Verb::Show(args) => show::run(args, globals, screen).await,
            Verb::Watch(args) => watch::run(args, globals, screen).await,
            Verb::Logs(args) => logs::run(args, globals, screen).await,
            Verb::Why(args) => why::run(args, globals, screen).await,
            Verb::Graph(args) => graph::run(args, globals, screen).await,
            Verb::Report(args) => report::run(args, globals, screen).await,
            Verb::Resume(args) => resume::run(args, globals, screen).await,
            Verb::Rerun(args) => rerun::run(args, globals, screen).await,
            Verb::Approve(args) => args.run(globals, screen).await,
            Verb::Reject(args) => args.run(globals, screen).await,
            Verb::Pause(args) => args.run(globals, screen).await,
            Verb::Cancel(args) => args.run(globals, screen).await,
            Verb::Retry(args) => args.run(globals, screen).await,
            Verb::Skip(args) => args.run(globals, screen).await,
            Verb::Resolve(args) => args.run(globals, screen).await,
            Verb::Undo(args) => undo::run(args, globals, screen).await,
            Verb::Locks(args) => locks::run(args, globals, screen).await,
            Verb::Serve(args) => serve::run(args, globals, screen).await,
            Verb::Windows(args) => windows::run(args, globals, screen).await,
            Verb::Hosts(args) => hosts::run(args, globals, screen).await,
            Verb::Test(args) => test::run(args, globals, screen).await,
            Verb::Verify(args) => verify::run(args, globals, screen).await,
            Verb::Schema(args) => schema::run(&args, screen),
            Verb::Init(args) => init::run(args, screen),
            Verb::Completions(args) => completions::run(args, screen),
            Verb::Engine(args) => engine::run(args, globals, screen).await,
        }
    });
    // A thread that waits for a terminal would otherwise keep the process from ending.
    runtime.shutdown_background();
    code
}
