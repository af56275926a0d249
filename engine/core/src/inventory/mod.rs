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
    /// The words after `ssh` (ssh(1)) with which somebody on the engine's machine reaches the host as the engine does: only
    /// a known host key is accepted, and nothing is asked for. What the inventory does not say is left to their ssh config.
    pub fn words(&self, host: &HostName) -> Vec<String> {
        let mut words = Vec::new();
        let mut add = |option: &str, value: &str| words.extend([option.to_owned(), value.to_owned()]);
        for always in ["BatchMode=yes", "StrictHostKeyChecking=yes", "ServerAliveInterval=15"] {
            add("-o", always);
        }
        if let Some(config) = &self.config {
            add("-F", config);
        }
        if let Some(identity) = &self.identity {
            add("-i", identity);
        }
        if let Some(known_hosts) = &self.known_hosts {
            // ssh takes several files there, with blanks between them.
            add("-o", &format!("UserKnownHostsFile=\"{known_hosts}\""));
        }
        if let Some(user) = &self.user {
            add("-l", user);
        }
        if let Some(port) = self.port {
            add("-p", &port.to_string());
        }
        if let Some(jump) = &self.jump {
            add("-J", jump);
        }
        words.push(self.address.as_deref().unwrap_or(host.as_str()).to_owned());
        words
    }

    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_inventory_says_becomes_words_for_ssh_and_nothing_else_does() {
        let host = HostName::new("hv1").unwrap();
        let always = "-o BatchMode=yes -o StrictHostKeyChecking=yes -o ServerAliveInterval=15";
        assert_eq!(SshSettings::default().words(&host).join(" "), format!("{always} hv1"));
        let text = |text: &str| Some(text.to_owned());
        let all = SshSettings {
            address: text("10.0.0.1"),
            user: text("root"),
            port: Some(2222),
            identity: text("~/.ssh/my key"),
            jump: text("bastion"),
            config: text("/etc/ssh/other"),
            known_hosts: text("/a b/known"),
        };
        let said = r#"-F|/etc/ssh/other|-i|~/.ssh/my key|-o|UserKnownHostsFile="/a b/known"|-l|root|-p|2222|-J|bastion|10.0.0.1"#;
        assert_eq!(all.words(&host)[6..].join("|"), said);
    }
}
