//! One file transfer in flight. Doing it twice is as good as once, so nothing about it needs looking up after a crash.

use std::path::Path;
use std::sync::Arc;

use piton_core::digest::Digest;
use piton_core::ids::{AttemptId, HostName};
use piton_core::run::{BootId, Input, PutText, Refusal, Run, TransferText};
use piton_core::runbook::Sealed;
use secrecy::ExposeSecret as _;
use tokio::sync::mpsc;

use crate::driver::Ports;
use crate::observer::Notice;
use crate::output::Stream;
use crate::secrets::vault::Vault;
use crate::transport::{GetOrder, Moved, News, PutBytes, PutOrder};

use super::Reporting;

/// Begins the transfer of an attempt; its end is reported.
pub(super) fn begin(
    ports: &Ports,
    vault: &Arc<Vault>,
    run: &Run,
    attempt: &AttemptId,
    news: mpsc::UnboundedSender<Input>,
) -> Reporting {
    let order = order(run, attempt);
    let (ports, vault, attempt) = (ports.clone(), vault.clone(), attempt.clone());
    tokio::spawn(async move {
        let hears = Hears { ports: &ports };
        let moved = match order {
            Ok(Order::Put(order)) => ports.transport.put(&order, &hears).await,
            Ok(Order::PutSealed(order, sealed)) => put_sealed(&ports, &vault, order, &sealed, &hears).await,
            Ok(Order::Get(order)) => ports.transport.get(&order, &hears).await,
            Err(why) => Err(Refusal::Refused(why)),
        };
        let _unheard = news.send(match moved {
            Ok(moved) => Input::Transferred { attempt, bytes: moved.bytes, digest: moved.digest },
            Err(why) => Input::TransferFailed { attempt, why },
        });
    })
}

/// Puts a text with secrets in it. The facts are those of the text with the secrets hidden: a digest of a secret lets
/// whoever has the journal try out guesses.
async fn put_sealed(
    ports: &Ports,
    vault: &Vault,
    mut order: PutOrder,
    sealed: &Sealed,
    hears: &Hears<'_>,
) -> Result<Moved, Refusal> {
    let open = vault.opened().await;
    let text = open.unseal(sealed);
    let masked = open.mask(text.expose_secret());
    order.source = PutBytes::Secret(text);
    ports.transport.put(&order, hears).await?;
    Ok(Moved { bytes: masked.len() as u64, digest: Digest::of(masked.as_bytes()) })
}

enum Order {
    Put(PutOrder),
    PutSealed(PutOrder, Sealed),
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
            let order = |source| PutOrder { run: run.id(), host, source, to, mode, owner, become_user };
            match source {
                PutText::File(path) => Order::Put(order(PutBytes::Path(project.join(path)))),
                PutText::Content(text) => Order::Put(order(PutBytes::Text(text))),
                PutText::Sealed(sealed) => Order::PutSealed(order(PutBytes::Text(String::new())), sealed),
            }
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
