use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::*;

fn masker(secrets: &[&str]) -> Masker {
    let secrets: Vec<SecretString> = secrets.iter().map(|text| SecretString::from(*text)).collect();
    Masker::new(&secrets).unwrap()
}

/// What comes out of a stream that comes in these pieces, each piece's share apart; the last is what the end gives.
fn pieces(masker: &Masker, pieces: &[&[u8]]) -> Vec<String> {
    let mut masking = Masking::new(masker.clone());
    let mut given: Vec<String> = Vec::new();
    for piece in pieces {
        let mut out = Vec::new();
        masking.push(piece, &mut out);
        given.push(String::from_utf8_lossy(&out).into_owned());
    }
    let mut out = Vec::new();
    masking.finish(&mut out);
    given.push(String::from_utf8_lossy(&out).into_owned());
    given
}

#[test]
fn only_what_may_become_a_secret_is_held_back() {
    let masker = masker(&["hunter2"]);
    assert_eq!(pieces(&masker, &[b"shout hunt", b"er", b"2!"]), ["shout ", "", "***!", ""]);
    assert_eq!(pieces(&masker, &[b"hunt", b"hunt", b"ers"]), ["", "hunt", "hunters", ""]);
    assert_eq!(pieces(&masker, &[b"nothing", b" at all"]), ["nothing", " at all", ""]);
}

#[test]
fn a_stream_that_breaks_off_within_a_secret_does_not_give_half_of_it() {
    let masker = masker(&["correct-horse"]);
    assert_eq!(pieces(&masker, &[b"it is correct-h"]), ["it is ", "***"]);
    // Less than half of it is ordinary text.
    assert_eq!(pieces(&masker, &[b"it is corre"]), ["it is ", "corre"]);
}

#[test]
fn secrets_that_overlap_or_hold_each_other_are_hidden_whole() {
    let masker = masker(&["abcdef", "defghi", "cdef", "aaaa"]);
    assert_eq!(masker.mask("1abcdefghi2"), "1***2");
    assert_eq!(masker.mask("xcdefx"), "x***x");
    assert_eq!(masker.mask("abcdefabcdef"), "******");
    let many = "a".repeat(1000);
    assert_eq!(masker.mask(&format!("<{many}>")), "<***>");
    let one_by_one: Vec<&[u8]> = many.as_bytes().chunks(1).collect();
    assert_eq!(pieces(&masker, &one_by_one).concat(), "***");
}

#[test]
fn base64_is_found_where_it_is_broken_into_lines() {
    let secret = "0123456789abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJKLMNOPQRSTUVWXYZ-0123456789-abcdefghij";
    let masker = masker(&[secret]);
    let encoded = STANDARD.encode(format!("user:{secret}\nand more of it"));
    for width in [4, 64, 76] {
        let lines: Vec<&str> =
            encoded.as_bytes().chunks(width).map(|line| std::str::from_utf8(line).unwrap()).collect();
        for text in [lines.join("\n"), lines.join("\r\n"), lines.join("\n    ")] {
            let masked = masker.mask(&text);
            assert!(masked.contains("***"), "{masked}");
            let left: String = masked.split_whitespace().collect();
            let (before, after) = left.split_once("***").unwrap();
            assert!(encoded.starts_with(before) && encoded.ends_with(after), "{masked}");
            // But for the characters that hold bits of what stands beside it.
            assert!(before.len() <= 8 && after.len() <= 24, "{masked}");
        }
    }
}

#[test]
fn each_line_of_a_key_is_hidden_and_so_is_the_whole() {
    let key = "-----BEGIN KEY-----\nc2VjcmV0IGtleSBkYXRh\nbW9yZSBvZiBpdA==\n-----END KEY-----";
    let masker = masker(&[key]);
    assert_eq!(masker.mask(&format!("<{key}>")), "<***>");
    assert_eq!(masker.mask("line 2: c2VjcmV0IGtleSBkYXRh!"), "line 2: ***!");
    assert_eq!(masker.mask(&key.replace('\n', "\\n")), "***");
    assert_eq!(masker.mask(&key.replace('\n', "\r\n")), "***\r\n***\r\n***\r\n***");
}

/// A secret: of at least four characters, not of the characters of the texts around it, nor of those of the mask.
fn secret() -> impl Strategy<Value = String> {
    prop_oneof![
        "[A-Z]{4,40}",
        "[A-Z'\"$\\\\ %+/=&<>`!~]{3,30}[A-Z]{3}",
        "[A-ZÄß€𝄞]{4,20}",
        "[A-Z]{4,12}\n[A-Z'\" ]{5,12}\n?[A-Z]{4,9}",
    ]
}

