//! Which hosts there are, what groups they form, and how ssh reaches them.

mod ansible;
mod document;
mod select;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::{GroupName, HostName};
use crate::value::{Map, Value};

pub use ansible::from_ansible;
pub use document::parse;
pub use select::SelectError;

/// A checked inventory.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Inventory {
    /// Every host that is described; a host that only the user's ssh config knows need not be.
    pub hosts: BTreeMap<HostName, Host>,
    /// Groups, flattened: a group of groups lists its hosts here, in the order of the document, each once.
    pub groups: BTreeMap<GroupName, Vec<HostName>>,
}

/// What is known of a host before it is met.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Host {
    /// For selecting: `rack=a`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// For expressions: `host.vars.images`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub vars: Map<String, Value>,
    /// How ssh reaches it; what is not said here is left to the user's ssh config.
    #[serde(default, skip_serializing_if = "SshSettings::is_default")]
    pub ssh: SshSettings,
}

/// How ssh reaches a host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SshSettings {
    /// Name or address to connect to, if it is not the host's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The user to log in as.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// A private key; `~/` means the home of whoever runs the engine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// Jump hosts, as ssh's `-J` takes them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jump: Option<String>,
    /// An ssh config file to use instead of the user's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
    /// A known-hosts file to use instead of the user's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known_hosts: Option<String>,
}

impl SshSettings {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
