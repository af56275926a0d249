//! Windows and schedules: the hours in which work may run, and what is to be started in them.
//!
//! Pure: the documents, the files they name, time zones and the time come in as values. [`parse`] makes a [`Timetable`] of
//! the documents, [`Window`] knows when it is open, and [`Schedule::due`] says which starts follow.

mod calendar;
mod due;
mod moments;
mod simulate;
mod syntax;
mod window;

use std::collections::BTreeMap;
use std::time::Duration;

pub use due::{DEFAULT_LATE, Due, LeftOut, MAX_LOOKED_AT, Start};
pub use simulate::{Happening, What};
pub(crate) use syntax::words;
pub use syntax::{Around, parse};
pub use window::{Blackout, MAX_OPEN, Occurrence, Opening, Window};

use crate::fault::Place;
use crate::ids::{RunbookName, ScheduleName, WindowName};
use crate::value::Value;

/// All windows and schedules of a project.
#[derive(Debug, Clone, Default)]
pub struct Timetable {
    /// Windows by name.
    pub windows: BTreeMap<WindowName, Window>,
    /// Schedules by name.
    pub schedules: BTreeMap<ScheduleName, Schedule>,
}

/// What is to be run in a window: a start each time that it opens.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// Its name.
    pub name: ScheduleName,
    /// One line for people; may be empty.
    pub title: String,
    /// What to run.
    pub runbook: RunbookName,
    /// Where the runbook was named.
    pub runbook_place: Place,
    /// When.
    pub window: WindowName,
    /// Values for the runbook's parameters, as they were written.
    pub params: BTreeMap<String, Value>,
    /// Values for the runbook's one parameter that takes hosts.
    pub hosts: Option<Vec<String>>,
    /// What becomes of a start that nobody made when it was time.
    pub missed: Missed,
    /// How long after the opening a start is still on time.
    pub late: Duration,
}

/// What becomes of starts that nobody made when it was time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Missed {
    /// They are left out.
    #[default]
    Skip,
    /// One run stands for all of them.
    Once,
    /// Each is made up for.
    Each,
}

impl Missed {
    /// The word in documents.
    pub fn word(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Once => "once",
            Self::Each => "each",
        }
    }
}

impl Timetable {
    /// The window of a schedule.
    pub fn window_of(&self, schedule: &Schedule) -> Option<&Window> {
        self.windows.get(&schedule.window)
    }

    /// The schedules that a window has, by name.
    pub fn schedules_of<'t>(&'t self, window: &'t WindowName) -> impl Iterator<Item = &'t Schedule> {
        self.schedules.values().filter(move |schedule| schedule.window == *window)
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
