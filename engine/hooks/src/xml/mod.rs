//! XML in hooks: `parse_xml`, and elements that can be looked up, changed and written back.

mod dom;
mod path;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rhai::{Array, Dynamic, Engine};

use self::dom::{Doc, NodeId};
use self::path::{Ends, Path};
use crate::api::Made;
use crate::engine::{MAX_ITEMS, MAX_STRING};

/// An element of a document; the document lives as long as one of its elements.
#[derive(Clone)]
struct Element {
    doc: Arc<Mutex<Doc>>,
    node: NodeId,
}

impl Element {
    fn doc(&self) -> MutexGuard<'_, Doc> {
        // Nothing is left half done when an operation fails.
        self.doc.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn at(&self, node: NodeId) -> Dynamic {
        Dynamic::from(Self { doc: self.doc.clone(), node })
    }

    fn find(&self, text: &str) -> Made<Vec<NodeId>> {
        let path = Path::parse(text)?;
        if path.ends == Ends::Attribute {
            return Err(format!("`{text}` leads to an attribute; `get` and `all` give its value").into());
        }
        found(path.find(&self.doc(), self.node))
    }

    /// The texts that a path leads to: of attributes, or of elements.
    fn texts(&self, text: &str) -> Made<Vec<String>> {
        let path = Path::parse(text)?;
        let doc = self.doc();
        let nodes = found(path.find(&doc, self.node))?;
        Ok(match path.attribute() {
            Some(name) => nodes.iter().filter_map(|&node| doc.attribute(node, name)).collect(),
            None => nodes.iter().map(|&node| doc.text(node)).collect(),
        })
    }
}

fn found(nodes: Vec<NodeId>) -> Made<Vec<NodeId>> {
    if nodes.len() > MAX_ITEMS { Err("the path leads to too many elements".into()) } else { Ok(nodes) }
}

/// Registers everything about XML.
pub(crate) fn register(engine: &mut Engine) {
    engine.register_type_with_name::<Element>("element");
    engine.register_fn("parse_xml", |text: &str| -> Made<Element> {
        let doc = Doc::parse(text)?;
        let node = doc.root();
        Ok(Element { doc: Arc::new(Mutex::new(doc)), node })
    });
    engine.register_get("name", |element: &mut Element| element.doc().name(element.node).to_owned());
    engine.register_get("text", |element: &mut Element| element.doc().text(element.node));
    engine.register_get("parent", |element: &mut Element| {
        let parent = element.doc().parent(element.node);
        parent.map_or(Dynamic::UNIT, |node| element.at(node))
    });
    engine.register_get("children", |element: &mut Element| -> Array {
        let children = element.doc().elements(element.node);
        children.into_iter().map(|node| element.at(node)).collect()
    });
    engine.register_fn("find", |element: &mut Element, path: &str| -> Made<Array> {
        Ok(element.find(path)?.into_iter().map(|node| element.at(node)).collect())
    });
    engine.register_fn("first", |element: &mut Element, path: &str| -> Made<Dynamic> {
        Ok(element.find(path)?.first().map_or(Dynamic::UNIT, |&node| element.at(node)))
    });
    engine.register_fn("get", |element: &mut Element, path: &str| -> Made<Dynamic> {
        Ok(element.texts(path)?.into_iter().next().map_or(Dynamic::UNIT, Dynamic::from))
    });
    engine.register_fn("all", |element: &mut Element, path: &str| -> Made<Array> {
        Ok(element.texts(path)?.into_iter().map(Dynamic::from).collect())
    });
    engine.register_fn("attr", |element: &mut Element, name: &str| {
        element.doc().attribute(element.node, name).map_or(Dynamic::UNIT, Dynamic::from)
    });
    engine.register_fn("set_attr", |element: &mut Element, name: &str, value: &str| -> Made<()> {
        Ok(element.doc().set_attribute(element.node, name, value)?)
    });
    engine.register_fn("remove_attr", |element: &mut Element, name: &str| {
        element.doc().remove_attribute(element.node, name);
    });
    engine.register_fn("set_text", |element: &mut Element, text: &str| -> Made<()> {
        Ok(element.doc().set_text(element.node, text)?)
    });
    engine.register_fn("add", |element: &mut Element, xml: &str| -> Made<Dynamic> {
        let added = element.doc().add(element.node, xml)?;
        Ok(element.at(added))
    });
    engine.register_fn("remove", |element: &mut Element| -> Made<()> { Ok(element.doc().remove(element.node)?) });
    engine.register_fn("to_xml", |element: &mut Element| -> Made<String> {
        let text = element.doc().write(element.node);
        if text.len() > MAX_STRING { Err("the text becomes too large".into()) } else { Ok(text) }
    });
}
