//! The one thread of a process that writes: changes that wait together are made durable together.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

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

/// Hands changes to the writer thread. When this is dropped, what was asked is done and the store is let go.
#[derive(Debug)]
pub(crate) struct Writer {
    place: PathBuf,
    /// `None` only while this is dropped.
    requests: Option<Sender<Waiting>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.requests.take());
        if let Some(thread) = self.thread.take() {
            // If it panicked, whoever asked it for something knows.
            let _ = thread.join();
        }
    }
}

impl Writer {
    /// Starts the thread for the books at `place`; it rings the bell of the state directory.
    pub(crate) fn start(place: &Path, state: &Path, books: impl Books) -> Result<Self, JournalError> {
        let (requests, waiting) = channel();
        let bell = Bell::of(state);
        let thread = std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || write(&waiting, books, &bell))
            .map_err(|error| unusable(place, format!("cannot start the writer thread: {error}")))?;
        Ok(Self { place: place.to_owned(), requests: Some(requests), thread: Some(thread) })
    }

    /// Has a change made. Dropping the future does not take the request back.
    pub(crate) async fn ask(&self, request: Request) -> Result<Reply, JournalError> {
        let gone = || unusable(&self.place, "the writer thread has ended");
        let (answer, answered) = oneshot::channel();
        let requests = self.requests.as_ref().ok_or_else(gone)?;
        requests.send(Waiting { request, answer }).map_err(|_| gone())?;
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
        let rings = replies.iter().any(|reply| matches!(reply, Ok(Reply::Said(_) | Reply::Given)));
        for (answer, reply) in answers.into_iter().zip(replies) {
            // Who asked may have gone away in the meantime; the change stands.
            let _ = answer.send(reply);
        }
        if rings {
            bell.ring();
        }
    }
}
