//! The inventory as people write it: `hosts` and `groups`.

use std::collections::{BTreeMap, BTreeSet};

use super::{Host, Inventory, SshSettings};
use crate::fault::{Fault, FaultCode, Source, Span};
use crate::ids::{GroupName, HostName};
use crate::value::Map;
use crate::yaml::read::{Reader, shorten};
use crate::yaml::{self, Entry, Node};

/// Reads an inventory: either the inventory, or everything that is wrong with it, in the order of the document.
///
/// ```yaml
/// hosts:
///   hv1: { labels: { rack: a }, vars: { images: /data/vms }, ssh: { address: 10.0.0.11, user: root, port: 22 } }
///   hv2:
/// groups:
///   hypervisors: [hv1, hv2]
///   everything: [hypervisors, backup.example.org]
/// ```
///
/// A member of a group is a host or a group; a group may not hold itself, however indirectly.
pub fn parse(source: &Source) -> (Option<Inventory>, Vec<Fault>) {
    let (root, faults) = yaml::parse(source);
    let mut reader = Reader::new(source);
    reader.faults = faults;
    let inventory = root.as_ref().and_then(|root| read(&mut reader, root));
    let faults = yaml::told(reader.faults);
    if faults.is_empty() { (inventory, faults) } else { (None, faults) }
}

fn read(reader: &mut Reader<'_>, root: &Node<'_>) -> Option<Inventory> {
    let mut fields = reader.fields(root, "inventory")?;
    let mut hosts = BTreeMap::new();
    for entry in fields.take("hosts").map(|node| map_or_nothing(reader, node, "hosts")).unwrap_or_default() {
        let name = match HostName::new(&entry.key) {
            Ok(name) if name.as_str() == "all" => {
                reader.fault(FaultCode::BadName, entry.key_span, "no host can be called `all`: it means every host");
                None
            }
            Ok(name) => Some(name),
            Err(bad) => {
                reader.fault(FaultCode::BadName, entry.key_span, bad.to_string());
                None
            }
        };
        let host = read_host(reader, &entry.value);
        hosts.extend(name.map(|name| (name, host)));
    }
    let mut written = BTreeMap::new();
    for entry in fields.take("groups").map(|node| map_or_nothing(reader, node, "groups")).unwrap_or_default() {
        match GroupName::new(&entry.key) {
            Ok(name) if matches!(name.as_str(), "all" | HostName::LOCAL) => {
                let message = format!("no group can be called `{name}`: the name has a meaning already");
                reader.fault(FaultCode::BadName, entry.key_span, message);
            }
            Ok(name) => {
                if hosts.contains_key(name.as_str()) {
                    let message =
                        format!("`{name}` is the name of a host as well, and a pattern would always mean the host");
                    reader.fault(FaultCode::Duplicate, entry.key_span, message);
                }
                let items = match entry.value.is_null() {
                    true => &[],
                    false => reader.list(&entry.value, "group").unwrap_or_default(),
                };
                let members = items.iter().filter_map(|n| reader.text(n, "group").map(|t| (t, n.span))).collect();
                written.insert(name, Written { span: entry.key_span, members });
            }
            Err(bad) => reader.fault(FaultCode::BadName, entry.key_span, bad.to_string()),
        }
    }
    reader.finish(&fields);
    let groups = flatten(reader, &hosts, &written);
    Some(Inventory { hosts, groups })
}

/// A group as written.
struct Written<'n> {
    span: Span,
    members: Vec<(&'n str, Span)>,
}

fn map_or_nothing<'n>(reader: &mut Reader<'_>, node: &'n Node<'n>, what: &str) -> &'n [Entry<'n>] {
    if node.is_null() { &[] } else { reader.map(node, what).unwrap_or_default() }
}

