//! Blackouts out of an iCalendar file (RFC 5545): each event is one, with what repeats it.
//!
//! Not looked at: `RECURRENCE-ID` (an instance that was moved counts at both places, which keeps a window shut rather than
//! open), `TRANSP` (calendars of holidays call them transparent), and `VTIMEZONE`: a `TZID` is a name of the IANA database.

use icalendar::parser::{Component, Property, read_calendar, unfold};
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Span, ToSpan};
use rrule::RRuleSet;

/// Finds a zone by its IANA name.
pub(super) type Zones<'a> = dyn Fn(&str) -> Option<TimeZone> + 'a;

/// How many times one event may come again until [`LAST_YEAR`].
const MAX_TIMES: usize = 20_000;

/// How far ahead what repeats is written out.
const LAST_YEAR: i16 = 2100;

/// How deep components may stand in each other; the format has two levels.
const MAX_DEPTH: usize = 8;

/// An event, by the clock of a zone; without one, by the clock of whoever reads it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct CalendarEvent {
    pub(super) from: DateTime,
    pub(super) to: DateTime,
    pub(super) zone: Option<TimeZone>,
    pub(super) summary: String,
}

/// The events of a calendar, or everything that is wrong with it, in words.
pub(super) fn read(text: &str, zones: &Zones<'_>) -> Result<Vec<CalendarEvent>, Vec<String>> {
    let text = unfold(text.trim_start_matches('\u{feff}'));
    if depth(&text) > MAX_DEPTH {
        return Err(vec!["is not an iCalendar file: components stand too deep in each other".to_owned()]);
    }
    let bad = || vec!["is not an iCalendar file (RFC 5545)".to_owned()];
    let calendar = read_calendar(&text).map_err(|_| bad())?;
    if !text.trim_start().to_ascii_uppercase().starts_with("BEGIN:VCALENDAR") {
        return Err(bad());
    }
    let (mut events, mut wrong) = (Vec::new(), Vec::new());
    for component in calendar.components.iter().filter(|component| component.name.as_str() == "VEVENT") {
        let summary = value(component, "SUMMARY").unwrap_or("an event").replace("\\,", ",").replace("\\;", ";");
        if value(component, "STATUS").is_some_and(|status| status.eq_ignore_ascii_case("cancelled")) {
            continue;
        }
        match event(component, &summary, zones) {
            Ok(times) => events.extend(times),
            Err(why) => wrong.push(format!("`{}`: {why}", crate::yaml::read::shorten(&summary))),
        }
    }
    if wrong.is_empty() { Ok(events) } else { Err(wrong) }
}

/// How deep the components stand in each other, as far as the lines say it.
fn depth(text: &str) -> usize {
    let (mut now, mut most) = (0usize, 0);
    for line in text.lines() {
        let head = line.get(..6).unwrap_or_default().to_ascii_uppercase();
        if head == "BEGIN:" {
            now += 1;
            most = most.max(now);
        } else if head.starts_with("END:") {
            now = now.saturating_sub(1);
        }
    }
    most
}

fn event(component: &Component<'_>, summary: &str, zones: &Zones<'_>) -> Result<Vec<CalendarEvent>, String> {
    let start = property(component, "DTSTART").ok_or("it has no DTSTART")?;
    let begins = When::read(start, zones)?;
    let long = match (property(component, "DTEND"), value(component, "DURATION")) {
        (Some(end), _) => {
            let ends = When::read(end, zones)?;
            // The end may stand in another zone; what counts is the span by the clock where it begins.
            let ends = match (&begins.zone, &ends.zone) {
                (Some(begin), Some(end)) => {
                    end.to_zoned(ends.at).map_err(|_| "its end cannot be")?.with_time_zone(begin.clone()).datetime()
                }
                _ => ends.at,
            };
            ends.since(begins.at).map_err(|_| "its end cannot be")?
        }
        (None, Some(duration)) => {
            duration.parse::<Span>().map_err(|_| format!("its DURATION `{duration}` cannot be read"))?
        }
        (None, None) if begins.whole_day => 1.day(),
        (None, None) => Span::new(),
    };
    let mut times = vec![begins.at];
    if let Some(rule) = value(component, "RRULE") {
        times = repeated(&begins, rule)?;
    }
    times.extend(listed(component, "RDATE", zones)?);
    let without = listed(component, "EXDATE", zones)?;
    times.retain(|time| !without.contains(time));
    let end = |from: DateTime| from.checked_add(long).map_err(|_| "its end is beyond the calendar".to_owned());
    times
        .into_iter()
        .map(|from| Ok(CalendarEvent { from, to: end(from)?, zone: begins.zone.clone(), summary: summary.to_owned() }))
        .collect()
}

