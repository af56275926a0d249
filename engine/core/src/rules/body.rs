//! Reading what somebody sent: every fault with its place, none of them a panic, however hostile the text.

use std::collections::BTreeMap;
use std::fmt;

use crate::time::Timestamp;
use crate::value::{Value, kind, to_text};
use crate::yaml::read::shorten;

/// The longest body that is read, in bytes. A group of a thousand alerts has about one million.
pub const MAX_BODY: usize = 4 << 20;
/// How many alerts one body may hold.
pub const MAX_ALERTS: usize = 10_000;
/// How many labels, and how many annotations, one alert may have.
pub const MAX_LABELS: usize = 256;
/// The longest text that is taken from an alert, in bytes.
pub const MAX_TEXT: usize = 64 << 10;
/// The longest name of a label, and the longest fingerprint, in bytes.
pub const MAX_NAME: usize = 1024;
/// How many faults are told about one body.
const MAX_FAULTS: usize = 20;

/// What is wrong with what was sent, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct BadBody {
    /// Where in the body.
    pub place: BodyPlace,
    /// What is wrong there.
    pub message: String,
}

/// A place in a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyPlace {
    /// In the text, both from 1.
    Text {
        /// The line.
        line: usize,
        /// The column, in bytes.
        column: usize,
    },
    /// A value in it, as a JSON pointer (RFC 6901); empty for the whole.
    Pointer(String),
}

impl fmt::Display for BodyPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text { line, column } => write!(f, "line {line}, column {column}"),
            Self::Pointer(pointer) if pointer.is_empty() => f.write_str("the whole body"),
            // The names in it are the sender's.
            Self::Pointer(pointer) => f.write_str(&shorten_pointer(pointer)),
        }
    }
}

/// A pointer for people: its beginning and its end where it is long, nothing in it that a terminal obeys.
fn shorten_pointer(pointer: &str) -> String {
    let shown: Vec<String> = pointer.split('/').map(shorten).collect();
    shown.join("/")
}

/// Reads JSON of bounded size and depth (128 levels, serde_json's own limit).
///
/// # Errors
/// With line and column.
pub(super) fn parse(bytes: &[u8]) -> Result<Value, BadBody> {
    if bytes.len() > MAX_BODY {
        let message = format!("it has {} bytes; {MAX_BODY} at most are taken", bytes.len());
        return Err(BadBody { place: BodyPlace::Pointer(String::new()), message });
    }
    serde_json::from_slice(bytes).map_err(|error| {
        let text = error.to_string();
        // The place stands in our own words already.
        let what = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
        let place = BodyPlace::Text { line: error.line(), column: error.column().max(1) };
        BadBody { place, message: format!("this is not JSON: {what}") }
    })
}

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct At<'v> {
    pub(super) value: &'v Value,
    pub(super) pointer: String,
}

impl<'v> At<'v> {
    pub(super) fn whole(value: &'v Value) -> Self {
        Self { value, pointer: String::new() }
    }

    /// What stands under a name; `None` where there is nothing, or `null`.
    pub(super) fn field(&self, name: &str) -> Option<At<'v>> {
        let value = self.value.get(name).filter(|value| !value.is_null())?;
        Some(At { value, pointer: self.below(name) })
    }

    /// What a JSON pointer leads to from here; `None` where there is nothing, or `null`.
    pub(super) fn find(&self, pointer: &str) -> Option<At<'v>> {
        let value = self.value.pointer(pointer).filter(|value| !value.is_null())?;
        Some(At { value, pointer: format!("{}{pointer}", self.pointer) })
    }

    pub(super) fn below(&self, name: &str) -> String {
        format!("{}/{}", self.pointer, name.replace('~', "~0").replace('/', "~1"))
    }
}

/// Collects faults while values are read; what returns `None` has noted one.
#[derive(Debug, Default)]
pub(super) struct Looker {
    faults: Vec<BadBody>,
}

impl Looker {
    pub(super) fn fault(&mut self, pointer: &str, message: impl Into<String>) {
        if self.faults.len() < MAX_FAULTS {
            self.faults.push(BadBody { place: BodyPlace::Pointer(pointer.to_owned()), message: message.into() });
        }
    }

    /// What was read, unless anything was wrong.
    pub(super) fn done<T>(self, read: Option<T>) -> Result<T, Vec<BadBody>> {
        match read {
            Some(read) if self.faults.is_empty() => Ok(read),
            Some(_) | None => Err(self.faults),
        }
    }

