//! `piton logs`.

use std::collections::BTreeSet;
use std::io::{IsTerminal, stdout};
use std::time::Duration;

use clap::ValueEnum;
use piton_core::ids::{JobId, Part, TaskId};
use piton_core::run::{Effect, Event, Run, TaskState, Undo};
use piton_core::time::{Timestamp, show_size};
use piton_runner::clock::{Clock, SystemClock};
use piton_runner::output::Stream;
use piton_store::OutputReader;

use crate::cli::Globals;
use crate::exit::{Code, Failure};
use crate::screen::{BOLD, DIM, Out, Screen};
use crate::select;
use crate::store::Store;
use crate::times;
use crate::visible::visible_lines;

/// Show what a run's jobs printed
///
/// Into a file or a pipe the bytes come as they are; on a terminal, control characters are shown instead of obeyed,
/// unless --raw is given. Where more than one stream has something in it, a line says whose output follows; with
/// --stream and one task there is nothing but the bytes. Any amount is paged through in constant memory.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run
    #[arg(value_name = "RUN", add = clap_complete::ArgValueCompleter::new(super::completing::runs))]
    run: String,
    /// The task, or a step for all its tasks [default: all]
    task: Option<String>,
    /// Only this attempt [default: the last one that printed, of each task]
    #[arg(long, value_name = "N")]
    attempt: Option<u32>,
    /// What of an attempt
    #[arg(long, value_enum, default_value_t)]
    part: PartChoice,
    /// Only one of the two streams
    #[arg(long, value_enum)]
    stream: Option<StreamChoice>,
    /// Go on as more is printed, until the task has come to an end
    #[arg(short, long)]
    follow: bool,
    /// Only the last N lines
    #[arg(long, value_name = "N")]
    tail: Option<u64>,
    /// Only lines that came since then: `10m` (so long ago), `10:02`, or `2026-11-21T10:02:11Z`
    #[arg(long, value_name = "TIME", conflicts_with = "tail")]
    since: Option<String>,
    /// The bytes as they are, also on a terminal
    #[arg(long)]
    raw: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum PartChoice {
    /// The step's action
    #[default]
    Main,
    /// The question whether it is done already
    Unless,
    /// The question whether it worked
    Verify,
    /// Taking it back
    Undo,
    /// The hook before the action
    Before,
    /// The hook after the action
    After,
    /// What hooks have hosts do
    Call,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum StreamChoice {
    /// Standard output
    Out,
    /// Standard error
    Err,
}

/// How much is read at a time.
const PIECE: usize = 64 * 1024;

/// How often it is looked for more.
const LOOK: Duration = Duration::from_millis(200);

/// How many events are read at a time.
const PAGE: usize = 2000;

pub(crate) async fn run(args: Args, globals: &Globals, screen: &Screen) -> Result<Code, Failure> {
    let store = Store::here(globals)?;
    let summary = store.find(&args.run).await?;
    let since = match &args.since {
        Some(text) => Some(times::read(text, SystemClock.now()).map_err(Failure::usage)?),
        None => None,
    };
    let mut reading = Reading {
        raw: args.raw || !stdout().is_terminal(),
        out: screen.out(),
        json: screen.json,
        last: None,
        heads: false,
        partial: Vec::new(),
    };
    let mut known = Known::default();
    let mut places: Vec<Place> = Vec::new();
    let mut taken = None;
    loop {
        let run = piton_runner::load(store.journal.as_ref(), summary.id).await?;
        let wanted = match &args.task {
            Some(task) => Some(select::tasks(&run, task)?.into_iter().map(|t| run.graph().id(t).clone()).collect()),
            None => None,
        };
        known.catch_up(&store, &run).await?;
        taken = wanted.iter().flatten().find_map(|id: &TaskId| run.task(run.graph().find(id)?).taken).or(taken);
        for job in jobs(&args, &known, wanted.as_ref()) {
            for stream in streams(args.stream) {
                if !places.iter().any(|p| p.job == job && p.stream == stream) {
                    let reader = OutputReader::of(&store.dir, summary.id, &job);
                    let at = begin(&reader, stream, args.tail, since)?;
                    places.push(Place { job: job.clone(), stream, reader, at });
                }
            }
        }
        reading.heads = several(&places)?;
        for place in &mut places {
            reading.catch_up(place)?;
        }
        reading.out.flush()?;
        if !args.follow || settled(&run, wanted.as_ref()) {
            break;
        }
        tokio::time::sleep(LOOK).await;
    }
    reading.finish()?;
    if places.iter().all(|p| p.at == 0) && !screen.json {
        screen.note(match (taken, &args.task) {
            (Some(old), Some(task)) => {
                let task = crate::advice::word(task);
                format!(
                    "Run {old} did that, and this one took its result over; `piton logs {old} {task}` has the output."
                )
            }
            (_, _) => nothing(&args, &summary.id.to_string()),
        });
    }
    Ok(Code::Succeeded)
}

fn nothing(args: &Args, run: &str) -> String {
    match &args.task {
        Some(task) => {
            format!("Nothing was printed there; `piton why {run} {}` tells what happened.", crate::advice::word(task))
        }
        None => format!("Nothing was printed; `piton show {run}` tells what happened."),
    }
}

/// How far a stream of a job has been shown.
struct Place {
    job: JobId,
    stream: Stream,
    reader: OutputReader,
    at: u64,
}

/// Whether more than one stream has anything in it, so that it must be said whose it is.
fn several(places: &[Place]) -> Result<bool, Failure> {
    let mut filled = 0;
    for place in places {
        filled += usize::from(place.reader.extents(place.stream).map_err(unreadable)?.len > 0);
    }
    Ok(filled > 1)
}

/// The jobs that the journal tells of.
#[derive(Default)]
struct Known {
    next: u64,
    jobs: Vec<JobId>,
    wanted: Vec<JobId>,
}

impl Known {
    async fn catch_up(&mut self, store: &Store, run: &Run) -> Result<(), Failure> {
        loop {
            let page = store.journal.read(run.id(), self.next.max(1), PAGE).await?;
            for recorded in &page {
                self.next = recorded.seq + 1;
                if let Event::JobExited { job, .. }
                | Event::JobStopped { job, .. }
                | Event::JobLost { job, .. }
                | Event::HookEnded { hook: job, .. } = &recorded.event
                    && !self.jobs.contains(job)
                {
                    self.jobs.push(job.clone());
                }
            }
            if page.len() < PAGE {
                break;
            }
        }
        self.wanted = run
            .wanted()
            .filter_map(|effect| match effect {
                Effect::Carry(job) | Effect::Stop(job) | Effect::Hook(job) => Some(job.clone()),
                Effect::Fetch | Effect::Answer { .. } | Effect::Transfer(_) | Effect::Wake { .. } | Effect::Hold(_) => {
                    None
                }
            })
            .collect();
        Ok(())
    }
}

/// The jobs that are asked for, in the order in which they ended, then those that still run.
fn jobs(args: &Args, known: &Known, wanted: Option<&BTreeSet<TaskId>>) -> Vec<JobId> {
    let part = match args.part {
        PartChoice::Main => Part::Main,
        PartChoice::Unless => Part::Unless,
        PartChoice::Verify => Part::Verify,
        PartChoice::Undo => Part::Undo,
        PartChoice::Before => Part::Before,
        PartChoice::After => Part::After,
        PartChoice::Call => Part::Call,
    };
    let all: Vec<&JobId> = known
        .jobs
        .iter()
        .chain(known.wanted.iter().filter(|job| !known.jobs.contains(job)))
        // A hook's action is what it says and what it has hosts do.
        .filter(|job| job.part == part || (part == Part::Main && job.part == Part::Call))
        .filter(|job| wanted.is_none_or(|tasks| tasks.contains(&job.attempt.task)))
        .collect();
    let last_of = |task: &TaskId| all.iter().filter(|j| j.attempt.task == *task).map(|j| j.attempt.number).max();
    all.iter()
        .filter(|job| Some(job.attempt.number) == args.attempt.or_else(|| last_of(&job.attempt.task)))
        .map(|job| (*job).clone())
        .collect()
}

fn streams(choice: Option<StreamChoice>) -> Vec<Stream> {
    match choice {
        None => vec![Stream::Out, Stream::Err],
        Some(StreamChoice::Out) => vec![Stream::Out],
        Some(StreamChoice::Err) => vec![Stream::Err],
    }
}

fn begin(reader: &OutputReader, stream: Stream, tail: Option<u64>, since: Option<Timestamp>) -> Result<u64, Failure> {
    let at = match (tail, since) {
        (Some(lines), _) => reader.tail(stream, lines).map(|end| end.offset),
        (None, Some(since)) => reader.between(stream, since, Timestamp(i64::MAX)).map(|range| range.start),
        (None, None) => Ok(0),
    };
    at.map_err(unreadable)
}

fn unreadable(error: std::io::Error) -> Failure {
    Failure::other(format!("the output cannot be read: {error}"))
}

/// Whether nothing more can come from these tasks.
fn settled(run: &Run, wanted: Option<&BTreeSet<TaskId>>) -> bool {
    if run.outcome().is_some() || run.is_parked() {
        return true;
    }
    let Some(wanted) = wanted else { return false };
    wanted.iter().filter_map(|id| run.graph().find(id)).all(|index| {
        let task = run.task(index);
        let undoing = matches!(task.undo, Undo::Active { .. } | Undo::Over(_));
        match task.state {
            TaskState::Succeeded(_) | TaskState::Skipped(_) | TaskState::Failed(_) | TaskState::Parked(_) => !undoing,
            TaskState::Waiting | TaskState::Active(_) | TaskState::Pausing(_) => false,
        }
    })
}

/// What has been shown.
struct Reading {
    raw: bool,
    json: bool,
    out: Out,
    heads: bool,
    last: Option<(JobId, Stream)>,
    /// The bytes of a character that was not complete at the end of a piece.
    partial: Vec<u8>,
}

impl Reading {
    fn catch_up(&mut self, place: &mut Place) -> Result<(), Failure> {
        loop {
            let piece = place.reader.read(place.stream, place.at, PIECE).map_err(unreadable)?;
            if piece.bytes.is_empty() {
                return Ok(());
            }
            self.head(place)?;
            if piece.left_out > 0 && !self.json {
                let gap =
                    format!("[{} left out here: the output was larger than what is kept]", show_size(piece.left_out));
                let gap = self.out.paint(DIM, gap);
                self.out.line(gap)?;
            }
            place.at = piece.offset + piece.bytes.len() as u64;
            self.show(place, piece.offset, &piece.bytes)?;
        }
    }

    fn show(&mut self, place: &Place, offset: u64, bytes: &[u8]) -> Result<(), Failure> {
        if self.json {
            let stream = match place.stream {
                Stream::Out => "out",
                Stream::Err => "err",
            };
            let text = String::from_utf8_lossy(bytes);
            let job = place.job.to_string();
            return self.out.json(&serde_json::json!({ "job": job, "stream": stream, "offset": offset, "text": text }));
        }
        if self.raw {
            return self.out.bytes(bytes);
        }
        self.partial.extend_from_slice(bytes);
        let complete = whole_characters(&self.partial);
        let text = visible_lines(&self.partial[..complete]);
        self.partial.drain(..complete);
        self.out.bytes(text.as_bytes())
    }

    /// Says whose output follows, where that changes.
    fn head(&mut self, place: &Place) -> Result<(), Failure> {
        let now = Some((place.job.clone(), place.stream));
        if self.last == now || self.json {
            return Ok(());
        }
        self.finish()?;
        let stream = match place.stream {
            Stream::Out => "stdout",
            Stream::Err => "stderr",
        };
        if self.heads {
            let first = if self.last.is_some() { "\n" } else { "" };
            let head = self.out.paint(BOLD, format_args!("==> {} {stream} <==", place.job));
            self.out.line(format_args!("{first}{head}"))?;
        }
        self.last = now;
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Failure> {
        let rest = visible_lines(&std::mem::take(&mut self.partial));
        self.out.bytes(rest.as_bytes())?;
        self.out.flush()
    }
}

/// How many bytes at the beginning are whole characters: all but an incomplete one at the end.
fn whole_characters(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Ok(_) => bytes.len(),
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        // What is wrong further in is shown as it is; only the end matters.
        Err(_) => {
            let tail = bytes.len().saturating_sub(3);
            let begins = (tail..bytes.len()).rev().find(|&i| bytes[i] >= 0xc0);
            let long = |first: u8| {
                if first >= 0xf0 {
                    4
                } else if first >= 0xe0 {
                    3
                } else {
                    2
                }
            };
            begins.filter(|&i| i + long(bytes[i]) > bytes.len()).unwrap_or(bytes.len())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_is_not_cut_in_two() {
        assert_eq!(whole_characters("aü".as_bytes()), 3);
        assert_eq!(whole_characters(&"aü".as_bytes()[..2]), 1);
        assert_eq!(whole_characters(b"\xff\xe2\x82"), 1);
        assert_eq!(whole_characters(b"\xff\xe2\x82\xac"), 4);
        assert_eq!(whole_characters(b"\xffabc"), 4);
    }
}
