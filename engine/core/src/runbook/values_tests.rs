use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::fault::Span;
use crate::value::to_text;

fn param(name: &str, kind: ParamKind) -> Param {
    Param {
        name: ParamName::new(name).unwrap(),
        kind,
        help: String::new(),
        default: None,
        required: true,
        min: None,
        max: None,
        pattern: None,
        from: None,
        span: Span::default(),
    }
}

fn choices() -> ParamKind {
    ParamKind::Enum(vec!["slow".into(), "fast".into()])
}

#[test]
fn values_from_the_command_line() {
    for (kind, text, value) in [
        (ParamKind::String, " a\nb ", json!(" a\nb ")),
        (ParamKind::String, "", json!("")),
        (ParamKind::Name, "web-1@x:y+z.ü", json!("web-1@x:y+z.ü")),
        (ParamKind::Host, "hv1.example.org", json!("hv1.example.org")),
        (ParamKind::Hosts, "hv1, hv2 rack=a,!hv3", json!(["hv1", "hv2", "rack=a", "!hv3"])),
        (ParamKind::Integer, "-42", json!(-42)),
        (ParamKind::Number, "1.5", json!(1.5)),
        (ParamKind::Number, "3", json!(3)),
        (ParamKind::Boolean, "true", json!(true)),
        (ParamKind::Duration, "1h30m", json!(5400)),
        (ParamKind::Duration, "1.5s", json!(1.5)),
        (ParamKind::Size, "10G", json!(10_737_418_240u64)),
        (ParamKind::Size, "512", json!(512)),
        (ParamKind::Path, "/data/a b", json!("/data/a b")),
        (choices(), "fast", json!("fast")),
        (ParamKind::List, "a, b,,c", json!(["a", "b", "c"])),
        (ParamKind::List, r#"["a,b", "c"]"#, json!(["a,b", "c"])),
        (ParamKind::List, "", json!([])),
    ] {
        assert_eq!(read_value(&param("x", kind.clone()), text), Ok(value), "{kind:?} {text:?}");
    }
}

#[test]
fn values_that_are_refused_say_why() {
    for (kind, text, why) in [
        (
            ParamKind::String,
            "a\0b",
            "it contains a NUL character, which neither a command line nor an environment can carry",
        ),
        (
            ParamKind::Name,
            "-rf",
            "`-rf` is not a name: letters, digits, `.`, `_`, `-`, `@`, `+`, `:`, not beginning with `-`",
        ),
        (
            ParamKind::Name,
            "a b",
            "`a b` is not a name: letters, digits, `.`, `_`, `-`, `@`, `+`, `:`, not beginning with `-`",
        ),
        (
            ParamKind::Name,
            "a/b",
            "`a/b` is not a name: letters, digits, `.`, `_`, `-`, `@`, `+`, `:`, not beginning with `-`",
        ),
        (
            ParamKind::Name,
            "",
            "`` is not a name: letters, digits, `.`, `_`, `-`, `@`, `+`, `:`, not beginning with `-`",
        ),
        (
            ParamKind::Host,
            "-oProxyCommand=x",
            "`-oProxyCommand=x` is not a host name: letters, digits, `.`, `_` or `-`, not beginning with `-` or `.`, 253 at most",
        ),
        (ParamKind::Hosts, " , ", "it names no host"),
        (ParamKind::Integer, "5.0", "`5.0` is not a whole number (of 64 bits)"),
        (ParamKind::Integer, "99999999999999999999", "`99999999999999999999` is not a whole number (of 64 bits)"),
        (ParamKind::Number, "NaN", "`NaN` is not a number"),
        (ParamKind::Number, "inf", "`inf` is not a number"),
        (ParamKind::Boolean, "yes", "`yes` is not `true` or `false`"),
        (ParamKind::Duration, "5", "`5` is not a duration: add a unit, such as 5s, 5m or 5h"),
        (ParamKind::Size, "x", "`x` is not a size: write for example 512, 10M or 20GiB"),
        (ParamKind::Path, "data", "`data` is not an absolute path: it must begin with `/`"),
        (ParamKind::Path, "/a\nb", "the path contains a control character"),
        (choices(), "fastest", "`fastest` is not one of slow, fast"),
        (ParamKind::List, "a,b\nc", "item 2 contains a line break; commands get a list with one item a line"),
        (ParamKind::List, "[1, [2]]", "item 2 is a list, not a text"),
    ] {
        assert_eq!(read_value(&param("x", kind.clone()), text), Err(why.to_owned()), "{kind:?} {text:?}");
    }
}

#[test]
fn bounds_and_patterns_hold_at_their_edges() {
    let bounded = |kind, min, max| Param { min: Some(min), max: Some(max), ..param("x", kind) };
    for (kind, min, max, text, result) in [
        (ParamKind::Integer, 1.0, 3.0, "1", None),
        (ParamKind::Integer, 1.0, 3.0, "3", None),
        (ParamKind::Integer, 1.0, 3.0, "0", Some("it is 0, less than 1")),
        (ParamKind::Integer, 1.0, 3.0, "4", Some("it is 4, more than 3")),
        (ParamKind::String, 2.0, 3.0, "üü", None),
        (ParamKind::String, 2.0, 3.0, "a", Some("it is 1 characters, less than 2 characters")),
        (ParamKind::Duration, 60.0, 120.0, "30s", Some("it is 30s, less than 1m")),
        (ParamKind::Size, 1024.0, 2048.0, "3K", Some("it is 3KiB, more than 2KiB")),
        (ParamKind::List, 1.0, 2.0, "a,b,c", Some("it is 3 items, more than 2 items")),
    ] {
        let read = read_value(&bounded(kind.clone(), min, max), text);
        assert_eq!(read.err().as_deref(), result, "{kind:?} {text}");
    }
    let patterned = Param { pattern: Some("web[0-9]|db".into()), ..param("x", ParamKind::Name) };
    assert!(read_value(&patterned, "web1").is_ok());
    assert!(read_value(&patterned, "db").is_ok());
    for not_whole in ["xdb", "dbx", "web12", "web1-db"] {
        assert_eq!(read_value(&patterned, not_whole), Err(format!("`{not_whole}` does not match web[0-9]|db")));
    }
}

#[test]
fn all_faults_of_what_was_given_are_told_at_once() {
    let params = [
        Param { help: "libvirt domain".into(), ..param("vm", ParamKind::Name) },
        param("count", ParamKind::Integer),
        Param { default: Some(json!(14)), required: false, ..param("keep", ParamKind::Integer) },
        Param { required: false, ..param("note", ParamKind::String) },
        param("mode", choices()),
    ];
    let given = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let faults = read_params(&params, &given(&[("coutn", "3"), ("count", "x"), ("zzz", "1")])).unwrap_err();
    let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "unknown-param: there is no parameter `coutn` (did you mean `count`?)",
            "unknown-param: there is no parameter `zzz` (there is vm, count, keep, note, mode)",
            "bad-param: the parameter `vm` has no value; give vm=NAME (libvirt domain)",
            "bad-param: `count`: `x` is not a whole number (of 64 bits)",
            "bad-param: the parameter `mode` has no value; give mode=slow|fast",
        ]
    );
    let values = read_params(&params, &given(&[("vm", "web1"), ("count", "3"), ("mode", "slow")])).unwrap();
    let values: Vec<(&str, Value)> = values.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
    assert_eq!(
        values,
        [
            ("count", json!(3)),
            ("keep", json!(14)),
            ("mode", json!("slow")),
            ("note", json!(null)),
            ("vm", json!("web1")),
        ]
    );
    let faults = read_params(&[], &given(&[("x", "1")])).unwrap_err();
    assert_eq!(faults[0].to_string(), "unknown-param: there is no parameter `x` (the runbook takes no parameters)");
}

