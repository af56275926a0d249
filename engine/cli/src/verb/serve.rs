//! `piton serve`.

mod told;

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use piton_core::fault::{Fault, FaultCode};
use piton_core::ids::RunId;
use piton_core::schedule::{Schedule, Start, Timetable};
use piton_daemon::scheduler::{Documents, Made, Parts, Scheduler, Starter};
use piton_runner::clock::SystemClock;
use piton_runner::journal::JournalError;
use piton_runner::{DriveError, Driver, Room};
use piton_store::FileMarks;
use tokio::sync::Notify;

use super::engine::{self, Host};
use super::run::Blind;
use crate::cli::Globals;
use crate::exit::{Code, Failure};
use crate::project::{self, Project};
use crate::screen::Screen;
use crate::store::Store;
use crate::{faults, parts, timetable};
use told::Log;

/// Start what the project's schedules say, and drive it, until asked to end
///
/// Reads `windows/*.yaml`, and reads them again when they change; a version with faults is told, and the one before stays in
/// force. Each start becomes one run, also with several of these processes, and after a crash. Runs that nobody drives are
/// taken up. On SIGTERM it gives its runs back and ends: what runs on hosts goes on, and the next one follows it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How many tasks to have under way at once, over all runs [default: what piton.toml says, else no limit]
    #[arg(long, value_name = "N")]
    max_parallel: Option<NonZeroU32>,
}

pub(crate) async fn run(args: Args, globals: &Globals, screen: &Screen) -> Result<Code, Failure> {
    let Some(project) = project::find(globals.project.as_deref())? else {
        return Err(Failure::usage(format!("there is no project here ({} marks one)", project::FILE))
            .hint("schedules belong to a project; choose one with -C DIR"));
    };
    let root = std::fs::canonicalize(&project.root)
        .map_err(|error| Failure::other(format!("{} cannot be entered: {error}", project.root.display())))?;
    let Some(named) = root.to_str().map(str::to_owned) else {
        return Err(Failure::usage(format!("the path {} is not UTF-8, which a run cannot hold", root.display())));
    };
    let store = Store::open(globals, Some(&project))?;
    let handover = engine::leave_on_signal()?;
    let made = Arc::new(Notify::new());
    let scheduler = Scheduler::new(Parts {
        project: named,
        clock: Arc::new(SystemClock),
        journal: store.journal.clone(),
        marks: Arc::new(FileMarks::new(&store.dir)),
        documents: Arc::new(OnDisk { root: root.clone(), screen: *screen, seen: Mutex::default() }),
        starter: Arc::new(Maker { root, store: store.clone(), made: made.clone() }),
        teller: Arc::new(Log(*screen)),
    });
    let mut scheduling = tokio::spawn(scheduler.run(handover.clone()));
    let room = args.max_parallel.or(store.most).map(Room::new);
    let mut hosting = pin!(engine::host(Host { store, named: Vec::new(), stay: true, room, handover, made }, screen));
    // Neither goes on without the other: a service that does half of its work looks well, and is not.
    let code = tokio::select! {
        code = &mut hosting => code,
        ended = &mut scheduling => {
            ended.map_err(|error| Failure::other(format!("what starts runs has failed: {error}")))?;
            return hosting.await;
        }
    };
    if code.is_ok() {
        // A start that is being made is finished: the lease of its run is given back.
        let _ended = scheduling.await;
    } else {
        scheduling.abort();
    }
    code
}

/// The project's documents.
struct OnDisk {
    root: PathBuf,
    screen: Screen,
    seen: Mutex<Seen>,
}

/// What was seen of the documents: when they were last read, and which other files they name.
#[derive(Default)]
struct Seen {
    print: Option<Vec<(PathBuf, u64, i128)>>,
    named: Vec<PathBuf>,
}

impl OnDisk {
    fn project(&self) -> Result<Project, Failure> {
        let found = project::find(Some(&self.root))?;
        found.ok_or_else(|| Failure::other(format!("{} is gone", self.root.join(project::FILE).display())))
    }

    /// Each file with its length and the time of its last change.
    fn print(&self, project: &Project, named: &[PathBuf]) -> Vec<(PathBuf, u64, i128)> {
        use std::os::unix::fs::MetadataExt;
        let documents = timetable::documents(project).unwrap_or_default();
        let of = |path: &PathBuf| {
            let meta = std::fs::metadata(path).ok()?;
            let changed = i128::from(meta.mtime()) * 1_000_000_000 + i128::from(meta.mtime_nsec());
            // The inode tells a file that was put in the place of another one with the same times.
            Some((path.clone(), meta.len() ^ meta.ino().rotate_left(32), changed))
        };
        documents.iter().chain(named).filter_map(of).collect()
    }
}

#[async_trait]
impl Documents for OnDisk {
    async fn changed(&self) -> bool {
        let Ok(project) = self.project() else { return false };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let print = self.print(&project, &seen.named);
        if seen.print.as_ref() == Some(&print) {
            return false;
        }
        seen.print = Some(print);
        true
    }

    async fn read(&self) -> Result<Timetable, Vec<Fault>> {
        let faulty = |failure: Failure| {
            let bare = |other: Failure| vec![Fault::bare(FaultCode::Syntax, other.to_string())];
            failure.into_faults().unwrap_or_else(bare)
        };
        let project = self.project().map_err(faulty)?;
        let mut named = Vec::new();
        let (table, faults) = timetable::load_noting(&project, &mut named).map_err(faulty)?;
        {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.print = Some(self.print(&project, &named));
            seen.named = named;
        }
        let table = table.ok_or(faults)?;
        // What cannot be started now may be put right until then: it is told, and does not keep the others from being started.
        let more = timetable::check(&project, &table).await.unwrap_or_else(faulty);
        if !more.is_empty() {
            faults::report(&Screen { json: false, ..self.screen }, &more);
            self.screen.error("some schedules cannot be started as things stand", None);
        }
        Ok(table)
    }
}

/// Makes runs in the store.
struct Maker {
    root: PathBuf,
    store: Store,
    /// Wakes whoever drives the runs of this process.
    made: Arc<Notify>,
}

#[async_trait]
impl Starter for Maker {
    async fn start(&self, schedule: &Schedule, _start: Start, id: RunId) -> Result<Made, String> {
        match self.make(schedule, id).await {
            Ok(made) => Ok(made),
            Err(Failure::Faults(faults)) => Err(faults.iter().map(Fault::to_string).collect::<Vec<_>>().join("\n")),
            Err(failure) => Err(failure.to_string()),
        }
    }
}

impl Maker {
    async fn make(&self, schedule: &Schedule, id: RunId) -> Result<Made, Failure> {
        match self.store.journal.summary(id).await {
            Ok(_) => return Ok(Made::There),
            Err(JournalError::NoSuchRun(_)) => {}
            Err(error) => return Err(error.into()),
        }
        let project = project::find(Some(Path::new(&self.root)))?;
        let project = project.ok_or_else(|| Failure::other(format!("{} is gone", self.root.display())))?;
        let plan = timetable::plan(&project, schedule).await?;
        let ports = parts::ports(&self.store, &plan, Arc::new(Blind));
        let by = format!("schedule {}", schedule.name);
        match Driver::create(ports, id, plan, &by, &parts::owner()?).await {
            Ok(driver) => {
                // Whoever drives the runs of this process takes it up, as it would if this process died now.
                driver.leave().await?;
                self.made.notify_one();
                Ok(Made::New)
            }
            // Another process was faster.
            Err(DriveError::Journal(JournalError::Exists(_))) => Ok(Made::There),
            Err(error) => Err(error.into()),
        }
    }
}
