//! A document as a tree. What is not changed is written back byte by byte: spaces, quotes, comments and all.

use quick_xml::Reader;
use quick_xml::escape::{escape, unescape};
use quick_xml::events::{BytesStart, Event};

use crate::engine::MAX_STRING;

/// How deep elements may nest.
const MAX_DEPTH: usize = 200;
/// How many nodes a document may get, also by what is added to it.
const MAX_NODES: usize = 100_000;

/// A node's place in its document.
pub(super) type NodeId = usize;

/// A document.
#[derive(Debug, Clone)]
pub(super) struct Doc {
    nodes: Vec<Node>,
    root: NodeId,
    /// How many bytes were read into it: what was removed counts, so that nobody can go on adding for ever.
    bytes: usize,
}

#[derive(Debug, Clone)]
struct Node {
    /// `None` for what stands beside the root, and for what was removed.
    parent: Option<NodeId>,
    what: What,
}

#[derive(Debug, Clone)]
enum What {
    /// The document itself.
    Document(Vec<NodeId>),
    Element(Box<Tag>),
    /// Text and references, as written.
    Text(String),
    /// A CDATA section, as written.
    CData(String),
    /// Comments, declarations, instructions: as written.
    Other(String),
}

#[derive(Debug, Clone)]
struct Tag {
    name: String,
    /// Values as written, without the quotes.
    attributes: Vec<(String, String)>,
    children: Vec<NodeId>,
    /// The start tag as written, until an attribute is changed.
    open: Option<String>,
    /// The end tag as written; `None` where there is none (`<a/>`), or none yet.
    close: Option<String>,
}

