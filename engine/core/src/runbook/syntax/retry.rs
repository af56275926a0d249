//! `retry`: whether and how a failed attempt is tried again.

use std::time::Duration;

use super::Drafter;
use super::param::is_map;
use crate::fault::{Fault, FaultCode};
use crate::runbook::{Retry, RetryOn};
use crate::yaml::Node;
use crate::yaml::read::shorten;

impl Drafter<'_, '_> {
    pub(super) fn read_retry(&mut self, node: &Node<'_>) -> Option<Retry> {
        let mut retry = Retry {
            times: 0,
            delay: Duration::from_secs(1),
            backoff: 2.0,
            max_delay: Duration::from_secs(300),
            on: Vec::new(),
        };
        let times = |this: &mut Self, node| {
            this.reader.integer(node, "times", 1, 10_000).and_then(|times| u32::try_from(times).ok())
        };
        if !is_map(node) {
            retry.times = times(self, node)?;
            return Some(retry);
        }
        let mut fields = self.reader.fields(node, "retry")?;
        match fields.take("times") {
            Some(node) => retry.times = times(self, node).unwrap_or_default(),
            None => {
                self.reader.missing(fields.span(), "retry", "times", "how many further attempts, such as `times: 3`")
            }
        }
        if let Some(delay) = fields.take("delay").and_then(|node| self.reader.duration(node, "delay")) {
            retry.delay = delay;
            retry.max_delay = retry.max_delay.max(delay);
        }
        if let Some(node) = fields.take("backoff") {
            retry.backoff = self.reader.number(node, "backoff").unwrap_or(retry.backoff);
            if !(1.0..=100.0).contains(&retry.backoff) {
                let message = format!("`backoff` is {} and must be from 1 to 100", retry.backoff);
                self.reader.fault(FaultCode::BadValue, node.span, message);
            }
        }
        if let Some(node) = fields.take("max_delay") {
            retry.max_delay = self.reader.duration(node, "max_delay").unwrap_or(retry.max_delay);
            if retry.max_delay < retry.delay {
                self.reader.fault(FaultCode::Conflict, node.span, "`max_delay` is shorter than `delay`");
            }
        }
        for node in fields.take("on").and_then(|node| self.reader.one_or_list(node, "on")).unwrap_or_default() {
            retry.on.extend(self.read_retry_on(node));
        }
        self.reader.finish(&fields);
        Some(retry)
    }

    fn read_retry_on(&mut self, node: &Node<'_>) -> Option<RetryOn> {
        match self.reader.text(node, "on")? {
            "timeout" => Some(RetryOn::Timeout),
            "unreachable" => Some(RetryOn::Unreachable),
            text => match text.parse::<u8>() {
                Ok(0) => {
                    self.reader.fault(
                        FaultCode::BadValue,
                        node.span,
                        "exit status 0 is success, not a failure to retry",
                    );
                    None
                }
                Ok(status) => Some(RetryOn::Exit(status)),
                Err(_) => {
                    let message = format!("`{}` is not a failure to retry", shorten(text));
                    let fault = Fault::at(FaultCode::BadValue, self.reader.source, node.span, message)
                        .hint("an exit status from 1 to 255, `timeout` or `unreachable`")
                        .did_you_mean(text, ["timeout", "unreachable"]);
                    self.reader.push(fault);
                    None
                }
            },
        }
    }
}
