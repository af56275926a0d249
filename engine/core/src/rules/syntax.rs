//! From text to a rule: the form of `rules/*.yaml` on paper. Reading goes on after a fault, so that all of them are seen.

use std::collections::{BTreeMap, BTreeSet};

use super::alert::NAMES;
use super::{DEFAULT_COOL_DOWN, DEFAULT_PER_HOUR, DEFAULT_STORM, Match, Mode, Rule, Storm};
use crate::fault::{Fault, FaultCode, Source, Span};
use crate::ids::{RuleName, RunbookName, SourceName};
use crate::runbook::{Argument, Call, Given};
use crate::yaml::read::{Fields, Reader};
use crate::yaml::{self, Content, Node, Plain};

pub(super) const MODE: [(&str, Mode); 2] = [("propose", Mode::Propose), ("run", Mode::Run)];

/// Reads and checks a rule: either the rule, or everything that is wrong with it, in the order of the document. Whether its
/// runbook takes the parameters is for [`super::check`].
pub fn parse(source: &Source) -> (Option<Rule>, Vec<Fault>) {
    let (root, faults) = yaml::parse(source);
    let mut reader = Reader::new(source);
    reader.faults = faults;
    let rule = root.as_ref().and_then(|root| read_rule(&mut reader, root));
    let faults = yaml::told(reader.faults);
    if faults.is_empty() { (rule, faults) } else { (None, faults) }
}

fn read_rule(reader: &mut Reader<'_>, root: &Node<'_>) -> Option<Rule> {
    let mut fields = reader.fields(root, "rule")?;
    let start = Span { start: root.span.start, end: root.span.start };
    let name = match fields.take("rule") {
        Some(node) => reader.parsed(node, "rule", FaultCode::BadName, RuleName::new),
        None => {
            reader.missing(start, "rule", "rule", "its name: `rule: guest-down`");
            None
        }
    };
    let title = prose(reader, &mut fields, "title");
    let about = prose(reader, &mut fields, "about");
    let from = fields.take("from").map(|node| read_names(reader, node)).unwrap_or_default();
    let only = read_match(reader, &mut fields);
    if let Some(Match { labels, when: None }) = &only
        && labels.is_empty()
    {
        let hint =
            "`labels: { alertname: GuestDown }` or `when: labels.severity == \"page\"`; `when: true` means every alert";
        reader.missing(start, "rule", "labels", hint);
    }
    let key = fields.take("key").map(|node| reader.template(node, "key", &NAMES));
    let runbook = fields.entry("runbook");
    let span = runbook.map_or(start, |entry| entry.value.span);
    let runbook = match runbook {
        Some(entry) => reader.parsed(&entry.value, "runbook", FaultCode::BadName, RunbookName::new),
        None => {
            reader.missing(start, "rule", "runbook", "the runbook that the alert asks for");
            None
        }
    };
    let with = fields.take("with").map(|node| read_with(reader, node)).unwrap_or_default();
    let mode = fields.take("mode").map_or(Some(Mode::Propose), |node| reader.word(node, "mode", &MODE));
    let cool_down = fields.take("cool_down").map_or(Some(DEFAULT_COOL_DOWN), |node| reader.duration(node, "cool_down"));
    let per_hour =
        fields.take("per_hour").map_or(Some(i64::from(DEFAULT_PER_HOUR)), |n| reader.integer(n, "per_hour", 1, 1_000));
    let storm = fields.take("storm").map_or(Some(DEFAULT_STORM), |node| read_storm(reader, node));
    reader.finish(&fields);
    Some(Rule {
        name: name?,
        title,
        about,
        from,
        only: only?,
        key: match key {
            Some(key) => Some(key?),
            None => None,
        },
        call: Call { runbook: runbook?, span, with },
        mode: mode?,
        cool_down: cool_down?,
        per_hour: per_hour.and_then(|number| u32::try_from(number).ok())?,
        storm: storm?,
    })
}

fn prose(reader: &mut Reader<'_>, fields: &mut Fields<'_>, name: &'static str) -> String {
    fields.take(name).and_then(|node| reader.text(node, name)).unwrap_or_default().trim_end().to_owned()
}

fn read_names(reader: &mut Reader<'_>, node: &Node<'_>) -> Vec<(SourceName, Span)> {
    let items = reader.one_or_list(node, "from").unwrap_or_default();
    let mut names = Vec::with_capacity(items.len());
    for item in items {
        names.extend(reader.parsed(item, "from", FaultCode::BadName, SourceName::new).map(|name| (name, item.span)));
    }
    names
}

/// `labels` and `when`, in a rule or in a silence.
pub(super) fn read_match(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<Match> {
    let labels = fields.take("labels").map_or(Some(BTreeMap::new()), |node| read_labels(reader, node));
    let when = fields.take("when").map(|node| reader.expression(node, "when", &NAMES));
    let when = match when {
        Some(when) => Some(when?),
        None => None,
    };
    Some(Match { labels: labels?, when })
}

fn read_labels(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<BTreeMap<String, BTreeSet<String>>> {
    let mut labels = BTreeMap::new();
    let mut good = true;
    for entry in reader.map(node, "labels")? {
        let items = reader.one_or_list(&entry.value, "labels").unwrap_or_default();
        let texts: Vec<_> = items.iter().map(|item| reader.text(item, "labels").map(str::to_owned)).collect();
        match texts.into_iter().collect::<Option<BTreeSet<String>>>().filter(|texts| !texts.is_empty()) {
            Some(texts) => drop(labels.insert(entry.key.to_string(), texts)),
            None => good = false,
        }
        if matches!(&entry.value.content, Content::List(items) if items.is_empty()) {
            let message = "this list is empty: no alert would fit";
            reader.fault(FaultCode::BadValue, entry.value.span, message);
        }
    }
    good.then_some(labels)
}

fn read_with(reader: &mut Reader<'_>, node: &Node<'_>) -> BTreeMap<String, Argument> {
    let mut with = BTreeMap::new();
    for entry in reader.map(node, "with").unwrap_or_default() {
        let value = match &entry.value.content {
            Content::Scalar(scalar) if matches!(scalar.plain(), Plain::Text) => {
                reader.template(&entry.value, "with", &NAMES).map(Given::Text)
            }
            Content::Scalar(_) | Content::List(_) | Content::Map(_) => reader.value(&entry.value).map(Given::Value),
        };
        let argument = value.map(|value| Argument { value, span: entry.value.span });
        with.extend(argument.map(|argument| (entry.key.to_string(), argument)));
    }
    with
}

fn read_storm(reader: &mut Reader<'_>, node: &Node<'_>) -> Option<Storm> {
    let mut fields = reader.fields(node, "storm")?;
    let span = fields.span();
    let alerts = match fields.take("alerts") {
        Some(node) => reader.integer(node, "alerts", 1, 100_000),
        None => {
            reader.missing(span, "storm", "alerts", "how many incidents at once are not a storm yet");
            None
        }
    };
    let within = fields.take("within").map_or(Some(DEFAULT_STORM.within), |node| reader.duration(node, "within"));
    reader.finish(&fields);
    Some(Storm { alerts: alerts.and_then(|number| u32::try_from(number).ok())?, within: within? })
}

/// The words of `mode`, for the schema.
pub(crate) fn modes() -> Vec<&'static str> {
    MODE.iter().map(|(word, _)| *word).collect()
}