impl Doc {
    /// Reads a document: one element, and what may stand around it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut doc = Self { nodes: Vec::new(), root: 0, bytes: 0 };
        doc.nodes.push(Node { parent: None, what: What::Document(Vec::new()) });
        doc.read(text, 0)?;
        let elements = doc.elements(0);
        match elements.as_slice() {
            [one] => doc.root = *one,
            [] => return Err("this is not XML: there is no element in it".to_owned()),
            _ => return Err("this is not XML: there is more than one element at its top".to_owned()),
        }
        Ok(doc)
    }

    /// Reads nodes and adds them below `parent`.
    fn read(&mut self, text: &str, parent: NodeId) -> Result<(), String> {
        self.bytes = self.bytes.saturating_add(text.len());
        if self.bytes > 4 * MAX_STRING {
            return Err("the document becomes too large".to_owned());
        }
        let mut reader = Reader::from_str(text);
        let mut open = vec![parent];
        loop {
            let start = position(&reader);
            let wrong = |why: String| {
                let line = text.get(..start).map_or(1, |before| before.matches('\n').count() + 1);
                format!("this is not XML: line {line}: {why}")
            };
            let event = reader.read_event().map_err(|error| wrong(error.to_string()))?;
            let written = text.get(start..position(&reader)).unwrap_or_default().to_owned();
            let here = *open.last().unwrap_or(&parent);
            let what = match event {
                Event::Start(tag) | Event::Empty(tag) => {
                    let tag = Tag { open: Some(written.clone()), ..read_tag(&tag).map_err(wrong)? };
                    let node = self.push(here, What::Element(Box::new(tag)))?;
                    if !written.ends_with("/>") {
                        open.push(node);
                    }
                    if open.len() > MAX_DEPTH {
                        return Err(wrong("elements nest too deep".to_owned()));
                    }
                    continue;
                }
                Event::End(_) => {
                    open.pop();
                    if let Some(tag) = self.tag_mut(here) {
                        tag.close = Some(written);
                    }
                    continue;
                }
                Event::Text(_) | Event::GeneralRef(_) => {
                    plain(&written).map_err(wrong)?;
                    What::Text(written)
                }
                Event::CData(_) => What::CData(written),
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => What::Other(written),
                Event::Eof if open.len() > 1 => {
                    return Err(wrong(format!("`<{}>` is not closed", self.name(here))));
                }
                Event::Eof => return Ok(()),
            };
            self.push(here, what)?;
        }
    }

    fn push(&mut self, parent: NodeId, what: What) -> Result<NodeId, String> {
        let node = self.nodes.len();
        if node >= MAX_NODES {
            return Err("the document becomes too large".to_owned());
        }
        self.nodes.push(Node { parent: Some(parent), what });
        if let Some(children) = self.children_mut(parent) {
            children.push(node);
        }
        Ok(node)
    }

    pub(super) fn root(&self) -> NodeId {
        self.root
    }

    fn tag(&self, node: NodeId) -> Option<&Tag> {
        match &self.nodes.get(node)?.what {
            What::Element(tag) => Some(tag),
            What::Document(_) | What::Text(_) | What::CData(_) | What::Other(_) => None,
        }
    }

    fn tag_mut(&mut self, node: NodeId) -> Option<&mut Tag> {
        match &mut self.nodes.get_mut(node)?.what {
            What::Element(tag) => Some(tag),
            What::Document(_) | What::Text(_) | What::CData(_) | What::Other(_) => None,
        }
    }

    fn children(&self, node: NodeId) -> &[NodeId] {
        match self.nodes.get(node).map(|n| &n.what) {
            Some(What::Document(children)) => children,
            Some(What::Element(tag)) => &tag.children,
            Some(What::Text(_) | What::CData(_) | What::Other(_)) | None => &[],
        }
    }

    fn children_mut(&mut self, node: NodeId) -> Option<&mut Vec<NodeId>> {
        match &mut self.nodes.get_mut(node)?.what {
            What::Document(children) => Some(children),
            What::Element(tag) => Some(&mut tag.children),
            What::Text(_) | What::CData(_) | What::Other(_) => None,
        }
    }

    /// The elements directly below this one.
    pub(super) fn elements(&self, node: NodeId) -> Vec<NodeId> {
        self.children(node).iter().copied().filter(|&child| self.tag(child).is_some()).collect()
    }

    /// The element that this one stands in.
    pub(super) fn parent(&self, node: NodeId) -> Option<NodeId> {
        self.nodes.get(node)?.parent.filter(|&parent| self.tag(parent).is_some())
    }

    pub(super) fn name(&self, node: NodeId) -> &str {
        self.tag(node).map_or("", |tag| &tag.name)
    }

    /// All text in the element, with references resolved.
    pub(super) fn text(&self, node: NodeId) -> String {
        let mut text = String::new();
        let mut open: Vec<NodeId> = vec![node];
        while let Some(node) = open.pop() {
            match self.nodes.get(node).map(|n| &n.what) {
                Some(What::Text(written)) => text.push_str(&plain(written).unwrap_or_default()),
                Some(What::CData(written)) => {
                    let inner = written.strip_prefix("<![CDATA[").and_then(|rest| rest.strip_suffix("]]>"));
                    text.push_str(inner.unwrap_or_default());
                }
                Some(What::Document(_) | What::Element(_)) => open.extend(self.children(node).iter().rev()),
                Some(What::Other(_)) | None => {}
            }
        }
        text
    }

    pub(super) fn attribute(&self, node: NodeId, name: &str) -> Option<String> {
        let (_, value) = self.tag(node)?.attributes.iter().find(|(own, _)| own == name)?;
        plain(value).ok()
    }

    pub(super) fn set_attribute(&mut self, node: NodeId, name: &str, value: &str) -> Result<(), String> {
        let first = |c: char| c.is_alphabetic() || c == '_' || c == ':';
        if !name.starts_with(first) || !name.chars().all(|c| first(c) || c.is_numeric() || c == '-' || c == '.') {
            return Err("this is not the name of an attribute".to_owned());
        }
        let written = escape(legal(value)?).replace(['\n'], "&#10;").replace('\t', "&#9;").replace('\r', "&#13;");
        let tag = self.tag_mut(node).ok_or("this is not an element")?;
        match tag.attributes.iter_mut().find(|(own, _)| own == name) {
            Some((_, old)) => *old = written,
            None => tag.attributes.push((name.to_owned(), written)),
        }
        tag.open = None;
        Ok(())
    }

    pub(super) fn remove_attribute(&mut self, node: NodeId, name: &str) {
        if let Some(tag) = self.tag_mut(node).filter(|tag| tag.attributes.iter().any(|(own, _)| own == name)) {
            tag.attributes.retain(|(own, _)| own != name);
            tag.open = None;
        }
    }

    /// Replaces everything in the element by a text.
    pub(super) fn set_text(&mut self, node: NodeId, text: &str) -> Result<(), String> {
        let written = escape(legal(text)?).into_owned();
        self.bytes = self.bytes.saturating_add(written.len());
        if self.bytes > 4 * MAX_STRING {
            return Err("the document becomes too large".to_owned());
        }
        for child in self.children(node).to_vec() {
            self.nodes[child].parent = None;
        }
        self.children_mut(node).ok_or("this is not an element")?.clear();
        self.push(node, What::Text(written)).map(drop)
    }

    /// Adds one element at the end, before the space in front of the end tag; gives the new one.
    pub(super) fn add(&mut self, node: NodeId, xml: &str) -> Result<NodeId, String> {
        let before = self.children(node).to_vec();
        if let Err(why) = Self::parse(xml).and_then(|_one| self.read(xml.trim(), node)) {
            if let Some(children) = self.children_mut(node) {
                *children = before;
            }
            return Err(why);
        }
        let added: Vec<NodeId> = self.children(node)[before.len()..].to_vec();
        let found = added.iter().copied().find(|&child| self.tag(child).is_some());
        // The same space as in front of the element above, so that the result reads well.
        let space = |doc: &Self, at: Option<&NodeId>| match at.map(|&n| &doc.nodes[n].what) {
            Some(What::Text(text)) if text.trim().is_empty() => Some(text.clone()),
            _ => None,
        };
        if let Some(last) = space(self, before.last()) {
            let between = space(self, before.first()).unwrap_or_else(|| last.clone());
            if let Some(children) = self.children_mut(node) {
                children.truncate(before.len() - 1);
            }
            self.push(node, What::Text(between))?;
            if let Some(children) = self.children_mut(node) {
                children.extend(added);
            }
            self.push(node, What::Text(last))?;
        }
        found.ok_or_else(|| "there is no element in it".to_owned())
    }

    /// Takes the element out, and the space in front of it.
    pub(super) fn remove(&mut self, node: NodeId) -> Result<(), String> {
        let parent =
            self.parent(node).ok_or("the outermost element cannot be removed, nor one that was removed before")?;
        let children = self.children(parent);
        let at = children.iter().position(|&child| child == node).ok_or("it was removed before")?;
        let space = at
            .checked_sub(1)
            .filter(|&before| matches!(&self.nodes[children[before]].what, What::Text(text) if text.trim().is_empty()));
        let (first, last) = (space.unwrap_or(at), at + 1);
        if let Some(children) = self.children_mut(parent) {
            drop(children.drain(first..last));
        }
        self.nodes[node].parent = None;
        Ok(())
    }

    /// The element as text; of the outermost one the whole document.
    pub(super) fn write(&self, node: NodeId) -> String {
        let mut text = String::new();
        self.write_node(if node == self.root { 0 } else { node }, &mut text);
        text
    }

    /// Recursive, and no deeper than [`MAX_DEPTH`] twice over: what is added is that deep at most.
    fn write_node(&self, node: NodeId, text: &mut String) {
        match &self.nodes[node].what {
            What::Document(children) => children.iter().for_each(|&child| self.write_node(child, text)),
            What::Text(written) | What::CData(written) | What::Other(written) => text.push_str(written),
            What::Element(tag) => {
                let empty = tag.children.is_empty() && tag.close.is_none();
                match tag.open.as_deref().filter(|open| open.ends_with("/>") == empty) {
                    Some(open) => text.push_str(open),
                    None => {
                        text.push('<');
                        text.push_str(&tag.name);
                        for (name, value) in &tag.attributes {
                            // A value as written can hold the other quote.
                            let quote = if value.contains('\'') { '"' } else { '\'' };
                            text.extend([" ", name, "="]);
                            text.push(quote);
                            text.push_str(value);
                            text.push(quote);
                        }
                        text.push_str(if empty { "/>" } else { ">" });
                    }
                }
                tag.children.iter().for_each(|&child| self.write_node(child, text));
                match &tag.close {
                    _ if empty => {}
                    Some(close) => text.push_str(close),
                    None => text.extend(["</", tag.name.as_str(), ">"]),
                }
            }
        }
    }
}

fn position(reader: &Reader<&[u8]>) -> usize {
    usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX)
}

fn read_tag(tag: &BytesStart<'_>) -> Result<Tag, String> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(|error| error.to_string());
    let mut attributes = Vec::new();
    for attribute in tag.attributes() {
        let attribute = attribute.map_err(|error| error.to_string())?;
        let value = text(&attribute.value)?;
        plain(&value)?;
        attributes.push((text(attribute.key.as_ref())?, value));
    }
    Ok(Tag { name: text(tag.name().as_ref())?, attributes, children: Vec::new(), open: None, close: None })
}

/// Text with its references resolved. Only the five of XML itself and numbers: a document cannot bring its own.
fn plain(written: &str) -> Result<String, String> {
    unescape(written).map(|text| text.into_owned()).map_err(|error| error.to_string())
}

/// XML 1.0, 2.2: control characters cannot be written, not even as references.
fn legal(text: &str) -> Result<&str, String> {
    let bad = |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r') || matches!(c, '\u{fffe}' | '\u{ffff}');
    if text.contains(bad) { Err("XML cannot hold control characters".to_owned()) } else { Ok(text) }
}
