//! The functions that come along, on what the tools really print.

use serde_json::{Value, json};

use crate::bench::{World, said, shipped, text_with};

/// `virsh list --all` of libvirt 9.0.
const LIST: &str = " Id   Name         State\n-----------------------------\n 1    db1          running\n 3    web server   paused\n -    old          shut off\n -    new.test-1   in shutdown\n\n";

/// `vgs --reportformat json --units b -o vg_name,vg_size,vg_free` of LVM 2.03.
const VGS: &str = r#"
  {
      "report": [
          {
              "vg": [
                  {"vg_name":"data", "vg_size":"1000203091968B", "vg_free":"120259084288B"},
                  {"vg_name":"full", "vg_size":"1000203091968B", "vg_free":"0B"}
              ]
          }
      ]
  }
"#;

/// `lvs --reportformat json --units b -o lv_name,lv_attr,data_percent,metadata_percent` of LVM 2.03.
const LVS: &str = r#"
  {
      "report": [
          {
              "lv": [
                  {"lv_name":"pool", "lv_attr":"twi-aotz--", "data_percent":"91.50", "metadata_percent":"12.01"},
                  {"lv_name":"meta", "lv_attr":"twi-aotz--", "data_percent":"10.00", "metadata_percent":"95.30"},
                  {"lv_name":"fine", "lv_attr":"twi-aotz--", "data_percent":"79.99", "metadata_percent":"1.00"},
                  {"lv_name":"off",  "lv_attr":"twi---tz--", "data_percent":"",      "metadata_percent":""},
                  {"lv_name":"thin", "lv_attr":"Vwi-aotz--", "data_percent":"99.00", "metadata_percent":""},
                  {"lv_name":"root", "lv_attr":"-wi-ao----", "data_percent":"",      "metadata_percent":""}
              ]
          }
      ]
  }
"#;

const MEMINFO: &str = "MemTotal:       65661316 kB\nMemFree:         1032540 kB\nMemAvailable:   41234568 kB\nHugePages_Total:      16\nHugepagesize:       2048 kB\nDirectMap1G:    66060288 kB\n";

/// `df -B1 --output=target,size,avail` of coreutils 9.1.
const DF: &str = "Mounted on                 1B-blocks        Avail\n/                       105554829312  71203983360\n/var/lib/libvirt/images 999653638144 500000000000\n/mnt/with space          10000000000            0\n";

/// `ip -br link` of iproute2 6.1.
const LINK: &str = "lo               UNKNOWN        00:00:00:00:00:00 <LOOPBACK,UP,LOWER_UP> \nbr0              UP             52:54:00:12:34:56 <BROADCAST,MULTICAST,UP,LOWER_UP> \neth0.100@eth0    UP             52:54:00:12:34:57 <BROADCAST,MULTICAST,UP,LOWER_UP> \n";

const DOMAIN: &str = include_str!("domain.xml");

/// What a function of a script gives for what a tool printed, or why not.
fn call(script: &str, call: &str, input: &str) -> Result<Value, String> {
    let input = input.to_owned();
    let world = World::new(move |_| said(&input));
    let all = shipped();
    let all: Vec<(&str, &str)> = all.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let hook = format!("import \"{script}\" as it;\nlet t = host.read(\"/x\");\n#{{ v: it::{call} }}");
    text_with(&hook, &world, &all).map(|mut outputs| outputs.remove("v").unwrap())
}

