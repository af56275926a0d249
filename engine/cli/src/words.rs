//! Says words to a run, sees to it that somebody hears them, and waits for the answers.

use std::collections::BTreeMap;
use std::time::Duration;

use piton_core::ids::RunId;
use piton_core::run::{Event, Outcome, Word, WordId};
use piton_runner::clock::{Clock, SystemClock};
use piton_runner::journal::{RunStatus, RunSummary};
use serde_json::json;

use crate::background;
use crate::exit::{Code, Failure};
use crate::parts;
use crate::screen::Screen;
use crate::store::Store;
use crate::tell::said;

/// How long the answer to a word is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long an engine that holds the lease has to answer before another is started to be there when the lease ends.
const DOUBT: Duration = Duration::from_secs(1);

/// How often the journal is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(50);

/// Says the words, in order. Whether or not the answers come in time, no word is lost.
pub(crate) async fn say(
    store: &Store,
    screen: &Screen,
    run: &RunSummary,
    words: Vec<Word>,
    wait: bool,
) -> Result<Code, Failure> {
    if let RunStatus::Ended(outcome) = run.status {
        let told: String = store.told.iter().map(|w| format!("{} ", crate::advice::word(w))).collect();
        return Err(Failure::other(format!("the run is over: it {outcome}")).hint(match outcome {
            Outcome::Succeeded => {
                format!("`piton {told}rerun {} --from STEP` does a part of it again, in a new run", run.id)
            }
            Outcome::Failed | Outcome::Cancelled | Outcome::Undone => {
                format!("`piton {told}rerun {}` does again what did not succeed, in a new run", run.id)
            }
        }));
    }
    let before = store.journal.summary(run.id).await?;
    let by = parts::speaker();
    let mut ids = Vec::with_capacity(words.len());
    for word in &words {
        ids.push(store.journal.say(run.id, &by, word.clone(), SystemClock.now()).await?);
    }
    let driven = before.owner.as_deref().is_some_and(|owner| !parts::is_dead(owner));
    if !driven {
        background::engine(store, &[run.id])?;
    }
    let answers = if wait { listen(store, run.id, &ids, before.seq, driven).await? } else { BTreeMap::new() };
    let mut refusals = Vec::new();
    let mut out = screen.out();
    for (word, id) in words.iter().zip(&ids) {
        let (what, _) = said(word);
        let answer = answers.get(id);
        let refused = answer.and_then(Option::as_deref);
        if screen.json {
            let taken = answer.is_some();
            out.json(&json!({ "run": run.id, "word": id.0, "said": what, "taken": taken, "refused": refused }))?;
        }
        match (answer, refused) {
            (Some(_), None) => {
                screen.note(format_args!("{what}: taken up; `piton watch {}` follows the run", run.id));
            }
            (None, _) if wait => screen.note(format_args!(
                "{what}: stored; no engine has taken it up within {} s, it will when one drives the run",
                PATIENCE.as_secs()
            )),
            (None, _) => screen.note(format_args!("{what}: stored")),
            (Some(_), Some(why)) => refusals.push(format!("{what} is refused: {why}")),
        }
    }
    out.flush()?;
    match refusals.as_slice() {
        [] => Ok(Code::Succeeded),
        [one] if !screen.json && words.len() == 1 => Err(Failure::other(one.clone())),
        several => {
            several.iter().for_each(|refusal| screen.error(refusal, None));
            Ok(Code::Unexpected)
        }
    }
}

/// The answers that come in time; `Some`: refused, with the reason.
async fn listen(
    store: &Store,
    run: RunId,
    words: &[WordId],
    after: u64,
    held: bool,
) -> Result<BTreeMap<WordId, Option<String>>, Failure> {
    let begun = tokio::time::Instant::now();
    let mut next = after + 1;
    let mut doubted = !held;
    let mut answers = BTreeMap::new();
    while begun.elapsed() < PATIENCE {
        let events = store.journal.read(run, next, 1000).await?;
        for recorded in &events {
            if let Event::WordTaken { id, refused, .. } = &recorded.event
                && words.contains(id)
            {
                answers.insert(*id, refused.clone());
            }
        }
        if answers.len() == words.len() {
            break;
        }
        if let Some(last) = events.last() {
            next = last.seq + 1;
        }
        if !doubted && begun.elapsed() > DOUBT {
            doubted = true;
            // Whoever holds the lease may be dead. If they are not, the new engine finds that out and ends.
            background::engine(store, &[run])?;
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(answers)
}