    pub(super) fn wrong(&mut self, at: &At<'_>, wanted: &str) {
        self.fault(&at.pointer, format!("this must be {wanted}, not {}", kind(at.value)));
    }

    /// What must stand under a name.
    pub(super) fn need<'v>(&mut self, at: &At<'v>, name: &str) -> Option<At<'v>> {
        if !at.value.is_object() {
            self.wrong(at, "a map");
            return None;
        }
        let found = at.field(name);
        if found.is_none() {
            self.fault(&at.below(name), "this is missing");
        }
        found
    }

    pub(super) fn list<'v>(&mut self, at: &At<'v>) -> Option<Vec<At<'v>>> {
        let Value::Array(items) = at.value else {
            self.wrong(at, "a list");
            return None;
        };
        if items.len() > MAX_ALERTS {
            self.fault(&at.pointer, format!("it has {} items; {MAX_ALERTS} at most are taken", items.len()));
            return None;
        }
        let place = |(index, value)| At { value, pointer: format!("{}/{index}", at.pointer) };
        Some(items.iter().enumerate().map(place).collect())
    }

    /// A text of at most [`MAX_TEXT`] bytes.
    pub(super) fn text<'v>(&mut self, at: &At<'v>) -> Option<&'v str> {
        match at.value {
            Value::String(text) if text.len() > MAX_TEXT => {
                self.fault(&at.pointer, format!("it has {} bytes; {MAX_TEXT} at most are taken", text.len()));
                None
            }
            Value::String(text) => Some(text),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                self.wrong(at, "a text");
                None
            }
        }
    }

    /// A fingerprint: a text that is not empty and not long.
    pub(super) fn fingerprint(&mut self, at: &At<'_>) -> Option<String> {
        let text = match at.value {
            Value::Number(number) => number.to_string(),
            Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
                self.text(at)?.to_owned()
            }
        };
        if text.is_empty() || text.len() > MAX_NAME {
            self.fault(&at.pointer, format!("it has {} bytes; it must have 1 to {MAX_NAME}", text.len()));
            return None;
        }
        Some(text)
    }

    /// A map from names to texts. Numbers and booleans are taken as they are written where `loose`.
    pub(super) fn texts(&mut self, at: &At<'_>, loose: bool) -> Option<BTreeMap<String, String>> {
        let Value::Object(map) = at.value else {
            self.wrong(at, "a map of texts");
            return None;
        };
        if map.len() > MAX_LABELS {
            self.fault(&at.pointer, format!("it has {} entries; {MAX_LABELS} at most are taken", map.len()));
            return None;
        }
        let mut texts = BTreeMap::new();
        let mut good = true;
        for (name, value) in map {
            let place = At { value, pointer: at.below(name) };
            if name.len() > MAX_NAME {
                self.fault(&place.pointer, format!("the name has {} bytes; {MAX_NAME} at most are taken", name.len()));
                good = false;
                continue;
            }
            let text = match value {
                Value::Number(_) | Value::Bool(_) if loose => Some(to_text(value)),
                Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::String(_)
                | Value::Array(_)
                | Value::Object(_) => self.text(&place).map(str::to_owned),
            };
            good &= text.is_some();
            texts.extend(text.map(|text| (name.clone(), text)));
        }
        good.then_some(texts)
    }

    /// A moment (RFC 3339). The year 1 is how programs in Go say that there is none.
    pub(super) fn moment(&mut self, at: &At<'_>) -> Option<Option<Timestamp>> {
        let text = self.text(at)?;
        match parse_moment(text) {
            Ok(Timestamp(ms)) if ms <= 0 => Some(None),
            Ok(moment) => Some(Some(moment)),
            Err(why) => {
                self.fault(&at.pointer, why);
                None
            }
        }
    }
}

/// Reads a moment with an offset from UTC (RFC 3339), such as `2026-11-21T22:30:00Z`; finer parts than milliseconds are cut off.
///
/// # Errors
/// Says in words what was expected.
pub(super) fn parse_moment(text: &str) -> Result<Timestamp, String> {
    // Nothing longer can be one, and an error would repeat it.
    let moment = (text.len() <= 64).then(|| text.parse::<jiff::Timestamp>().ok()).flatten();
    let moment = moment.ok_or_else(|| format!("`{}` is no moment such as 2026-11-21T22:30:00Z", shorten(text)))?;
    Ok(Timestamp(moment.as_millisecond()))
}
