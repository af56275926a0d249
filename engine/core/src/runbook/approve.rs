//! `approve`: people decide whether the run goes on.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::expr::Template;

/// Waits until enough people say yes, or one says no.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Approve {
    /// What they are asked; evaluated when they are, and shown to all as it was then.
    pub prompt: Template,
    /// Who may say; empty: everybody who can speak to the run.
    pub who: Vec<Voter>,
    /// How many must say yes.
    pub count: u32,
    /// Whether the one who asked for the run has no say.
    pub not_requester: bool,
    /// How long to wait.
    pub timeout: Option<Duration>,
    /// What happens when that time is over.
    pub on_timeout: OnTimeout,
}

/// What happens when the time for an approval is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnTimeout {
    /// The step fails.
    #[default]
    Fail,
    /// The step counts as approved, because nobody objected.
    Approve,
}

/// Who may have a say: a user, a user of one machine, or the members of a unix group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Voter {
    /// `ann`: whoever has this name, on any machine.
    User(String),
    /// `ann@ops1`: only there.
    UserAt(String, String),
    /// `%ops`: the members of this group, as the machine of the one who speaks knows it.
    Group(String),
}

impl Voter {
    /// Reads `user`, `user@machine` or `%group`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let name = |text: &str| {
            let fits = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '$');
            !text.is_empty() && text.len() <= 256 && !text.starts_with('-') && text.chars().all(fits)
        };
        let found = match (text.strip_prefix('%'), text.rsplit_once('@')) {
            (Some(group), _) => name(group).then(|| Self::Group(group.to_owned())),
            (None, Some((user, machine))) => {
                (name(user) && name(machine)).then(|| Self::UserAt(user.to_owned(), machine.to_owned()))
            }
            (None, None) => name(text).then(|| Self::User(text.to_owned())),
        };
        found.ok_or_else(|| "who may approve is a user, `user@machine`, or a unix group as `%group`".to_owned())
    }
}

impl fmt::Display for Voter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(user) => f.write_str(user),
            Self::UserAt(user, machine) => write!(f, "{user}@{machine}"),
            Self::Group(group) => write!(f, "%{group}"),
        }
    }
}

impl TryFrom<String> for Voter {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl From<Voter> for String {
    fn from(voter: Voter) -> Self {
        voter.to_string()
    }
}

impl Approve {
    /// The groups whose members may say.
    pub fn groups(&self) -> Vec<String> {
        let group = |voter: &Voter| match voter {
            Voter::Group(group) => Some(group.clone()),
            Voter::User(_) | Voter::UserAt(..) => None,
        };
        self.who.iter().filter_map(group).collect()
    }

    /// Who may say, in words: `ann or %ops, not the requester`.
    pub fn electorate(&self) -> String {
        let names: Vec<String> = self.who.iter().map(Voter::to_string).collect();
        let who = if names.is_empty() { "everybody".to_owned() } else { names.join(" or ") };
        match (self.not_requester, self.who.is_empty()) {
            (true, true) => format!("{who} but the requester"),
            (true, false) => format!("{who}, not the requester"),
            (false, _) => who,
        }
    }
}
