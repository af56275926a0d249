//! Which starts of a schedule are due: a function of the documents, of what was decided before, and of the time.

use std::time::Duration;

use super::window::{Opening, Window};
use super::{Missed, Schedule};
use crate::digest::Digest;
use crate::ids::{RunId, ScheduleName};
use crate::time::Timestamp;

/// How many starts of a schedule are looked at, at most; older ones are passed over, which happens to a schedule that was
/// left alone for long.
pub const MAX_LOOKED_AT: usize = 10_000;

/// A start of a schedule: one opening of its window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Start {
    /// When the window opened: the moment that the start belongs to, also where it is made up for later.
    pub at: Timestamp,
}

/// Why there is no run for an opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeftOut {
    /// Nobody was there when it was time, and the schedule says `missed: skip`.
    Missed,
    /// Nobody was there, and one run stands for all that were missed (`missed: once`).
    MadeUp,
    /// A blackout kept the window shut.
    Blackout,
    /// There were more than [`MAX_LOOKED_AT`].
    TooMany,
}

/// What follows at some moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Due {
    /// What is to be started now, the oldest first.
    pub starts: Vec<Start>,
    /// What is not started at all.
    pub left_out: Vec<(Timestamp, LeftOut)>,
    /// Up to here, this moment included, every start is decided once the starts above are made.
    pub decided: Timestamp,
    /// When to look again; `None` if nothing comes.
    pub next: Option<Timestamp>,
}

impl Schedule {
    /// What is due at `now`, when every start up to `decided` was decided before.
    ///
    /// A start is on time within [`Schedule::late`] of its opening, as long as the window lets anything begin. Later it is
    /// missed: `skip` leaves it out; `once` makes up for the newest one and leaves the others out; `each` makes up for all.
    /// What is made up for begins only while the window is open, if need be the next time that it is.
    pub fn due(&self, window: &Window, decided: Timestamp, now: Timestamp) -> Due {
        let mut due = Due { decided: decided.max(now), ..Due::default() };
        let mut openings = std::collections::VecDeque::new();
        let mut from = decided;
        while let Some(opening) = window.opening_after(from).filter(|opening| opening.at() <= now) {
            from = opening.at();
            openings.push_back(opening);
            if openings.len() > MAX_LOOKED_AT
                && let Some(old) = openings.pop_front()
            {
                // One entry says it, for the newest of them.
                due.left_out = vec![(old.at(), LeftOut::TooMany)];
            }
        }
        let mut open = Vec::new();
        for opening in openings {
            match opening {
                Opening::Opens(occurrence) => open.push(occurrence),
                Opening::Shut { at, .. } => due.left_out.push((at, LeftOut::Blackout)),
            }
        }
        let may_begin = window.open_at(now).is_some_and(|occurrence| now < occurrence.last_start);
        match self.missed {
            Missed::Skip => {
                for occurrence in open {
                    let on_time = now < occurrence.last_start && now.since(occurrence.opens) <= self.late;
                    if on_time {
                        due.starts.push(Start { at: occurrence.opens });
                    } else {
                        due.left_out.push((occurrence.opens, LeftOut::Missed));
                    }
                }
            }
            Missed::Once => {
                let newest = open.pop();
                due.left_out.extend(open.iter().map(|occurrence| (occurrence.opens, LeftOut::MadeUp)));
                if let Some(newest) = newest {
                    if may_begin {
                        due.starts.push(Start { at: newest.opens });
                    } else {
                        // It stays open until the window lets it begin, or a newer one takes its place.
                        due.decided = before(newest.opens);
                    }
                }
            }
            Missed::Each => {
                if may_begin {
                    due.starts.extend(open.iter().map(|occurrence| Start { at: occurrence.opens }));
                } else if let Some(oldest) = open.first() {
                    due.decided = before(oldest.opens);
                }
            }
        }
        due.left_out.sort_by_key(|(at, _)| *at);
        due.decided = due.decided.max(decided);
        due.left_out.retain(|(at, _)| *at <= due.decided);
        due.next = window.next(now).map(|occurrence| occurrence.opens);
        due
    }
}

fn before(at: Timestamp) -> Timestamp {
    Timestamp(at.0.saturating_sub(1))
}

impl Start {
    /// The id of the run that this start of a schedule has, in whatever process and however often it is made: the moment, and
    /// 80 bits of a digest of project, schedule and moment.
    pub fn run_id(self, project: &str, schedule: &ScheduleName) -> RunId {
        let text = format!("piton start\0{project}\0{schedule}\0{}", self.at.0);
        let digest = Digest::of(text.as_bytes());
        let mut bits = [0; 16];
        bits[..10].copy_from_slice(&digest.0[..10]);
        RunId::from_parts(u64::try_from(self.at.0).unwrap_or(0), u128::from_le_bytes(bits))
    }
}

/// How long after the opening a start is still on time, where its schedule does not say it.
pub const DEFAULT_LATE: Duration = Duration::from_secs(300);
