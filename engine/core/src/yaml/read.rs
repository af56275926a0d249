//! Reading typed fields out of a tree, collecting every fault on the way.

use std::time::Duration;

use super::{Content, Entry, MAX_FAULTS, Node, Plain, Scalar};
use crate::fault::{Fault, FaultCode, Source, Span, nearest};
use crate::value::{Map, Value};

/// Reads from one document. A method that returns `None` has pushed a fault.
pub(crate) struct Reader<'s> {
    pub(crate) source: &'s Source,
    pub(crate) faults: Vec<Fault>,
}

/// The fields of a map that have not been taken yet.
pub(crate) struct Fields<'n> {
    what: &'static str,
    span: Span,
    entries: Vec<&'n Entry<'n>>,
    /// Every name that was asked for: the names that exist.
    known: Vec<&'static str>,
}

impl<'n> Fields<'n> {
    /// The value of a field, if it is there.
    pub(crate) fn take(&mut self, name: &'static str) -> Option<&'n Node<'n>> {
        self.entry(name).map(|entry| &entry.value)
    }

    /// The whole entry of a field, if it is there.
    pub(crate) fn entry(&mut self, name: &'static str) -> Option<&'n Entry<'n>> {
        self.known.push(name);
        #[cfg(test)]
        asked::note(self.what, name);
        let index = self.entries.iter().position(|entry| entry.key == name)?;
        Some(self.entries.remove(index))
    }

    /// Where the map was written.
    pub(crate) fn span(&self) -> Span {
        self.span
    }

    /// The entries that nobody has taken.
    pub(crate) fn rest(&self) -> &[&'n Entry<'n>] {
        &self.entries
    }

    /// Leaves out of the rest what `keep` refuses.
    pub(crate) fn retain(&mut self, keep: impl Fn(&Entry<'_>) -> bool) {
        self.entries.retain(|entry| keep(entry));
    }
}

impl<'s> Reader<'s> {
    pub(crate) fn new(source: &'s Source) -> Self {
        Self { source, faults: Vec::new() }
    }

    /// Notes a fault.
    pub(crate) fn fault(&mut self, code: FaultCode, span: Span, message: impl Into<String>) {
        self.push(Fault::at(code, self.source, span, message));
    }

    /// Notes a fault that is made already. One more than [`MAX_FAULTS`] is kept, to know that there were more.
    pub(crate) fn push(&mut self, fault: Fault) {
        if self.faults.len() <= MAX_FAULTS {
            self.faults.push(fault);
        }
    }

    /// Whether no further fault is kept, so that nobody needs to work one out.
    pub(crate) fn is_full(&self) -> bool {
        self.faults.len() > MAX_FAULTS
    }

    /// Notes a fault with a hint.
    pub(crate) fn fault_with(
        &mut self,
        code: FaultCode,
        span: Span,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.push(Fault::at(code, self.source, span, message).hint(hint));
    }

    fn wrong(&mut self, node: &Node<'_>, what: &str, wanted: &str) {
        let message = if node.is_null() {
            format!("`{what}` is empty; it takes {wanted}")
        } else {
            format!("`{what}` takes {wanted}, not {}", node.kind())
        };
        self.fault(FaultCode::WrongType, node.span, message);
    }

