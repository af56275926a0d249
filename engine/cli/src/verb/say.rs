//! `piton cancel | pause | retry | skip | resolve`: what people say to a run.

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
pub(super) struct To {
    /// The run
    #[arg(value_name = "RUN", add = clap_complete::ArgValueCompleter::new(super::completing::runs))]
    pub(super) run: String,
    /// Do not wait for the answer
    #[arg(long)]
    no_wait: bool,
    /// Follow the run afterwards
    #[arg(short, long, conflicts_with = "no_wait")]
    watch: bool,
}

impl To {
    /// Says a word about the run as a whole.
    pub(super) async fn say(self, globals: &Globals, screen: &Screen, word: Word) -> Result<Code, Failure> {
        let store = Store::here(globals)?;
        let summary = store.find(&self.run).await?;
        self.tell(&store, screen, &summary, vec![word]).await
    }

    /// Says a word about each of the tasks that are meant.
    async fn say_of(
        self,
        globals: &Globals,
        screen: &Screen,
        which: &Which,
        word: impl Fn(TaskId) -> Word,
    ) -> Result<Code, Failure> {
        let store = Store::here(globals)?;
        let summary = store.find(&self.run).await?;
        let run = piton_runner::load(store.journal.as_ref(), summary.id).await?;
        let tasks = match run.outcome() {
            // There is nothing to choose from: that it is over is said below.
            Some(_) => which.tasks.first().map(|wanted| named(&run, wanted)).into_iter().collect::<Result<_, _>>()?,
            None => select::parked(&run, &which.tasks, which.all_failed)?,
        };
        self.tell(&store, screen, &summary, tasks.into_iter().map(word).collect()).await
    }

    async fn tell(
        self,
        store: &Store,
        screen: &Screen,
        summary: &RunSummary,
        said: Vec<Word>,
    ) -> Result<Code, Failure> {
        let code = words::say(store, screen, summary, said, !self.no_wait).await?;
        if self.watch && code == Code::Succeeded {
            return super::watch::follow(store, screen, summary.id, summary.seq).await;
        }
        Ok(code)
    }
}

fn named(run: &Run, wanted: &str) -> Result<TaskId, Failure> {
    Ok(run.graph().id(select::task(run, wanted)?).clone())
}

/// Which of the tasks that wait for a decision.
#[derive(Debug, clap::Args)]
struct Which {
    /// The tasks; `*` stands for any characters, as in `copy[*]`
    #[arg(value_name = "TASK", required_unless_present = "all_failed", conflicts_with = "all_failed")]
    tasks: Vec<String>,
    /// All tasks that wait for a decision
    #[arg(long)]
    all_failed: bool,
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
        self.to.say(globals, screen, Word::Cancel { why }).await
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
        self.to.say(globals, screen, Word::Pause { why }).await
    }
}

/// Try parked tasks again
///
/// While the run is being undone: try again to take the tasks back.
#[derive(Debug, clap::Args)]
pub(crate) struct RetryArgs {
    #[command(flatten)]
    to: To,
    #[command(flatten)]
    which: Which,
    /// The reason, for the journal
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
}

impl RetryArgs {
    pub(crate) async fn run(self, globals: &Globals, screen: &Screen) -> Result<Code, Failure> {
        let why = self.why.unwrap_or_default();
        self.to.say_of(globals, screen, &self.which, |task| Word::Retry { task, why: why.clone() }).await
    }
}

/// Go on as if parked tasks were not there
///
/// While the run is being undone: leave the tasks as they are.
#[derive(Debug, clap::Args)]
pub(crate) struct SkipArgs {
    #[command(flatten)]
    to: To,
    #[command(flatten)]
    which: Which,
    /// The reason, for the journal
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    why: String,
}

impl SkipArgs {
    pub(crate) async fn run(self, globals: &Globals, screen: &Screen) -> Result<Code, Failure> {
        let why = self.why;
        self.to.say_of(globals, screen, &self.which, |task| Word::Skip { task, why: why.clone() }).await
    }
}

/// Say that parked tasks were done by hand; their `verify` must pass
///
/// While the run is being undone: say that the tasks were taken back by hand.
#[derive(Debug, clap::Args)]
pub(crate) struct ResolveArgs {
    #[command(flatten)]
    to: To,
    #[command(flatten)]
    which: Which,
    /// The reason, for the journal
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    why: String,
    /// An output that the tasks would have had; may be given several times
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
        let why = self.why;
        let word = |task| Word::Resolve { task, outputs: outputs.clone(), why: why.clone() };
        self.to.say_of(globals, screen, &self.which, word).await
    }
}

/// A reason that says something.
pub(super) fn reason(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() { Err("say why: it goes into the journal".to_owned()) } else { Ok(text.to_owned()) }
}
