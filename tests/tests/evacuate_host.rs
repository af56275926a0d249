//! The runbook `evacuate-host`: a real host is emptied, two guests at a time; one that cannot go live is shut down.

use std::fs;

use piton_tests::hosts::{Guest, Hosts};

#[test]
fn lab_a_host_is_emptied_two_guests_at_a_time_and_stays_marked_until_it_is_over() {
    let lab = Hosts::up(env!("CARGO_BIN_EXE_piton-under-test"));
    let guests = [
        Guest { mac: "11", ..Guest::new("网站-一号", "/var/lib/libvirt/images/一") },
        Guest { mac: "12", ..Guest::new("db1", "/var/lib/libvirt/images/db") },
        // A directory of the host cannot go along.
        Guest {
            mac: "13",
            disks: "<filesystem type='mount' accessmode='passthrough'><source dir='/srv'/><target dir='shared'/></filesystem>",
            ..Guest::new("bound1", "/var/lib/libvirt/images/bound")
        },
    ];
    for guest in &guests {
        lab.define(guest);
        let on = |host: &str| lab.dir().join(format!("hosts/{host}")).join(&guest.dir[1..]);
        fs::create_dir_all(on("hv2")).unwrap();
        for file in ["vmlinuz", "initramfs.gz"] {
            fs::copy(on("hv1").join(file), on("hv2").join(file)).unwrap();
        }
    }
    let boots = [lab.beats("hv1", &guests[0]), lab.beats("hv1", &guests[1])];
    let words = ["run", "evacuate-host", "from=hv1", "to=hv2", "spare=0", "reserve=0", "bandwidth=32M"];
    let run = |exit: i32, more: &[&str]| lab.expect(exit, &[&words, more].concat());

    // What cannot go is told before anything is touched.
    let before = lab.everything();
    let said = run(5, &[]);
    assert!(said.contains("bound1: ") && said.contains("has a directory of hv1 mounted (/srv)"), "{said}");
    assert_eq!(lab.everything(), before);
    lab.piton(&["cancel", "latest", "--why", "it was only asked"]);
    lab.piton(&["resume", "latest"]);

    let said = run(0, &["others=shut-down"]);
    assert!(said.contains("no guest runs on hv1"), "{said}");
    assert_eq!(lab.guests("hv1"), ["bound1: shut off"], "{said}");
    assert_eq!(lab.guests("hv2"), ["db1: running", "网站-一号: running"], "{said}");
    assert_eq!([lab.beats("hv2", &guests[0]), lab.beats("hv2", &guests[1])], boots, "one was booted anew");

    // The second time changes nothing, and nobody comes back as long as the mark is there.
    let before = lab.everything();
    let said = run(0, &["others=shut-down"]);
    assert_eq!(lab.everything(), before, "{said}");
    let back = ["run", "live-migrate", "vm=db1", "from=hv2", "to=hv1", "reserve=0"];
    let said = lab.expect(4, &back);
    assert!(said.contains("hv1 is being emptied"), "{said}");

    run(0, &["over=true"]);
    let said = lab.expect(0, &back);
    assert!(said.contains("db1 runs on hv1"), "{said}");
    assert_eq!(lab.beats("hv1", &guests[1]), boots[1]);
}
