//! Every fact as one line of JSON on stdout. Facts are read from the journal, so that none is missing however slowly
//! they are taken.

use std::sync::Arc;
use std::time::Duration;

use piton_core::ids::{JobId, RunId, TaskId};
use piton_core::run::{Event, Recorded};
use piton_core::time::Timestamp;
use piton_runner::journal::Journal;
use piton_runner::observer::Notice;
use piton_runner::output::Stream;
use tokio::runtime::Handle;

use super::{Manner, Missed};
use crate::screen::{ColorChoice, Out, Screen};

/// How many facts are read at a time.
const PAGE: usize = 1000;

/// Lines of JSON.
pub(super) struct Json {
    journal: Arc<dyn Journal>,
    run: RunId,
    next: u64,
    runtime: Handle,
    out: Out,
    gone: bool,
    /// Until then the output belongs to whoever tells the run's id.
    seeded: bool,
}

impl Json {
    pub(super) fn new(journal: Arc<dyn Journal>, run: RunId, runtime: Handle) -> Self {
        let out = Screen::new(true, false, 0, ColorChoice::Never).out();
        Self { journal, run, next: 1, runtime, out, gone: false, seeded: false }
    }

    fn catch_up(&mut self) {
        while !self.gone {
            // What cannot be read now can be read at the next fact, or with `piton show --events`.
            let Ok(page) = self.runtime.block_on(self.journal.read(self.run, self.next, PAGE)) else { return };
            for recorded in &page {
                self.gone |= self.out.json(recorded).is_err();
                self.next = recorded.seq + 1;
            }
            if page.len() < PAGE {
                return;
            }
        }
    }
}

impl Manner for Json {
    fn seed(&mut self, _running: Vec<(TaskId, Timestamp)>, _progress: (u32, u32)) {
        self.seeded = true;
    }

    fn fact(&mut self, recorded: &Recorded<Event>, _progress: (u32, u32)) {
        if self.seeded && recorded.seq >= self.next {
            self.catch_up();
        }
    }

    fn printed(&mut self, _job: &JobId, _stream: Stream, _bytes: &[u8]) {}

    fn notice(&mut self, _notice: &Notice) {}

    fn missed(&mut self, _missed: Missed) {}

    fn idle(&mut self) -> Option<Duration> {
        self.gone = self.gone || self.out.flush().is_err();
        None
    }

    fn clear(&mut self) {}

    fn end(&mut self) {
        self.catch_up();
        let _nobody_reads = self.out.flush();
    }
}