fn read_host(reader: &mut Reader<'_>, node: &Node<'_>) -> Host {
    let mut host = Host::default();
    if node.is_null() {
        return host;
    }
    let Some(mut fields) = reader.fields(node, "host") else { return host };
    for entry in fields.take("labels").map(|node| map_or_nothing(reader, node, "labels")).unwrap_or_default() {
        let plain = |text: &str| {
            !text.is_empty()
                && !text.chars().any(|c| c.is_control() || c.is_whitespace() || matches!(c, ',' | '=' | '!'))
        };
        if !plain(&entry.key) {
            let message = format!("`{}` cannot be a label: no spaces, `,`, `=` or `!`", shorten(&entry.key));
            reader.fault(FaultCode::BadName, entry.key_span, message);
        }
        let Some(value) = reader.text(&entry.value, "label") else { continue };
        if !plain(value) {
            let message = format!("`{}` cannot be the value of a label: no spaces, `,`, `=` or `!`", shorten(value));
            reader.fault(FaultCode::BadValue, entry.value.span, message);
        }
        host.labels.insert(entry.key.to_string(), value.to_owned());
    }
    if let Some(node) = fields.take("vars") {
        let mut vars = Map::new();
        for entry in map_or_nothing(reader, node, "vars") {
            vars.extend(reader.value(&entry.value).map(|value| (entry.key.to_string(), value)));
        }
        host.vars = vars;
    }
    if let Some(node) = fields.take("ssh").filter(|node| !node.is_null()) {
        host.ssh = read_ssh(reader, node);
    }
    reader.finish(&fields);
    host
}

fn read_ssh(reader: &mut Reader<'_>, node: &Node<'_>) -> SshSettings {
    let Some(mut fields) = reader.fields(node, "ssh") else { return SshSettings::default() };
    let mut setting = |reader: &mut Reader<'_>, name: &'static str| {
        let node = fields.take(name)?;
        let text = reader.text(node, name)?;
        match safe_setting(text) {
            Ok(()) => Some(text.to_owned()),
            Err(why) => {
                reader.fault(FaultCode::BadValue, node.span, format!("`{name}` {why}"));
                None
            }
        }
    };
    let address = setting(reader, "address");
    let user = setting(reader, "user");
    let identity = setting(reader, "identity");
    let jump = setting(reader, "jump");
    let config = setting(reader, "config");
    let known_hosts = setting(reader, "known_hosts");
    let port = fields.take("port").and_then(|node| reader.integer(node, "port", 1, 65_535));
    reader.finish(&fields);
    SshSettings {
        address,
        user,
        port: port.and_then(|port| u16::try_from(port).ok()),
        identity,
        jump,
        config,
        known_hosts,
    }
}

/// Whether ssh can be given the text: it must not be read as an option, nor end a line of a config file.
pub(super) fn safe_setting(text: &str) -> Result<(), &'static str> {
    if text.is_empty() {
        return Err("is empty");
    }
    if text.starts_with('-') {
        return Err("begins with `-`: ssh would read it as an option");
    }
    if text.chars().any(char::is_control) {
        return Err("contains a control character");
    }
    Ok(())
}

