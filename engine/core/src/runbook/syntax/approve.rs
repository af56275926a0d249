//! `approve`: people decide whether the run goes on.

use super::param::is_map;
use super::{Drafter, Sees, Use};
use crate::fault::FaultCode;
use crate::runbook::{Approve, OnTimeout, Voter};
use crate::yaml::Node;
use crate::yaml::read::shorten;

impl Drafter<'_, '_> {
    pub(super) fn read_approve<'n>(&mut self, node: &'n Node<'n>, uses: &mut Vec<Use<'n>>) -> Option<Approve> {
        if !is_map(node) {
            let prompt = self.template(node, "approve", Sees::NoHost, uses)?;
            return Some(Approve {
                prompt,
                who: Vec::new(),
                count: 1,
                not_requester: true,
                timeout: None,
                on_timeout: OnTimeout::Fail,
            });
        }
        let mut fields = self.reader.fields(node, "approve")?;
        let prompt = match fields.take("prompt") {
            Some(node) => self.template(node, "prompt", Sees::NoHost, uses),
            None => {
                self.reader.missing(fields.span(), "approve", "prompt", "what people are asked to agree to");
                None
            }
        };
        let voters = fields.take("who");
        let who = voters.map(|node| self.read_voters(node)).unwrap_or_default();
        let count_node = fields.take("count");
        let count = count_node.and_then(|node| self.reader.integer(node, "count", 1, 100)).unwrap_or(1);
        let count = u32::try_from(count).unwrap_or(1);
        let named = who.len() < usize::try_from(count).unwrap_or(usize::MAX);
        if let (Some(node), Some(_)) = (count_node, voters)
            && named
            && !who.is_empty()
            && !who.iter().any(|voter| matches!(voter, Voter::Group(_)))
        {
            let message = format!("`count` is {count}, but `who` names only {}", who.len());
            self.reader.fault_with(FaultCode::Conflict, node.span, message, "each person has one vote");
        }
        let not_requester = fields.take("not_requester").and_then(|node| self.reader.boolean(node, "not_requester"));
        let timeout_node = fields.take("timeout");
        let timeout = timeout_node.and_then(|node| self.positive(node, "timeout"));
        let words = [("fail", OnTimeout::Fail), ("approve", OnTimeout::Approve)];
        let on_timeout = fields.entry("on_timeout").and_then(|entry| {
            if timeout_node.is_none() {
                let message = "`on_timeout` does nothing without `timeout`: the run waits as long as it takes";
                self.reader.fault(FaultCode::Conflict, entry.key_span, message);
            }
            self.reader.word(&entry.value, "on_timeout", &words)
        });
        self.reader.finish(&fields);
        Some(Approve {
            prompt: prompt?,
            who,
            count,
            not_requester: not_requester.unwrap_or(true),
            timeout,
            on_timeout: on_timeout.unwrap_or_default(),
        })
    }

    fn read_voters(&mut self, node: &Node<'_>) -> Vec<Voter> {
        let mut who: Vec<Voter> = Vec::new();
        let items = self.reader.one_or_list(node, "who").unwrap_or_default();
        if items.is_empty() {
            self.reader.fault_with(FaultCode::BadValue, node.span, "`who` names nobody", "leave it out for everybody");
        }
        for node in items {
            let Some(text) = self.reader.text(node, "who") else { continue };
            match Voter::parse(text) {
                Ok(voter) if who.contains(&voter) => {
                    self.reader.fault(
                        FaultCode::Duplicate,
                        node.span,
                        format!("`{}` stands here twice", shorten(text)),
                    );
                }
                Ok(voter) => who.push(voter),
                Err(rule) => {
                    let message = format!("`{}` is nobody who can approve", shorten(text));
                    self.reader.fault_with(FaultCode::BadName, node.span, message, rule);
                }
            }
        }
        who
    }
}
