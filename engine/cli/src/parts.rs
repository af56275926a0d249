//! The concrete parts that the engine is made of.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use piton_core::ids::{HostName, RunId};
use piton_core::inventory::Host;
use piton_core::plan::Plan;
use piton_runner::Ports;
use piton_runner::clock::{Clock, SystemClock};
use piton_runner::observer::Observer;
use piton_runner::transport::Transport;
use piton_store::{DEFAULT_CAP, FileOutputs};

use crate::exit::Failure;
use crate::notifying::Notifying;
use crate::secrets;
use crate::speaker::Speaker;
use crate::store::Store;

/// What a driver needs to drive a run with this plan.
pub(crate) fn ports(store: &Store, plan: &Plan, observer: Arc<dyn Observer>) -> Ports {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let options = piton_ssh::Options { hidden: secrets::variables(plan), ..piton_ssh::Options::default() };
    Ports {
        journal: store.journal.clone(),
        transport: Arc::new(piton_ssh::Hosts::new(plan.hosts.clone(), options)),
        outputs: Arc::new(FileOutputs::new(&store.dir, clock.clone(), DEFAULT_CAP)),
        clock,
        hooks: Arc::new(piton_hooks::RhaiHooks),
        observer: Notifying::around(observer, Path::new(&plan.project)),
        secrets: secrets::of(store, plan, secrets::Sources::new()),
    }
}

/// What reaches these hosts.
pub(crate) fn transport(hosts: &BTreeMap<HostName, Host>) -> Arc<dyn Transport> {
    Arc::new(piton_ssh::Hosts::new(hosts.clone(), piton_ssh::Options::default()))
}

/// A new id for a run: the time, and 80 bits that nobody can guess.
pub(crate) fn new_run_id() -> Result<RunId, Failure> {
    let ms = u64::try_from(SystemClock.now().0).unwrap_or(0);
    Ok(RunId::from_parts(ms, u128::from_le_bytes(random()?)))
}

/// `machine:pid:nonce`: who this engine is.
pub(crate) fn owner() -> Result<String, Failure> {
    let nonce: [u8; 4] = random()?;
    Ok(format!("{}:{}:{:08x}", machine(), std::process::id(), u32::from_le_bytes(nonce)))
}

fn random<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| Failure::other(format!("the system gives no random numbers: {error}")))?;
    Ok(bytes)
}

/// Whether the engine that is called so is a process of this machine that has ended.
pub(crate) fn is_dead(owner: &str) -> bool {
    let mut words = owner.rsplitn(3, ':');
    let (Some(_nonce), Some(pid), Some(on)) = (words.next(), words.next(), words.next()) else { return false };
    on == machine() && pid.parse::<u32>().is_ok_and(|pid| !Path::new(&format!("/proc/{pid}")).exists())
}

/// Who speaks, as the journal has it; see [`Speaker`].
pub(crate) fn speaker() -> String {
    Speaker::here().to_string()
}

/// The name of this machine (uname(2)).
pub(crate) fn machine() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