/// Writes groups of groups out as hosts.
fn flatten(
    reader: &mut Reader<'_>,
    hosts: &BTreeMap<HostName, Host>,
    written: &BTreeMap<GroupName, Written<'_>>,
) -> BTreeMap<GroupName, Vec<HostName>> {
    for group in written.values() {
        for (member, span) in &group.members {
            if !hosts.contains_key(*member) && !written.contains_key(*member) {
                let message = format!("there is no host or group `{}`", shorten(member));
                let names = hosts.keys().map(HostName::as_str).chain(written.keys().map(GroupName::as_str));
                let mut fault =
                    Fault::at(FaultCode::UnknownHost, reader.source, *span, message).did_you_mean(member, names);
                if fault.hint.is_none() {
                    fault = fault.hint(format!(
                        "a host that only ssh knows needs an entry as well: `{}:` under `hosts`",
                        shorten(member)
                    ));
                }
                reader.push(fault);
            }
        }
    }
    let groups: Vec<&GroupName> = written.keys().collect();
    let children = |name: &GroupName| -> Vec<&GroupName> {
        let members = written.get(name).map(|group| group.members.as_slice()).unwrap_or_default();
        // A host of that name comes first, as in a pattern.
        let of = |member: &&str| {
            written.get_key_value(*member).map(|(name, _)| name).filter(|_| !hosts.contains_key(*member))
        };
        members.iter().filter_map(|(member, _)| of(member)).collect()
    };
    let mut cyclic = BTreeSet::new();
    for members in cycles(&groups, &children) {
        let names: Vec<String> = members.iter().map(|name| format!("`{name}`")).collect();
        let message = match names.as_slice() {
            [one] => format!("the group {one} holds itself"),
            all => format!("these groups hold each other: {}", all.join(", ")),
        };
        if let Some(group) = members.first().and_then(|name| written.get(*name)) {
            reader.fault(FaultCode::Cycle, group.span, message);
        }
        cyclic.extend(members);
    }
    if !cyclic.is_empty() {
        return BTreeMap::new();
    }
    let mut flat: BTreeMap<GroupName, Vec<HostName>> = BTreeMap::new();
    for group in &groups {
        flatten_one(group, hosts, written, &mut flat);
    }
    flat
}

/// Flattens a group after those that it holds, without recursion: a chain of groups can be long.
fn flatten_one(
    group: &GroupName,
    hosts: &BTreeMap<HostName, Host>,
    written: &BTreeMap<GroupName, Written<'_>>,
    flat: &mut BTreeMap<GroupName, Vec<HostName>>,
) {
    let mut open = vec![group.clone()];
    while let Some(name) = open.last().cloned() {
        let members = written.get(&name).map(|group| group.members.as_slice()).unwrap_or_default();
        let missing: Vec<GroupName> = members
            .iter()
            .filter(|(member, _)| !hosts.contains_key(*member) && !flat.contains_key(*member))
            .filter_map(|(member, _)| written.get_key_value(*member).map(|(name, _)| name.clone()))
            .collect();
        if !missing.is_empty() && !flat.contains_key(&name) {
            open.extend(missing);
            continue;
        }
        open.pop();
        let mut list = Vec::new();
        let mut seen = BTreeSet::new();
        for (member, _) in members {
            let one = hosts.get_key_value(*member).map(|(name, _)| std::slice::from_ref(name));
            let these = one.or_else(|| flat.get(*member).map(Vec::as_slice)).unwrap_or_default();
            list.extend(these.iter().filter(|host| seen.insert((*host).clone())).cloned());
        }
        flat.insert(name, list);
    }
}

/// The groups that hold each other, all members of each cycle.
pub(super) fn cycles<'g>(
    groups: &[&'g GroupName],
    children: &impl Fn(&GroupName) -> Vec<&'g GroupName>,
) -> Vec<Vec<&'g GroupName>> {
    let mut graph: petgraph::graph::DiGraph<(), (), usize> = petgraph::graph::DiGraph::default();
    let nodes: BTreeMap<&GroupName, _> = groups.iter().map(|name| (*name, graph.add_node(()))).collect();
    for (name, node) in &nodes {
        for child in children(name) {
            if let Some(child) = nodes.get(child) {
                graph.add_edge(*node, *child, ());
            }
        }
    }
    let mut found = Vec::new();
    for group in petgraph::algo::kosaraju_scc(&graph) {
        let mut members: Vec<&GroupName> = group.iter().map(|node| groups[node.index()]).collect();
        members.sort_unstable();
        if members.len() > 1 || members.first().is_some_and(|one| children(one).contains(one)) {
            found.push(members);
        }
    }
    found
}

#[cfg(test)]
#[path = "document_tests.rs"]
mod tests;
