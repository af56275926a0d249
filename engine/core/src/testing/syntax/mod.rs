//! From text to tests: the form of a test file on paper. Reading goes on after a fault, so that all of them are seen.

mod answer;
mod expect;
mod hosts;
pub(crate) mod words;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Condition, Exception, FaultKind, Faults, Said, Say, Test, TestFile, Tree};
use crate::expr::Template;
use crate::fault::{Fault, FaultCode, Source, Span};
use crate::ids::{RunbookName, TaskId};
use crate::testing::model::Model;
use crate::value::{Map, Value, to_text};
use crate::yaml::read::{Fields, Reader, shorten};
use crate::yaml::{self, Content, Node, Plain};
use hosts::Scenery;

/// How many tests one file may have.
const MAX_TESTS: usize = 1_000;

/// Reads and checks a test file: either the tests, or everything that is wrong with it, in the order of the document.
///
/// On top: `test` (the runbook), `about`, `hosts`, `groups`, `params`, `secrets`, `answers`, `model`, `always`, `undone`, `tests`.
/// A test has a `name` and may add to `params`, `secrets`, `hosts` and `answers`; further `says`, `faults` and `expect`.
pub fn parse(source: &Source) -> (Option<TestFile>, Vec<Fault>) {
    let (root, faults) = yaml::parse(source);
    let mut reader = Reader::new(source);
    reader.faults = faults;
    let file = root.as_ref().and_then(|root| Drafter { reader: &mut reader }.read(root));
    let faults = yaml::told(reader.faults);
    if faults.is_empty() { (file, faults) } else { (None, faults) }
}

struct Drafter<'r, 's> {
    reader: &'r mut Reader<'s>,
}

/// What expressions of answers can name.
const IN_ANSWERS: [&str; 11] =
    ["state", "hosts", "host", "env", "task", "step", "part", "attempt", "round", "params", "before"];
/// What conditions can name.
const IN_CONDITIONS: [&str; 3] = ["hosts", "before", "params"];

const SAID: [(&str, Said); 7] = [
    ("approve", Said::Approve),
    ("reject", Said::Reject),
    ("retry", Said::Retry),
    ("skip", Said::Skip),
    ("resolve", Said::Resolve),
    ("undo", Said::Undo),
    ("cancel", Said::Cancel),
];

impl Drafter<'_, '_> {
    fn read(mut self, root: &Node<'_>) -> Option<TestFile> {
        let mut fields = self.reader.fields(root, "test file")?;
        let start = Span { start: root.span.start, end: root.span.start };
        let named = fields.take("test");
        let runbook = match named {
            Some(node) => self.reader.parsed(node, "test", FaultCode::BadName, RunbookName::new),
            None => {
                self.reader.missing(start, "test file", "test", "the runbook's name: `test: restart-storage`");
                None
            }
        };
        let _about = fields.take("about").and_then(|node| self.reader.text(node, "about"));
        let scenery = self.read_scenery(fields.take("hosts"), fields.take("groups"), &Scenery::default());
        let params = fields.take("params").map(|node| self.read_params(node)).unwrap_or_default();
        let secrets = fields.take("secrets").map(|node| self.read_params(node)).unwrap_or_default();
        let answers = fields.take("answers").map(|node| self.read_answers(node)).unwrap_or_default();
        let model = fields.take("model").and_then(|node| self.read_model(node)).map(Arc::new);
        let always = fields.take("always").map(|node| self.read_conditions(node, "always")).unwrap_or_default();
        let undone = fields.take("undone").map(|node| self.read_conditions(node, "undone")).unwrap_or_default();
        let tests = fields.take("tests");
        self.reader.finish(&fields);
        let common = Test {
            name: String::new(),
            span: start,
            source: self.reader.source.clone(),
            params,
            secrets,
            inventory: scenery.inventory,
            states: scenery.states,
            answers,
            model,
            always,
            undone,
            says: Vec::new(),
            faults: Faults::default(),
            expect: expect::nothing(start),
        };
        let mut all = Vec::new();
        match tests {
            Some(node) => {
                let items = self.reader.list(node, "tests").unwrap_or_default();
                if items.len() > MAX_TESTS {
                    let message = format!("the file has {} tests, more than {MAX_TESTS}", items.len());
                    self.reader.fault(FaultCode::TooLarge, node.span, message);
                    return None;
                }
                if items.is_empty() && matches!(node.content, Content::List(_)) {
                    self.reader.fault(FaultCode::MissingField, node.span, "`tests` has no test");
                }
                for item in items {
                    let test = self.read_test(item, &common);
                    all.extend(test);
                }
            }
            None => self.reader.missing(start, "test file", "tests", "a list of tests, each with a `name`"),
        }
        Some(TestFile { runbook: runbook?, runbook_span: named.map_or(start, |node| node.span), tests: all })
    }

