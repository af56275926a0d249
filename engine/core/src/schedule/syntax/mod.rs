//! From `windows/*.yaml` to a timetable: all files of a project together, because a schedule may name a window of another.

mod blackout;
mod schedule;
mod window;
pub(crate) mod words;

use std::collections::BTreeMap;

use jiff::tz::TimeZone;

use super::Timetable;
use crate::fault::{Fault, FaultCode, Place, Source, Span};
use crate::yaml::read::Reader;
use crate::yaml::{self, Entry, Node};

/// What stands outside of the documents.
pub struct Around<'a> {
    /// A time zone by its name in the IANA database.
    pub zone: &'a dyn Fn(&str) -> Option<TimeZone>,
    /// The names of zones, for hints.
    pub zone_names: &'a dyn Fn() -> Vec<String>,
    /// The text of a file that a document names, relative to that document; or why it cannot be read.
    pub file: &'a dyn Fn(&Source, &str) -> Result<String, String>,
}

/// Reads the documents of a project: either the timetable, or everything that is wrong with them.
///
/// ```yaml
/// zone: Europe/Berlin
/// windows:
///   nightly: { cron: "0 22 * * MON-FRI", duration: 6h, cutoff: 30m }
///   patchday: { days: second saturday, at: "02:00", duration: 4h, blackouts: [{ calendar: holidays.ics }] }
/// schedules:
///   patch: { window: patchday, runbook: rolling-restart, hosts: hypervisors, missed: once }
/// ```
pub fn parse(sources: &[Source], around: &Around<'_>) -> (Option<Timetable>, Vec<Fault>) {
    let mut faults = Vec::new();
    let mut drafts = Drafts::default();
    for source in sources {
        let (root, mut own) = yaml::parse(source);
        if let Some(root) = &root {
            let mut reader = Reader::new(source);
            reader.faults = std::mem::take(&mut own);
            read(&mut reader, root, around, &mut drafts);
            own = reader.faults;
        }
        faults.extend(yaml::told(own));
    }
    drafts.check(&mut faults);
    let table = drafts.table;
    if faults.is_empty() { (Some(table), faults) } else { (None, faults) }
}

/// What was read so far, and where each name was written.
#[derive(Default)]
struct Drafts {
    table: Timetable,
    /// Windows by name, also those that could not be read.
    windows: BTreeMap<String, Place>,
    schedules: BTreeMap<String, Place>,
    /// Each schedule's window.
    wanted: Vec<(String, Place)>,
}

impl Drafts {
    /// Notes where a name was written; a second time is a fault.
    fn name(places: &mut BTreeMap<String, Place>, what: &str, reader: &mut Reader<'_>, name: &str, span: Span) {
        let place = Place { source: reader.source.clone(), span };
        if let Some(first) = places.get(name) {
            let (line, _) = first.line_column();
            let message = format!("there is a {what} `{name}` already: {}:{line}", first.source.name);
            reader.fault(FaultCode::Duplicate, span, message);
        } else {
            places.insert(name.to_owned(), place);
        }
    }

    /// What needs all documents to see.
    fn check(&self, faults: &mut Vec<Fault>) {
        for (window, place) in self.wanted.iter().filter(|(window, _)| !self.windows.contains_key(window)) {
            let message = format!("there is no window `{}`", yaml::read::shorten(window));
            let fault = Fault::at(FaultCode::UnknownWindow, &place.source, place.span, message);
            let fault = fault.did_you_mean(window, self.windows.keys().map(String::as_str));
            faults.push(if fault.hint.is_none() { fault.hint("windows stand under `windows`") } else { fault });
        }
    }
}

fn read(reader: &mut Reader<'_>, root: &Node<'_>, around: &Around<'_>, drafts: &mut Drafts) {
    let Some(mut fields) = reader.fields(root, "windows file") else { return };
    let zone_node = fields.take("zone");
    let zone = zone_node.and_then(|node| window::zone(reader, node, around));
    let common = fields.take("blackouts").map(|node| blackout::list(reader, node, around)).unwrap_or_default();
    for entry in fields.take("windows").map(|node| entries(reader, node, "windows")).unwrap_or_default() {
        let defaults = window::Defaults { zone: zone.clone(), zone_said: zone_node.is_some(), blackouts: &common };
        let name = reader.name(entry, crate::ids::WindowName::new);
        Drafts::name(&mut drafts.windows, "window", reader, &entry.key, entry.key_span);
        let window = window::read(reader, entry, name, &defaults, around);
        drafts.table.windows.extend(window.map(|window| (window.name.clone(), window)));
    }
    for entry in fields.take("schedules").map(|node| entries(reader, node, "schedules")).unwrap_or_default() {
        let name = reader.name(entry, crate::ids::ScheduleName::new);
        Drafts::name(&mut drafts.schedules, "schedule", reader, &entry.key, entry.key_span);
        let schedule = schedule::read(reader, entry, name, &mut drafts.wanted);
        drafts.table.schedules.extend(schedule.map(|schedule| (schedule.name.clone(), schedule)));
    }
    reader.finish(&fields);
}

fn entries<'n>(reader: &mut Reader<'_>, node: &'n Node<'n>, what: &str) -> &'n [Entry<'n>] {
    if node.is_null() { &[] } else { reader.map(node, what).unwrap_or_default() }
}

impl Reader<'_> {
    /// The name that an entry has, if it has the form of one.
    fn name<T>(&mut self, entry: &Entry<'_>, make: impl FnOnce(&str) -> Result<T, crate::ids::BadName>) -> Option<T> {
        match make(&entry.key) {
            Ok(name) => Some(name),
            Err(bad) => {
                self.fault(FaultCode::BadName, entry.key_span, bad.to_string());
                None
            }
        }
    }
}
