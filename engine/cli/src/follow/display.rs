//! A live display on a terminal: a line for each task that runs, and one for the whole.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use piton_core::ids::{JobId, TaskId};
use piton_core::run::{Event, FailureCause, Recorded};
use piton_core::time::Timestamp;
use piton_runner::clock::{Clock, SystemClock};
use piton_runner::observer::Notice;
use piton_runner::output::Stream;

use super::lines::Lines;
use super::plain::output_line;
use super::{Manner, Missed, missed_line, notice_line};
use crate::screen::{BOLD, CYAN, DIM, Screen, YELLOW, paint};
use crate::tell::{Teller, moved_so_far, task_of};
use crate::times::{Times, took};
use crate::visible::visible;

/// How many running tasks get a line.
const ROWS: usize = 8;

/// How many of its last lines are shown of a task that failed.
const LAST_WORDS: usize = 12;

/// How often the screen is drawn at most, in a second.
const DRAWS: u8 = 8;

/// The display.
pub(super) struct Display {
    screen: MultiProgress,
    whole: Option<ProgressBar>,
    rows: BTreeMap<TaskId, Row>,
    teller: Teller,
    times: Times,
    lines: Lines,
    begun: Instant,
    progress: (u32, u32),
    all: bool,
    color: bool,
}

/// A task that runs.
struct Row {
    bar: Option<ProgressBar>,
    since: Instant,
    now: String,
    last: VecDeque<String>,
}

impl Display {
    pub(super) fn new(screen: &Screen) -> Self {
        let multi = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(DRAWS));
        Self {
            screen: multi,
            whole: None,
            rows: BTreeMap::new(),
            teller: Teller::new(screen.color_err),
            times: Times::here(),
            lines: Lines::default(),
            begun: Instant::now(),
            progress: (0, 0),
            all: screen.verbose > 0,
            color: screen.color_err,
        }
    }

    fn above(&self, line: &str) {
        // A terminal that cannot be written to is no reason to hold the run up.
        let _nobody_reads = self.screen.println(line);
    }

    fn begin(&mut self, task: &TaskId) {
        let row = Row { bar: None, since: Instant::now(), now: String::new(), last: VecDeque::new() };
        if let Some(old) = self.rows.insert(task.clone(), row) {
            drop_bar(&self.screen, old.bar);
        }
    }

    fn finish(&mut self, task: &TaskId) {
        if let Some(row) = self.rows.remove(task) {
            drop_bar(&self.screen, row.bar);
        }
    }

    /// Gives the first rows a line on the screen, and the whole one below them.
    fn place(&mut self) -> ProgressBar {
        let screen = &self.screen;
        let whole = self.whole.get_or_insert_with(|| screen.add(bar()));
        let shown = self.rows.values().filter(|r| r.bar.is_some()).count();
        for row in self.rows.values_mut().filter(|r| r.bar.is_none()).take(ROWS.saturating_sub(shown)) {
            row.bar = Some(screen.insert_before(whole, bar()));
        }
        whole.clone()
    }

    fn draw(&mut self) {
        // Until something runs, the screen belongs to whoever tells the run's id.
        if self.rows.is_empty() && self.progress.0 == 0 {
            return;
        }
        let whole = self.place();
        // What a person types, such as `^C`, must fit behind a line: a line that wraps could not be cleared again.
        let width = width().saturating_sub(6);
        for (task, row) in &self.rows {
            if let Some(bar) = &row.bar {
                let (name, time) = (task.to_string(), took(Duration::from_secs(row.since.elapsed().as_secs())));
                let room = width.saturating_sub(name.chars().count() + time.chars().count() + 4);
                let now: String = row.now.chars().take(room).map(|c| if c == '\t' { ' ' } else { c }).collect();
                let (name, time) = (paint(self.color, CYAN, cut(&name, width / 2)), paint(self.color, DIM, time));
                bar.set_message(format!("  {name} {time} {now}"));
            }
        }
        let hidden = self.rows.values().filter(|r| r.bar.is_none()).count();
        let more = if hidden > 0 { format!(" ({hidden} not shown)") } else { String::new() };
        let (done, all) = self.progress;
        let time = took(Duration::from_secs(self.begun.elapsed().as_secs()));
        let counts = format!("{done}/{all} done, {} running{more}, {time}", self.rows.len());
        whole.set_message(paint(self.color, BOLD, cut(&counts, width)));
    }
}

/// How many columns the terminal has.
fn width() -> usize {
    rustix::termios::tcgetwinsize(std::io::stderr()).map_or(80, |size| usize::from(size.ws_col)).max(20)
}

fn cut(text: &str, width: usize) -> String {
    text.chars().take(width).collect()
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::no_length();
    // The template is constant; without it the bar would only look different.
    if let Ok(style) = ProgressStyle::with_template("{msg}") {
        bar.set_style(style);
    }
    bar
}

fn drop_bar(screen: &MultiProgress, bar: Option<ProgressBar>) {
    if let Some(bar) = bar {
        bar.finish_and_clear();
        screen.remove(&bar);
    }
}

impl Manner for Display {
    fn seed(&mut self, running: Vec<(TaskId, Timestamp)>, progress: (u32, u32)) {
        self.progress = progress;
        let now = SystemClock.now();
        for (task, since) in &running {
            self.begin(task);
            if let Some(row) = self.rows.get_mut(task) {
                let ago = now.since(*since);
                row.since = row.since.checked_sub(ago).unwrap_or(row.since);
                self.begun = self.begun.min(row.since);
            }
        }
        self.teller.seed(running);
    }

