//! Makes text from hosts harmless: what could move the cursor, change colours or hide itself is shown, not obeyed.

use std::borrow::Cow;

/// Text for one line of a terminal: control characters as their pictures (`␛`), what turns the direction of writing
/// round as its code, bytes that are not UTF-8 as `\xNN`. Tabs stay.
pub(crate) fn visible(text: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(text) {
        Ok(text) if !text.chars().any(|c| c != '\t' && is_active(c)) => Cow::Borrowed(text),
        Ok(_) | Err(_) => Cow::Owned(shown(text, |c| c == '\t')),
    }
}

/// As [`visible`], for many lines: line breaks stay, too.
pub(crate) fn visible_lines(text: &[u8]) -> String {
    shown(text, |c| matches!(c, '\t' | '\n'))
}

fn shown(text: &[u8], stays: fn(char) -> bool) -> String {
    let mut shown = String::with_capacity(text.len() + 16);
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                c if stays(c) || !is_active(c) => shown.push(c),
                '\u{7f}' => shown.push('\u{2421}'),
                // The block of control pictures begins at U+2400, in the order of ASCII.
                c if c < ' ' => shown.push(char::from_u32(0x2400 + c as u32).unwrap_or('\u{fffd}')),
                c => shown.extend(c.escape_unicode()),
            }
        }
        for byte in chunk.invalid() {
            shown.push_str(&format!("\\x{byte:02x}"));
        }
    }
    shown
}

/// Control characters, and the marks of Unicode's bidirectional algorithm (UAX #9) that reorder what follows.
fn is_active(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_reaches_the_terminal_that_it_would_obey() {
        assert_eq!(visible(b"plain \xc3\xbc\tx"), "plain ü\tx");
        assert_eq!(visible(b"\x1b[31mred\x1b]0;title\x07"), "␛[31mred␛]0;title␇");
        assert_eq!(visible("\u{9b}31m".as_bytes()), "\\u{9b}31m");
        assert_eq!(visible("a\u{202e}b".as_bytes()), "a\\u{202e}b");
        assert_eq!(visible(b"a\r\n\x7f\xff"), "a␍␊␡\\xff");
        assert_eq!(visible_lines(b"a\nb\x1b"), "a\nb␛");
    }

    proptest! {
        #[test]
        fn no_bytes_give_a_control_character(bytes: Vec<u8>) {
            prop_assert!(!visible(&bytes).chars().any(|c| c.is_control() && c != '\t'));
            prop_assert!(!visible_lines(&bytes).chars().any(|c| c.is_control() && !matches!(c, '\t' | '\n')));
        }
    }
}
