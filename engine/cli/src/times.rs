//! Times and spans as people read them.

use std::time::Duration;

use jiff::tz::TimeZone;
use piton_core::time::{Timestamp, show_duration};

/// Shows points in time in the zone of whoever reads them.
#[derive(Debug, Clone)]
pub(crate) struct Times(TimeZone);

impl Times {
    /// The zone of the system, or what TZ says.
    pub(crate) fn here() -> Self {
        Self(TimeZone::system())
    }

    /// `10:02:11`
    pub(crate) fn clock(&self, at: Timestamp) -> String {
        self.shown(at, "%H:%M:%S")
    }

    /// `2026-11-21 10:02:11`
    pub(crate) fn date(&self, at: Timestamp) -> String {
        self.shown(at, "%Y-%m-%d %H:%M:%S")
    }

    /// `Europe/Berlin, UTC+01:00` or `UTC`: which zone it is, and what that means at a point in time.
    pub(crate) fn zone(&self, at: Timestamp) -> String {
        let offset = self.shown(at, "%:z");
        match self.0.iana_name() {
            Some("UTC" | "Etc/UTC") | None if offset == "+00:00" => "UTC".to_owned(),
            Some(name) => format!("{name}, UTC{offset}"),
            None => format!("UTC{offset}"),
        }
    }

    fn shown(&self, at: Timestamp, form: &str) -> String {
        match jiff::Timestamp::from_millisecond(at.0) {
            Ok(time) => time.to_zoned(self.0.clone()).strftime(form).to_string(),
            // Beyond the years that a calendar has.
            Err(_) => format!("{} ms", at.0),
        }
    }
}

/// `2026-11-21T10:02:11.123Z`, for programs.
pub(crate) fn iso(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.0).map_or_else(|_| format!("{} ms", at.0), |time| format!("{time:.3}"))
}

/// How long something took, to tenths of a second: `0.2s`, `3.2s`, `1m30s`.
pub(crate) fn took(span: Duration) -> String {
    let tenths = (span.as_millis() + 50) / 100;
    if tenths < 600 {
        format!("{}.{}s", tenths / 10, tenths % 10)
    } else {
        show_duration(Duration::from_secs(span.as_secs()))
    }
}

/// A point in time as people write it: `10m` (so long ago), `10:02`, `2026-11-21`, `2026-11-21 10:02:11`, or RFC 3339.
pub(crate) fn read(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    if let Ok(span) = piton_core::time::parse_duration(text) {
        return Ok(Timestamp(now.0.saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX))));
    }
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Ok(Timestamp(time.as_millisecond()));
    }
    let zone = TimeZone::system();
    let today = jiff::Timestamp::from_millisecond(now.0).map(|t| t.to_zoned(zone.clone()).date());
    let local = text
        .parse::<jiff::civil::DateTime>()
        .ok()
        .or_else(|| Some(today.ok()?.to_datetime(text.parse::<jiff::civil::Time>().ok()?)));
    let zoned = local.and_then(|local| local.to_zoned(zone).ok());
    zoned.map(|z| Timestamp(z.timestamp().as_millisecond())).ok_or_else(|| {
        let shown: String = text.chars().take(40).collect();
        format!("`{}` is no time: write 10m (so long ago), 10:02, or 2026-11-21T10:02:11Z", shown.escape_debug())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_times_are_short() {
        assert_eq!(took(Duration::from_millis(170)), "0.2s");
        assert_eq!(took(Duration::from_millis(59_940)), "59.9s");
        assert_eq!(took(Duration::from_millis(90_400)), "1m30s");
        let utc = Times(TimeZone::UTC);
        assert_eq!(utc.date(Timestamp(1_795_255_331_123)), "2026-11-21 10:02:11");
        assert_eq!(iso(Timestamp(1_795_255_331_123)), "2026-11-21T10:02:11.123Z");
        assert_eq!(utc.clock(Timestamp(i64::MAX)), format!("{} ms", i64::MAX));
    }

    #[test]
    fn a_zone_says_what_it_means() {
        let winter = Timestamp(1_795_255_331_123);
        assert_eq!(Times(TimeZone::UTC).zone(winter), "UTC");
        assert_eq!(Times(TimeZone::fixed(jiff::tz::offset(-3))).zone(winter), "UTC-03:00");
        let berlin = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        assert_eq!(Times(berlin.clone()).zone(winter), "UTC+01:00");
        assert_eq!(Times(berlin).date(winter), "2026-11-21 11:02:11");
    }

    #[test]
    fn times_are_read_as_people_write_them() {
        let now = Timestamp(1_795_255_331_000);
        assert_eq!(read("10m", now), Ok(Timestamp(now.0 - 600_000)));
        assert_eq!(read("2026-11-21T10:02:11Z", now), Ok(now));
        assert!(read("10:02", now).is_ok() && read("2026-11-21 10:02:11", now).is_ok());
        assert!(read("yesterday", now).is_err() && read("", now).is_err());
    }
}
