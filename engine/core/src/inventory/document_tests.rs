use proptest::prelude::*;
use serde_json::json;

use super::*;

fn read(text: &str) -> (Option<Inventory>, Vec<String>) {
    let (inventory, faults) = parse(&Source { name: "i".into(), text: text.into() });
    (inventory, faults.iter().map(ToString::to_string).collect())
}

#[test]
fn an_inventory_is_read() {
    let text = "
hosts:
  hv1:
    labels: { rack: a, row: 7 }
    vars: { images: /data/vms, count: 3, on: yes, list: [1, null] }
    ssh: { address: 10.0.0.11, user: root, port: 22, identity: ~/.ssh/ops, jump: bastion, config: ./ssh_config, known_hosts: ./kh }
  hv2:
  hv3: {}
groups:
  all-of-them: [small, hv1, hv3]
  small: [hv2, hv3]
  none:
";
    let (inventory, faults) = read(text);
    assert_eq!(faults, [""; 0]);
    let inventory = inventory.unwrap();
    let hv1 = &inventory.hosts["hv1"];
    assert_eq!(hv1.labels["row"], "7");
    assert_eq!(
        serde_json::to_value(&hv1.vars).unwrap(),
        json!({ "images": "/data/vms", "count": 3, "on": "yes", "list": [1, null] })
    );
    assert_eq!(
        serde_json::to_value(&hv1.ssh).unwrap(),
        json!({ "address": "10.0.0.11", "user": "root", "port": 22, "identity": "~/.ssh/ops", "jump": "bastion",
                "config": "./ssh_config", "known_hosts": "./kh" })
    );
    assert_eq!(inventory.hosts["hv2"], Host::default());
    let names = |group: &str| inventory.groups[group].iter().map(HostName::as_str).collect::<Vec<_>>();
    assert_eq!(names("all-of-them"), ["hv2", "hv3", "hv1"]);
    assert_eq!(names("none"), [""; 0]);
}

#[test]
fn all_faults_are_seen_at_once() {
    let text = "
hosts:
  -oProxyCommand=x: {}
  hv1: { lables: {}, ssh: { port: 70000, user: -x, adress: y } }
  hv2: { ssh: { address: \"a\\nb\", identity: \"\" }, vars: { n: .nan } }
  all: {}
groups:
  a: [b, hv1, hv9, zebra]
  b: [c]
  c: [a]
  d: [d]
  hv1: []
  x y: []
host: {}
";
    let (inventory, faults) = read(text);
    assert!(inventory.is_none());
    assert_eq!(
        faults,
        [
            "i:3:3: bad-name: `-oProxyCommand=x` is not a host name: letters, digits, `.`, `_` or `-`, not beginning with `-` or `.`, 253 at most",
            "i:4:10: unknown-field: `host` has no field `lables` (did you mean `labels`?)",
            "i:4:35: bad-value: `port` is 70000 and must be from 1 to 65535",
            "i:4:48: bad-value: `user` begins with `-`: ssh would read it as an option",
            "i:4:52: unknown-field: `ssh` has no field `adress` (did you mean `address`?)",
            "i:5:26: bad-value: `address` contains a control character",
            "i:5:44: bad-value: `identity` is empty",
            "i:5:61: bad-value: the number `.nan` cannot be read: it is not a number",
            "i:6:3: bad-name: no host can be called `all`: it means every host",
            "i:8:3: cycle: these groups hold each other: `a`, `b`, `c`",
            "i:8:15: unknown-host: there is no host or group `hv9` (did you mean `hv1`?)",
            "i:8:20: unknown-host: there is no host or group `zebra` (a host that only ssh knows needs an entry as well: `zebra:` under `hosts`)",
            "i:11:3: cycle: the group `d` holds itself",
            "i:12:3: duplicate: `hv1` is the name of a host as well, and a pattern would always mean the host",
            "i:13:3: bad-name: `x y` is not a group name: letters, digits, `_` or `-`, beginning with a letter or `_`, 64 at most",
            "i:14:1: unknown-field: `inventory` has no field `host` (did you mean `hosts`?)",
        ]
    );
}

#[test]
fn a_long_chain_of_groups_is_no_trouble() {
    let mut text = String::from("hosts: { h: }\ngroups:\n  g0: [h]\n");
    for n in 1..20_000 {
        text.push_str(&format!("  g{n}: [g{}]\n", n - 1));
    }
    let (inventory, faults) = read(&text);
    assert_eq!(faults, [""; 0]);
    assert_eq!(inventory.unwrap().groups["g19999"].len(), 1);
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,60}|(hosts|groups|[a-z]{1,3}|[:{}\\[\\], \n-]{1,3}){0,20}") {
        let _ = read(&text);
    }
}
