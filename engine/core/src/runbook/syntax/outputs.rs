//! `outputs`: what is read out of what a script printed.

use std::collections::BTreeMap;

use super::Drafter;
use crate::expr::regex;
use crate::fault::FaultCode;
use crate::ids::ParamName;
use crate::runbook::OutputRule;
use crate::yaml::Node;
use crate::yaml::read::shorten;

impl Drafter<'_, '_> {
    pub(super) fn read_outputs(&mut self, node: &Node<'_>) -> BTreeMap<ParamName, OutputRule> {
        let mut outputs = BTreeMap::new();
        for entry in self.reader.map(node, "outputs").unwrap_or_default() {
            let name = match ParamName::new(&entry.key) {
                Ok(name) => Some(name),
                Err(bad) => {
                    let message = format!("`{}` is not the name of an output: {}", shorten(&entry.key), bad.rule());
                    self.reader.fault(FaultCode::BadName, entry.key_span, message);
                    None
                }
            };
            let rule = self.read_output(&entry.value);
            if let (Some(name), Some(rule)) = (name, rule) {
                outputs.insert(name, rule);
            }
        }
        outputs
    }

    fn read_output(&mut self, node: &Node<'_>) -> Option<OutputRule> {
        let mut fields = self.reader.fields(node, "output")?;
        match fields.take("from") {
            Some(node) => drop(self.reader.word(node, "from", &[("stdout", ())])),
            None => self.reader.missing(fields.span(), "output", "from", "`from: stdout`"),
        }
        let regex = fields.take("match").and_then(|node| {
            let text = self.reader.text(node, "match")?;
            match regex(text) {
                Ok(_) => Some(OutputRule::Match(text.to_owned())),
                Err(why) => {
                    self.reader.fault(FaultCode::BadRegex, node.span, format!("`match`: {why}"));
                    None
                }
            }
        });
        let json = fields.entry("json").and_then(|entry| {
            let text = self.reader.text(&entry.value, "json")?;
            if regex.is_some() {
                let message = "an output is found by `match` or by `json`, not by both";
                self.reader.fault(FaultCode::Conflict, entry.key_span, message);
            }
            if !text.is_empty() && !text.starts_with('/') {
                let message = format!("`json` is `{}`, not a JSON pointer", shorten(text));
                let hint = format!("begin it with `/`: `/{}`", shorten(&text.replace('.', "/")));
                self.reader.fault_with(FaultCode::BadValue, entry.value.span, message, hint);
            }
            Some(OutputRule::Json(text.to_owned()))
        });
        self.reader.finish(&fields);
        Some(regex.or(json).unwrap_or(OutputRule::Text))
    }
}
