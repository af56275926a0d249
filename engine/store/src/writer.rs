//! The one thread of a process that writes: changes that wait together are made durable together.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};

use piton_runner::journal::JournalError;
use tokio::sync::oneshot;

use crate::place::unusable;
use crate::request::{Reply, Request};
use crate::wake::Bell;

/// At most this many changes share one commit, so that the first of them does not wait for long.
const TOGETHER: usize = 512;

/// A store's way of making changes durable.
pub(crate) trait Books: Send + 'static {
    /// Carries out the requests in order, each wholly or not at all, and returns when they are durable.
    /// Gives one answer for each.
    fn commit(&mut self, requests: &[Request]) -> Vec<Result<Reply, JournalError>>;
}

struct Waiting {
    request: Request,
    answer: oneshot::Sender<Result<Reply, JournalError>>,
}

/// Hands changes to the writer thread. The thread ends when this is dropped and what was asked is done.
#[derive(Debug)]
pub(crate) struct Writer {
    place: PathBuf,
    requests: Sender<Waiting>,
}

impl Writer {
    /// Starts the thread.
    pub(crate) fn start(place: &Path, books: impl Books) -> Result<Self, JournalError> {
        let (requests, waiting) = channel();
        let bell = Bell::of(place);
        std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || write(&waiting, books, &bell))
            .map_err(|error| unusable(place, format!("cannot start the writer thread: {error}")))?;
        Ok(Self { place: place.to_owned(), requests })
    }

    /// Has a change made. Dropping the future does not take the request back.
    pub(crate) async fn ask(&self, request: Request) -> Result<Reply, JournalError> {
        let gone = || unusable(&self.place, "the writer thread has ended");
        let (answer, answered) = oneshot::channel();
        self.requests.send(Waiting { request, answer }).map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

fn write(waiting: &Receiver<Waiting>, mut books: impl Books, bell: &Bell) {
    while let Ok(first) = waiting.recv() {
        let (mut requests, mut answers) = (vec![first.request], vec![first.answer]);
        while requests.len() < TOGETHER
            && let Ok(next) = waiting.try_recv()
        {
            requests.push(next.request);
            answers.push(next.answer);
        }
        let replies = books.commit(&requests);
        let said = replies.iter().any(|reply| matches!(reply, Ok(Reply::Said(_))));
        for (answer, reply) in answers.into_iter().zip(replies) {
            // Who asked may have gone away in the meantime; the change stands.
            let _ = answer.send(reply);
        }
        if said {
            bell.ring();
        }
    }
}
