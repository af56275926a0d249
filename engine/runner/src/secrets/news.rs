//! Hides secrets in what comes from outside, before anything is decided on it or shown of it.

use std::sync::Arc;

use piton_core::ids::JobId;
use piton_core::run::{Event, Input, LossCause, Recorded, Refusal, Run};

use piton_core::value::Value;

use crate::observer::{Notice, Observer};
use crate::output::Stream;

use super::vault::{Open, Vault};

/// Hides secrets in a piece of news. What it names (tasks, hosts, jobs) stays what it is.
pub(crate) fn mask_input(open: &Open, input: Input) -> Input {
    match input {
        Input::JobExited { job, exit, printed, outputs } => {
            let outputs = match outputs {
                Ok(values) => {
                    Ok(values.into_iter().map(|(name, value)| (open.mask(&name), open.mask_value(value))).collect())
                }
                Err(why) => Err(open.mask(&why)),
            };
            Input::JobExited { job, exit, printed, outputs }
        }
        Input::JobLost { job, why } => {
            let why = match why {
                LossCause::Unreachable(why) => LossCause::Unreachable(open.mask(&why)),
                LossCause::StillAlive(what) => LossCause::StillAlive(open.mask(&what)),
                known @ (LossCause::ProcessGone | LossCause::HostRebooted | LossCause::FilesGone) => known,
            };
            Input::JobLost { job, why }
        }
        Input::JobRefused { job, why } => Input::JobRefused { job, why: mask_refusal(open, why) },
        Input::TransferFailed { attempt, why } => Input::TransferFailed { attempt, why: mask_refusal(open, why) },
        Input::HookCalled { hook, mut call } => {
            call.shown = open.mask(&call.shown);
            Input::HookCalled { hook, call }
        }
        Input::HookDiffered { hook, number, recorded, made } => {
            Input::HookDiffered { hook, number, recorded: open.mask(&recorded), made: open.mask(&made) }
        }
        Input::HookEnded { hook, end, printed } => {
            let masked = |(name, value): (String, Value)| (open.mask(&name), open.mask_value(value));
            let end = end.map(|values| values.into_iter().map(masked).collect()).map_err(|why| open.mask(&why));
            Input::HookEnded { hook, end, printed }
        }
        // What a person says is in the inbox already, as it was said.
        known @ (Input::Took { .. }
        | Input::Room
        | Input::SecretsFetched { .. }
        | Input::SecretsMissing { .. }
        | Input::JobStarted { .. }
        | Input::JobStopped { .. }
        | Input::Transferred { .. }
        | Input::TransferProgressed { .. }
        | Input::TimerFired(_)
        | Input::LocksTaken(_)
        | Input::LocksRefused { .. }
        | Input::Replanned { .. }
        | Input::Said { .. }) => known,
    }
}

fn mask_refusal(open: &Open, why: Refusal) -> Refusal {
    match why {
        Refusal::Unreachable(why) => Refusal::Unreachable(open.mask(&why)),
        Refusal::Refused(why) => Refusal::Refused(open.mask(&why)),
    }
}

/// An observer that is told nothing with a secret in it.
pub(crate) struct Discreet {
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) vault: Arc<Vault>,
}

impl Observer for Discreet {
    fn event(&self, run: &Run, event: &Recorded<Event>) {
        // Facts follow from news, which was masked.
        self.observer.event(run, event);
    }

    fn notice(&self, notice: &Notice) {
        match self.vault.now() {
            Some(open) if open.masker().is_some() => self.observer.notice(&match notice {
                Notice::Disconnected { host, why } => Notice::Disconnected { host: host.clone(), why: open.mask(why) },
                Notice::Connected { host } => Notice::Connected { host: host.clone() },
                Notice::Queued { task, what } => Notice::Queued { task: task.clone(), what: open.mask(what) },
                Notice::Full { why } => Notice::Full { why: open.mask(why) },
            }),
            Some(_) | None => self.observer.notice(notice),
        }
    }

    fn printed(&self, job: &JobId, stream: Stream, bytes: &[u8]) {
        // Where there are secrets, this comes from the output that masks them.
        self.observer.printed(job, stream, bytes);
    }
}
