//! A scalar: the text that was written, and what it is where a field does not want text.

use std::borrow::Cow;

use serde_saphyr::granit_parser::ScalarStyle;

use crate::fault::Span;

/// A scalar as it was written.
#[derive(Debug, Clone)]
pub(crate) struct Scalar<'s> {
    text: Cow<'s, str>,
    quoted: bool,
    literal: bool,
}

/// What a scalar is by the YAML 1.2 core schema (10.3.2).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Plain {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    /// Written like a number, and not one that can be kept: `.nan`, `.inf`, more than 64 bits, a leading zero.
    BadNumber(&'static str),
    Text,
}

impl Plain {
    /// What it is, in words for messages.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "a boolean",
            Self::Int(_) | Self::Float(_) | Self::BadNumber(_) => "a number",
            Self::Text => "a text",
        }
    }
}

impl<'s> Scalar<'s> {
    pub(super) fn new(text: Cow<'s, str>, style: ScalarStyle) -> Self {
        Self { text, quoted: style != ScalarStyle::Plain, literal: style == ScalarStyle::Literal }
    }

    /// The text, whatever it looks like.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn into_text(self) -> Cow<'s, str> {
        self.text
    }

    /// What it is where text is not wanted: quoted and block scalars are always text.
    pub(crate) fn plain(&self) -> Plain {
        if self.quoted { Plain::Text } else { resolve(&self.text) }
    }

    /// Where in the document the byte at `offset` of the text was written, if that can be said.
    pub(crate) fn place_of(&self, offset: usize, source: &str, span: Span) -> Option<usize> {
        let written = source.get(span.start..span.end)?;
        if self.literal {
            return self.place_in_block(offset, source, span);
        }
        let skip = usize::from(self.quoted);
        // Escapes and folded lines shift what follows them; only up to there the places are the same.
        let before = self.text.get(..offset)?;
        written.get(skip..)?.starts_with(before).then_some(span.start + skip + offset)
    }

    /// In a `|` block each line of the text is a line of the document, after some indentation.
    fn place_in_block(&self, offset: usize, source: &str, span: Span) -> Option<usize> {
        let before = self.text.get(..offset)?;
        let line = before.matches('\n').count();
        let column = before.len() - before.rfind('\n').map_or(0, |at| at + 1);
        let wanted = self.text.split('\n').nth(line)?;
        // The parser's span begins at the first line that is not empty, or, where all are, at the `|`.
        let header = source.get(span.start..)?.starts_with('|');
        let mut start = span.start;
        let mut skip = line + usize::from(header);
        if !header {
            skip = line.checked_sub(self.text.len() - self.text.trim_start_matches('\n').len())?;
            start = source.get(..span.start)?.rfind('\n').map_or(0, |at| at + 1);
        }
        for (index, written) in source.get(start..)?.split_inclusive('\n').enumerate() {
            if index == skip {
                let written = written.trim_end_matches(['\n', '\r']);
                let indent = written.len().checked_sub(wanted.trim_end_matches('\r').len())?;
                return written.ends_with(wanted.trim_end_matches('\r')).then_some(start + indent + column);
            }
            start += written.len();
        }
        None
    }
}

fn resolve(text: &str) -> Plain {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Plain::Null,
        "true" | "True" | "TRUE" => return Plain::Bool(true),
        "false" | "False" | "FALSE" => return Plain::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Plain::BadNumber("it is not a number"),
        _ => {}
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(digits, ".inf" | ".Inf" | ".INF") {
        return Plain::BadNumber("it is infinite");
    }
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        if let Some(rest) = text.strip_prefix(prefix)
            && !rest.is_empty()
            && rest.chars().all(|c| c.is_digit(radix))
        {
            return i64::from_str_radix(rest, radix).map_or(Plain::BadNumber("it has more than 64 bits"), Plain::Int);
        }
    }
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return Plain::Text;
    }
    if digits.bytes().all(|b| b.is_ascii_digit()) {
        if digits.len() > 1 && digits.starts_with('0') {
            return Plain::BadNumber(
                "it begins with a zero: put it in quotes if it is text, leave the zero out if not",
            );
        }
        return text.parse().map_or(Plain::BadNumber("it has more than 64 bits"), Plain::Int);
    }
    let float = digits.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'))
        && digits.bytes().any(|b| b.is_ascii_digit());
    match text.parse::<f64>() {
        Ok(number) if float && number.is_finite() => Plain::Float(number),
        Ok(_) if float => Plain::BadNumber("it is larger than a number can be"),
        Ok(_) | Err(_) => Plain::Text,
    }
}
