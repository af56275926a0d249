//! Reads a job's outputs: what it wrote to `$PITON_OUTPUT`, and what its step reads out of its standard output.

use std::collections::BTreeMap;

use crate::ids::ParamName;
use crate::runbook::OutputRule;
use crate::value::{Map, Value};

/// Reads the outputs, or says what is wrong with them.
///
/// `written` is the content of `$PITON_OUTPUT`: one JSON object, or lines of `key=value` (the value is everything after
/// the first `=`; empty lines are passed over; a later line replaces an earlier one of the same key).
/// `head` is the beginning of standard output and whether that is all of it; `None` where no rule needs it.
pub fn read_outputs(
    written: &[u8],
    rules: &BTreeMap<ParamName, OutputRule>,
    head: Option<(&[u8], bool)>,
) -> Result<Map<String, Value>, String> {
    let mut outputs = read_written(written)?;
    for (name, rule) in rules {
        let (bytes, whole) = head.unwrap_or((&[], true));
        let text = String::from_utf8_lossy(bytes);
        let value = read_rule(rule, &text, whole).map_err(|why| format!("output `{name}`: {why}"))?;
        outputs.insert(name.as_str().to_owned(), value);
    }
    Ok(outputs)
}

fn read_written(written: &[u8]) -> Result<Map<String, Value>, String> {
    let text = std::str::from_utf8(written)
        .map_err(|e| format!("what was written to $PITON_OUTPUT is not UTF-8 (byte {})", e.valid_up_to()))?;
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(text)
            .map_err(|e| format!("what was written to $PITON_OUTPUT is not a JSON object: {e}"));
    }
    let mut outputs = Map::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.is_empty() {
            continue;
        }
        let Some((key, value)) = line.split_once('=') else {
            let line: String = line.chars().take(80).collect();
            return Err(format!("line {number} of $PITON_OUTPUT is not `key=value`: `{}`", line.escape_debug()));
        };
        ParamName::new(key).map_err(|e| format!("line {number} of $PITON_OUTPUT: {e}"))?;
        outputs.insert(key.to_owned(), Value::String(value.to_owned()));
    }
    Ok(outputs)
}

fn read_rule(rule: &OutputRule, text: &str, whole: bool) -> Result<Value, String> {
    const CUT: &str = "standard output is longer than 1 MiB; write what is needed to $PITON_OUTPUT";
    match rule {
        OutputRule::Text if !whole => Err(CUT.to_owned()),
        OutputRule::Text => Ok(Value::String(text.trim_end_matches(['\n', '\r']).to_owned())),
        OutputRule::Json(_) if !whole => Err(CUT.to_owned()),
        OutputRule::Json(pointer) => {
            let json: Value = serde_json::from_str(text).map_err(|e| format!("standard output is not JSON: {e}"))?;
            json.pointer(pointer).cloned().ok_or_else(|| format!("standard output has nothing at `{pointer}`"))
        }
        OutputRule::Match(pattern) => {
            let regex = crate::expr::regex(pattern)?;
            let found = regex.captures(text).and_then(|c| c.get(1).or_else(|| c.get(0)));
            match found {
                Some(found) => Ok(Value::String(found.as_str().to_owned())),
                None if whole => Err(format!("nothing in standard output matches `{pattern}`")),
                None => Err(format!("nothing in the first MiB of standard output matches `{pattern}`")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_json_are_read() {
        let rules = BTreeMap::new();
        let lines = read_outputs(b"a=1\n\nb=x=y\na=2", &rules, None).unwrap();
        assert_eq!(Value::Object(lines), serde_json::json!({"a": "2", "b": "x=y"}));
        let json = read_outputs(b" {\"a\": [1]}", &rules, None).unwrap();
        assert_eq!(Value::Object(json), serde_json::json!({"a": [1]}));
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        for (written, says) in [
            (&b"no equals sign"[..], "line 1 of $PITON_OUTPUT is not `key=value`"),
            (b"a=1\nB=2", "line 2 of $PITON_OUTPUT: `B` is not a parameter name"),
            (b"{\"a\":", "not a JSON object"),
            (b"\xff=1", "not UTF-8"),
        ] {
            let error = read_outputs(written, &BTreeMap::new(), None).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn rules_read_standard_output() {
        let name = |n: &str| ParamName::new(n).unwrap();
        let rule = |r: OutputRule| BTreeMap::from([(name("v"), r)]);
        let read = |r: OutputRule, text: &[u8], whole| read_outputs(b"", &rule(r), Some((text, whole)));
        let matching = || OutputRule::Match("id: (\\d+)".into());
        assert_eq!(read(matching(), b"x\nid: 42\n", true).unwrap()["v"], "42");
        assert!(read(matching(), b"x", true).unwrap_err().contains("nothing in standard output matches"));
        assert_eq!(read(OutputRule::Json("/a/0".into()), b"{\"a\":[7]}", true).unwrap()["v"], 7);
        assert!(read(OutputRule::Json("/b".into()), b"{}", true).unwrap_err().contains("nothing at `/b`"));
        assert_eq!(read(OutputRule::Text, b"x\ny\n\n", true).unwrap()["v"], "x\ny");
        assert!(read(OutputRule::Text, b"x", false).unwrap_err().contains("longer than 1 MiB"));
    }
}
