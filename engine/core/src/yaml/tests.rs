use proptest::prelude::*;

use super::*;

fn source(text: &str) -> Source {
    Source { name: "d".into(), text: text.into() }
}

fn faults(text: &str) -> Vec<String> {
    parse(&source(text)).1.iter().map(ToString::to_string).collect()
}

fn text_of(node: &Node<'_>) -> String {
    match &node.content {
        Content::Scalar(scalar) => scalar.text().to_owned(),
        Content::List(_) | Content::Map(_) => panic!("not a scalar"),
    }
}

/// The value of a key of the map at the top.
fn get<'n>(node: &'n Node<'n>, key: &str) -> &'n Node<'n> {
    match &node.content {
        Content::Map(entries) => &entries.iter().find(|entry| entry.key == key).unwrap().value,
        Content::Scalar(_) | Content::List(_) => panic!("not a map"),
    }
}

#[test]
fn what_is_refused_and_where() {
    let deep = format!("a: {}1", "[".repeat(500));
    let deep_blocks: String = (0..200).map(|n| format!("{}a:\n", " ".repeat(n))).collect();
    for (text, expected) in [
        ("", "d:1:1: syntax: the document is empty"),
        ("# only a comment\n", "d:1:1: syntax: the document is empty"),
        ("a: 1\na: 2\n", "d:2:1: syntax: the key `a` stands here twice; first in line 1, column 1"),
        ("x: {ü: 1, b: 2, ü: 3}", "d:1:17: syntax: the key `ü` stands here twice; first in line 1, column 5"),
        ("a: 1\n---\nb: 2\n", "d:2:1: syntax: a second document begins here; write one document in a file"),
        ("a: !!str 5\n", "d:1:4: syntax: tags such as this one are not taken; leave it out"),
        ("a: !secret x\n", "d:1:4: syntax: tags such as this one are not taken; leave it out"),
        ("[a]: 1\n", "d:1:1: syntax: a key must be text"),
        ("? {a: 1}\n: 1\n", "d:1:3: syntax: a key must be text"),
        ("a: &x [*x]\n", "d:1:8: syntax: this alias stands inside of what it stands for"),
        ("a: *nobody\n", "d:1:4: syntax: this is not YAML: while parsing node, found unknown anchor"),
        (
            "a:\n\tb: 1\n",
            "d:2:2: syntax: this is not YAML: tabs disallowed within this context (block indentation) (YAML is indented with spaces; this line begins with a tab)",
        ),
        (
            "a: b: c\n",
            "d:1:5: syntax: this is not YAML: mapping values are not allowed in this context (text with `: ` in it needs quotes, or a block that begins with `|`)",
        ),
        ("a: [1, 2\n", "d:1:4: syntax: this is not YAML: unclosed bracket '['"),
        ("a: \"x\n", "d:2:1: syntax: this is not YAML: invalid indentation in multiline quoted scalar"),
    ] {
        assert_eq!(faults(text), [expected], "{text:?}");
    }
    for text in [deep, deep_blocks] {
        let source = source(&text);
        let (root, faults) = parse(&source);
        assert!(root.is_none() && faults[0].code == FaultCode::Syntax, "{:?}", faults[0].message);
    }
}

#[test]
fn a_long_map_finds_its_duplicate_keys_too() {
    let mut text: String = (0..100).map(|n| format!("k{n}: 1\n")).collect();
    text.push_str("k3: 2\nk16: 2\nk99: 2\n");
    let lines: Vec<String> = faults(&text);
    assert_eq!(
        lines,
        [
            "d:101:1: syntax: the key `k3` stands here twice; first in line 4, column 1",
            "d:102:1: syntax: the key `k16` stands here twice; first in line 17, column 1",
            "d:103:1: syntax: the key `k99` stands here twice; first in line 100, column 1",
        ]
    );
}

