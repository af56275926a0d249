//! One file transfer in flight. Doing it twice is as good as once, so nothing about it needs looking up after a crash.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use piton_core::digest::Digest;
use piton_core::ids::{AttemptId, HostName};
use piton_core::run::{BootId, Input, PutText, Refusal, Run, TransferText};
use piton_core::runbook::Sealed;
use secrecy::ExposeSecret as _;
use tokio::sync::mpsc;

use crate::observer::Notice;
use crate::output::Stream;
use crate::ports::Ports;
use crate::secrets::vault::Vault;
use crate::transport::{GetOrder, Moved, News, PutBytes, PutOrder, TransferOrder};

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
        let hears = Hears { ports: &ports, news: &news, attempt: &attempt, pace: Mutex::default() };
        let moved = match order {
            Ok(Order::Put(order)) => ports.transport.put(&order, &hears).await,
            Ok(Order::PutSealed(order, sealed)) => put_sealed(&ports, &vault, order, &sealed, &hears).await,
            Ok(Order::Get(order)) => ports.transport.get(&order, &hears).await,
            Ok(Order::Transfer(order)) => ports.transport.transfer(&order, &hears).await,
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
    Transfer(TransferOrder),
}

fn order(run: &Run, attempt: &AttemptId) -> Result<Order, String> {
    let task = run.graph().find(&attempt.task).ok_or_else(|| format!("the plan has no task {}", attempt.task))?;
    let host = match &attempt.task.host {
        Some(host) => host.clone(),
        None => HostName::new(HostName::LOCAL).map_err(|error| error.to_string())?,
    };
    let project = Path::new(&run.plan().project);
    Ok(match run.transfer_text(task)? {
        TransferText::Put { source, to, mode, owner, become_user, manner } => {
            let order = |source| PutOrder { run: run.id(), host, source, to, mode, owner, become_user, manner };
            match source {
                PutText::File(path) => Order::Put(order(PutBytes::Path(project.join(path)))),
                PutText::Content(text) => Order::Put(order(PutBytes::Text(text))),
                PutText::Sealed(sealed) => Order::PutSealed(order(PutBytes::Text(String::new())), sealed),
            }
        }
        TransferText::Get { from, to, become_user, manner } => {
            Order::Get(GetOrder { run: run.id(), host, from, to: project.join(to), become_user, manner })
        }
        TransferText::Transfer { from_host, from, to, mode, owner, become_user, manner } => {
            let (run, to_host) = (run.id(), host);
            Order::Transfer(TransferOrder { run, from_host, from, to_host, to, mode, owner, become_user, manner })
        }
    })
}

struct Hears<'a> {
    ports: &'a Ports,
    news: &'a mpsc::UnboundedSender<Input>,
    attempt: &'a AttemptId,
    pace: Mutex<Option<Pace>>,
}

/// How fast a transfer goes, and what was last said about it.
struct Pace {
    began: Instant,
    /// What was there when it began.
    there: u64,
    said: (Instant, u64),
}

/// Progress becomes a fact of the run no more often than this, and only when a hundredth of the whole has come since.
const SAY_EVERY: Duration = Duration::from_secs(1);

impl Hears<'_> {
    /// How many seconds are left, if this is worth saying now.
    fn pace(&self, moved: u64, total: u64) -> Option<Option<u64>> {
        let now = Instant::now();
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        let pace = pace.get_or_insert(Pace { began: now, there: moved, said: (now, moved) });
        let (at, before) = pace.said;
        if now.duration_since(at) < SAY_EVERY || moved.saturating_sub(before) < total / 100 {
            return None;
        }
        pace.said = (now, moved);
        let (came, took) = (moved.saturating_sub(pace.there), now.duration_since(pace.began).as_millis());
        let left = u128::from(total.saturating_sub(moved)) * took / u128::from(came.max(1)) / 1000;
        Some(u64::try_from(left).ok())
    }
}

impl News for Hears<'_> {
    fn launching(&self) {}

    fn started(&self, _boot: BootId) {}

    fn printed(&self, _stream: Stream, _bytes: &[u8]) {}

    fn notice(&self, notice: Notice) {
        self.ports.observer.notice(&notice);
    }

    fn progress(&self, moved: u64, total: u64) {
        if let Some(left) = self.pace(moved, total) {
            let attempt = self.attempt.clone();
            let _unheard = self.news.send(Input::TransferProgressed { attempt, moved, total, left });
        }
    }
}
