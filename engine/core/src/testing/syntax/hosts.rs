//! The simulated hosts, and the groups they form.

use std::collections::BTreeMap;

use super::Drafter;
use crate::fault::FaultCode;
use crate::ids::{GroupName, HostName};
use crate::inventory::Inventory;
use crate::testing::world::merge;
use crate::value::{Map, Value};
use crate::yaml::Node;

/// The hosts there are and what state they begin with.
#[derive(Default, Clone)]
pub(super) struct Scenery {
    pub(super) inventory: Inventory,
    pub(super) states: BTreeMap<HostName, Map<String, Value>>,
}

impl Drafter<'_, '_> {
    /// Reads hosts and groups on top of those that are there: states are merged (RFC 7396).
    pub(super) fn read_scenery(
        &mut self,
        hosts: Option<&Node<'_>>,
        groups: Option<&Node<'_>>,
        there: &Scenery,
    ) -> Scenery {
        let mut scenery = there.clone();
        for entry in hosts.and_then(|node| self.reader.map(node, "hosts")).unwrap_or_default() {
            match HostName::new(&entry.key) {
                Ok(name) => self.read_host(name, &entry.value, &mut scenery),
                Err(bad) => self.reader.fault(FaultCode::BadName, entry.key_span, bad.to_string()),
            }
        }
        for entry in groups.and_then(|node| self.reader.map(node, "groups")).unwrap_or_default() {
            let name = GroupName::new(&entry.key);
            if let Err(bad) = &name {
                self.reader.fault(FaultCode::BadName, entry.key_span, bad.to_string());
            }
            let mut members = Vec::new();
            for item in self.reader.one_or_list(&entry.value, "group").unwrap_or_default() {
                let Some(text) = self.reader.text(item, "group") else { continue };
                match HostName::new(text).ok().filter(|host| scenery.inventory.hosts.contains_key(host)) {
                    Some(host) => members.push(host),
                    None => self.strange(text, "one of the `hosts` of this test", item.span),
                }
            }
            if let Ok(name) = name {
                scenery.inventory.groups.insert(name, members);
            }
        }
        scenery
    }

    fn read_host(&mut self, name: HostName, node: &Node<'_>, scenery: &mut Scenery) {
        // The engine's own machine is no host of an inventory, and has a state all the same.
        if !name.is_local() {
            scenery.inventory.hosts.entry(name.clone()).or_default();
        }
        let state = scenery.states.entry(name.clone()).or_default();
        if node.is_null() {
            return;
        }
        let Some(mut fields) = self.reader.fields(node, "host") else { return };
        if let Some(patch) = fields.take("state").and_then(|node| self.read_plain_map(node, "state")) {
            let mut whole = Value::Object(std::mem::take(state));
            merge(&mut whole, &Value::Object(patch));
            if let Value::Object(map) = whole {
                *state = map;
            }
        }
        let (labels, vars) = (fields.take("labels"), fields.take("vars"));
        if let Some(host) = scenery.inventory.hosts.get_mut(&name) {
            for entry in labels.and_then(|node| self.reader.map(node, "labels")).unwrap_or_default() {
                if let Some(text) = self.reader.text(&entry.value, "label") {
                    host.labels.insert(entry.key.to_string(), text.to_owned());
                }
            }
            host.vars.extend(vars.and_then(|node| self.read_plain_map(node, "vars")).unwrap_or_default());
        }
        self.reader.finish(&fields);
    }
}
