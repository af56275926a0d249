//! A window: when it is open. Pure arithmetic on the calendar of its zone.

use std::sync::Arc;
use std::time::Duration;

use jiff::Zoned;
use jiff::tz::TimeZone;

use super::moments::Moments;
use crate::ids::WindowName;
use crate::time::Timestamp;

/// The longest a window may be open at a time.
pub const MAX_OPEN: Duration = Duration::from_secs(31 * 86_400);

/// How many openings that blackouts keep shut are passed over in search of one that takes place, before it is given up.
const MAX_SHUT: usize = 100_000;

/// The hours in which scheduled work may run.
#[derive(Debug, Clone)]
pub struct Window {
    /// Its name.
    pub name: WindowName,
    /// One line for people; may be empty.
    pub title: String,
    /// The zone of its clock.
    pub zone: TimeZone,
    /// When it opens, as it was written.
    pub written: String,
    /// How long it is open each time: time that passes, also over a change of the clock.
    pub duration: Duration,
    /// So long before its end nothing begins any more.
    pub cutoff: Duration,
    pub(super) moments: Moments,
    /// By their beginning; they do not touch each other.
    pub(super) blackouts: Vec<Blackout>,
}

/// A stretch of time in which no window is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blackout {
    /// Its first moment.
    pub from: Timestamp,
    /// The first moment after it.
    pub to: Timestamp,
    /// Why, for people.
    pub why: Arc<str>,
}

/// One time that a window is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Occurrence {
    /// When it opens.
    pub opens: Timestamp,
    /// From when on nothing begins any more: its end less the cutoff.
    pub last_start: Timestamp,
    /// When it closes.
    pub closes: Timestamp,
    /// The blackout that closes it early.
    pub cut: Option<Arc<str>>,
}

/// What becomes of a moment at which a window should open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opening {
    /// It opens.
    Opens(Occurrence),
    /// A blackout keeps it shut.
    Shut {
        /// When it should have opened.
        at: Timestamp,
        /// The blackout's reason.
        why: Arc<str>,
    },
}

impl Opening {
    /// When it opens, or should.
    pub fn at(&self) -> Timestamp {
        match self {
            Self::Opens(occurrence) => occurrence.opens,
            Self::Shut { at, .. } => *at,
        }
    }
}

impl Window {
    /// What becomes of the next moment after `after` at which it should open; `None` at the end of the calendar.
    pub fn opening_after(&self, after: Timestamp) -> Option<Opening> {
        let next = self.moments.after(&self.zoned(after)?)?;
        Some(self.opening(moment(&next)))
    }

    /// The next time after `after` that it opens.
    pub fn next(&self, after: Timestamp) -> Option<Occurrence> {
        let mut from = after;
        for _ in 0..MAX_SHUT {
            match self.opening_after(from)? {
                Opening::Opens(occurrence) => return Some(occurrence),
                Opening::Shut { at, .. } => from = at,
            }
        }
        None
    }

    /// The time that it is open at `now`, if it is: the one that opened last.
    pub fn open_at(&self, now: Timestamp) -> Option<Occurrence> {
        // Those before it close no later: they last as long, and a blackout that shuts it has closed them.
        let last = self.moments.not_after(&self.zoned(now)?)?;
        match self.opening(moment(&last)) {
            Opening::Opens(occurrence) if now < occurrence.closes => Some(occurrence),
            Opening::Opens(_) | Opening::Shut { .. } => None,
        }
    }

    /// When it opens and in which zone, as one text: equal for windows that open at the same moments, blackouts aside.
    pub fn rule(&self) -> String {
        format!("{} {}", self.zone.iana_name().unwrap_or("UTC"), self.written)
    }

    /// The moment in the window's zone; `None` where the calendar does not reach.
    pub fn zoned(&self, at: Timestamp) -> Option<Zoned> {
        jiff::Timestamp::from_millisecond(at.0).ok().map(|time| time.to_zoned(self.zone.clone()))
    }

    fn opening(&self, opens: Timestamp) -> Opening {
        let first = self.blackouts.partition_point(|blackout| blackout.to <= opens);
        let whole = opens.plus(self.duration);
        let near = self.blackouts.get(first).filter(|blackout| blackout.from < whole);
        let closes = near.map_or(whole, |blackout| blackout.from);
        let last_start = Timestamp(closes.0.saturating_sub(i64::try_from(self.cutoff.as_millis()).unwrap_or(i64::MAX)));
        match near {
            // Where a blackout leaves less than the cutoff, nothing could begin in it.
            Some(blackout) if last_start <= opens => Opening::Shut { at: opens, why: blackout.why.clone() },
            Some(_) | None => {
                Opening::Opens(Occurrence { opens, last_start, closes, cut: near.map(|blackout| blackout.why.clone()) })
            }
        }
    }
}

/// Puts blackouts in order, and those that touch each other together.
pub(super) fn in_order(mut blackouts: Vec<Blackout>) -> Vec<Blackout> {
    blackouts.retain(|blackout| blackout.from < blackout.to);
    blackouts.sort_by_key(|blackout| (blackout.from, blackout.to));
    let mut ordered: Vec<Blackout> = Vec::with_capacity(blackouts.len());
    for blackout in blackouts {
        match ordered.last_mut() {
            Some(last) if blackout.from <= last.to => last.to = last.to.max(blackout.to),
            Some(_) | None => ordered.push(blackout),
        }
    }
    ordered
}

/// The moment as the engine counts it.
pub(super) fn moment(zoned: &Zoned) -> Timestamp {
    Timestamp(zoned.timestamp().as_millisecond())
}
