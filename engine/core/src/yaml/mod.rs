//! YAML 1.2 as a tree in which everything knows where it was written.
//!
//! Deserializing with serde stops at the first thing that is wrong. A person who wrote five mistakes wants to see five,
//! so documents are read from this tree by [`read::Reader`], which goes on.
//!
//! What YAML offers and no runbook needs is refused: tags, several documents in one file, keys that are not text.
//! Aliases work, within [`MAX_NODES`]. A scalar stays what was written until a field asks for its type,
//! so `1.10` is not `1.1`, and `no` and `0644` are text wherever text is wanted.

mod expressions;
pub(crate) mod read;
mod scalar;

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_saphyr::granit_parser::{self, Event, Parser};

use crate::fault::{Fault, FaultCode, Source, Span};

pub(crate) use scalar::{Plain, Scalar};

/// The longest document that is read, in bytes.
pub(crate) const MAX_BYTES: usize = 8 << 20;
/// How many pieces a document may have, with aliases written out: scalars (a long one counts as several), lists and maps.
/// (10,000 steps have some 200,000.)
pub(crate) const MAX_NODES: usize = 1_000_000;
/// A scalar counts as one piece for each so many bytes: an alias can repeat a long text as well as a long list.
const PIECE: usize = 64;
/// How many faults of one document are told: a document of nothing but faults would take all memory to answer.
pub(crate) const MAX_FAULTS: usize = 1_000;
/// In a map of so many keys, looking at each is quicker than an index.
const FEW: usize = 16;
/// How deep lists and maps may nest, with aliases written out.
pub(crate) const MAX_DEPTH: usize = 64;

/// A piece of a document.
#[derive(Debug, Clone)]
pub(crate) struct Node<'s> {
    pub(crate) span: Span,
    pub(crate) content: Content<'s>,
}

/// What a piece holds.
#[derive(Debug, Clone)]
pub(crate) enum Content<'s> {
    Scalar(Scalar<'s>),
    List(Vec<Node<'s>>),
    Map(Vec<Entry<'s>>),
}

/// A key and its value.
#[derive(Debug, Clone)]
pub(crate) struct Entry<'s> {
    pub(crate) key: Cow<'s, str>,
    pub(crate) key_span: Span,
    pub(crate) value: Node<'s>,
}

impl Node<'_> {
    /// What it is, in words for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.content {
            Content::Scalar(scalar) => scalar.plain().kind(),
            Content::List(_) => "a list",
            Content::Map(_) => "a map",
        }
    }

    /// Whether there is nothing: an empty value, `~` or `null`.
    pub(crate) fn is_null(&self) -> bool {
        match &self.content {
            Content::Scalar(scalar) => matches!(scalar.plain(), Plain::Null),
            Content::List(_) | Content::Map(_) => false,
        }
    }
}

/// Reads the document into a tree. Without a tree there is at least one fault; a tree may come with faults
/// (duplicate keys) as well.
pub(crate) fn parse(source: &Source) -> (Option<Node<'_>>, Vec<Fault>) {
    if source.text.len() > MAX_BYTES {
        let message = format!("the document has {} bytes, more than {MAX_BYTES}", source.text.len());
        return (None, vec![Fault::at(FaultCode::TooLarge, source, Span::default(), message)]);
    }
    let mut builder =
        Builder { source, faults: Vec::new(), open: Vec::new(), anchors: BTreeMap::new(), root: None, nodes: 0 };
    let outcome = builder.build();
    let Builder { mut faults, root, .. } = builder;
    match outcome {
        Ok(()) if root.is_none() => {
            faults.push(Fault::at(FaultCode::Syntax, source, Span::default(), "the document is empty"));
            (None, faults)
        }
        Ok(()) => (root, faults),
        Err(fault) => {
            faults.push(*fault);
            (None, faults)
        }
    }
}

/// The faults in the order of the document, no more than [`MAX_FAULTS`], with a word about it where there were more.
pub(crate) fn told(mut faults: Vec<Fault>) -> Vec<Fault> {
    faults.sort_by_key(|fault| fault.place.as_ref().map(|place| place.span));
    if faults.len() > MAX_FAULTS {
        faults.truncate(MAX_FAULTS);
        let message = format!("there are more than these {MAX_FAULTS} faults");
        faults.push(Fault::bare(FaultCode::TooLarge, message));
    }
    faults
}