/// A date or a time as a calendar has it.
struct When {
    at: DateTime,
    zone: Option<TimeZone>,
    whole_day: bool,
}

impl When {
    fn read(property: &Property<'_>, zones: &Zones<'_>) -> Result<Self, String> {
        Self::of(property, property.val.as_str(), zones)
    }

    fn of(property: &Property<'_>, text: &str, zones: &Zones<'_>) -> Result<Self, String> {
        let bad = || format!("`{}` is neither a date nor a time", crate::yaml::read::shorten(text));
        if text.len() == 8 {
            let date = Date::strptime("%Y%m%d", text).map_err(|_| bad())?;
            return Ok(Self { at: date.to_datetime(jiff::civil::Time::midnight()), zone: None, whole_day: true });
        }
        let (local, utc) = text.strip_suffix('Z').map_or((text, false), |local| (local, true));
        let at = DateTime::strptime("%Y%m%dT%H%M%S", local).map_err(|_| bad())?;
        let named = property.params.iter().find(|param| param.key.as_str().eq_ignore_ascii_case("TZID"));
        let zone = match named.and_then(|param| param.val.as_ref()) {
            _ if utc => Some(TimeZone::UTC),
            Some(name) => {
                let name = name.as_str().trim_matches('"');
                let shown = crate::yaml::read::shorten(name);
                Some(zones(name).ok_or_else(|| format!("its zone `{shown}` is not one of the IANA database"))?)
            }
            None => None,
        };
        Ok(Self { at, zone, whole_day: false })
    }
}

/// The times of an event that comes again by a rule, the first included.
fn repeated(begins: &When, rule: &str) -> Result<Vec<DateTime>, String> {
    let bad = |why: String| format!("its RRULE cannot be followed: {why}");
    // The library counts in UTC here, which for it is a clock that never changes: times of day stay what they are.
    let rule: Vec<String> = rule.split(';').map(|part| until(part, begins)).collect::<Result<_, _>>()?;
    let text = format!("DTSTART:{}Z\nRRULE:{}", begins.at.strftime("%Y%m%dT%H%M%S"), rule.join(";"));
    let set: RRuleSet = text.parse().map_err(|error: rrule::RRuleError| bad(error.to_string()))?;
    let mut times = Vec::new();
    for time in &set.limit() {
        let time = jiff::Timestamp::from_second(time.timestamp()).map_err(|error| bad(error.to_string()))?;
        let time = time.to_zoned(TimeZone::UTC).datetime();
        if time.year() > LAST_YEAR {
            break;
        }
        if times.len() == MAX_TIMES {
            return Err(bad(format!("it comes more than {MAX_TIMES} times until the year {LAST_YEAR}")));
        }
        times.push(time);
    }
    Ok(times)
}

/// A part of a rule, with `UNTIL` by the clock of the event.
fn until(part: &str, begins: &When) -> Result<String, String> {
    let Some(end) = part.strip_prefix("UNTIL=") else { return Ok(part.to_owned()) };
    let local = match end.strip_suffix('Z') {
        _ if end.len() == 8 => format!("{end}T235959"),
        Some(utc) => {
            let utc = DateTime::strptime("%Y%m%dT%H%M%S", utc).and_then(|time| time.to_zoned(TimeZone::UTC));
            let utc = utc.map_err(|_| format!("`{part}` cannot be read"))?;
            let zone = begins.zone.clone().unwrap_or(TimeZone::UTC);
            utc.with_time_zone(zone).datetime().strftime("%Y%m%dT%H%M%S").to_string()
        }
        None => end.to_owned(),
    };
    Ok(format!("UNTIL={local}Z"))
}

/// The times of all properties of a name, each of which may list several.
fn listed(component: &Component<'_>, name: &str, zones: &Zones<'_>) -> Result<Vec<DateTime>, String> {
    let properties = component.properties.iter().filter(|property| property.name.as_str().eq_ignore_ascii_case(name));
    let mut times = Vec::new();
    for property in properties {
        for one in property.val.as_str().split(',') {
            // Of a period only its beginning is taken.
            let begin = one.split('/').next().unwrap_or(one).trim();
            times.push(When::of(property, begin, zones)?.at);
        }
    }
    Ok(times)
}

fn property<'c, 'p>(component: &'c Component<'p>, name: &str) -> Option<&'c Property<'p>> {
    component.properties.iter().find(|property| property.name.as_str().eq_ignore_ascii_case(name))
}

fn value<'c>(component: &'c Component<'_>, name: &str) -> Option<&'c str> {
    property(component, name).map(|property| property.val.as_str())
}
