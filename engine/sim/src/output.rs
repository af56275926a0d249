//! What simulated jobs print: kept in memory while the run lasts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use piton_core::digest::Digest;
use piton_core::ids::{JobId, RunId};
use piton_core::run::{Extent, Printed};
use piton_runner::output::{HEAD, JobOutput, OutputError, OutputSink, Stream};

/// Keeps output in memory.
#[derive(Default)]
pub(crate) struct MemoryOutputs(Mutex<BTreeMap<String, Arc<Mutex<Kept>>>>);

#[derive(Default)]
struct Kept {
    out: Vec<u8>,
    err: Vec<u8>,
}

#[async_trait]
impl OutputSink for MemoryOutputs {
    async fn open(&self, _run: RunId, job: &JobId, _keep: bool) -> Result<Box<dyn JobOutput>, OutputError> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Box::new(MemoryOutput(all.entry(job.file_name()).or_default().clone())))
    }
}

struct MemoryOutput(Arc<Mutex<Kept>>);

impl MemoryOutput {
    fn with<T>(&self, look: impl FnOnce(&mut Kept) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl JobOutput for MemoryOutput {
    fn position(&self, stream: Stream) -> u64 {
        self.with(|kept| match stream {
            Stream::Out => kept.out.len() as u64,
            Stream::Err => kept.err.len() as u64,
        })
    }

    async fn write(&mut self, stream: Stream, bytes: &[u8]) -> Result<(), OutputError> {
        self.with(|kept| match stream {
            Stream::Out => kept.out.extend_from_slice(bytes),
            Stream::Err => kept.err.extend_from_slice(bytes),
        });
        Ok(())
    }

    async fn head(&mut self) -> Result<(Vec<u8>, bool), OutputError> {
        Ok(self.with(|kept| (kept.out[..kept.out.len().min(HEAD)].to_vec(), kept.out.len() <= HEAD)))
    }

    async fn finish(&mut self) -> Result<Printed, OutputError> {
        let extent =
            |bytes: &[u8]| (!bytes.is_empty()).then(|| Extent { len: bytes.len() as u64, digest: Digest::of(bytes) });
        Ok(self.with(|kept| Printed { out: extent(&kept.out), err: extent(&kept.err) }))
    }
}