#[test]
fn what_tools_print_is_read() {
    let gib = 1_u64 << 30;
    for (script, function, input, expected) in [
        ("libvirt", "names(t)", "db1\nweb server\n\n", json!(["db1", "web server"])),
        ("libvirt", "names(t)", "\n", json!([])),
        ("libvirt", "guests(t).map(|g| g.name)", LIST.trim_end(), json!(["db1", "web server", "old", "new.test-1"])),
        ("libvirt", "guests(t)[0]", LIST, json!({ "id": 1, "name": "db1", "state": "running" })),
        ("libvirt", "guests(t)[1]", LIST, json!({ "id": 3, "name": "web server", "state": "paused" })),
        ("libvirt", "guests(t)[2]", LIST, json!({ "id": null, "name": "old", "state": "shut off" })),
        ("libvirt", "memory(t)", DOMAIN, json!(2 * gib)),
        (
            "libvirt",
            "current_memory(t)",
            "<domain><memory unit='GiB'>8</memory><currentMemory unit='MiB'>1024</currentMemory></domain>",
            json!(gib),
        ),
        ("libvirt", "current_memory(t)", "<domain><memory>1024</memory></domain>", json!(1 << 20)),
        ("libvirt", "processors(t)", "<domain><vcpu placement='static'> 4 </vcpu></domain>", json!(4)),
        ("libvirt", "processors(t)", "<domain/>", json!(1)),
        (
            "libvirt",
            "disks(t).map(|d| d.source)",
            DOMAIN,
            json!(["/var/lib/libvirt/images/web1.qcow2", "/data/vms/web1-data.raw", null]),
        ),
        ("libvirt", "interfaces(t).map(|n| n.mac)", DOMAIN, json!(["52:54:00:aa:bb:01", "52:54:00:aa:bb:02"])),
        ("lvm", "free(t, \"data\")", VGS, json!(120_259_084_288_u64)),
        ("lvm", "free(t, \"full\")", VGS, json!(0)),
        ("lvm", "free(t, \"none\")", VGS, json!(null)),
        ("lvm", "rows(t, \"vg\").len()", VGS, json!(2)),
        ("lvm", "full_pools(t, 80)", LVS, json!(["pool", "meta"])),
        ("linux", "meminfo(t).MemAvailable", MEMINFO, json!(41_234_568_u64 * 1024)),
        ("linux", "meminfo(t).HugePages_Total", MEMINFO, json!(16)),
        (
            "linux",
            "filesystems(t)",
            DF,
            json!([
                { "target": "/", "size": 105_554_829_312_u64, "free": 71_203_983_360_u64 },
                { "target": "/var/lib/libvirt/images", "size": 999_653_638_144_u64, "free": 500_000_000_000_u64 },
                { "target": "/mnt/with space", "size": 10_000_000_000_u64, "free": 0 },
            ]),
        ),
        ("linux", "links(t)", LINK, json!(["lo", "br0", "eth0.100"])),
        ("linux", "links(t)", "", json!([])),
    ] {
        assert_eq!(call(script, function, input), Ok(expected), "{script}::{function}");
    }
}

#[test]
fn what_makes_no_sense_is_an_error_that_says_so() {
    for (script, function, input, says) in [
        ("libvirt", "memory(t)", "<domain/>", "the domain has no <memory>"),
        ("libvirt", "memory(t)", "<domain><memory unit='pages'>1</memory></domain>", "no unit of memory pages"),
        ("libvirt", "disks(t)", "error: failed to get domain 'x'", "XML"),
        ("lvm", "rows(t, \"vg\")", "  WARNING: Failed to connect to lvmetad.", "not JSON"),
    ] {
        let why = call(script, function, input).unwrap_err();
        assert!(
            why.contains(says) && why.starts_with(&format!("scripts/{script}.rhai:")),
            "{script}::{function}: {why}"
        );
    }
}