    fn read_test(&mut self, node: &Node<'_>, common: &Test) -> Option<Test> {
        let mut fields = self.reader.fields(node, "test")?;
        let name = fields.entry("name");
        let span = match name {
            Some(entry) => entry.value.span,
            None => {
                self.reader.missing(
                    fields.span(),
                    "test",
                    "name",
                    "a sentence: `name: a guest that runs is left alone`",
                );
                self.reader.first_line(fields.span())
            }
        };
        let name = name.and_then(|entry| self.reader.text(&entry.value, "name")).unwrap_or_default();
        let mut test = Test { name: name.trim().to_owned(), span, ..common.clone() };
        test.params.extend(fields.take("params").map(|node| self.read_params(node)).unwrap_or_default());
        test.secrets.extend(fields.take("secrets").map(|node| self.read_params(node)).unwrap_or_default());
        let known = Scenery { inventory: test.inventory, states: test.states };
        let scenery = self.read_scenery(fields.take("hosts"), None, &known);
        (test.inventory, test.states) = (scenery.inventory, scenery.states);
        let mut answers = fields.take("answers").map(|node| self.read_answers(node)).unwrap_or_default();
        answers.append(&mut test.answers);
        test.answers = answers;
        test.says = fields.take("says").map(|node| self.read_says(node)).unwrap_or_default();
        test.faults = fields.take("faults").map(|node| self.read_faults(node)).unwrap_or_default();
        test.expect = match fields.take("expect") {
            Some(node) => self.read_expect(node, span),
            None => expect::nothing(span),
        };
        self.reader.finish(&fields);
        Some(test)
    }

    /// Values for parameters, each as it would be written on the command line.
    fn read_params(&mut self, node: &Node<'_>) -> BTreeMap<String, String> {
        let mut params = BTreeMap::new();
        for entry in self.reader.map(node, "params").unwrap_or_default() {
            let text = match &entry.value.content {
                Content::Scalar(scalar) if !entry.value.is_null() => Some(scalar.text().to_owned()),
                Content::Scalar(_) => None,
                Content::List(_) | Content::Map(_) => self.reader.value(&entry.value).map(|value| match &value {
                    Value::Array(items) if items.iter().all(|i| !i.is_array() && !i.is_object()) => {
                        items.iter().map(to_text).collect::<Vec<_>>().join(",")
                    }
                    Value::Null
                    | Value::Bool(_)
                    | Value::Number(_)
                    | Value::String(_)
                    | Value::Array(_)
                    | Value::Object(_) => value.to_string(),
                }),
            };
            if let Some(text) = text {
                params.insert(entry.key.to_string(), text);
            }
        }
        params
    }

    fn read_model(&mut self, node: &Node<'_>) -> Option<Model> {
        let text = self.reader.text(node, "model")?;
        match Model::parse(text, self.reader.first_line(node.span)) {
            Ok(model) => Some(model),
            Err((message, offset)) => {
                let span = offset.and_then(|offset| self.reader.place_in(node, offset)).unwrap_or(node.span);
                self.reader.fault(FaultCode::BadExpression, span, message);
                None
            }
        }
    }

    fn read_conditions(&mut self, node: &Node<'_>, what: &str) -> Vec<Condition> {
        let items = match &node.content {
            Content::List(items) => items.as_slice(),
            Content::Scalar(_) | Content::Map(_) => std::slice::from_ref(node),
        };
        items.iter().filter_map(|item| self.read_condition(item, what)).collect()
    }

    fn read_condition(&mut self, node: &Node<'_>, what: &str) -> Option<Condition> {
        if !matches!(node.content, Content::Map(_)) {
            let that = self.reader.expression(node, what, &IN_CONDITIONS)?;
            return Some(Condition { that, otherwise: None, span: node.span });
        }
        let mut fields = self.reader.fields(node, "condition")?;
        let that = fields.take("that");
        if that.is_none() {
            self.reader.missing(fields.span(), what, "that", "an expression that must be true");
        }
        let expr = that.and_then(|node| self.reader.expression(node, "that", &IN_CONDITIONS));
        let otherwise = fields.take("else").and_then(|node| self.reader.template(node, "else", &IN_CONDITIONS));
        self.reader.finish(&fields);
        Some(Condition { that: expr?, otherwise, span: that?.span })
    }

    fn read_says(&mut self, node: &Node<'_>) -> Vec<Say> {
        let items = self.reader.list(node, "says").unwrap_or_default();
        items.iter().filter_map(|item| self.read_say(item)).collect()
    }