#[test]
fn a_pattern_is_compiled_whole_and_small() {
    assert!(whole("a)(b").is_err());
    assert!(whole("(?x) a # comment").is_err() || whole("(?x) a # comment").unwrap().is_match("a"));
    assert!(whole("((a{100}){100}){100}").unwrap_err().contains("too large"));
    assert_eq!(whole("a[").unwrap_err(), "unclosed character class");
    assert!(!whole("a|b").unwrap().is_match("ab"));
    assert!(!whole("a").unwrap().is_match("a\n"));
}

proptest! {
    #[test]
    fn no_value_panics_and_what_is_read_reaches_a_command(text in ".{0,40}", which in 0usize..12) {
        let kinds = [
            ParamKind::String, ParamKind::Name, ParamKind::Host, ParamKind::Hosts, ParamKind::Integer, ParamKind::Number,
            ParamKind::Boolean, ParamKind::Duration, ParamKind::Size, ParamKind::Path, choices(), ParamKind::List,
        ];
        let param = param("x", kinds[which].clone());
        if let Ok(value) = read_value(&param, &text) {
            prop_assert!(!to_text(&value).contains('\0'));
            if let Some(items) = value.as_array() {
                prop_assert_eq!(to_text(&value).lines().count(), items.iter().filter(|i| i != &&json!("")).count());
            }
        }
    }

    #[test]
    fn integers_and_texts_read_back_from_their_environment_form(number: i64, text in "[^\0]{0,40}") {
        let value = read_value(&param("x", ParamKind::Integer), &number.to_string()).unwrap();
        prop_assert_eq!(to_text(&value), number.to_string());
        let value = read_value(&param("x", ParamKind::String), &text).unwrap();
        prop_assert_eq!(to_text(&value), text);
    }
}