    /// A map whose fields have fixed names.
    pub(crate) fn fields<'n>(&mut self, node: &'n Node<'n>, what: &'static str) -> Option<Fields<'n>> {
        let entries = self.map(node, what)?.iter().collect();
        Some(Fields { what, span: node.span, entries, known: Vec::new() })
    }

    /// Complains about the fields that nobody took: they do not exist.
    pub(crate) fn finish(&mut self, fields: &Fields<'_>) {
        for entry in &fields.entries {
            let message = format!("`{}` has no field `{}`", fields.what, entry.key.escape_debug());
            let hint = match nearest(&entry.key, fields.known.iter().copied()) {
                Some(name) => format!("did you mean `{name}`?"),
                None => {
                    format!("there is {}", fields.known.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", "))
                }
            };
            self.fault_with(FaultCode::UnknownField, entry.key_span, message, hint);
        }
    }

    /// Complains that a field is not there.
    pub(crate) fn missing(&mut self, span: Span, what: &str, name: &str, hint: impl Into<String>) {
        let span = self.first_line(span);
        self.fault_with(FaultCode::MissingField, span, format!("`{what}` needs `{name}`"), hint);
    }

    /// The part of the span up to the end of its first line.
    pub(crate) fn first_line(&self, span: Span) -> Span {
        let text = self.source.text.get(span.start..span.end).unwrap_or("");
        let length = text.find('\n').unwrap_or(text.len());
        Span { start: span.start, end: span.start + text[..length].trim_end().len() }
    }

    /// A map whose keys are names that somebody chose.
    pub(crate) fn map<'n>(&mut self, node: &'n Node<'n>, what: &str) -> Option<&'n [Entry<'n>]> {
        match &node.content {
            Content::Map(entries) => Some(entries),
            Content::Scalar(_) | Content::List(_) => {
                self.wrong(node, what, "a map");
                None
            }
        }
    }

    /// A list.
    pub(crate) fn list<'n>(&mut self, node: &'n Node<'n>, what: &str) -> Option<&'n [Node<'n>]> {
        match &node.content {
            Content::List(items) => Some(items),
            Content::Scalar(_) | Content::Map(_) => {
                self.wrong(node, what, "a list");
                None
            }
        }
    }

    /// A list, or one item alone.
    pub(crate) fn one_or_list<'n>(&mut self, node: &'n Node<'n>, what: &str) -> Option<&'n [Node<'n>]> {
        match &node.content {
            Content::List(items) => Some(items),
            Content::Scalar(_) if !node.is_null() => Some(std::slice::from_ref(node)),
            Content::Scalar(_) | Content::Map(_) => {
                self.wrong(node, what, "a text or a list");
                None
            }
        }
    }

    fn scalar<'n>(&mut self, node: &'n Node<'n>, what: &str, wanted: &str) -> Option<&'n Scalar<'n>> {
        match &node.content {
            Content::Scalar(scalar) if !node.is_null() => Some(scalar),
            Content::Scalar(_) | Content::List(_) | Content::Map(_) => {
                self.wrong(node, what, wanted);
                None
            }
        }
    }

    /// A text: any scalar, as it was written. NUL is refused, because no command line and no environment can carry it.
    pub(crate) fn text<'n>(&mut self, node: &'n Node<'n>, what: &str) -> Option<&'n str> {
        let text = self.scalar(node, what, "a text")?.text();
        if text.contains('\0') {
            self.fault(FaultCode::BadValue, node.span, format!("`{what}` contains a NUL character"));
            return None;
        }
        Some(text)
    }

    /// A text that parses. The fault points at the place in the text where that is known.
    pub(crate) fn parsed<T, E: std::fmt::Display>(
        &mut self,
        node: &Node<'_>,
        what: &str,
        code: FaultCode,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        match parse(self.text(node, what)?) {
            Ok(it) => Some(it),
            Err(error) => {
                self.fault(code, node.span, error.to_string());
                None
            }
        }
    }

    /// A boolean.
    pub(crate) fn boolean(&mut self, node: &Node<'_>, what: &str) -> Option<bool> {
        match self.scalar(node, what, "`true` or `false`")?.plain() {
            Plain::Bool(it) => Some(it),
            Plain::Null | Plain::Int(_) | Plain::Float(_) | Plain::BadNumber(_) | Plain::Text => {
                self.wrong(node, what, "`true` or `false`");
                None
            }
        }
    }

    /// A whole number from `min` to `max`.
    pub(crate) fn integer(&mut self, node: &Node<'_>, what: &str, min: i64, max: i64) -> Option<i64> {
        match self.scalar(node, what, "a whole number")?.plain() {
            Plain::Int(number) if (min..=max).contains(&number) => Some(number),
            Plain::Int(number) => {
                let range = if max == i64::MAX { format!("{min} or more") } else { format!("from {min} to {max}") };
                self.fault(FaultCode::BadValue, node.span, format!("`{what}` is {number} and must be {range}"));
                None
            }
            Plain::BadNumber(why) => {
                self.fault(FaultCode::BadValue, node.span, format!("`{what}` cannot be read: {why}"));
                None
            }
            Plain::Null | Plain::Bool(_) | Plain::Float(_) | Plain::Text => {
                self.wrong(node, what, "a whole number");
                None
            }
        }
    }

    /// A finite number.
    pub(crate) fn number(&mut self, node: &Node<'_>, what: &str) -> Option<f64> {
        match self.scalar(node, what, "a number")?.plain() {
            #[expect(clippy::cast_precision_loss, reason = "limits beyond 2^53 do not matter")]
            Plain::Int(number) => Some(number as f64),
            Plain::Float(number) => Some(number),
            Plain::BadNumber(why) => {
                self.fault(FaultCode::BadValue, node.span, format!("`{what}` cannot be read: {why}"));
                None
            }
            Plain::Null | Plain::Bool(_) | Plain::Text => {
                self.wrong(node, what, "a number");
                None
            }
        }
    }

    /// A duration such as `90s`.
    pub(crate) fn duration(&mut self, node: &Node<'_>, what: &str) -> Option<Duration> {
        self.parsed(node, what, FaultCode::BadValue, crate::time::parse_duration)
    }

    /// One of the words.
    pub(crate) fn word<T: Copy>(&mut self, node: &Node<'_>, what: &str, words: &[(&'static str, T)]) -> Option<T> {
        let text = self.text(node, what)?;
        if let Some((_, it)) = words.iter().find(|(word, _)| *word == text) {
            return Some(*it);
        }
        let list: Vec<String> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
        let message = format!("`{what}` cannot be `{}`", shorten(text));
        let hint = match nearest(text, words.iter().map(|(word, _)| *word)) {
            Some(word) => format!("did you mean `{word}`?"),
            None => format!("it is one of {}", list.join(", ")),
        };
        self.fault_with(FaultCode::BadValue, node.span, message, hint);
        None
    }

    /// Any value, as JSON has it.
    pub(crate) fn value(&mut self, node: &Node<'_>) -> Option<Value> {
        match &node.content {
            Content::Scalar(scalar) => match scalar.plain() {
                Plain::Null => Some(Value::Null),
                Plain::Bool(it) => Some(it.into()),
                Plain::Int(it) => Some(it.into()),
                Plain::Float(it) => Some(it.into()),
                Plain::Text if scalar.text().contains('\0') => {
                    self.fault(FaultCode::BadValue, node.span, "the text contains a NUL character");
                    None
                }
                Plain::Text => Some(scalar.text().into()),
                Plain::BadNumber(why) => {
                    let message = format!("the number `{}` cannot be read: {why}", shorten(scalar.text()));
                    self.fault(FaultCode::BadValue, node.span, message);
                    None
                }
            },
            // All items are read, so that all their faults are seen.
            Content::List(items) => {
                let values: Vec<_> = items.iter().map(|item| self.value(item)).collect();
                values.into_iter().collect::<Option<Vec<_>>>().map(Value::Array)
            }
            Content::Map(entries) => {
                let values: Vec<_> =
                    entries.iter().map(|e| self.value(&e.value).map(|v| (e.key.clone().into_owned(), v))).collect();
                values.into_iter().collect::<Option<Map<_, _>>>().map(Value::Object)
            }
        }
    }
}

/// A text for a message: short, and without control characters.
pub(crate) fn shorten(text: &str) -> String {
    let mut short: String = text.chars().take(60).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short.escape_debug().to_string()
}

/// Which fields were asked for, so that a test can hold the schema against the parser.
#[cfg(test)]
pub(crate) mod asked {
    use std::cell::RefCell;
    use std::collections::BTreeSet;

    thread_local! {
        static ASKED: RefCell<BTreeSet<(&'static str, &'static str)>> = const { RefCell::new(BTreeSet::new()) };
    }

    pub(super) fn note(what: &'static str, name: &'static str) {
        ASKED.with_borrow_mut(|asked| asked.insert((what, name)));
    }

    /// Every field that was asked for on this thread since the last call, with what it is a field of.
    pub(crate) fn take() -> BTreeSet<(&'static str, &'static str)> {
        ASKED.take()
    }
}
