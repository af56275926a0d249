//! XML, as libvirt writes it.

use serde_json::json;

use crate::bench::{World, said, text, value};

const DOMAIN: &str = include_str!("domain.xml");

fn with_domain(body: &str) -> serde_json::Map<String, serde_json::Value> {
    let world = World::new(|_| said(DOMAIN));
    text(&format!("let d = parse_xml(host.read(\"/x\"));\n{body}"), &world).unwrap()
}

#[test]
fn a_domain_is_read_by_paths() {
    let found = with_domain(
        r#"#{
            name: d.get("name"),
            memory: d.get("memory"),
            unit: d.first("memory").attr("unit"),
            files: d.all("devices/disk[@device='disk']/source/@file"),
            cdroms: d.find("devices/disk[@device='cdrom']").len(),
            macs: d.all("devices/interface/mac/@address"),
            second: d.get("devices/interface[2]/source/@bridge"),
            anywhere: d.all("//alias/@name").len(),
            by_child: d.find("devices/disk[serial='S-1 & co']").len(),
            none: d.first("devices/hostdev"),
            title: d.get("title"),
            args: d.all("qemu:commandline/qemu:arg/@value"),
        }"#,
    );
    assert_eq!(
        serde_json::Value::Object(found),
        json!({
            "name": "web1", "memory": "2097152", "unit": "KiB",
            "files": ["/var/lib/libvirt/images/web1.qcow2", "/data/vms/web1-data.raw"],
            "cdroms": 1, "macs": ["52:54:00:aa:bb:01", "52:54:00:aa:bb:02"], "second": "br1", "anywhere": 2,
            "by_child": 1, "none": null, "title": "Web & shop <production>",
            "args": ["-device", "foo,bar=\"x\""],
        })
    );
}

#[test]
fn what_is_not_changed_is_written_back_byte_by_byte() {
    assert_eq!(with_domain("#{ v: d.to_xml() }")["v"], DOMAIN.trim_end_matches('\0'));
    for odd in
        ["<?xml version='1.0'?>\n<!-- c -->\n<a  b = 'x'\n c=\"&lt;\"/>\n<!-- d -->\n", "<a>&#65;<![CDATA[<b>]]></a >"]
    {
        assert_eq!(value(&format!("parse_xml({}).to_xml()", json!(odd))), odd);
    }
}

#[test]
fn a_change_touches_only_what_it_changes() {
    let changed = with_domain(
        r#"
        d.first("memory").set_text("4194304");
        d.first("devices/disk[1]/source").set_attr("file", "/new/a & 'b' \"c\".qcow2");
        d.first("devices/disk[@device='cdrom']").remove();
        d.first("devices").add("<disk type='block' device='disk'><target dev='vdz' bus='virtio'/></disk>");
        d.first("devices/interface[1]/mac").remove_attr("address");
        #{ v: d.to_xml(), file: d.get("devices/disk[1]/source/@file") }
        "#,
    );
    let text = changed["v"].as_str().unwrap();
    assert_eq!(changed["file"], "/new/a & 'b' \"c\".qcow2");
    let (before, after): (Vec<&str>, Vec<&str>) = (DOMAIN.lines().collect(), text.lines().collect());
    let gone: Vec<&&str> = before.iter().filter(|line| !after.contains(line)).collect();
    let new: Vec<&&str> = after.iter().filter(|line| !before.contains(line)).collect();
    assert_eq!(
        gone,
        [
            &"  <memory unit='KiB'>2097152</memory>",
            &"      <source file='/var/lib/libvirt/images/web1.qcow2' index='1'/>",
            &"    <disk type='file' device='cdrom'>",
            &"      <target dev='sda' bus='sata'/>",
            &"      <readonly/>",
            &"      <mac address='52:54:00:aa:bb:01'/>",
        ]
    );
    assert_eq!(
        new,
        [
            &"  <memory unit='KiB'>4194304</memory>",
            &"      <source file='/new/a &amp; &apos;b&apos; &quot;c&quot;.qcow2' index='1'/>",
            &"      <mac/>",
            &"    <disk type='block' device='disk'><target dev='vdz' bus='virtio'/></disk>",
        ]
    );
    assert!(text.ends_with("</domain>\n"));
}

#[test]
fn what_is_no_xml_or_a_bomb_is_refused() {
    let world = World::new(|_| said(""));
    let deep = format!("{}{}", "<a>".repeat(300), "</a>".repeat(300));
    for bad in [
        "",
        "text",
        "<a>",
        "<a></b>",
        "<a/><b/>",
        "<a b='1' b='2'/>",
        "<a>&nosuch;</a>",
        "<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>",
        "<a b='&x;'/>",
        deep.as_str(),
    ] {
        let why = text(&format!("parse_xml({})", json!(bad)), &world).unwrap_err();
        assert!(why.contains("this is not XML"), "{bad}: {why}");
    }
    for bad in [
        "parse_xml(\"<a/>\").set_attr(\"b c\", \"x\")",
        "parse_xml(\"<a/>\").set_attr(\"b\", \"\\u0001\")",
        "parse_xml(\"<a/>\").add(\"<b>\")",
        "parse_xml(\"<a/>\").add(\"<b/><c/>\")",
        "parse_xml(\"<a/>\").remove()",
        "parse_xml(\"<a/>\").find(\"\")",
        "parse_xml(\"<a/>\").find(\"b[\")",
        "parse_xml(\"<a/>\").find(\"b/@c/d\")",
        "let d = parse_xml(\"<a/>\"); loop { d.add(\"<b>0123456789012345678901234567890123456789</b>\"); }",
        "let d = parse_xml(\"<a/>\"); loop { d.set_text(\"0123456789012345678901234567890123456789\"); }",
    ] {
        assert!(text(bad, &world).is_err(), "{bad}");
    }
}