#[test]
fn a_document_of_nothing_but_faults_is_answered() {
    let text = "a: 1\n".repeat(100_000);
    let told = told(parse(&source(&text)).1);
    assert_eq!(told.len(), MAX_FAULTS + 1);
    assert_eq!(told[MAX_FAULTS].message, "there are more than these 1000 faults");
}

#[test]
fn bombs_are_refused_before_they_go_off() {
    let mut laughs = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for n in 1..12 {
        let items = vec![format!("*a{}", n - 1); 10].join(",");
        laughs.push_str(&format!("a{n}: &a{n} [{items}]\n"));
    }
    let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(1 << 20), vec!["*a"; 10_000].join(","));
    // Each anchor holds the one before it, one level deeper.
    let mut ladder = String::from("a0: &a0 x\n");
    for n in 1..5_000 {
        ladder.push_str(&format!("a{n}: &a{n} [*a{}]\n", n - 1));
    }
    for (text, code) in [(laughs, FaultCode::TooLarge), (long, FaultCode::TooLarge), (ladder, FaultCode::Syntax)] {
        let source = source(&text);
        let (root, faults) = parse(&source);
        assert!(root.is_none());
        assert_eq!(faults[0].code, code, "{}", faults[0].message);
    }
    let huge = "x".repeat(100 << 20);
    assert_eq!(parse(&source(&huge)).1[0].message, "the document has 104857600 bytes, more than 8388608");
    let wide = format!("[{}]", "1,".repeat(MAX_NODES + 1));
    assert_eq!(parse(&source(&wide)).1[0].code, FaultCode::TooLarge);
}

#[test]
fn an_alias_stands_for_what_was_written() {
    let text = "a: &x { k: v }\nb: *x\n";
    let source = source(text);
    let (root, faults) = parse(&source);
    assert_eq!(faults, []);
    let root = root.unwrap();
    assert_eq!(text_of(get(get(&root, "b"), "k")), "v");
}

#[test]
fn a_scalar_is_what_yaml_1_2_says() {
    for (text, plain) in [
        ("on", Plain::Text),
        ("no", Plain::Text),
        ("yes", Plain::Text),
        ("y", Plain::Text),
        ("true", Plain::Bool(true)),
        ("False", Plain::Bool(false)),
        ("~", Plain::Null),
        ("null", Plain::Null),
        ("12", Plain::Int(12)),
        ("-12", Plain::Int(-12)),
        ("+5", Plain::Int(5)),
        ("0x1F", Plain::Int(31)),
        ("0o17", Plain::Int(15)),
        ("1.5", Plain::Float(1.5)),
        ("1e3", Plain::Float(1000.0)),
        (".5", Plain::Float(0.5)),
        ("1.2.3", Plain::Text),
        ("10.0.0.1", Plain::Text),
        ("1-2", Plain::Text),
        ("-", Plain::Text),
        (".", Plain::Text),
        ("12:30", Plain::Text),
        ("2026-01-01", Plain::Text),
        ("1_000", Plain::Text),
        ("nan", Plain::Text),
        ("inf", Plain::Text),
        ("infinity", Plain::Text),
        ("'12'", Plain::Text),
        ("\"true\"", Plain::Text),
        ("''", Plain::Text),
    ] {
        let document = format!("a: {text}");
        let source = source(&document);
        let root = parse(&source).0;
        let found = root.as_ref().map(|root| match &get(root, "a").content {
            Content::Scalar(scalar) => scalar.plain(),
            Content::List(_) | Content::Map(_) => panic!("{text}"),
        });
        if text != "-" {
            assert_eq!(found, Some(plain), "{text}");
        }
    }
    for bad in ["0644", "007", ".nan", ".inf", "-.INF", "99999999999999999999", "0xFFFFFFFFFFFFFFFF1", "1e999"] {
        let document = format!("a: {bad}");
        let source = source(&document);
        let root = parse(&source).0.unwrap();
        match &get(&root, "a").content {
            Content::Scalar(scalar) => assert!(matches!(scalar.plain(), Plain::BadNumber(_)), "{bad}"),
            Content::List(_) | Content::Map(_) => panic!("{bad}"),
        }
    }
}