/// Text with no character of a secret in it, nor what could stand in one of its forms.
const AROUND: &str = "[_.,:;#?()-]{0,12}";

/// In how many forms a secret is put into the stream.
const FORMS: usize = 14;

fn in_form(secret: &str, which: usize) -> Vec<u8> {
    let url = |plus: bool, upper: bool| {
        let mut text = String::new();
        for byte in secret.bytes() {
            match byte {
                b' ' if plus => text.push('+'),
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => text.push(char::from(byte)),
                _ if upper => text.push_str(&format!("%{byte:02X}")),
                _ => text.push_str(&format!("%{byte:02x}")),
            }
        }
        text.into_bytes()
    };
    // What stands around it within the encoded data; only the core can be known.
    let base64 = |before: usize, safe: bool, pad: bool| {
        let mut text = STANDARD.encode([&b"xyz"[..before], secret.as_bytes()].concat());
        if safe {
            text = text.replace('+', "-").replace('/', "_");
        }
        if !pad {
            text = text.trim_end_matches('=').to_owned();
        }
        let first = (before * 8).div_ceil(6);
        text.as_bytes()[first..].to_vec()
    };
    match which % FORMS {
        0 => secret.as_bytes().to_vec(),
        1 => base64(0, false, true),
        2 => base64(1, false, true),
        3 => base64(2, false, true),
        4 => base64(0, true, false),
        5 => base64(1, true, false),
        6 => base64(2, true, true),
        7 => url(false, true),
        8 => url(true, true),
        9 => url(false, false),
        10 => secret.replace('\'', r"'\''").into_bytes(),
        11 => serde_json::to_string(secret).unwrap().trim_matches('"').as_bytes().to_vec(),
        12 => {
            let escaped = secret.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$").replace('`', "\\`");
            escaped.into_bytes()
        }
        _ => secret.bytes().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect(),
    }
}

fn holds(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn no_form_of_a_secret_comes_out_however_the_stream_is_cut(
        secrets in prop::collection::vec(secret(), 1..4),
        parts in prop::collection::vec((AROUND, any::<prop::sample::Index>(), 0..FORMS), 0..12),
        end in AROUND,
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let texts: Vec<SecretString> = secrets.iter().map(|text| SecretString::from(text.as_str())).collect();
        let masker = Masker::new(&texts).unwrap();
        let mut stream = Vec::new();
        let mut around = String::new();
        for (text, which, form) in &parts {
            stream.extend_from_slice(text.as_bytes());
            around.push_str(text);
            stream.extend_from_slice(&in_form(which.get::<String>(&secrets), *form));
            around.push_str("***");
        }
        stream.extend_from_slice(end.as_bytes());
        around.push_str(&end);

        let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        places.extend([0, stream.len()]);
        places.sort_unstable();
        let mut masking = Masking::new(masker.clone());
        let mut out = Vec::new();
        for ends in places.windows(2) {
            masking.push(&stream[ends[0]..ends[1]], &mut out);
        }
        masking.finish(&mut out);

        for secret in &secrets {
            for form in 0..FORMS {
                let form = in_form(secret, form);
                prop_assert!(!holds(&out, &form), "{:?} is in {:?}", String::from_utf8_lossy(&form), String::from_utf8_lossy(&out));
            }
        }
        // Secrets that stand side by side may be hidden as one; what is around them stays.
        let squeeze = |text: &str| { let mut text = text.to_owned(); while text.contains("******") { text = text.replace("******", "***"); } text };
        prop_assert_eq!(squeeze(&String::from_utf8_lossy(&out)), squeeze(&around));

        let mut whole = Vec::new();
        let mut masking = Masking::new(masker);
        masking.push(&stream, &mut whole);
        masking.finish(&mut whole);
        prop_assert_eq!(whole, out, "what comes out depends on how the stream is cut");
    }

    #[test]
    fn text_without_secrets_comes_out_as_it_is(
        secrets in prop::collection::vec("[A-Z]{8,40}", 1..4),
        bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'A'), Just(b'\n')], 0..400),
        cut in any::<prop::sample::Index>(),
    ) {
        let texts: Vec<SecretString> = secrets.iter().map(|text| SecretString::from(text.as_str())).collect();
        let masker = Masker::new(&texts).unwrap();
        let bytes: Vec<u8> = bytes.into_iter().map(|byte| if byte == b'A' { b'a' } else { byte }).collect();
        let cut = cut.index(bytes.len() + 1);
        let mut masking = Masking::new(masker);
        let mut out = Vec::new();
        masking.push(&bytes[..cut], &mut out);
        masking.push(&bytes[cut..], &mut out);
        masking.finish(&mut out);
        prop_assert_eq!(out, bytes);
    }
}
