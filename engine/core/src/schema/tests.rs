//! The tables against the parser, both ways.

use std::collections::BTreeSet;

use super::*;
use crate::fault::{Fault, FaultCode, Source};
use crate::runbook::words;
use crate::yaml::read::asked;

fn read(document: Document, text: &str) -> Vec<Fault> {
    let source = Source { name: "example".into(), text: text.into() };
    match document {
        Document::Runbook => crate::runbook::parse(&source).1,
        Document::Inventory => crate::inventory::parse(&source).1,
        Document::Test => crate::testing::parse(&source).1,
        Document::Windows => crate::schedule::testing::parse(&[source]).1,
    }
}

/// A word that is added to the language and forgotten in the tables, or the other way round, is seen here.
#[test]
fn the_parser_asks_for_exactly_these_fields() {
    for (name, document) in Document::ALL {
        asked::take();
        for shape in document.shapes() {
            let faults = read(document, shape.example);
            assert!(faults.is_empty(), "the example of {name} `{}`: {faults:?}", shape.name);
        }
        let parsed = asked::take();
        let told: BTreeSet<_> =
            document.shapes().iter().flat_map(|s| s.fields.iter().map(|field| (s.name, field.name))).collect();
        let forgotten: Vec<_> = parsed.difference(&told).collect();
        assert!(
            forgotten.is_empty(),
            "the parser knows these, engine/core/src/schema/{name}.rs does not: {forgotten:?}"
        );
        let invented: Vec<_> = told.difference(&parsed).collect();
        assert!(invented.is_empty(), "engine/core/src/schema/{name}.rs has these, the parser does not: {invented:?}");
    }
}

#[test]
fn an_action_is_what_the_parser_takes_for_one() {
    let step = runbook::SHAPES.iter().find(|shape| shape.name == "step").unwrap();
    let does_nothing = |name: &str| {
        let text = format!("runbook: r\nsteps: [{{ id: a, {name}: {{}} }}]\n");
        let faults = read(Document::Runbook, &text);
        faults.iter().any(|fault| fault.code == FaultCode::Action && fault.message.contains("does nothing"))
    };
    let actions: Vec<&str> =
        step.fields.iter().map(|field| field.name).filter(|name| *name != "id" && !does_nothing(name)).collect();
    assert_eq!(actions, step.one_of);
}

#[test]
fn every_word_is_taken() {
    let refused = |text: String| {
        let faults = read(Document::Runbook, &text);
        faults.into_iter().find(|f| matches!(f.code, FaultCode::BadValue | FaultCode::UnknownField))
    };
    for word in words::repeat() {
        assert_eq!(refused(format!("runbook: r\nsteps: [{{ id: a, run: x, repeat: {word} }}]\n")), None);
    }
    for word in ["string", "enum", "secret"].into_iter().chain(words::param_types()) {
        let choices = if word == "enum" { ", choices: [a]" } else { "" };
        let text = format!("runbook: r\nparams: {{ x: {{ type: {word}{choices} }} }}\nsteps: [{{ id: a, run: x }}]\n");
        assert_eq!(refused(text).is_none(), words::param_types().contains(&word), "{word}");
    }
}

#[test]
fn every_field_says_what_it_is_for() {
    for (_, document) in Document::ALL {
        for shape in document.shapes() {
            assert!(!shape.help.is_empty());
            for field in shape.fields {
                let sentence = field.help.ends_with('.') || field.help.ends_with('?') || field.help.ends_with(')');
                assert!(sentence, "{}.{}: {}", shape.name, field.name, field.help);
            }
        }
        let schema = document.schema();
        let shapes = schema["definitions"].as_object().unwrap();
        for name in document.shapes().iter().map(|shape| shape.name) {
            assert!(shapes.contains_key(name));
        }
    }
}
