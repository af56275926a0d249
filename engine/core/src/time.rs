//! Points in time as values (the core never asks what time it is), and durations and sizes as people write them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A point in time: milliseconds since 1970-01-01T00:00:00Z, as the engine's clock gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The point `span` later; the far end of time if that lies beyond it.
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier` this is; zero if it is not after it (clocks can jump back).
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// The longest duration that can be written: a hundred years of 365 days.
pub const MAX_DURATION: Duration = Duration::from_secs(100 * 365 * 86_400);

/// The units of durations, the longest first, in milliseconds.
const UNITS: [(&str, u64); 6] =
    [("w", 7 * 86_400_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Reads a duration: numbers with units `w d h m s ms`, the longer units first, each at most once: `250ms`, `90s`, `1.5h`,
/// `1h30m`, `2d`. Only the last number may have a fraction; it is rounded to milliseconds. A day has 24 hours.
///
/// # Errors
/// Says in words what is wrong; a number without a unit is refused, because `timeout: 5` could mean anything.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let shown: String = text.chars().take(40).collect();
    let bad = |why: &str| format!("`{}` is not a duration: {why}", shown.escape_debug());
    let text = text.trim();
    if text.is_empty() {
        return Err(bad("write for example 90s, 5m or 1h30m"));
    }
    let (mut rest, mut total_ms, mut allowed) = (text, 0u64, &UNITS[..]);
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(number_end);
        let unit_end = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        if number.is_empty() {
            return Err(bad("write for example 90s, 5m or 1h30m"));
        }
        if unit.is_empty() && after.is_empty() {
            return Err(bad(&format!("add a unit, such as {number}s, {number}m or {number}h")));
        }
        let Some(index) = allowed.iter().position(|(name, _)| *name == unit) else {
            let known = UNITS.iter().any(|(name, _)| *name == unit);
            return Err(bad(if known {
                "longer units come first, each once"
            } else {
                "the units are w, d, h, m, s and ms"
            }));
        };
        let unit_ms = allowed[index].1;
        allowed = &allowed[index + 1..];
        let ms = if number.contains('.') && after.is_empty() {
            decimal(number, unit_ms)
        } else {
            number.parse::<u64>().ok().and_then(|count| count.checked_mul(unit_ms))
        };
        total_ms = ms.and_then(|ms| total_ms.checked_add(ms)).ok_or_else(|| bad("the number cannot be read"))?;
        rest = after;
    }
    let total = Duration::from_millis(total_ms);
    if total > MAX_DURATION { Err(bad("it is longer than a hundred years")) } else { Ok(total) }
}

/// `number` (digits with one point and digits on both sides) times `unit`, rounded to a whole number.
fn decimal(number: &str, unit: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.')?;
    let fraction = if whole.is_empty() || fraction.is_empty() || fraction.len() > 15 { return None } else { fraction };
    let scale = 10u128.pow(u32::try_from(fraction.len()).ok()?);
    let value = u128::from(whole.parse::<u64>().ok()?) * scale + u128::from(fraction.parse::<u64>().ok()?);
    u64::try_from((value.checked_mul(u128::from(unit))? + scale / 2) / scale).ok()
}

/// Shows a duration shortly, in units that [`parse_duration`] reads: `250ms`, `2.5s`, `1m30s`, `1h30m`, `2d`. What is smaller
/// than a millisecond is cut off; milliseconds are shown below a minute only, seconds below a day only.
pub fn show_duration(span: Duration) -> String {
    let ms = span.as_millis();
    if ms < 1_000 {
        return format!("{ms}ms");
    }
    if ms < 60_000 {
        let fraction = format!("{:03}", ms % 1_000);
        let fraction = fraction.trim_end_matches('0');
        let point = if fraction.is_empty() { "" } else { "." };
        return format!("{}{point}{fraction}s", ms / 1_000);
    }
    let seconds = span.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    let seconds = if days > 0 { 0 } else { seconds % 60 };
    let parts = [(days, "d"), (hours, "h"), (minutes, "m"), (seconds, "s")];
    parts.iter().filter(|(count, _)| *count > 0).map(|(count, unit)| format!("{count}{unit}")).collect()
}

/// The powers of 1024 that sizes are written in.
const POWERS: [char; 6] = ['K', 'M', 'G', 'T', 'P', 'E'];

/// Reads a size in bytes: `512`, `10K`, `1.5G`, `20GiB`, `4MB`; upper or lower case, a space before the unit is allowed.
///
/// `K M G T P E` and `KiB MiB …` are powers of 1024, as qemu-img(1) and lvm(8) take them;
/// `KB MB GB …` are powers of 1000, as disk makers and SI mean them. `B` or nothing means bytes.
///
/// # Errors
/// Says in words what is wrong.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let shown: String = text.chars().take(40).collect();
    let bad = |why: &str| format!("`{}` is not a size: {why}", shown.escape_debug());
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    if number.is_empty() {
        return Err(bad("write for example 512, 10M or 20GiB"));
    }
    let unit = unit.trim_start().to_ascii_uppercase();
    let factor = match unit.as_str() {
        "" | "B" => Some(1),
        _ => {
            let power = unit.chars().next().and_then(|c| POWERS.iter().position(|p| *p == c));
            let power = power.and_then(|index| u32::try_from(index + 1).ok());
            match (&unit[unit.chars().next().map_or(0, char::len_utf8)..], power) {
                ("" | "IB", Some(power)) => Some(1024u64.pow(power)),
                ("B", Some(power)) => Some(1000u64.pow(power)),
                _ => None,
            }
        }
    };
    let factor = factor.ok_or_else(|| bad("the units are B, K, M, G, T, P, E (1024), KiB … (1024) and KB … (1000)"))?;
    let bytes = if number.contains('.') {
        decimal(number, factor)
    } else {
        number.parse::<u64>().ok().and_then(|count| count.checked_mul(factor))
    };
    bytes.ok_or_else(|| bad("the number cannot be read, or is too large"))
}

/// Shows a size shortly, in powers of 1024 with one decimal at most: `512B`, `1.5KiB`, `20GiB`.
pub fn show_size(bytes: u64) -> String {
    if bytes < 1024 {
        return format!("{bytes}B");
    }
    // One decimal, rounded; 1023.95K and more is 1M.
    let mut power = 0;
    let mut tenths = (u128::from(bytes) * 10 + 512) / 1024;
    while tenths >= 10_240 && power + 1 < POWERS.len() {
        power += 1;
        let unit = 1u128 << (10 * (power + 1));
        tenths = (u128::from(bytes) * 10 + unit / 2) / unit;
    }
    let unit = POWERS[power];
    if tenths.is_multiple_of(10) {
        format!("{}{unit}iB", tenths / 10)
    } else {
        format!("{}.{}{unit}iB", tenths / 10, tenths % 10)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_as_people_write_them() {
        for (text, ms) in [
            ("250ms", 250),
            ("90s", 90_000),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("2d", 172_800_000),
            ("1.5h", 5_400_000),
            ("2.5s", 2_500),
            ("1w", 604_800_000),
            ("1d2h3m4s5ms", 93_784_005),
            ("0s", 0),
            (" 3s ", 3_000),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
    }

    #[test]
    fn bad_durations_say_why() {
        for (text, why) in [
            ("5", "`5` is not a duration: add a unit, such as 5s, 5m or 5h"),
            ("1h30", "`1h30` is not a duration: add a unit, such as 30s, 30m or 30h"),
            ("", "`` is not a duration: write for example 90s, 5m or 1h30m"),
            ("-5s", "`-5s` is not a duration: write for example 90s, 5m or 1h30m"),
            ("5 minutes", "`5 minutes` is not a duration: the units are w, d, h, m, s and ms"),
            ("5min", "`5min` is not a duration: the units are w, d, h, m, s and ms"),
            ("30m1h", "`30m1h` is not a duration: longer units come first, each once"),
            ("1.5h3m", "`1.5h3m` is not a duration: the number cannot be read"),
            ("1.s", "`1.s` is not a duration: the number cannot be read"),
            ("99999999999999999999s", "`99999999999999999999s` is not a duration: the number cannot be read"),
            ("101000w", "`101000w` is not a duration: it is longer than a hundred years"),
        ] {
            assert_eq!(parse_duration(text), Err(why.to_owned()));
        }
    }

    #[test]
    fn sizes_as_qemu_and_lvm_write_them() {
        for (text, bytes) in [
            ("512", 512),
            ("10K", 10_240),
            ("10k", 10_240),
            ("10KiB", 10_240),
            ("10KB", 10_000),
            ("1.5G", 1_610_612_736),
            ("20 GiB", 21_474_836_480),
            ("4MB", 4_000_000),
            ("7B", 7),
            ("15E", 15 << 60),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for bad in ["", "G", "-1", "1X", "1GG", "1.G", "16E", "1e9", "ü", "1ü", "99999999999999999999"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_shown_is_short() {
        for (ms, text) in [
            (0, "0ms"),
            (250, "250ms"),
            (2_500, "2.5s"),
            (59_999, "59.999s"),
            (90_000, "1m30s"),
            (5_400_000, "1h30m"),
            (172_800_000, "2d"),
            (90_061_000, "1d1h1m"),
        ] {
            assert_eq!(show_duration(Duration::from_millis(ms)), text);
        }
        for (bytes, text) in [
            (0, "0B"),
            (1023, "1023B"),
            (1024, "1KiB"),
            (1536, "1.5KiB"),
            (1_048_575, "1MiB"),
            (21_474_836_480, "20GiB"),
            (u64::MAX, "16EiB"),
        ] {
            assert_eq!(show_size(bytes), text);
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,20}|[0-9.]{0,25}[a-zA-Zµ ]{0,4}[0-9.]{0,4}[a-z]{0,3}") {
            let _ = (parse_duration(&text), parse_size(&text));
        }

        #[test]
        fn a_short_duration_reads_back(ms in 0u64..60_000, minutes in 1u64..1_440) {
            prop_assert_eq!(parse_duration(&show_duration(Duration::from_millis(ms))), Ok(Duration::from_millis(ms)));
            let span = Duration::from_secs(minutes * 60);
            prop_assert_eq!(parse_duration(&show_duration(span)), Ok(span));
        }

        #[test]
        fn any_duration_and_size_shown_can_be_read(seconds in 0..=MAX_DURATION.as_secs(), bytes in 0..15u64 << 60) {
            prop_assert!(parse_duration(&show_duration(Duration::from_secs(seconds))).is_ok());
            let read = parse_size(&show_size(bytes)).unwrap();
            prop_assert!(read.abs_diff(bytes) <= bytes / 15, "{bytes} → {read}");
        }
    }
}
