//! Plain lines on stderr, for files, pipes and logs.

use std::io::{self, BufWriter, Stderr, Write};
use std::time::Duration;

use piton_core::ids::{JobId, TaskId};
use piton_core::run::{Event, Recorded};
use piton_core::time::Timestamp;
use piton_runner::clock::{Clock, SystemClock};
use piton_runner::observer::Notice;
use piton_runner::output::Stream;

use super::lines::Lines;
use super::{Manner, Missed, missed_line, notice_line};
use crate::screen::{DIM, Screen, YELLOW, paint};
use crate::tell::Teller;
use crate::times::Times;
use crate::visible::visible;

/// Plain lines.
pub(super) struct Plain {
    to: BufWriter<Stderr>,
    teller: Teller,
    times: Times,
    lines: Lines,
    all: bool,
    color: bool,
}

impl Plain {
    pub(super) fn new(screen: &Screen) -> Self {
        Self {
            to: BufWriter::new(io::stderr()),
            teller: Teller::new(screen.color_err),
            times: Times::here(),
            lines: Lines::default(),
            all: screen.verbose > 0,
            color: screen.color_err,
        }
    }

    /// That nobody can read it is no reason to hold the run up.
    fn line(&mut self, text: &str) {
        let _nobody_reads = writeln!(self.to, "{text}");
    }

    fn own(&mut self, text: &str) {
        let time = paint(self.color, DIM, self.times.clock(SystemClock.now()));
        let text = paint(self.color, YELLOW, visible(text.as_bytes()));
        self.line(&format!("{time} {text}"));
    }
}

/// A line that a job printed.
pub(super) fn output_line(times: &Times, color: bool, job: &JobId, stream: Stream, line: &[u8]) -> String {
    let bar = match stream {
        Stream::Out => "|",
        Stream::Err => "!",
    };
    let head = format!("{} {} {bar}", times.clock(SystemClock.now()), job.attempt.task);
    format!("{} {}", paint(color, DIM, head), visible(line))
}

impl Manner for Plain {
    fn seed(&mut self, running: Vec<(TaskId, Timestamp)>, _progress: (u32, u32)) {
        self.teller.seed(running);
    }

    fn fact(&mut self, recorded: &Recorded<Event>, _progress: (u32, u32)) {
        if let Event::JobExited { job, .. }
        | Event::JobStopped { job, .. }
        | Event::JobLost { job, .. }
        | Event::HookEnded { hook: job, .. } = &recorded.event
        {
            let mut rest = Vec::new();
            self.lines.finish(job, |stream, line| rest.push(output_line(&self.times, self.color, job, stream, line)));
            for line in rest {
                self.line(&line);
            }
        }
        if let Some(line) = self.teller.tell(recorded, self.all) {
            self.line(&line);
        }
    }

    fn printed(&mut self, job: &JobId, stream: Stream, bytes: &[u8]) {
        let Self { lines, to, times, color, .. } = self;
        lines.take(job, stream, bytes, |line| {
            let _nobody_reads = writeln!(to, "{}", output_line(times, *color, job, stream, line));
        });
    }

    fn notice(&mut self, notice: &Notice) {
        self.own(&notice_line(notice));
    }

    fn missed(&mut self, missed: Missed) {
        self.own(&missed_line(missed));
    }

    fn idle(&mut self) -> Option<Duration> {
        let _nobody_reads = self.to.flush();
        None
    }

    fn clear(&mut self) {
        let _nobody_reads = self.to.flush();
    }

    fn end(&mut self) {
        let _nobody_reads = self.to.flush();
    }
}
