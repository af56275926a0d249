//! The forms in which a text turns up in what programs print: as it is, quoted, escaped, encoded.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use super::SHORTEST;

/// Byte strings that are wiped when they are dropped.
pub(super) type Bytes = Zeroizing<Vec<u8>>;

/// The forms of a secret.
#[derive(Default)]
pub(super) struct Forms {
    /// To be found as they are.
    pub(super) solid: Vec<Bytes>,
    /// To be found also where blanks and line breaks stand in between, as in the lines that base64(1) prints.
    pub(super) broken: Vec<Bytes>,
}

impl Forms {
    /// Adds the forms of a secret: of the whole, and of each of its lines.
    pub(super) fn add(&mut self, secret: &str) {
        self.add_one(secret);
        let lines: Vec<&str> = secret.lines().map(str::trim).collect();
        for line in lines.iter().filter(|line| **line != secret && line.len() >= SHORTEST) {
            self.add_one(line);
        }
    }

    fn add_one(&mut self, text: &str) {
        let mut solid = vec![text.to_owned()];
        solid.extend(shell_forms(text));
        solid.extend(json_forms(text));
        solid.extend(url_forms(text));
        solid.push(text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;"));
        solid.push(text.bytes().map(|byte| format!("{byte:02x}")).collect());
        solid.push(text.bytes().map(|byte| format!("{byte:02X}")).collect());
        self.solid.extend(solid.into_iter().map(|form| Zeroizing::new(form.into_bytes())));
        self.broken.extend(base64_forms(text.as_bytes()));
        for forms in [&mut self.solid, &mut self.broken] {
            forms.sort_unstable_by(|a, b| a.as_slice().cmp(b.as_slice()));
            forms.dedup_by(|a, b| a.as_slice() == b.as_slice());
        }
    }
}

/// As shells write it between quotes, and without any: POSIX.1-2024, XCU 2.2; bash(1), printf `%q`, `set -x`, `declare -p`.
fn shell_forms(text: &str) -> Vec<String> {
    let escaped = |special: &str| {
        let mut form = String::with_capacity(text.len() * 2);
        for c in text.chars() {
            if special.contains(c) {
                form.push('\\');
            }
            form.push(c);
        }
        form
    };
    let mut dollar = String::with_capacity(text.len() * 2);
    let mut octal = String::with_capacity(text.len() * 2);
    for c in text.chars() {
        let short = match c {
            '\n' => "\\n",
            '\r' => "\\r",
            '\t' => "\\t",
            '\'' => "\\'",
            '\\' => "\\\\",
            '\u{1b}' => "\\E",
            _ => "",
        };
        let code = u32::from(c);
        if short.is_empty() && (c.is_ascii_control()) {
            dollar.push_str(&format!("\\{code:03o}"));
            octal.push_str(&format!("\\x{code:02x}"));
        } else if short.is_empty() {
            dollar.push(c);
            octal.push(c);
        } else {
            dollar.push_str(short);
            octal.push_str(if c == '\u{1b}' { "\\x1b" } else { short });
        }
    }
    vec![
        text.replace('\'', r"'\''"),
        text.replace('\'', r#"'"'"'"#),
        escaped("\\\"$`"),
        escaped("\\\"$`!"),
        escaped(" \t!\"#$&'()*,;<=>?[\\]^`{|}~"),
        escaped(" \t!\"#$&'()*;<>?[\\]^`{|}"),
        dollar,
        octal,
    ]
}

/// As strings of JSON (RFC 8259, section 7), as the usual writers of it do: with `/` escaped or not, all that is not ASCII
/// escaped or not, what HTML does not like escaped or not.
fn json_forms(text: &str) -> Vec<String> {
    let mut forms = Vec::new();
    for slash in [false, true] {
        for ascii in [false, true] {
            for html in [false, true] {
                for upper in [false, true] {
                    forms.push(json_form(text, slash, ascii, html, upper));
                }
            }
        }
    }
    forms
}

fn json_form(text: &str, slash: bool, ascii: bool, html: bool, upper: bool) -> String {
    let mut form = String::with_capacity(text.len() * 2);
    let unit = |form: &mut String, unit: u16| {
        let code = if upper { format!("\\u{unit:04X}") } else { format!("\\u{unit:04x}") };
        form.push_str(&code);
    };
    for c in text.chars() {
        match c {
            '"' => form.push_str("\\\""),
            '\\' => form.push_str("\\\\"),
            '\n' => form.push_str("\\n"),
            '\r' => form.push_str("\\r"),
            '\t' => form.push_str("\\t"),
            '\u{8}' => form.push_str("\\b"),
            '\u{c}' => form.push_str("\\f"),
            '/' if slash => form.push_str("\\/"),
            '<' | '>' | '&' if html => unit(&mut form, c as u16),
            _ if c.is_control() || (ascii && !c.is_ascii()) => {
                for part in c.encode_utf16(&mut [0; 2]) {
                    unit(&mut form, *part);
                }
            }
            _ => form.push(c),
        }
    }
    form
}

/// Percent-encoded (RFC 3986, section 2.1), with the sets of characters that the usual encoders leave as they are.
fn url_forms(text: &str) -> Vec<String> {
    // RFC 3986; Python's quote(); encodeURIComponent(); encodeURI(); the forms of HTML; PHP's and old encoders.
    const PLAIN: [&str; 6] = ["-._~", "-._~/", "-._~!'()*", "-._~!'()*;,/?:@&=+$#", "*-._", "-._"];
    let mut forms = Vec::new();
    for plain in PLAIN {
        for plus in [false, true] {
            for upper in [false, true] {
                let mut form = String::with_capacity(text.len() * 3);
                for byte in text.bytes() {
                    let c = char::from(byte);
                    if c.is_ascii_alphanumeric() || (byte.is_ascii() && plain.contains(c)) {
                        form.push(c);
                    } else if c == ' ' && plus {
                        form.push('+');
                    } else if upper {
                        form.push_str(&format!("%{byte:02X}"));
                    } else {
                        form.push_str(&format!("%{byte:02x}"));
                    }
                }
                forms.push(form);
            }
        }
    }
    forms
}

/// In base64 (RFC 4648), wherever in the encoded data it begins: the characters that depend on nothing else, and, where the data
/// ends with it or with a line break after it, all up to the end.
fn base64_forms(text: &[u8]) -> Vec<Bytes> {
    let mut forms = Vec::new();
    for before in 0..3 {
        for end in [&b""[..], b"\n", b"\0"] {
            let data: Bytes = Zeroizing::new([&vec![0; before][..], text, end].concat());
            let first = (before * 8).div_ceil(6);
            let last = (before + text.len()) * 8 / 6;
            for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
                let encoded = Zeroizing::new(engine.encode(&*data));
                let encoded = encoded.as_bytes();
                if end == b"\0" {
                    forms.push(Zeroizing::new(encoded[first..last].to_vec()));
                    continue;
                }
                forms.push(Zeroizing::new(encoded[first..].to_vec()));
                let padding = (3 - data.len() % 3) % 3;
                forms.push(Zeroizing::new([&encoded[first..], &b"=="[..padding]].concat()));
            }
        }
    }
    forms
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(forms: &Forms, text: &str) -> bool {
        forms.solid.iter().chain(&forms.broken).any(|form| form.as_slice() == text.as_bytes())
    }

    #[test]
    fn the_forms_are_what_programs_print() {
        let mut forms = Forms::default();
        forms.add("it's \"a\" $x/y\\ü");
        for form in [
            r#"it's "a" $x/y\ü"#,
            r#"it'\''s "a" $x/y\ü"#,
            r#"it'"'"'s "a" $x/y\ü"#,
            r#"it's \"a\" \$x/y\\ü"#,
            r#"it\'s\ \"a\"\ \$x/y\\ü"#,
            r#"it\'s "a" $x/y\\ü"#,
            r#"it's \"a\" $x/y\\ü"#,
            r#"it's \"a\" $x\/y\\\u00fc"#,
            "it%27s%20%22a%22%20%24x%2Fy%5C%C3%BC",
            "it%27s+%22a%22+%24x%2fy%5c%c3%bc",
            "it's%20%22a%22%20%24x%2Fy%5C%C3%BC",
            "697427732022612220247 82f795cc3bc".replace(' ', "").as_str(),
        ] {
            assert!(has(&forms, form), "{form}");
        }
    }

    #[test]
    fn base64_is_found_at_each_of_its_three_places() {
        let mut forms = Forms::default();
        forms.add("hunter2");
        for (data, core) in [("hunter2", "aHVudGVyM"), ("xhunter2y", "h1bnRlcj"), ("xyhunter2", "odW50ZXIy")] {
            assert!(STANDARD_NO_PAD.encode(data).contains(core), "{data}");
            assert!(has(&forms, core), "{core}");
        }
        assert!(has(&forms, "aHVudGVyMg==") && has(&forms, "aHVudGVyMg") && has(&forms, "aHVudGVyMgo="));
    }

    #[test]
    fn each_line_has_forms_of_its_own() {
        let mut forms = Forms::default();
        forms.add("first line\r\nab\n  second's\n");
        for form in ["first line", "second's", r"second'\''s", "first%20line"] {
            assert!(has(&forms, form), "{form}");
        }
        assert!(!has(&forms, "ab"));
    }
}
