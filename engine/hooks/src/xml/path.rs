//! Paths into a document: the part of XPath that people use, `devices/disk[@device='disk']/source/@file`.

use super::dom::{Doc, NodeId};

/// How many parts a path may have.
const MAX_PARTS: usize = 32;

/// A path, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path {
    parts: Vec<Part>,
    pub(super) ends: Ends,
    attribute: String,
}

/// What a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ends {
    Element,
    Attribute,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    /// `//`: at any depth below.
    deep: bool,
    /// `*` is any name.
    name: String,
    filters: Vec<Filter>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Filter {
    /// `[2]`: the second one that passed so far, within its parent.
    Number(usize),
    /// `[@a]`
    Has(String),
    /// `[@a='v']`
    Attribute(String, String),
    /// `[name='v']`: a child element with that text.
    Child(String, String),
}

impl Path {
    /// Reads a path, or says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("the path `{text}` cannot be read: {why}");
        let mut path = Self { parts: Vec::new(), ends: Ends::Element, attribute: String::new() };
        let mut rest = text;
        loop {
            let deep = rest.starts_with("//");
            rest = if deep { &rest[2..] } else { rest };
            if let Some(name) = rest.strip_prefix('@') {
                if !is_name(name) || deep {
                    return Err(wrong("`@name` is its last part"));
                }
                (path.ends, path.attribute) = (Ends::Attribute, name.to_owned());
                return Ok(path);
            }
            let end = rest.find(['/', '[']).unwrap_or(rest.len());
            let name = &rest[..end];
            if name != "*" && !is_name(name) {
                return Err(wrong("parts are names of elements or `*`, with `/` between them"));
            }
            let mut part = Part { deep, name: name.to_owned(), filters: Vec::new() };
            rest = &rest[end..];
            while let Some(inner) = rest.strip_prefix('[') {
                let end = inner.find(']').ok_or_else(|| wrong("a `[` is not closed"))?;
                let hint = "`[1]`, `[@name]`, `[@name='value']` or `[name='value']`";
                part.filters.push(Filter::parse(&inner[..end]).ok_or_else(|| wrong(hint))?);
                rest = &inner[end + 1..];
            }
            path.parts.push(part);
            if path.parts.len() > MAX_PARTS {
                return Err(wrong("it is too long"));
            }
            if rest.is_empty() {
                return Ok(path);
            }
            if !rest.starts_with('/') {
                return Err(wrong("after `]` comes `/` or nothing"));
            }
            rest = if rest.starts_with("//") { rest } else { &rest[1..] };
        }
    }

    /// The attribute that it leads to.
    pub(super) fn attribute(&self) -> Option<&str> {
        (self.ends == Ends::Attribute).then_some(self.attribute.as_str())
    }

    /// The elements that it leads to from this one, in the order of the document.
    pub(super) fn find(&self, doc: &Doc, from: NodeId) -> Vec<NodeId> {
        let mut here = vec![from];
        for part in &self.parts {
            let mut next = Vec::new();
            let mut seen = std::collections::BTreeSet::new();
            for node in here {
                let parents = if part.deep { with_descendants(doc, node) } else { vec![node] };
                for parent in parents.into_iter().filter(|&parent| !part.deep || seen.insert(parent)) {
                    next.extend(part.pick(doc, parent));
                }
            }
            here = next;
        }
        here
    }
}

impl Part {
    fn pick(&self, doc: &Doc, parent: NodeId) -> Vec<NodeId> {
        let mut found = doc.elements(parent);
        found.retain(|&node| self.name == "*" || doc.name(node) == self.name);
        for filter in &self.filters {
            match filter {
                Filter::Number(number) => found = found.get(number - 1).copied().into_iter().collect(),
                Filter::Has(name) => found.retain(|&node| doc.attribute(node, name).is_some()),
                Filter::Attribute(name, value) => found.retain(|&n| doc.attribute(n, name).as_ref() == Some(value)),
                Filter::Child(name, value) => found.retain(|&node| {
                    let children = doc.elements(node);
                    children.iter().any(|&child| doc.name(child) == name && doc.text(child) == *value)
                }),
            }
        }
        found
    }
}

impl Filter {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Ok(number) = text.parse::<usize>() {
            return (number > 0).then_some(Self::Number(number));
        }
        let (left, right) = match text.split_once('=') {
            Some((left, right)) => (left.trim(), Some(unquoted(right.trim())?.to_owned())),
            None => (text, None),
        };
        match (left.strip_prefix('@'), right) {
            (Some(name), Some(value)) if is_name(name) => Some(Self::Attribute(name.to_owned(), value)),
            (Some(name), None) if is_name(name) => Some(Self::Has(name.to_owned())),
            (None, Some(value)) if is_name(left) => Some(Self::Child(left.to_owned(), value)),
            (_, _) => None,
        }
    }
}

fn unquoted(text: &str) -> Option<&str> {
    let inside = |quote: char| text.strip_prefix(quote)?.strip_suffix(quote);
    inside('\'').or_else(|| inside('"'))
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':'))
}

fn with_descendants(doc: &Doc, node: NodeId) -> Vec<NodeId> {
    let mut all = Vec::new();
    let mut open = vec![node];
    while let Some(node) = open.pop() {
        all.push(node);
        open.extend(doc.elements(node).into_iter().rev());
    }
    all
}
