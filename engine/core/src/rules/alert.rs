//! An alert, whoever sent it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::expr::Scope;
use crate::ids::SourceName;
use crate::time::Timestamp;
use crate::value::{Map, Value};

/// News about something that is wrong, or well again: the same form for all that send them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Who sent it.
    pub source: SourceName,
    /// What the sender knows it by: the same in all that it says about one thing.
    pub fingerprint: String,
    /// Whether it is wrong, or well again.
    pub state: AlertState,
    /// One line for people; may be empty. Anything may stand in it: whoever shows it makes it harmless first.
    pub title: String,
    /// What it is about, by name.
    pub labels: BTreeMap<String, String>,
    /// What the sender has to say about it, by name.
    pub annotations: BTreeMap<String, String>,
    /// Since when it is wrong, by the sender's clock; `None` where the sender does not say it.
    pub starts_at: Option<Timestamp>,
    /// A page about it, where the sender names one. Nothing is ever fetched from there.
    pub url: Option<String>,
    /// The piece of what was sent that it was read from, as it came.
    pub body: Value,
}

/// Whether something is wrong, or well again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertState {
    /// It is wrong.
    Firing,
    /// It is well again.
    Resolved,
}

impl fmt::Display for AlertState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Firing => "firing",
            Self::Resolved => "resolved",
        })
    }
}

/// What expressions about an alert can name.
pub(super) const NAMES: [&str; 4] = ["alert", "labels", "annotations", "body"];

impl Alert {
    /// What expressions see: `labels`, `annotations`, `body` (what was sent, as it came), and `alert` with `source`,
    /// `fingerprint`, `state`, `title`, `starts_at` (milliseconds since 1970, or nothing) and `url`.
    pub fn scope(&self) -> Scope {
        let texts = |map: &BTreeMap<String, String>| {
            Value::Object(map.iter().map(|(name, text)| (name.clone(), Value::from(text.as_str()))).collect())
        };
        let alert = Map::from_iter([
            ("source".to_owned(), Value::from(self.source.as_str())),
            ("fingerprint".to_owned(), Value::from(self.fingerprint.as_str())),
            ("state".to_owned(), Value::from(self.state.to_string())),
            ("title".to_owned(), Value::from(self.title.as_str())),
            ("starts_at".to_owned(), self.starts_at.map_or(Value::Null, |at| Value::from(at.0))),
            ("url".to_owned(), self.url.as_deref().map_or(Value::Null, Value::from)),
        ]);
        Scope(Map::from_iter([
            ("alert".to_owned(), Value::Object(alert)),
            ("labels".to_owned(), texts(&self.labels)),
            ("annotations".to_owned(), texts(&self.annotations)),
            ("body".to_owned(), self.body.clone()),
        ]))
    }
}