    fn read_say(&mut self, node: &Node<'_>) -> Option<Say> {
        let mut fields = self.reader.fields(node, "says")?;
        let text = |this: &mut Self, fields: &mut Fields<'_>, name: &'static str, other: &str| {
            fields.take(name).and_then(|node| this.reader.text(node, name)).unwrap_or(other).to_owned()
        };
        let (by, why) =
            (text(self, &mut fields, "by", "tester@bench"), text(self, &mut fields, "why", "the test says so"));
        let at = fields
            .take("at")
            .and_then(|node| self.reader.parsed(node, "at", FaultCode::BadName, |text| text.parse::<TaskId>()));
        let what = match fields.take("say") {
            Some(node) => self.reader.word(node, "say", &SAID),
            None => {
                self.reader.missing(fields.span(), "says", "say", "`retry`, `skip`, `resolve`, `undo` or `cancel`");
                None
            }
        };
        let outputs = fields.take("outputs").and_then(|node| self.read_plain_map(node, "outputs")).unwrap_or_default();
        let needs_task = matches!(what, Some(Said::Retry | Said::Skip | Said::Resolve | Said::Approve | Said::Reject));
        if needs_task && at.is_none() {
            self.reader.missing(fields.span(), "says", "at", "the task that it is about: `at: copy[hv1]`");
        }
        self.reader.finish(&fields);
        Some(Say { what: what?, at, by, why, outputs, span: self.reader.first_line(node.span) })
    }

    fn read_faults(&mut self, node: &Node<'_>) -> Faults {
        if let Content::Scalar(_) = &node.content {
            return Faults { off: self.reader.boolean(node, "faults") == Some(false), except: Vec::new() };
        }
        let Some(mut fields) = self.reader.fields(node, "faults") else { return Faults::default() };
        let mut except = Vec::new();
        for item in fields.take("except").and_then(|node| self.reader.list(node, "except")).unwrap_or_default() {
            except.extend(self.read_exception(item));
        }
        self.reader.finish(&fields);
        Faults { off: false, except }
    }

    fn read_exception(&mut self, node: &Node<'_>) -> Option<Exception> {
        let mut fields = self.reader.fields(node, "except")?;
        let at = fields.take("at").map(|node| self.texts(node, "at"));
        let mut kinds = Vec::new();
        for node in fields.take("fault").and_then(|node| self.reader.one_or_list(node, "fault")).unwrap_or_default() {
            kinds.extend(self.reader.word(node, "fault", &FaultKind::ALL));
        }
        let why = fields.take("why").and_then(|node| self.reader.text(node, "why"));
        if at.is_none() {
            self.reader.missing(fields.span(), "except", "at", "a step, a task, or `*`");
        }
        if why.is_none() {
            self.reader.missing(fields.span(), "except", "why", "why it is right to leave this out");
        }
        self.reader.finish(&fields);
        Some(Exception { at: at?, kinds, why: why?.to_owned() })
    }

    /// A text, or a list of texts.
    fn texts(&mut self, node: &Node<'_>, what: &str) -> Vec<String> {
        let items = self.reader.one_or_list(node, what).unwrap_or_default();
        items.iter().filter_map(|item| self.reader.text(item, what).map(str::to_owned)).collect()
    }

    fn read_plain_map(&mut self, node: &Node<'_>, what: &str) -> Option<Map<String, Value>> {
        self.reader.map(node, what)?;
        match self.reader.value(node)? {
            Value::Object(map) => Some(map),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => None,
        }
    }

    /// A value whose texts are templates.
    fn tree(&mut self, node: &Node<'_>, what: &str) -> Option<Tree> {
        Some(match &node.content {
            Content::Scalar(scalar) if matches!(scalar.plain(), Plain::Text) => {
                Tree::Text(self.reader.template(node, what, &IN_ANSWERS)?)
            }
            Content::Scalar(_) => Tree::Plain(self.reader.value(node)?),
            Content::List(items) => {
                let items: Vec<_> = items.iter().map(|item| self.tree(item, what)).collect();
                Tree::List(items.into_iter().collect::<Option<_>>()?)
            }
            Content::Map(entries) => {
                let mut map = Vec::with_capacity(entries.len());
                for entry in entries {
                    let key = Template::parse(&entry.key).map_err(|error| {
                        self.reader.fault(FaultCode::BadExpression, entry.key_span, error.message);
                    });
                    let value = self.tree(&entry.value, what);
                    map.extend(key.ok().zip(value));
                }
                Tree::Map(map)
            }
        })
    }

    fn strange(&mut self, text: &str, what: &str, span: Span) {
        let message = format!("`{}` is not {what}", shorten(text));
        self.reader.fault(FaultCode::BadName, span, message);
    }
}
