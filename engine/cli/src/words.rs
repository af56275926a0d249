//! Says a word to a run, sees to it that somebody hears it, and waits for the answer.

use std::time::Duration;

use piton_core::ids::RunId;
use piton_core::run::{Event, Word, WordId};
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

/// What came of a word.
enum Answer {
    Followed,
    Refused(String),
    NotYet,
}

/// Says the word. Whether or not the answer comes in time, the word is not lost.
pub(crate) async fn say(
    store: &Store,
    screen: &Screen,
    run: &RunSummary,
    word: Word,
    wait: bool,
) -> Result<Code, Failure> {
    if let RunStatus::Ended(outcome) = run.status {
        return Err(Failure::other(format!("the run is over: it {outcome}")));
    }
    let (what, _) = said(&word);
    let before = store.journal.summary(run.id).await?;
    let id = store.journal.say(run.id, &parts::speaker(), word, SystemClock.now()).await?;
    let driven = before.owner.as_deref().is_some_and(|owner| !parts::is_dead(owner));
    if !driven {
        background::engine(store, &[run.id])?;
    }
    let answer = if wait { listen(store, run.id, id, before.seq, driven).await? } else { Answer::NotYet };
    let refused = match &answer {
        Answer::Refused(why) => Some(why.as_str()),
        Answer::Followed | Answer::NotYet => None,
    };
    if screen.json {
        let taken = !matches!(answer, Answer::NotYet);
        let mut out = screen.out();
        out.json(&json!({ "run": run.id, "word": id.0, "said": what, "taken": taken, "refused": refused }))?;
        out.flush()?;
    }
    match answer {
        Answer::Followed => screen.note(format_args!("{what}: taken up; `piton watch {}` follows the run", run.id)),
        Answer::NotYet if wait => screen.note(format_args!(
            "{what}: stored; no engine has taken it up within {} s, it will when one drives the run",
            PATIENCE.as_secs()
        )),
        Answer::NotYet => screen.note(format_args!("{what}: stored")),
        Answer::Refused(why) if screen.json => {
            screen.error(format_args!("{what} is refused: {why}"), None);
            return Ok(Code::Unexpected);
        }
        Answer::Refused(why) => return Err(Failure::other(format!("{what} is refused: {why}"))),
    }
    Ok(Code::Succeeded)
}

async fn listen(store: &Store, run: RunId, word: WordId, after: u64, held: bool) -> Result<Answer, Failure> {
    let begun = tokio::time::Instant::now();
    let mut next = after + 1;
    let mut doubted = !held;
    while begun.elapsed() < PATIENCE {
        let events = store.journal.read(run, next, 1000).await?;
        for recorded in &events {
            if let Event::WordTaken { id, refused, .. } = &recorded.event
                && *id == word
            {
                return Ok(refused.clone().map_or(Answer::Followed, Answer::Refused));
            }
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
    Ok(Answer::NotYet)
}
