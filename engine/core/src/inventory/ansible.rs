//! Inventories that Ansible's tools print.

use std::collections::{BTreeMap, BTreeSet};

use super::document::{cycles, safe_setting};
use super::{Host, Inventory, SshSettings};
use crate::fault::{Fault, FaultCode, Source, Span};
use crate::ids::{GroupName, HostName};
use crate::value::{Map, Value, to_text};

/// How deep the JSON may nest; what serde_json takes at most.
const MAX_BYTES: usize = 64 << 20;

/// Reads the JSON that `ansible-inventory --list`, or an executable inventory with `--list`, prints.
///
/// Taken are `_meta.hostvars`, and of each group `hosts`, `children` and `vars`. A group's variables go to its hosts where
/// neither the host itself nor a group nearer to it says otherwise (`all` is the farthest); between groups equally near, the later by name wins, as Ansible
/// has it. `ansible_host`, `ansible_user`, `ansible_port` and `ansible_ssh_private_key_file`
/// (<https://docs.ansible.com/ansible/latest/inventory_guide/intro_inventory.html>) become ssh settings, and other variables that begin with `ansible_` are left out, since they
/// say how Ansible works. A name that is not a valid name here is a fault.
pub fn from_ansible(source: &Source) -> (Option<Inventory>, Vec<Fault>) {
    if source.text.len() > MAX_BYTES {
        let message = format!("the inventory has {} bytes, more than {MAX_BYTES}", source.text.len());
        return (None, vec![Fault::at(FaultCode::TooLarge, source, Span::default(), message)]);
    }
    let document: Map<String, Value> = match serde_json::from_str(&source.text) {
        Ok(document) => document,
        Err(error) => {
            let start = offset(&source.text, error.line(), error.column());
            let message = format!("this is not a JSON object: {error}");
            return (None, vec![Fault::at(FaultCode::Syntax, source, Span { start, end: start }, message)]);
        }
    };
    let mut reading = Reading { source, faults: Vec::new(), groups: BTreeMap::new() };
    let hostvars = document.get("_meta").and_then(|meta| meta.get("hostvars")).and_then(Value::as_object);
    for (name, group) in document.iter().filter(|(name, _)| *name != "_meta") {
        reading.group(name, group);
    }
    let inventory = reading.finish(hostvars);
    if reading.faults.is_empty() { (Some(inventory), reading.faults) } else { (None, reading.faults) }
}

fn offset(text: &str, line: usize, column: usize) -> usize {
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    (start + column.saturating_sub(1)).min(text.len())
}

#[derive(Default)]
struct Group {
    hosts: Vec<HostName>,
    children: Vec<GroupName>,
    vars: Map<String, Value>,
}

struct Reading<'s> {
    source: &'s Source,
    faults: Vec<Fault>,
    groups: BTreeMap<GroupName, Group>,
}

