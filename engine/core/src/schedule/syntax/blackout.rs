//! Blackouts as they are written: dates, ranges, times, calendars.

use std::sync::Arc;

use jiff::ToSpan;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;

use super::Around;
use crate::fault::FaultCode;
use crate::schedule::calendar;
use crate::schedule::window::{Blackout, moment};
use crate::yaml::read::{Reader, shorten};
use crate::yaml::{Content, Node};

/// A blackout by the clock of a zone; without one, by that of the window.
#[derive(Debug, Clone)]
pub(super) struct Written {
    from: DateTime,
    to: DateTime,
    zone: Option<TimeZone>,
    why: Arc<str>,
}

impl Written {
    /// When it is for a window of this zone. A time that the clock leaves out counts as the first one after the gap; of one
    /// that comes twice, the first is meant at the beginning.
    pub(super) fn in_zone(&self, zone: &TimeZone) -> Option<Blackout> {
        let zone = self.zone.as_ref().unwrap_or(zone);
        let from = moment(&zone.to_zoned(self.from).ok()?);
        // And the second at the end: better shut too long than open too early.
        let to = moment(&zone.to_ambiguous_zoned(self.to).later().ok()?);
        Some(Blackout { from, to, why: self.why.clone() })
    }
}

/// Reads a list of blackouts, or one.
pub(super) fn list(reader: &mut Reader<'_>, node: &Node<'_>, around: &Around<'_>) -> Vec<Written> {
    let items = match &node.content {
        Content::List(items) => items.as_slice(),
        Content::Map(_) => std::slice::from_ref(node),
        Content::Scalar(_) if node.is_null() => &[],
        Content::Scalar(_) => std::slice::from_ref(node),
    };
    items.iter().flat_map(|item| one(reader, item, around)).collect()
}

fn one(reader: &mut Reader<'_>, node: &Node<'_>, around: &Around<'_>) -> Vec<Written> {
    if let Content::Scalar(_) = &node.content {
        let Some(text) = reader.text(node, "blackouts") else { return Vec::new() };
        let (from, to) = text.split_once("..").unwrap_or((text, text));
        return stretch(reader, node, (from.trim(), node), (to.trim(), node), "").into_iter().collect();
    }
    let Some(mut fields) = reader.fields(node, "blackout") else { return Vec::new() };
    let (date, from, to) = (fields.take("date"), fields.take("from"), fields.take("to"));
    let file = fields.take("calendar");
    let why = fields.take("why").and_then(|node| reader.text(node, "why")).unwrap_or_default();
    reader.finish(&fields);
    match (date, from, to, file) {
        (Some(date), None, None, None) => {
            let Some(text) = reader.text(date, "date") else { return Vec::new() };
            stretch(reader, node, (text, date), (text, date), why).into_iter().collect()
        }
        (None, Some(from), Some(to), None) => {
            let (begin, end) = (reader.text(from, "from"), reader.text(to, "to"));
            let (Some(begin), Some(end)) = (begin, end) else { return Vec::new() };
            stretch(reader, node, (begin, from), (end, to), why).into_iter().collect()
        }
        (None, None, None, Some(file)) => of_calendar(reader, file, why, around),
        (_, _, _, _) => {
            let message = "a blackout has `date`, or `from` and `to`, or `calendar`";
            let span = reader.first_line(node.span);
            reader.fault_with(
                FaultCode::Conflict,
                span,
                message,
                "write for example `{ date: 2026-12-24, why: Christmas }`",
            );
            Vec::new()
        }
    }
}

/// From one date or time to another. A date at the end is the last day.
fn stretch(
    reader: &mut Reader<'_>,
    whole: &Node<'_>,
    (from, from_node): (&str, &Node<'_>),
    (to, to_node): (&str, &Node<'_>),
    why: &str,
) -> Option<Written> {
    let begin = instant(reader, from_node, from);
    let end = if to == from { begin } else { instant(reader, to_node, to) };
    let ((from, _), (to, whole_day)) = (begin?, end?);
    let to = if whole_day { to.checked_add(1.day()).ok()? } else { to };
    if to <= from {
        reader.fault(FaultCode::BadValue, whole.span, "the blackout ends before it begins");
        return None;
    }
    Some(Written { from, to, zone: None, why: said(why, "blackout") })
}

/// A date, or a time by the clock of the window, and which of them it is.
fn instant(reader: &mut Reader<'_>, node: &Node<'_>, text: &str) -> Option<(DateTime, bool)> {
    // Dates first: the library takes `2026-12-24` for a time as well.
    if text.len() == 10
        && let Ok(date) = text.parse::<Date>()
    {
        return Some((date.to_datetime(Time::midnight()), true));
    }
    let has_time = text.len() >= 16 && !text.ends_with('Z') && !text.contains('[');
    match text.parse::<DateTime>() {
        Ok(time) if has_time => Some((time, false)),
        Ok(_) | Err(_) => {
            let message = format!("`{}` is neither a date nor a time", shorten(text));
            let hint = "write 2026-12-24, 2026-12-24..2027-01-01, or 2026-12-24T18:00 by the clock of the window";
            reader.fault_with(FaultCode::BadValue, node.span, message, hint);
            None
        }
    }
}

fn of_calendar(reader: &mut Reader<'_>, node: &Node<'_>, why: &str, around: &Around<'_>) -> Vec<Written> {
    let Some(path) = reader.text(node, "calendar") else { return Vec::new() };
    let text = match (around.file)(reader.source, path) {
        Ok(text) => text,
        Err(error) => {
            reader.fault(FaultCode::BadValue, node.span, format!("{} cannot be read: {error}", shorten(path)));
            return Vec::new();
        }
    };
    match calendar::read(&text, around.zone) {
        Ok(events) => events
            .into_iter()
            .map(|event| {
                let why = said(why, &event.summary);
                Written { from: event.from, to: event.to, zone: event.zone, why }
            })
            .collect(),
        Err(wrong) => {
            for why in wrong {
                reader.fault(FaultCode::BadValue, node.span, format!("{}: {why}", shorten(path)));
            }
            Vec::new()
        }
    }
}

fn said(why: &str, otherwise: &str) -> Arc<str> {
    if why.is_empty() { otherwise.into() } else { why.into() }
}
