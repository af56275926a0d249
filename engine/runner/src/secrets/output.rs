//! Output in which secrets are hidden before anybody else gets it.
//!
//! Positions are those of the host's bytes, while what is kept is shorter or longer than that. After a crash only what is kept
//! is there, and nothing tells how far the host had been read, nor what a masker held back. So a job with secrets is read from
//! its beginning again: what comes out of the masker depends on what goes in alone, so what was kept is the beginning of it
//! and is passed over.

use std::sync::Arc;

use async_trait::async_trait;
use piton_core::ids::JobId;
use piton_core::run::Printed;

use super::masker::{Masker, Masking};
use crate::observer::Observer;
use crate::output::{JobOutput, OutputError, Stream};

/// Hides secrets in the output of one job.
pub(crate) struct MaskedOutput {
    inner: Box<dyn JobOutput>,
    masker: Masker,
    streams: [Taken; 2],
    /// Who is shown what was taken.
    shown_to: Option<(Arc<dyn Observer>, JobId)>,
}

/// A stream as far as it was taken.
struct Taken {
    now: State,
    /// What is true as soon as the inner output has taken these bytes.
    next: Option<(State, Vec<u8>)>,
}

#[derive(Clone)]
struct State {
    /// In the bytes of the host.
    position: u64,
    masking: Masking,
    /// How much of what comes out is kept already.
    kept: u64,
    /// Where the inner output stands then.
    given: u64,
    ended: bool,
}

impl State {
    /// The beginning of a stream of which so much is kept.
    fn new(masker: &Masker, kept: u64) -> Self {
        Self { position: 0, masking: Masking::new(masker.clone()), kept, given: kept, ended: false }
    }
}

impl MaskedOutput {
    /// Hides secrets in what goes into `inner`, and shows it to whoever is named.
    pub(crate) fn new(
        inner: Box<dyn JobOutput>,
        masker: &Masker,
        shown_to: Option<(Arc<dyn Observer>, JobId)>,
    ) -> Self {
        let streams = [Stream::Out, Stream::Err]
            .map(|stream| Taken { now: State::new(masker, inner.position(stream)), next: None });
        Self { inner, masker: masker.clone(), streams, shown_to }
    }

    /// What the inner output took, although nobody heard of it any more, counts. If it went back, because something could not
    /// be written that it had taken, the stream begins anew, and what is kept of it is passed over.
    fn settle(&mut self, stream: Stream) {
        let stands = self.inner.position(stream);
        let taken = &mut self.streams[stream as usize];
        if let Some((state, bytes)) = taken.next.take()
            && stands == state.given
        {
            taken.now = state;
            if let Some((observer, job)) = &self.shown_to {
                observer.printed(job, stream, &bytes);
            }
        }
        if stands != taken.now.given {
            taken.now = State::new(&self.masker, stands);
        }
    }

    async fn give(&mut self, stream: Stream, bytes: &[u8], end: bool) -> Result<(), OutputError> {
        self.settle(stream);
        let mut state = self.streams[stream as usize].now.clone();
        let mut out = Vec::with_capacity(bytes.len());
        state.masking.push(bytes, &mut out);
        state.position += bytes.len() as u64;
        if end && !std::mem::replace(&mut state.ended, true) {
            state.masking.finish(&mut out);
        }
        let kept = usize::try_from(state.kept).unwrap_or(usize::MAX).min(out.len());
        out.drain(..kept);
        state.kept -= kept as u64;
        if out.is_empty() {
            self.streams[stream as usize].now = state;
            return Ok(());
        }
        state.given += out.len() as u64;
        self.streams[stream as usize].next = Some((state, out.clone()));
        let written = self.inner.write(stream, &out).await;
        self.settle(stream);
        written
    }
}

#[async_trait]
impl JobOutput for MaskedOutput {
    fn position(&self, stream: Stream) -> u64 {
        let taken = &self.streams[stream as usize];
        let stands = self.inner.position(stream);
        match &taken.next {
            Some((state, _)) if stands == state.given => state.position,
            Some(_) | None if stands == taken.now.given => taken.now.position,
            Some(_) | None => 0,
        }
    }

    async fn write(&mut self, stream: Stream, bytes: &[u8]) -> Result<(), OutputError> {
        self.give(stream, bytes, false).await
    }

    async fn head(&mut self) -> Result<(Vec<u8>, bool), OutputError> {
        self.inner.head().await
    }

    async fn finish(&mut self) -> Result<Printed, OutputError> {
        for stream in [Stream::Out, Stream::Err] {
            self.give(stream, b"", true).await?;
        }
        self.inner.finish().await
    }
}

/// What stands at the end of output of which the rest is not kept.
const WITHHELD: &[u8] = b"[piton: from here on nothing is kept: a secret has changed since this began]\n";

/// Output that is read and not kept: it may hold a secret that is not known any more.
pub(crate) struct Withheld {
    inner: Box<dyn JobOutput>,
    positions: [u64; 2],
    told: bool,
}

impl Withheld {
    /// Keeps no more than `inner` has already.
    pub(crate) fn new(inner: Box<dyn JobOutput>) -> Self {
        Self { inner, positions: [0; 2], told: false }
    }
}

#[async_trait]
impl JobOutput for Withheld {
    fn position(&self, stream: Stream) -> u64 {
        self.positions[stream as usize]
    }

    async fn write(&mut self, stream: Stream, bytes: &[u8]) -> Result<(), OutputError> {
        self.positions[stream as usize] += bytes.len() as u64;
        Ok(())
    }

    async fn head(&mut self) -> Result<(Vec<u8>, bool), OutputError> {
        Ok((Vec::new(), false))
    }

    async fn finish(&mut self) -> Result<Printed, OutputError> {
        if !self.told && self.positions != [0; 2] {
            self.inner.write(Stream::Err, WITHHELD).await?;
            self.told = true;
        }
        self.inner.finish().await
    }
}

#[cfg(test)]
#[path = "output_tests.rs"]
mod tests;