#[test]
fn byte_order_mark_and_carriage_returns_shift_nothing() {
    for text in ["\u{feff}a: 1\r\nü: [x, { b: 1, b: 2 }]\r\n", "a: 1\r\nü: [x, { b: 1, b: 2 }]\r\n"] {
        let all = faults(text);
        assert_eq!(all, ["d:2:16: syntax: the key `b` stands here twice; first in line 2, column 10"], "{text:?}");
    }
}

#[test]
fn an_offset_into_a_text_is_found_in_the_document() {
    // Each document has one `@` in its value, which is what the offset points at.
    for text in [
        "a: x @ y",
        "a: 'x @ y'",
        "a: \"ü @ y\"",
        "a: |\n  one\n  two @ x\n",
        "a: |\n\n    one\n      deeper @\n  \n",
        "a: |2-\n    one\n   two @\n",
        "- a: |+\n    one @\n\n",
        "a: |\r\n  one\r\n  two @ x\r\n",
        "a: { b: |\n",
    ] {
        let source = source(text);
        let Some(root) = parse(&source).0 else { continue };
        let node = match &root.content {
            Content::List(items) => get(&items[0], "a"),
            Content::Map(_) | Content::Scalar(_) => get(&root, "a"),
        };
        let Content::Scalar(scalar) = &node.content else { panic!("{text}") };
        let offset = scalar.text().find('@').unwrap();
        assert_eq!(scalar.place_of(offset, text, node.span), text.find('@'), "{text:?} {:?}", node.span);
    }
    // Where escapes or folding shift the text, no place is better than a wrong one.
    for text in ["a: \"\\t @\"", "a: >\n  one\n  two @\n", "a: one\n  two @\n", "a: 'it''s @'"] {
        let source = source(text);
        let root = parse(&source).0.unwrap();
        let node = get(&root, "a");
        let Content::Scalar(scalar) = &node.content else { panic!("{text}") };
        let offset = scalar.text().find('@').unwrap();
        let found = scalar.place_of(offset, text, node.span);
        assert!(found.is_none() || found == text.find('@'), "{text:?} {found:?}");
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,60}|([a-c]|: |- |\n|  |\\[|\\]|\\{|\\}|,|&a |\\*a|!t |\\||>|\"|'|#|---|\u{feff}|\r|\t|\0|\\?|%){0,40}") {
        let source = source(&text);
        let (root, faults) = parse(&source);
        prop_assert!(root.is_some() || !faults.is_empty());
        for fault in &faults {
            let _ = fault.to_string();
        }
        fn walk(node: &Node<'_>, text: &str) {
            assert!(node.span.start <= node.span.end && node.span.end <= text.len());
            match &node.content {
                Content::Scalar(scalar) => {
                    for offset in 0..=scalar.text().len() {
                        let _ = scalar.place_of(offset, text, node.span);
                    }
                }
                Content::List(items) => items.iter().for_each(|item| walk(item, text)),
                Content::Map(entries) => entries.iter().for_each(|entry| walk(&entry.value, text)),
            }
        }
        if let Some(root) = &root {
            walk(root, &text);
        }
    }

    /// What serde-saphyr's own reader makes of the same text is what we make of it, scalars as text.
    #[test]
    fn plain_trees_are_read_as_written(keys in proptest::collection::btree_map("[a-z]{1,6}", "[a-z0-9 ]{0,10}", 1..6)) {
        let text: String = keys.iter().map(|(key, value)| format!("{key}: \"{value}\"\n")).collect();
        let source = source(&text);
        let (root, faults) = parse(&source);
        prop_assert!(faults.is_empty());
        let root = root.unwrap();
        for (key, value) in &keys {
            prop_assert_eq!(&text_of(get(&root, key)), value);
        }
    }
}