struct Builder<'s> {
    source: &'s Source,
    faults: Vec<Fault>,
    open: Vec<Open<'s>>,
    anchors: BTreeMap<usize, Anchored<'s>>,
    root: Option<Node<'s>>,
    nodes: usize,
}

/// A list or map whose end has not been seen.
struct Open<'s> {
    start: Span,
    anchor: usize,
    /// The number of nodes before it.
    before: usize,
    /// The deepest nesting below it, itself included.
    depth: usize,
    content: Content<'s>,
    /// Where each key stands, once there are more than [`FEW`].
    keys: BTreeMap<Cow<'s, str>, Span>,
    /// The key that waits for its value.
    key: Option<(Cow<'s, str>, Span)>,
}

#[derive(Clone)]
struct Anchored<'s> {
    node: Node<'s>,
    nodes: usize,
    depth: usize,
}

impl<'s> Builder<'s> {
    fn build(&mut self) -> Result<(), Box<Fault>> {
        let mut options = granit_parser::Options::default();
        options.set_emit_comments(false);
        options.flow_nesting_limit = MAX_DEPTH;
        options.block_nesting_limit = MAX_DEPTH;
        for event in Parser::new_from_str_with_options(&self.source.text, options) {
            let (event, at) = event.map_err(|error| self.refused(&error))?;
            let span = byte_span(&at);
            if let Some(tag) = at.tag_span() {
                return Err(self.fault(byte_span(&tag), "tags such as this one are not taken; leave it out"));
            }
            self.take(event, span)?;
        }
        Ok(())
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the enum is the parser's, and may grow")]
    fn take(&mut self, event: Event<'s>, span: Span) -> Result<(), Box<Fault>> {
        match event {
            Event::DocumentStart(..) if self.root.is_some() => {
                Err(self.fault(span, "a second document begins here; write one document in a file"))
            }
            Event::Scalar(text, style, anchor, _) => {
                let nodes = 1 + text.len() / PIECE;
                self.spend(nodes, span)?;
                let scalar = Scalar::new(text, style);
                self.place(Node { span, content: Content::Scalar(scalar) }, anchor, nodes, 0)
            }
            Event::SequenceStart(_, anchor, _) => self.begin(span, anchor, Content::List(Vec::new())),
            Event::MappingStart(_, anchor, _) => self.begin(span, anchor, Content::Map(Vec::new())),
            Event::SequenceEnd | Event::MappingEnd => self.end(span),
            Event::Alias(anchor) => {
                // Not there while the anchored node is still open: it would hold itself.
                let Some(nodes) = self.anchors.get(&anchor).map(|found| found.nodes) else {
                    return Err(self.fault(span, "this alias stands inside of what it stands for"));
                };
                self.spend(nodes, span)?;
                let Some(found) = self.anchors.get(&anchor).cloned() else { return Ok(()) };
                self.place(found.node, 0, found.nodes, found.depth)
            }
            _ => Ok(()),
        }
    }

    fn begin(&mut self, span: Span, anchor: usize, content: Content<'s>) -> Result<(), Box<Fault>> {
        if self.open.len() >= MAX_DEPTH {
            return Err(self.fault(span, &format!("lists and maps nest deeper than {MAX_DEPTH}")));
        }
        if self.open.last().is_some_and(Open::waits_for_key) {
            return Err(self.fault(span, "a key must be text"));
        }
        let before = self.nodes;
        self.open.push(Open { start: span, anchor, before, depth: 1, content, keys: BTreeMap::new(), key: None });
        Ok(())
    }

    fn end(&mut self, end: Span) -> Result<(), Box<Fault>> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let last = match &open.content {
            Content::List(items) => items.last().map_or(open.start.end, |node| node.span.end),
            Content::Map(entries) => entries.last().map_or(open.start.end, |entry| entry.value.span.end),
            Content::Scalar(_) => open.start.end,
        };
        // A block collection ends where the next thing begins; what the reader means is its last piece.
        let end = if end.end > end.start { end.end } else { last };
        let span = Span { start: open.start.start, end: end.max(open.start.start) };
        self.spend(1, span)?;
        let nodes = self.nodes - open.before;
        self.place(Node { span, content: open.content }, open.anchor, nodes, open.depth)
    }

