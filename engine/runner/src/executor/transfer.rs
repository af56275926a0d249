//! One file transfer in flight. Doing it twice is as good as once, so nothing about it needs looking up after a crash.

use std::path::Path;

use piton_core::ids::{AttemptId, HostName};
use piton_core::run::{BootId, Input, PutText, Refusal, Run, TransferText};
use tokio::sync::mpsc;

use crate::driver::Ports;
use crate::observer::Notice;
use crate::output::Stream;
use crate::transport::{GetOrder, News, PutBytes, PutOrder};

use super::Reporting;

/// Begins the transfer of an attempt; its end is reported.
pub(super) fn begin(ports: &Ports, run: &Run, attempt: &AttemptId, news: mpsc::UnboundedSender<Input>) -> Reporting {
    let order = order(run, attempt);
    let (ports, attempt) = (ports.clone(), attempt.clone());
    tokio::spawn(async move {
        let hears = Hears { ports: &ports };
        let moved = match order {
            Ok(Order::Put(order)) => ports.transport.put(&order, &hears).await,
            Ok(Order::Get(order)) => ports.transport.get(&order, &hears).await,
            Err(why) => Err(Refusal::Refused(why)),
        };
        let _unheard = news.send(match moved {
            Ok(moved) => Input::Transferred { attempt, bytes: moved.bytes, digest: moved.digest },
            Err(why) => Input::TransferFailed { attempt, why },
        });
    })
}

enum Order {
    Put(PutOrder),
    Get(GetOrder),
}

fn order(run: &Run, attempt: &AttemptId) -> Result<Order, String> {
    let task = run.graph().find(&attempt.task).ok_or_else(|| format!("the plan has no task {}", attempt.task))?;
    let host = match &attempt.task.host {
        Some(host) => host.clone(),
        None => HostName::new(HostName::LOCAL).map_err(|error| error.to_string())?,
    };
    let project = Path::new(&run.plan().project);
    Ok(match run.transfer_text(task)? {
        TransferText::Put { source, to, mode, owner, become_user } => {
            let source = match source {
                PutText::File(path) => PutBytes::Path(project.join(path)),
                PutText::Content(text) => PutBytes::Text(text),
            };
            Order::Put(PutOrder { run: run.id(), host, source, to, mode, owner, become_user })
        }
        TransferText::Get { from, to, become_user } => {
            Order::Get(GetOrder { run: run.id(), host, from, to: project.join(to), become_user })
        }
    })
}

struct Hears<'a> {
    ports: &'a Ports,
}

impl News for Hears<'_> {
    fn launching(&self) {}

    fn started(&self, _boot: BootId) {}

    fn printed(&self, _stream: Stream, _bytes: &[u8]) {}

    fn notice(&self, notice: Notice) {
        self.ports.observer.notice(&notice);
    }
}
