//! A schedule as it is written.

use std::collections::BTreeMap;

use super::words::MISSED;
use crate::fault::{FaultCode, Place};
use crate::ids::{RunbookName, ScheduleName};
use crate::schedule::{DEFAULT_LATE, Missed, Schedule};
use crate::yaml::Entry;
use crate::yaml::read::Reader;

/// Reads a schedule, and notes which window it wants.
pub(super) fn read(
    reader: &mut Reader<'_>,
    entry: &Entry<'_>,
    name: Option<ScheduleName>,
    wanted: &mut Vec<(String, Place)>,
) -> Option<Schedule> {
    let before = reader.faults.len();
    let mut fields = reader.fields(&entry.value, "schedule")?;
    let title = fields.take("title").and_then(|node| reader.text(node, "title")).unwrap_or_default().to_owned();
    let window = match fields.take("window") {
        Some(node) => {
            let window = reader.text(node, "window").map(str::to_owned);
            let place = Place { source: reader.source.clone(), span: node.span };
            wanted.extend(window.iter().map(|window| (window.clone(), place.clone())));
            window
        }
        None => {
            reader.missing(entry.key_span, "schedule", "window", "name the window in which it starts");
            None
        }
    };
    let runbook = match fields.take("runbook") {
        Some(node) => {
            let place = Place { source: reader.source.clone(), span: node.span };
            reader.parsed(node, "runbook", FaultCode::BadName, RunbookName::new).map(|name| (name, place))
        }
        None => {
            reader.missing(entry.key_span, "schedule", "runbook", "name what it starts");
            None
        }
    };
    let mut params = BTreeMap::new();
    if let Some(node) = fields.take("params").filter(|node| !node.is_null()) {
        for entry in reader.map(node, "params").unwrap_or_default() {
            params.extend(reader.value(&entry.value).map(|value| (entry.key.to_string(), value)));
        }
    }
    let hosts = fields.take("hosts").and_then(|node| {
        let items = reader.one_or_list(node, "hosts")?;
        let hosts: Vec<Option<String>> =
            items.iter().map(|item| reader.text(item, "hosts").map(str::to_owned)).collect();
        hosts.into_iter().collect::<Option<Vec<_>>>()
    });
    let missed = fields.take("missed").and_then(|node| reader.word(node, "missed", &MISSED));
    let late_node = fields.take("late");
    let late = late_node.and_then(|node| reader.duration(node, "late"));
    if let Some(node) = late_node
        && missed.is_some_and(|missed| missed != Missed::Skip)
    {
        let message = "`late` says when a start is missed and skipped; here what is missed is made up for";
        reader.fault_with(FaultCode::Conflict, node.span, message, "leave `late` out, or write `missed: skip`");
    }
    reader.finish(&fields);
    if reader.faults.len() > before {
        return None;
    }
    let (runbook, runbook_place) = runbook?;
    let window = crate::ids::WindowName::new(&window?).ok()?;
    Some(Schedule {
        name: name?,
        title,
        runbook,
        runbook_place,
        window,
        params,
        hosts,
        missed: missed.unwrap_or_default(),
        late: late.unwrap_or(DEFAULT_LATE),
    })
}