    /// Counts pieces before they are made.
    fn spend(&mut self, nodes: usize, span: Span) -> Result<(), Box<Fault>> {
        self.nodes += nodes;
        if self.nodes > MAX_NODES {
            let message = format!("the document has more than {MAX_NODES} pieces, with its aliases written out");
            return Err(Box::new(Fault::at(FaultCode::TooLarge, self.source, span, message)));
        }
        Ok(())
    }

    /// Puts a finished node of `nodes` pieces and `depth` levels where it belongs.
    fn place(&mut self, node: Node<'s>, anchor: usize, nodes: usize, depth: usize) -> Result<(), Box<Fault>> {
        if self.open.len() + depth > MAX_DEPTH {
            return Err(self.fault(node.span, &format!("lists and maps nest deeper than {MAX_DEPTH}")));
        }
        if anchor != 0 {
            self.spend(nodes, node.span)?;
            self.anchors.insert(anchor, Anchored { node: node.clone(), nodes, depth });
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        open.depth = open.depth.max(depth + 1);
        match (&mut open.content, open.key.take()) {
            (Content::List(items), _) => items.push(node),
            (Content::Map(entries), Some((key, key_span))) => entries.push(Entry { key, key_span, value: node }),
            (Content::Map(entries), None) => match node.content {
                Content::Scalar(scalar) => {
                    let key = scalar.into_text();
                    let twice = first_place(entries, &mut open.keys, &key);
                    // Beyond the limit nothing is added, and the line need not be counted.
                    if let Some(first) = twice.filter(|_| self.faults.len() <= MAX_FAULTS) {
                        let (line, column) = Fault::line_column(self.source, first);
                        let message =
                            format!("the key `{key}` stands here twice; first in line {line}, column {column}");
                        self.faults.push(Fault::at(FaultCode::Syntax, self.source, node.span, message));
                    }
                    open.key = Some((key, node.span));
                }
                Content::List(_) | Content::Map(_) => return Err(self.fault(node.span, "a key must be text")),
            },
            (Content::Scalar(_), _) => {}
        }
        Ok(())
    }

    fn fault(&self, span: Span, message: &str) -> Box<Fault> {
        Box::new(Fault::at(FaultCode::Syntax, self.source, span, message))
    }

    fn refused(&self, error: &granit_parser::ScanError) -> Box<Fault> {
        let start = error.marker().byte_offset().unwrap_or(0).min(self.source.text.len());
        let info = error.info();
        let text = if info.is_empty() { "this is not YAML".to_owned() } else { format!("this is not YAML: {info}") };
        let mut fault = Fault::at(FaultCode::Syntax, self.source, Span { start, end: start }, text);
        let line_start = self.source.text.get(..start).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
        let line = self.source.text.get(line_start..).and_then(|rest| rest.lines().next()).unwrap_or("");
        if line.trim_start_matches(' ').starts_with('\t') {
            fault = fault.hint("YAML is indented with spaces; this line begins with a tab");
        } else if info.contains("mapping values are not allowed") {
            fault = fault.hint("text with `: ` in it needs quotes, or a block that begins with `|`");
        }
        Box::new(fault)
    }
}

/// Where the key already stands in the map.
fn first_place<'s>(entries: &[Entry<'s>], keys: &mut BTreeMap<Cow<'s, str>, Span>, key: &str) -> Option<Span> {
    if entries.len() <= FEW {
        return entries.iter().find(|entry| entry.key == key).map(|entry| entry.key_span);
    }
    // Entries come in one by one, so the index misses none but those before there was one.
    let indexed = keys.len();
    for entry in entries.iter().skip(if indexed == 0 { 0 } else { entries.len() - 1 }) {
        keys.entry(entry.key.clone()).or_insert(entry.key_span);
    }
    keys.get(key).copied()
}

impl Open<'_> {
    fn waits_for_key(&self) -> bool {
        self.key.is_none() && matches!(self.content, Content::Map(_))
    }
}

fn byte_span(span: &granit_parser::Span) -> Span {
    let start = span.start.byte_offset().unwrap_or(0);
    Span { start, end: span.end.byte_offset().unwrap_or(start).max(start) }
}

#[cfg(test)]
mod tests;
