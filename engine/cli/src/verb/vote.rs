//! `piton approve | reject`: what people say to a question of a run.

use piton_core::digest::Digest;
use piton_core::ids::TaskId;
use piton_core::plan::TaskIndex;
use piton_core::run::{Run, Word};

use crate::cli::Globals;
use crate::exit::{Code, Failure};
use crate::screen::{BOLD, Screen, paint};
use crate::speaker::Speaker;
use crate::store::Store;
use crate::times::Times;
use crate::visible::visible_lines;
use crate::{asking, select, words};

/// Say yes to what a run asks
///
/// What is asked is shown first; the vote counts for exactly that. One vote for each person, and none for whoever asked
/// for the run, unless the runbook says otherwise.
#[derive(Debug, clap::Args)]
pub(crate) struct ApproveArgs {
    #[command(flatten)]
    vote: Vote,
    /// The reason, for the journal
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
}

/// Say no to what a run asks: the step fails
#[derive(Debug, clap::Args)]
pub(crate) struct RejectArgs {
    #[command(flatten)]
    vote: Vote,
    /// The reason, for the journal
    #[arg(long, value_name = "TEXT", value_parser = super::say::reason)]
    why: String,
}

/// Which question.
#[derive(Debug, clap::Args)]
struct Vote {
    /// The run
    #[arg(value_name = "RUN", add = clap_complete::ArgValueCompleter::new(super::completing::runs))]
    run: String,
    /// The task that asks [default: the only one that does]
    task: Option<String>,
    /// Vote only if this is still what is asked: the digest that `piton show --json` gives as `facts`
    #[arg(long, value_name = "DIGEST")]
    facts: Option<String>,
    /// Do not wait for the answer
    #[arg(long)]
    no_wait: bool,
}

impl ApproveArgs {
    pub(crate) async fn run(self, globals: &Globals, screen: &Screen) -> Result<Code, Failure> {
        let why = self.why.unwrap_or_default();
        let word = |task, facts, groups| Word::Approve { task, facts, groups, why };
        self.vote.cast(globals, screen, word).await
    }
}

impl RejectArgs {
    pub(crate) async fn run(self, globals: &Globals, screen: &Screen) -> Result<Code, Failure> {
        let why = self.why;
        let word = |task, facts, groups| Word::Reject { task, facts, groups, why };
        self.vote.cast(globals, screen, word).await
    }
}

impl Vote {
    async fn cast(
        self,
        globals: &Globals,
        screen: &Screen,
        word: impl FnOnce(TaskId, Digest, Vec<String>) -> Word,
    ) -> Result<Code, Failure> {
        let store = Store::here(globals)?;
        let summary = store.find(&self.run).await?;
        let run = piton_runner::load(store.journal.as_ref(), summary.id).await?;
        let index = the_one(&run, self.task.as_deref())?;
        let task = run.graph().id(index).clone();
        let shown = run.asking(index).map(|(_, asking)| (asking.text.clone(), asking.facts));
        if let Some((text, _)) = &shown {
            screen.note(format_args!(
                "{} asks: {}",
                paint(screen.color_err, BOLD, &task),
                visible_lines(text.as_bytes())
            ));
            screen.note(asking::line(&run, index, &Times::here()).unwrap_or_default());
        }
        let facts = match self.facts {
            Some(given) => {
                Digest::try_from(given).map_err(|error| Failure::usage(format!("--facts is not a digest: {error}")))?
            }
            // Where nothing is asked just now, the run itself says why the vote does not count.
            None => shown.map_or(Digest([0; 32]), |(_, facts)| facts),
        };
        let groups = Speaker::here().groups();
        words::say(&store, screen, &summary, vec![word(task, facts, groups)], !self.no_wait).await
    }
}

/// The task that is meant: the named one, or the only one that asks.
fn the_one(run: &Run, named: Option<&str>) -> Result<TaskIndex, Failure> {
    if let Some(named) = named {
        return select::task(run, named);
    }
    let asked: Vec<TaskIndex> = run.asked().collect();
    match asked.as_slice() {
        [one] => Ok(*one),
        [] => Err(Failure::usage(format!("run {} waits for no approval", run.id()))),
        many => {
            let names: Vec<String> = many.iter().take(8).map(|&t| run.graph().id(t).to_string()).collect();
            Err(Failure::usage(format!("several tasks wait for approval: {}", names.join(", "))).hint("name one"))
        }
    }
}
