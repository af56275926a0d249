//! What would run when: the openings of windows over a stretch of time, in order.

use std::sync::Arc;

use super::window::{Occurrence, Opening};
use super::{Schedule, Timetable, Window};
use crate::time::Timestamp;

/// Something that happens to a window.
#[derive(Debug, Clone)]
pub struct Happening<'t> {
    /// When.
    pub at: Timestamp,
    /// Which window.
    pub window: &'t Window,
    /// What.
    pub what: What<'t>,
}

/// What happens.
#[derive(Debug, Clone)]
pub enum What<'t> {
    /// It opens, and these schedules start.
    Opens(Occurrence, Vec<&'t Schedule>),
    /// A blackout keeps it shut.
    Shut(Arc<str>),
}

impl<'t> Happening<'t> {
    /// The schedules that start.
    pub fn starts(&self) -> &[&'t Schedule] {
        match &self.what {
            What::Opens(_, schedules) => schedules,
            What::Shut(_) => &[],
        }
    }
}

impl Timetable {
    /// What happens from `from` on, this moment included, and before `to`: by time, then by the window's name. At most `limit`.
    pub fn simulate(&self, from: Timestamp, to: Timestamp, limit: usize) -> Vec<Happening<'_>> {
        let mut happenings = Vec::new();
        for window in self.windows.values() {
            let schedules: Vec<&Schedule> = self.schedules_of(&window.name).collect();
            let mut after = Timestamp(from.0.saturating_sub(1));
            for _ in 0..limit {
                let Some(opening) = window.opening_after(after).filter(|opening| opening.at() < to) else { break };
                after = opening.at();
                let what = match opening {
                    Opening::Opens(occurrence) => What::Opens(occurrence, schedules.clone()),
                    Opening::Shut { why, .. } => What::Shut(why),
                };
                happenings.push(Happening { at: after, window, what });
            }
        }
        happenings.sort_by(|a, b| (a.at, &a.window.name).cmp(&(b.at, &b.window.name)));
        happenings.truncate(limit);
        happenings
    }
}