    fn fact(&mut self, recorded: &Recorded<Event>, progress: (u32, u32)) {
        self.progress = progress;
        if let Event::JobExited { job, .. }
        | Event::JobStopped { job, .. }
        | Event::JobLost { job, .. }
        | Event::HookEnded { hook: job, .. } = &recorded.event
        {
            let row = self.rows.get_mut(&job.attempt.task);
            let mut rest = Vec::new();
            self.lines.finish(job, |_, line| rest.push(visible(line).into_owned()));
            if let Some(row) = row {
                rest.into_iter().for_each(|line| remember(row, line));
            }
        }
        if let Some(line) = self.teller.tell(recorded, self.all) {
            // That a task started is seen from its row.
            let started = matches!(recorded.event, Event::AttemptStarted { .. } | Event::UndoAttemptStarted { .. });
            if !started || self.all {
                self.above(&line);
            }
        }
        if let Event::AttemptFailed { task, cause: FailureCause::Exit(_), .. } = &recorded.event
            && let Some(row) = self.rows.get(task)
        {
            for line in &row.last {
                self.above(&format!("         {} {line}", paint(self.color, DIM, "|")));
            }
        }
        if let Event::TransferProgressed { task, moved, total, left, .. } = &recorded.event
            && let Some(row) = self.rows.get_mut(task)
        {
            row.now = moved_so_far(*moved, *total, *left);
        }
        let Some(task) = task_of(&recorded.event) else { return };
        match &recorded.event {
            Event::AttemptStarted { .. } | Event::UndoAttemptStarted { .. } | Event::ResolveStarted { .. } => {
                self.begin(task)
            }
            Event::TaskSucceeded { .. }
            | Event::TaskFailed { .. }
            | Event::TaskParked { .. }
            | Event::TaskSkipped { .. }
            | Event::TaskUndone { .. }
            | Event::UndoSkipped { .. }
            | Event::AttemptFailed { .. } => self.finish(task),
            Event::ApprovalAsked { .. } => {
                if let Some(row) = self.rows.get_mut(task) {
                    row.now = "waits for approval".to_owned();
                }
            }
            Event::RetryScheduled { .. }
            | Event::StepExpanded { .. }
            | Event::CallEntered { .. }
            | Event::TaskUnstartable { .. }
            | Event::Transferred { .. }
            | Event::HookStarted { .. }
            | Event::HookCalled { .. }
            | Event::HookEnded { .. }
            | Event::TransferProgressed { .. }
            | Event::AttemptTimedOut { .. }
            | Event::UndoTimedOut { .. }
            | Event::ProbeScheduled { .. }
            | Event::ProbeStarted { .. }
            | Event::WaitStarted { .. }
            | Event::TaskReleased { .. }
            | Event::JobStarted { .. }
            | Event::JobExited { .. }
            | Event::JobLost { .. }
            | Event::JobStopped { .. }
            | Event::RunCreated { .. }
            | Event::TakenOver { .. }
            | Event::PlanReplaced { .. }
            | Event::EngineTook { .. }
            | Event::SecretsFetched { .. }
            | Event::SecretsMissing { .. }
            | Event::WordTaken { .. }
            | Event::Voted { .. }
            | Event::LocksAsked { .. }
            | Event::LocksTaken { .. }
            | Event::LocksRefused { .. }
            | Event::RunPaused { .. }
            | Event::RunResumed
            | Event::CancelStarted
            | Event::UndoStarted { .. }
            | Event::FinallyStarted
            | Event::RunEnded { .. } => {}
        }
    }

    fn printed(&mut self, job: &JobId, stream: Stream, bytes: &[u8]) {
        let Self { lines, rows, screen, times, color, all, .. } = self;
        let Some(row) = rows.get_mut(&job.attempt.task) else { return };
        lines.take(job, stream, bytes, |line| {
            if *all {
                let _nobody_reads = screen.println(output_line(times, *color, job, stream, line));
            }
            remember(row, visible(line).into_owned());
        });
        let unfinished = lines.unfinished(job, stream);
        if !unfinished.is_empty() {
            row.now = visible(unfinished).into_owned();
        }
    }

    fn notice(&mut self, notice: &Notice) {
        self.above(&paint(self.color, YELLOW, visible(notice_line(notice).as_bytes())));
    }

    fn missed(&mut self, missed: Missed) {
        // Here only last lines are shown anyway.
        if self.all || missed.facts > 0 {
            self.above(&paint(self.color, YELLOW, missed_line(missed)));
        }
    }

    fn idle(&mut self) -> Option<Duration> {
        self.draw();
        // While something runs, its seconds are counted.
        (!self.rows.is_empty()).then_some(Duration::from_secs(1))
    }

    fn clear(&mut self) {
        // Bars that are only cleared leave a line behind: they are taken off, and placed again when drawing goes on.
        for row in self.rows.values_mut() {
            drop_bar(&self.screen, row.bar.take());
        }
        drop_bar(&self.screen, self.whole.take());
        let _nobody_reads = self.screen.clear();
    }

    fn end(&mut self) {
        self.clear();
    }
}

fn remember(row: &mut Row, line: String) {
    row.now.clone_from(&line);
    if row.last.len() == LAST_WORDS {
        row.last.pop_front();
    }
    row.last.push_back(line);
}
