//! The results in the XML that CI servers know from JUnit (<https://github.com/testmoapp/junitxml>).

use super::Done;

/// The whole document.
pub(super) fn document(done: &[Done]) -> String {
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let failed = done.iter().filter(|one| !one.complaints.is_empty()).count();
    let time: f64 = done.iter().map(|one| one.took.as_secs_f64()).sum();
    text.push_str(&format!(
        "<testsuites name=\"piton\" tests=\"{}\" failures=\"{failed}\" errors=\"0\" time=\"{time:.3}\">\n",
        done.len()
    ));
    let mut rest = done;
    while let Some(first) = rest.first() {
        let length = rest.iter().take_while(|one| one.file == first.file).count();
        let (suite, after) = rest.split_at(length);
        rest = after;
        let failed = suite.iter().filter(|one| !one.complaints.is_empty()).count();
        let time: f64 = suite.iter().map(|one| one.took.as_secs_f64()).sum();
        text.push_str(&format!(
            "  <testsuite name=\"{}\" file=\"{}\" tests=\"{length}\" failures=\"{failed}\" errors=\"0\" time=\"{time:.3}\">\n",
            escaped(&first.runbook),
            escaped(&first.file),
        ));
        suite.iter().for_each(|one| case(&mut text, one));
        text.push_str("  </testsuite>\n");
    }
    text.push_str("</testsuites>\n");
    text
}

fn case(text: &mut String, one: &Done) {
    let head = format!(
        "    <testcase name=\"{}\" classname=\"{}\" time=\"{:.3}\"",
        escaped(&one.name),
        escaped(&one.runbook),
        one.took.as_secs_f64()
    );
    text.push_str(&head);
    if one.complaints.is_empty() {
        text.push_str("/>\n");
        return;
    }
    text.push_str(">\n");
    let first = one.complaints.first().map_or_else(String::new, |fault| fault.message.clone());
    let all: Vec<String> = one.complaints.iter().map(ToString::to_string).collect();
    text.push_str(&format!(
        "      <failure message=\"{}\" type=\"expectation\">{}</failure>\n    </testcase>\n",
        escaped(&first),
        escaped(&all.join("\n"))
    ));
}

/// Text as XML 1.0 takes it: the signs that mean something are written otherwise, characters that it cannot hold are left out.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for sign in text.chars() {
        match sign {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\n' => safe.push_str("&#10;"),
            '\t' => safe.push_str("&#9;"),
            '\r' | '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => {}
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn what_a_script_prints_stays_text() {
        assert_eq!(escaped("<script>\"&\x1b[31m"), "&lt;script&gt;&quot;&amp;[31m");
    }
}