/// One row a line: what libvirt says here and there, what comes of it, what is done.
#[test]
fn where_a_guest_runs_is_told_from_both_sides_and_nothing_that_ran_is_turned_off() {
    let run = "running (migrated)";
    let half = "paused (migrating)";
    for (here, job, there, on, acts) in [
        ("absent", false, run, "there", json!([])),
        ("shut off (migrated)", false, run, "there", json!([])),
        ("running (booted)", false, "absent", "here", json!([])),
        ("running (booted)", false, "shut off (crashed)", "here", json!([])),
        ("running (booted)", false, "silent", "here", json!([])),
        ("running (booted)", false, half, "here", json!(["destroy there"])),
        // As long as there is a job, what has arrived may still be wanted.
        ("running (booted)", true, half, "here", json!([])),
        ("running (booted)", false, "paused (user)", "here", json!([])),
        ("running (booted)", false, run, "both", json!([])),
        (half, false, run, "there", json!(["destroy here"])),
        ("paused (user)", false, run, "unknown", json!([])),
        (half, true, run, "unknown", json!([])),
        ("silent", false, run, "unknown", json!([])),
        (half, false, "absent", "here", json!(["resume here"])),
        (half, false, half, "here", json!(["destroy there", "resume here"])),
        (half, false, "silent", "unknown", json!([])),
        (half, false, "paused (I/O error)", "unknown", json!([])),
        ("absent", false, half, "unknown", json!([])),
        ("shut off (crashed)", false, half, "unknown", json!([])),
        ("absent", false, "absent", "nobody", json!([])),
        ("shut off (crashed)", false, "absent", "nobody", json!([])),
        ("silent", false, "absent", "unknown", json!([])),
        ("silent", false, "silent", "unknown", json!([])),
        // Post-copy: the memory is on both sides, and either is lost without the other.
        ("paused (post-copy)", true, "running (post-copy)", "unknown", json!([])),
        ("paused (post-copy)", false, "running (post-copy)", "unknown", json!([])),
        ("paused (post-copy failed)", false, "paused (post-copy failed)", "unknown", json!([])),
        ("absent", false, "running (post-copy)", "there", json!([])),
    ] {
        let fate = format!("fate(#{{ how: \"{here}\", job: {job} }}, #{{ how: \"{there}\", job: false }})");
        let found = call("landing", &fate, "").unwrap();
        assert_eq!((&found["on"], &found["acts"]), (&json!(on), &acts), "{here} (job: {job}), {there}: {found}");
        let turned_off = acts.as_array().unwrap().iter().any(|act| act == "destroy here");
        assert!(!turned_off || there.starts_with("running"), "{here}, {there}");
    }
}

/// What virsh said, from the lab, and a word that tells what to do.
#[test]
fn what_stands_between_two_libvirts_is_told_with_what_to_do() {
    for (transport, said, tells) in [
        ("ssh", "error: Cannot recv data: Host key verification failed.: Connection reset by peer", "ssh hv2"),
        (
            "ssh",
            "error: Cannot recv data: root@hv2: Permission denied (publickey).: Connection reset",
            "authorized_keys",
        ),
        (
            "ssh",
            "error: Cannot recv data: ssh: Could not resolve hostname hv2: Name or service not known",
            "/etc/hosts",
        ),
        ("ssh", "error: Cannot recv data: ssh: connect to host hv2 port 22: No route to host", "firewalls"),
        ("ssh", "error: Cannot recv data: ssh: connect to host hv2 port 22: Connection refused", "sshd"),
        (
            "ssh",
            "error: End of file while reading data: libvirt: error: cannot connect to '/var/run/libvirt/libvirt-sock'",
            "start libvirtd",
        ),
        ("ssh", "", "firewalls"),
        ("ssh", "error: something new", "try it on hv1"),
        ("tls", "error: unable to connect to server at 'hv2:16514': Connection refused", "16514"),
        (
            "tls",
            "error: Cannot read CA certificate '/etc/pki/CA/cacert.pem': No such file or directory",
            "clientcert.pem",
        ),
        ("tls", "error: Unable to verify TLS peer: The certificate is not trusted.", "clientcert.pem"),
    ] {
        let advice = call("reach", &format!("advice(t, \"hv1\", \"hv2\", \"hv2\", \"{transport}\")"), said);
        let advice = advice.unwrap().as_str().unwrap().to_owned();
        assert!(advice.contains(tells), "{said}: {advice}");
    }
    for (script, function, expected) in [
        ("reach", "uri(\"ssh\", \"root\", \"hv2\")", json!("qemu+ssh://root@hv2/system?no_tty=1")),
        ("reach", "uri(\"tls\", \"root\", \"fd00::2\")", json!("qemu+tls://[fd00::2]/system")),
        ("migration", "older(\"9.0.0\", \"10.0.0\")", json!(true)),
        ("migration", "older(\"7.2\", \"7.2.0\")", json!(false)),
        ("migration", "older(\"7.2.22\", \"7.2.9\")", json!(false)),
        ("preflight", "parts(\"=== a\\n1\\n=== b\\n=== a\\n2\")", json!({ "a": ["1", "2"], "b": [] })),
    ] {
        assert_eq!(call(script, function, ""), Ok(expected), "{function}");
    }
}
