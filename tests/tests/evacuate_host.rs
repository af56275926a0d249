//! The runbook `evacuate-host`: a real host is emptied, two guests at a time; one that cannot go live is moved cold, and so
//! is one that is off.

use std::fs;

use piton_tests::hosts::{Guest, Hosts};

#[test]
fn lab_a_host_is_emptied_two_guests_at_a_time_and_stays_marked_until_it_is_over() {
    let lab = Hosts::up(env!("CARGO_BIN_EXE_piton-under-test"));
    let guests = [
        Guest { mac: "11", ..Guest::new("网站-一号", "/var/lib/libvirt/images/一") },
        Guest { mac: "12", ..Guest::new("db1", "/var/lib/libvirt/images/db") },
        // A directory of the host cannot go along while it runs; and where its log shall be there is no directory on hv2, so
        // that it cannot start there.
        Guest {
            mac: "13",
            log: "/var/log/libvirt/qemu/more/NAME.log",
            disks: "<filesystem type='mount' accessmode='passthrough'><source dir='/srv'/><target dir='shared'/></filesystem>",
            ..Guest::new("bound1", "/var/lib/libvirt/images/bound")
        },
        Guest { mac: "14", ..Guest::new("off1", "/var/lib/libvirt/images/off") },
    ];
    for guest in &guests {
        lab.define(guest);
        let on = |host: &str| lab.dir().join(format!("hosts/{host}")).join(&guest.dir[1..]);
        fs::create_dir_all(on("hv2")).unwrap();
        for file in ["vmlinuz", "initramfs.gz"] {
            fs::copy(on("hv1").join(file), on("hv2").join(file)).unwrap();
        }
    }
    lab.on("hv1", "virsh -q destroy off1");
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

    // The one that cannot start on hv2 runs on hv1 again at the end, and nothing of it is on hv2.
    let cold = ["others=cold", "off=move", "accept=directory"];
    let said = run(4, &cold);
    assert!(said.contains("bound1 did not arrive: it is on hv1 as it was"), "{said}");
    assert!(lab.guests("hv1").contains(&"bound1: running".to_owned()), "{said}");
    assert_eq!(lab.on("hv2", "ls /var/lib/libvirt/images/bound"), "initramfs.gz\nvmlinuz", "{said}");
    assert!(lab.on("hv1", "virsh -q dominfo bound1").contains("Autostart:      enable"), "{said}");
    lab.beats("hv1", &guests[2]);
    assert_eq!([lab.beats("hv2", &guests[0]), lab.beats("hv2", &guests[1])], boots, "one was booted anew");

    // The same command takes up what is left.
    lab.on("hv2", "mkdir /var/log/libvirt/qemu/more");
    let said = run(0, &cold);
    assert!(said.contains("no guest runs on hv1"), "{said}");
    assert_eq!(lab.guests("hv1"), ["bound1.moved: shut off", "off1.moved: shut off"], "{said}");
    let there = ["bound1: running", "db1: running", "off1: shut off", "网站-一号: running"];
    assert_eq!(lab.guests("hv2"), there, "{said}");
    lab.beats("hv2", &guests[2]);

    // The second time changes nothing, and nobody comes back as long as the mark is there.
    let before = lab.everything();
    let said = run(0, &cold);
    assert_eq!(lab.everything(), before, "{said}");
    let back = ["run", "live-migrate", "vm=db1", "from=hv2", "to=hv1", "reserve=0"];
    let said = lab.expect(4, &back);
    assert!(said.contains("hv1 is being emptied"), "{said}");

    run(0, &["over=true"]);
    let said = lab.expect(0, &back);
    assert!(said.contains("db1 runs on hv1"), "{said}");
    assert_eq!(lab.beats("hv1", &guests[1]), boots[1]);
}