impl Reading<'_> {
    fn fault(&mut self, code: FaultCode, about: &str, message: String) {
        // JSON values carry no places; the first time that the name is written is the best there is.
        let quoted = Value::from(about).to_string();
        let span = self.source.text.find(&quoted).map(|start| Span { start, end: start + quoted.len() });
        self.faults.push(Fault::at(code, self.source, span.unwrap_or_default(), message));
    }

    fn group(&mut self, written: &str, value: &Value) {
        let name = match GroupName::new(written) {
            Ok(name) => name,
            Err(bad) => return self.fault(FaultCode::BadName, written, bad.to_string()),
        };
        let mut group = Group::default();
        // An executable inventory may give a bare list of hosts.
        let hosts = value.get("hosts").unwrap_or(value).as_array();
        for host in hosts.into_iter().flatten() {
            match HostName::new(&to_text(host)) {
                Ok(host) => group.hosts.push(host),
                Err(bad) => self.fault(FaultCode::BadName, &to_text(host), bad.to_string()),
            }
        }
        for child in value.get("children").and_then(Value::as_array).into_iter().flatten() {
            match GroupName::new(&to_text(child)) {
                Ok(child) => group.children.push(child),
                Err(bad) => self.fault(FaultCode::BadName, &to_text(child), bad.to_string()),
            }
        }
        if let Some(vars) = value.get("vars").and_then(Value::as_object) {
            group.vars = vars.clone();
        }
        self.groups.insert(name, group);
    }

    fn finish(&mut self, hostvars: Option<&Map<String, Value>>) -> Inventory {
        let names: Vec<&GroupName> = self.groups.keys().collect();
        let children = |name: &GroupName| -> Vec<&GroupName> {
            let children = self.groups.get(name).map(|group| group.children.as_slice()).unwrap_or_default();
            children.iter().filter_map(|child| self.groups.get_key_value(child).map(|(name, _)| name)).collect()
        };
        let found: Vec<Vec<GroupName>> =
            cycles(&names, &children).into_iter().map(|group| group.into_iter().cloned().collect()).collect();
        for members in &found {
            let list: Vec<String> = members.iter().map(|name| format!("`{name}`")).collect();
            let first = members.first().map_or("", |name| name.as_str()).to_owned();
            self.fault(FaultCode::Cycle, &first, format!("these groups hold each other: {}", list.join(", ")));
        }
        if !found.is_empty() {
            return Inventory::default();
        }
        let order = self.farthest_first();
        let mut members: BTreeMap<GroupName, Vec<HostName>> = BTreeMap::new();
        // The nearest first: what a group holds is known before the group itself.
        for name in order.iter().rev() {
            let Some(group) = self.groups.get(name) else { continue };
            let below = group.children.iter().filter_map(|child| members.get(child)).flatten();
            let mut seen = BTreeSet::new();
            let list = group.hosts.iter().chain(below).filter(|host| seen.insert((*host).clone())).cloned().collect();
            members.insert(name.clone(), list);
        }
        let mut vars: BTreeMap<HostName, Map<String, Value>> = BTreeMap::new();
        for name in &order {
            let (Some(group), Some(hosts)) = (self.groups.get(name), members.get(name)) else { continue };
            for host in hosts {
                vars.entry(host.clone()).or_default().extend(group.vars.clone());
            }
        }
        for (name, own) in hostvars.into_iter().flatten() {
            match (HostName::new(name), own.as_object()) {
                (Ok(host), Some(own)) => vars.entry(host).or_default().extend(own.clone()),
                (Ok(_), None) => {
                    self.fault(FaultCode::WrongType, name, format!("the variables of `{name}` are not an object"));
                }
                (Err(bad), _) => self.fault(FaultCode::BadName, name, bad.to_string()),
            }
        }
        let hosts = vars.into_iter().map(|(name, vars)| {
            let host = self.host(&name, vars);
            (name, host)
        });
        let hosts = hosts.collect();
        // `all` and `ungrouped` are Ansible's own; `all` means the same here without being a group.
        members.retain(|name, hosts| name.as_str() != "all" && (name.as_str() != "ungrouped" || !hosts.is_empty()));
        Inventory { hosts, groups: members }
    }

    /// The groups, each before those that it holds; `all` first; equally far ones by name.
    fn farthest_first(&self) -> Vec<GroupName> {
        let mut depth: BTreeMap<&GroupName, usize> = self.groups.keys().map(|name| (name, 0)).collect();
        let mut holders: BTreeMap<&GroupName, usize> = self.groups.keys().map(|name| (name, 0)).collect();
        for child in self.groups.values().flat_map(|group| &group.children) {
            if let Some(count) = holders.get_mut(child) {
                *count += 1;
            }
        }
        let mut open: Vec<&GroupName> =
            holders.iter().filter(|(_, count)| **count == 0).map(|(name, _)| *name).collect();
        while let Some(name) = open.pop() {
            let below = depth.get(name).copied().unwrap_or(0) + 1;
            for child in self.groups.get(name).map(|group| group.children.as_slice()).unwrap_or_default() {
                let Some((child, at)) =
                    self.groups.get_key_value(child).and_then(|(c, _)| Some((c, depth.get_mut(c)?)))
                else {
                    continue;
                };
                *at = (*at).max(below);
                if let Some(count) = holders.get_mut(child) {
                    *count -= 1;
                    if *count == 0 {
                        open.push(child);
                    }
                }
            }
        }
        let mut order: Vec<(usize, bool, &GroupName)> =
            depth.into_iter().map(|(name, depth)| (depth, name.as_str() != "all", name)).collect();
        order.sort_unstable();
        order.into_iter().map(|(_, _, name)| name.clone()).collect()
    }

    fn host(&mut self, name: &HostName, mut vars: Map<String, Value>) -> Host {
        let mut setting = |this: &mut Self, key: &str| {
            let text = to_text(&vars.remove(key)?);
            match safe_setting(&text) {
                Ok(()) => Some(text),
                Err(why) => {
                    this.fault(FaultCode::BadValue, name.as_str(), format!("`{key}` of `{name}` {why}"));
                    None
                }
            }
        };
        let address = setting(self, "ansible_host").filter(|address| address != name.as_str());
        let user = setting(self, "ansible_user");
        let identity = setting(self, "ansible_ssh_private_key_file");
        let port = setting(self, "ansible_port").and_then(|text| match text.parse::<u16>() {
            Ok(port) if port > 0 => Some(port),
            Ok(_) | Err(_) => {
                self.fault(FaultCode::BadValue, name.as_str(), format!("`ansible_port` of `{name}` is not a port"));
                None
            }
        });
        vars.retain(|key, _| !key.starts_with("ansible_"));
        let ssh = SshSettings { address, user, port, identity, ..SshSettings::default() };
        Host { labels: BTreeMap::new(), vars, ssh }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> (Option<Inventory>, Vec<Fault>) {
        from_ansible(&Source { name: "inventory.json".into(), text: text.into() })
    }

    #[test]
    fn what_ansible_inventory_prints_is_read() {
        let text = r#"{
            "_meta": { "hostvars": {
                "hv1": { "ansible_host": "10.0.0.11", "ansible_user": "root", "ansible_port": 2222,
                         "ansible_ssh_private_key_file": "~/.ssh/ops", "images": "/data", "ansible_connection": "ssh" },
                "hv2": { "site": "own" }
            } },
            "all": { "children": ["ungrouped", "dc1"], "vars": { "site": "all", "far": 1 } },
            "dc1": { "children": ["hypervisors"], "vars": { "site": "dc1", "ansible_user": "ops" } },
            "hypervisors": { "hosts": ["hv1", "hv2", "hv3"], "vars": { "site": "hypervisors" } }
        }"#;
        let (inventory, faults) = read(text);
        assert_eq!(faults, []);
        let inventory = inventory.unwrap();
        assert_eq!(inventory.groups.keys().map(GroupName::as_str).collect::<Vec<_>>(), ["dc1", "hypervisors"]);
        assert_eq!(inventory.groups["dc1"].len(), 3);
        let hv1 = &inventory.hosts["hv1"];
        assert_eq!(Value::Object(hv1.vars.clone()), json!({ "site": "hypervisors", "far": 1, "images": "/data" }));
        assert_eq!(hv1.ssh.address.as_deref(), Some("10.0.0.11"));
        assert_eq!(hv1.ssh.user.as_deref(), Some("root"));
        assert_eq!(hv1.ssh.port, Some(2222));
        assert_eq!(hv1.ssh.identity.as_deref(), Some("~/.ssh/ops"));
        assert_eq!(inventory.hosts["hv2"].vars["site"], json!("own"));
        assert_eq!(inventory.hosts["hv3"].vars["site"], json!("hypervisors"));
        assert_eq!(inventory.hosts["hv3"].ssh.user.as_deref(), Some("ops"));
    }

    #[test]
    fn an_executable_may_give_bare_lists() {
        let (inventory, faults) = read(r#"{ "web": ["a", "b"], "_meta": { "hostvars": {} } }"#);
        assert_eq!(faults, []);
        assert_eq!(inventory.unwrap().groups["web"].len(), 2);
    }

    #[test]
    fn what_ssh_could_misread_is_refused() {
        let (_, faults) = read(
            r#"{ "_meta": { "hostvars": { "-oProxyCommand=x": {}, "a": { "ansible_host": "-oProxyCommand=x" },
                 "b": { "ansible_port": "99999" }, "c": { "ansible_user": "x\ny" } } } }"#,
        );
        let messages: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(
            messages,
            [
                "inventory.json:1:28: bad-name: `-oProxyCommand=x` is not a host name: letters, digits, `.`, `_` or `-`, not beginning with `-` or `.`, 253 at most",
                "inventory.json:1:52: bad-value: `ansible_host` of `a` begins with `-`: ssh would read it as an option",
                "inventory.json:2:18: bad-value: `ansible_port` of `b` is not a port",
                "inventory.json:2:52: bad-value: `ansible_user` of `c` contains a control character",
            ]
        );
    }

    #[test]
    fn groups_that_hold_each_other_are_refused() {
        let (_, faults) = read(r#"{ "a": { "children": ["b"] }, "b": { "children": ["a"] } }"#);
        assert_eq!(faults[0].message, "these groups hold each other: `a`, `b`");
        let (_, faults) = read("[1]");
        assert_eq!(faults[0].code, FaultCode::Syntax);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,40}|[\\[\\]{}\":,a-z_0-9 ]{0,60}") {
            let _ = read(&text);
        }
    }
}
