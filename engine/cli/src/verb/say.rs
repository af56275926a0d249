//! `piton cancel | pause | retry | skip | resolve | undo`: what people say to a run.

use piton_core::ids::TaskId;
use piton_core::run::{Run, Word};
use piton_core::value::{Map, Value};
use piton_runner::journal::RunSummary;

use crate::cli::Globals;
use crate::exit::{Code, Failure};
use crate::screen::Screen;
use crate::store::Store;
use crate::{select, words};

/// The run, and what is said to every one.
#[derive(Debug, clap::Args)]
struct To {
    /// The run
    #[arg(value_name = "RUN", add = clap_complete::ArgValueCompleter::new(super::completing::runs))]
    run: String,
    /// Do not wait for the answer
    #[arg(long)]
    no_wait: bool,
    /// Follow the run afterwards
    #[arg(short, long, conflicts_with = "no_wait")]
    watch: bool,
}

impl To {
    async fn say(
        self,
        globals: &Globals,
        screen: &Screen,
        word: impl FnOnce(Option<&Run>) -> Result<Word, Failure>,
        needs_run: bool,
    ) -> Result<Code, Failure> {
        let store = Store::here(globals)?;
        let summary: RunSummary = store.find(&self.run).await?;
        let run = if needs_run { Some(piton_runner::load(store.journal.as_ref(), summary.id).await?) } else { None };
        let word = word(run.as_ref())?;
        let code = words::say(&store, screen, &summary, word, !self.no_wait).await?;
        if self.watch && code == Code::Succeeded {
            return super::watch::follow(&store, screen, summary.id, summary.seq).await;
        }
        Ok(code)
    }
}

fn task(run: Option<&Run>, wanted: &str) -> Result<TaskId, Failure> {
    let run = run.ok_or_else(|| Failure::other("the run was not read"))?;
    Ok(run.graph().id(select::task(run, wanted)?).clone())
}

/// Stop a run; the steps under `finally` still run
///
/// Nothing new starts, and what runs on hosts is stopped.
#[derive(Debug, clap::Args)]
pub(crate) struct CancelArgs {
    #[command(flatten)]
    to: To,
    /// The reason, for the journal
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
}

impl CancelArgs {
    pub(crate) async fn run(self, globals: &Globals, screen: &Screen) -> Result<Code, Failure> {
        let why = self.why.unwrap_or_default();
        self.to.say(globals, screen, |_| Ok(Word::Cancel { why }), false).await
    }
}

/// Begin nothing new in a run; what runs goes on
///
/// `piton resume` lets it go on. The run keeps its locks meanwhile.
#[derive(Debug, clap::Args)]
pub(crate) struct PauseArgs {
    #[command(flatten)]
    to: To,
    /// The reason, for the journal
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
}

impl PauseArgs {
    pub(crate) async fn run(self, globals: &Globals, screen: &Screen) -> Result<Code, Failure> {
        let why = self.why.unwrap_or_default();
        self.to.say(globals, screen, |_| Ok(Word::Pause { why }), false).await
    }
}

/// Try a parked task again
///
/// While the run is being undone: try again to take the task back.
#[derive(Debug, clap::Args)]
pub(crate) struct RetryArgs {
    #[command(flatten)]
    to: To,
    /// The task
    task: String,
    /// The reason, for the journal
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
}

impl RetryArgs {
    pub(crate) async fn run(self, globals: &Globals, screen: &Screen) -> Result<Code, Failure> {
        let (name, why) = (self.task, self.why.unwrap_or_default());
        self.to.say(globals, screen, |run| Ok(Word::Retry { task: task(run, &name)?, why }), true).await
    }
}

/// Go on as if a parked task were not there
///
/// While the run is being undone: leave the task as it is.
#[derive(Debug, clap::Args)]
pub(crate) struct SkipArgs {
    #[command(flatten)]
    to: To,
    /// The task
    task: String,
    /// The reason, for the journal
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    why: String,
}

impl SkipArgs {
    pub(crate) async fn run(self, globals: &Globals, screen: &Screen) -> Result<Code, Failure> {
        let (name, why) = (self.task, self.why);
        self.to.say(globals, screen, |run| Ok(Word::Skip { task: task(run, &name)?, why }), true).await
    }
}

/// Say that a parked task was done by hand; its `verify` must pass
///
/// While the run is being undone: say that the task was taken back by hand.
#[derive(Debug, clap::Args)]
pub(crate) struct ResolveArgs {
    #[command(flatten)]
    to: To,
    /// The task
    task: String,
    /// The reason, for the journal
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    why: String,
    /// An output that the task would have had; may be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    output: Vec<String>,
}

impl ResolveArgs {
    pub(crate) async fn run(self, globals: &Globals, screen: &Screen) -> Result<Code, Failure> {
        let mut outputs = Map::new();
        for given in &self.output {
            let Some((key, value)) = given.split_once('=').filter(|(key, _)| !key.is_empty()) else {
                return Err(Failure::usage(format!("`{}` is not of the form KEY=VALUE", given.escape_debug())));
            };
            outputs.insert(key.to_owned(), Value::from(value));
        }
        let (name, why) = (self.task, self.why);
        let word = |run: Option<&Run>| Ok(Word::Resolve { task: task(run, &name)?, outputs, why });
        self.to.say(globals, screen, word, true).await
    }
}

/// Take back what a run did, in reverse order
///
/// Also what may have happened. Steps without `undo` are passed over.
#[derive(Debug, clap::Args)]
pub(crate) struct UndoArgs {
    #[command(flatten)]
    to: To,
    /// The reason, for the journal
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    why: String,
}

impl UndoArgs {
    pub(crate) async fn run(self, globals: &Globals, screen: &Screen) -> Result<Code, Failure> {
        let why = self.why;
        self.to.say(globals, screen, |_| Ok(Word::Undo { why }), false).await
    }
}

/// A reason that says something.
pub(super) fn reason(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() { Err("say why: it goes into the journal".to_owned()) } else { Ok(text.to_owned()) }
}
