//! What a plan says of files that are moved and hosts that start anew.

use piton_core::ids::HostName;
use piton_core::run::{PutText, Run, TransferText};
use piton_core::runbook::{Manner, Reboot, Step};
use piton_core::time::{show_duration, show_size};

use crate::exit::Failure;
use crate::screen::{DIM, Out};

/// One line for each task of a step that moves files.
pub(super) fn transfers(out: &mut Out, run: &Run, index: usize) -> Result<(), Failure> {
    if run.graph().tasks_of(index).next().is_none() {
        out.line("   moves files; which ones is known when it runs (its items are not known yet)")?;
    }
    for task in run.graph().tasks_of(index) {
        let id = run.graph().id(task);
        let host = id.host.as_ref().map_or(HostName::LOCAL, HostName::as_str);
        let line = match run.transfer_text(task) {
            Ok(TransferText::Put { source, to, mode, owner, manner, .. }) => {
                let what = match source {
                    PutText::File(path) => path,
                    PutText::Content(text) => format!("{} bytes of text", text.len()),
                    PutText::Sealed(_) => "a text with secrets".to_owned(),
                };
                format!("put      {what} -> {host}:{to}{}", manner_of(mode, owner, &manner))
            }
            Ok(TransferText::Get { from, to, manner, .. }) => {
                format!("get      {host}:{from} -> {to}{}", manner_of(None, None, &manner))
            }
            Ok(TransferText::Transfer { from_host, from, to, mode, owner, manner, .. }) => {
                format!("transfer {from_host}:{from} -> {host}:{to}{}", manner_of(mode, owner, &manner))
            }
            Err(why) => format!("moves files of {host}; which ones is known when it runs ({why})"),
        };
        out.line(format_args!("   {line}"))?;
    }
    Ok(())
}

/// How a file is moved, where that is not as usual.
fn manner_of(mode: Option<u32>, owner: Option<String>, manner: &Manner) -> String {
    let mut words = String::new();
    if let Some(mode) = mode {
        words.push_str(&format!(" mode {mode:o}"));
    }
    if let Some(owner) = owner {
        words.push_str(&format!(" owner {owner}"));
    }
    if !manner.sparse {
        words.push_str(", holes too");
    }
    if !manner.checksum {
        words.push_str(", not compared afterwards");
    }
    if let Some(rate) = manner.rate {
        words.push_str(&format!(", at most {} a second", show_size(rate)));
    }
    words
}

/// How a host starts anew, and how long it is waited for.
pub(super) fn reboots(out: &mut Out, step: &Step, reboot: &Reboot) -> Result<(), Failure> {
    let within = step.timeout.map(|span| format!(" within {}", show_duration(span))).unwrap_or_default();
    out.line(format_args!("   reboot   and wait for another boot id{within}: {}", reboot.message.source()))?;
    for line in reboot.command.iter().flat_map(|command| command.trim_end().lines()) {
        out.line(format_args!("     {} {line}", out.paint(DIM, "|")))?;
    }
    Ok(())
}
