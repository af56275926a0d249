//! What tests of windows need: documents without files and without the system's time zones.

use jiff::tz::TimeZoneDatabase;

use super::{Around, Occurrence, Timetable, Window};
use crate::fault::{Fault, Source};
use crate::time::Timestamp;

/// Holidays of 2026 in three forms: a day, several days, hours; one that comes every year, one that was called off.
pub(crate) const HOLIDAYS: &str = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//y//EN\r\n\
BEGIN:VEVENT\r\nUID:1\r\nDTSTAMP:20200101T000000Z\r\nDTSTART;VALUE=DATE:20201003\r\nRRULE:FREQ=YEARLY\r\nSUMMARY:Unity\r\n  Day\r\nEND:VEVENT\r\n\
BEGIN:VEVENT\r\nUID:2\r\nDTSTART;VALUE=DATE:20260501\r\nDTEND;VALUE=DATE:20260504\r\nSUMMARY:Long weekend\r\nEND:VEVENT\r\n\
BEGIN:VEVENT\r\nUID:3\r\nDTSTART;TZID=America/New_York:20260610T120000\r\nDURATION:PT2H\r\nSUMMARY:Audit\\, part 1\r\nEND:VEVENT\r\n\
BEGIN:VEVENT\r\nUID:4\r\nSTATUS:CANCELLED\r\nDTSTART;VALUE=DATE:20260701\r\nSUMMARY:Off\r\nEND:VEVENT\r\n\
END:VCALENDAR\r\n";

/// Reads documents; `holidays.ics` is [`HOLIDAYS`].
pub(crate) fn parse(sources: &[Source]) -> (Option<Timetable>, Vec<Fault>) {
    let zones = TimeZoneDatabase::bundled();
    let around = Around {
        zone: &|name| zones.get(name).ok(),
        zone_names: &|| zones.available().map(|name| name.to_string()).collect(),
        file: &|_, path| match path {
            "holidays.ics" => Ok(HOLIDAYS.to_owned()),
            "broken.ics" => {
                Ok("BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nDTSTART:soon\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n".to_owned())
            }
            "deep.ics" => Ok("BEGIN:X\r\n".repeat(100_000)),
            _ => Err("No such file or directory (os error 2)".to_owned()),
        },
    };
    super::parse(sources, &around)
}

/// The timetable of one good document.
pub(crate) fn table(text: &str) -> Timetable {
    let (table, faults) = parse(&[source("windows/w.yaml", text)]);
    assert!(faults.is_empty(), "{faults:?}");
    table.unwrap()
}

pub(crate) fn source(name: &str, text: &str) -> Source {
    Source { name: name.into(), text: text.into() }
}

/// The one window of a document with these fields.
pub(crate) fn window(zone: &str, fields: &str) -> Window {
    let table = table(&format!("zone: {zone}\nwindows:\n  w: {{ {fields} }}\n"));
    table.windows.into_values().next().unwrap()
}

/// A point in time by RFC 3339.
pub(crate) fn at(text: &str) -> Timestamp {
    Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
}

/// By the clock of the window, with the distance from UTC, which tells the hours apart that come twice.
pub(crate) fn shown(window: &Window, at: Timestamp) -> String {
    window.zoned(at).unwrap().strftime("%a %Y-%m-%d %H:%M:%S%:z").to_string()
}

/// When the window opens from a day on, so many times.
pub(crate) fn openings(window: &Window, from: &str, count: usize) -> Vec<String> {
    let mut after = Timestamp(at(from).0 - 1);
    let mut all = Vec::new();
    while all.len() < count {
        let Some(Occurrence { opens, .. }) = window.next(after) else { break };
        all.push(shown(window, opens));
        after = opens;
    }
    all
}
