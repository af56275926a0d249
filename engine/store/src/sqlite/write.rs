//! The writer's side: each request in a savepoint, those that wait together in one transaction.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use piton_core::digest::Digest;
use piton_core::ids::RunId;
use piton_core::run::{Outcome, WordId};
use piton_core::time::Timestamp;
use piton_runner::journal::{JournalError, Lease, NewRun, RunStatus};
use rusqlite::{Connection, OptionalExtension, params};

use super::open::{database_of, explain};
use super::tickets;
use crate::chain::Link;
use crate::place::unusable;
use crate::presence::Presence;
use crate::record::Entry;
use crate::request::{Append, Reply, Request, follow};
use crate::terms::{Term, Terms};
use crate::writer::Books;

/// Why a request was not carried out.
enum Setback {
    /// It asks for what cannot be; the other requests are not concerned.
    Refused(JournalError),
    /// SQLite failed; nothing of the transaction stands.
    Failed(rusqlite::Error),
}

impl From<rusqlite::Error> for Setback {
    fn from(error: rusqlite::Error) -> Self {
        Self::Failed(error)
    }
}

/// The database as the writer thread holds it.
pub(super) struct Ledger {
    place: PathBuf,
    database: Connection,
    terms: Terms,
    presence: Presence,
    file: Option<(u64, u64)>,
}

impl Books for Ledger {
    fn commit(&mut self, requests: &[Request]) -> Vec<Result<Reply, JournalError>> {
        if self.file.is_some() && inode(&self.place) != self.file {
            let gone = unusable(&self.place, "journal.db was removed or replaced while it was open");
            return requests.iter().map(|_| Err(gone.clone())).collect();
        }
        self.presence.announce_all(requests);
        match self.together(requests) {
            Ok(replies) => replies,
            // What is too much together may do one by one (a nearly full disk), and one request's fault is its own.
            Err(_) if requests.len() > 1 => requests.iter().map(|request| self.alone(request)).collect(),
            Err(error) => vec![Err(explain(&self.place, &error))],
        }
    }
}

impl Ledger {
    pub(super) fn new(place: &Path, database: Connection, terms: Terms) -> Self {
        let presence = Presence::in_state_dir(place);
        Self { place: place.to_owned(), database, terms, presence, file: inode(place) }
    }

    fn alone(&self, request: &Request) -> Result<Reply, JournalError> {
        match self.together(std::slice::from_ref(request)) {
            Ok(mut replies) => replies.pop().unwrap_or_else(|| Err(unusable(&self.place, "no answer"))),
            Err(error) => Err(explain(&self.place, &error)),
        }
    }

    /// One transaction. On an error nothing of it stands.
    fn together(&self, requests: &[Request]) -> rusqlite::Result<Vec<Result<Reply, JournalError>>> {
        self.execute("BEGIN IMMEDIATE")?;
        let done = requests.iter().map(|request| self.apart(request)).collect::<rusqlite::Result<Vec<_>>>();
        match done.and_then(|replies| self.execute("COMMIT").map(|()| replies)) {
            Ok(replies) => Ok(replies),
            Err(error) => {
                // SQLite rolls back by itself after some errors (sqlite.org/lang_transaction.html).
                if !self.database.is_autocommit() {
                    self.execute("ROLLBACK")?;
                }
                Err(error)
            }
        }
    }

    /// One request, in a savepoint of its own.
    fn apart(&self, request: &Request) -> rusqlite::Result<Result<Reply, JournalError>> {
        self.execute("SAVEPOINT request")?;
        match self.carry_out(request) {
            Ok(reply) => {
                self.execute("RELEASE request")?;
                Ok(Ok(reply))
            }
            Err(Setback::Refused(why)) => {
                self.execute("ROLLBACK TO request")?;
                self.execute("RELEASE request")?;
                Ok(Err(why))
            }
            Err(Setback::Failed(error)) => Err(error),
        }
    }

    fn carry_out(&self, request: &Request) -> Result<Reply, Setback> {
        match request {
            Request::Create { run, plan, entries, owner, ttl } => {
                self.create(run, *plan, entries, owner, &self.terms.ending_in(*ttl))
            }
            Request::Claim { run, owner, ttl } => self.claim(*run, owner, &self.terms.ending_in(*ttl)),
            Request::Renew { lease, ttl } => {
                let key = self.held(lease)?.key;
                let term = self.terms.ending_in(*ttl);
                let mut renew =
                    self.database.prepare_cached("UPDATE leases SET boot = ?2, until = ?3 WHERE run = ?1")?;
                renew.execute(params![key, term.boot, term.until])?;
                Ok(Reply::Done)
            }
            Request::Release { lease } => {
                let key = self.held(lease)?.key;
                self.database
                    .prepare_cached("UPDATE leases SET owner = NULL, until = 0 WHERE run = ?1")?
                    .execute(params![key])?;
                Ok(Reply::Done)
            }
            Request::Append { lease, append } => self.append(lease, append),
            Request::Say { run, by, word, at } => {
                let key = self.key(*run)?;
                let mut say =
                    self.database.prepare_cached("INSERT INTO inbox (run, by, at, word) VALUES (?1, ?2, ?3, ?4)")?;
                let id = say.insert(params![key, by, at.0, word])?;
                Ok(Reply::Said(WordId(u64::try_from(id).unwrap_or(0))))
            }
        }
    }

    fn create(
        &self,
        run: &NewRun,
        plan: Digest,
        entries: &[Entry],
        owner: &str,
        term: &Term,
    ) -> Result<Reply, Setback> {
        let find = |key: &rusqlite::Row<'_>| key.get::<_, i64>(0);
        let mut known = self.database.prepare_cached("SELECT key FROM runs WHERE id = ?1")?;
        if known.query_row([run.id.to_string()], find).optional()?.is_some() {
            return Err(Setback::Refused(JournalError::Exists(run.id)));
        }
        follow(run.id, 0, entries).map_err(Setback::Refused)?;
        let mut insert = self.database.prepare_cached(
            "INSERT INTO runs (id, runbook, title, by, created, changed, status, seq, head, digest) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?;
        let origin = Link::origin(run.id, plan);
        let head = entries.iter().fold(origin, |link, entry| link.next(entry.seq, entry.at, &entry.body));
        let changed = entries.last().map_or(run.at, |entry| entry.at);
        let key = insert.insert(params![
            run.id.to_string(),
            run.runbook.as_str(),
            run.title,
            run.by,
            run.at.0,
            changed.0,
            word_of(RunStatus::Running),
            i64::try_from(entries.len()).unwrap_or(i64::MAX),
            head.0,
            plan.0
        ])?;
        self.database
            .prepare_cached("INSERT INTO plans (run, plan) VALUES (?1, ?2)")?
            .execute(params![key, run.plan])?;
        self.insert(key, origin, entries)?;
        self.lease(key, owner, 1, term)?;
        Ok(Reply::Leased(1))
    }

    fn claim(&self, run: RunId, owner: &str, term: &Term) -> Result<Reply, Setback> {
        let key = self.key(run)?;
        let mut find = self.database.prepare_cached("SELECT owner, fence, boot, until FROM leases WHERE run = ?1")?;
        let lease = find
            .query_row([key], |row| {
                let term = Term { boot: row.get(2)?, until: row.get(3)? };
                Ok((row.get::<_, Option<String>>(0)?, row.get::<_, i64>(1)?, term))
            })
            .optional()?;
        let fence = match lease {
            Some((Some(holder), _, until))
                if holder != owner && self.terms.holds(&until) && !self.presence.is_gone(&holder) =>
            {
                return Err(Setback::Refused(JournalError::Held { run, owner: holder }));
            }
            Some((_, fence, _)) => fence.saturating_add(1),
            None => 1,
        };
        self.lease(key, owner, fence, term)?;
        Ok(Reply::Leased(u64::try_from(fence).unwrap_or(0)))
    }

    fn append(&self, lease: &Lease, append: &Append) -> Result<Reply, Setback> {
        let Append { entries, status, taken, locks, waits } = append;
        let held = self.held(lease)?;
        follow(lease.run, held.seq, entries).map_err(Setback::Refused)?;
        if let Some(last) = entries.last() {
            let head = self.insert(held.key, held.head, entries)?;
            let mut step =
                self.database.prepare_cached("UPDATE runs SET seq = ?2, head = ?3, changed = ?4 WHERE key = ?1")?;
            step.execute(params![held.key, i64::try_from(last.seq).unwrap_or(i64::MAX), head.0, last.at.0])?;
        }
        let waits = waits.as_ref().map(tickets::json).transpose()?;
        if held.status != word_of(*status) || held.waits != waits {
            let mut change = self.database.prepare_cached("UPDATE runs SET status = ?2, waits = ?3 WHERE key = ?1")?;
            change.execute(params![held.key, word_of(*status), waits])?;
        }
        for word in taken {
            let mut take = self.database.prepare_cached("DELETE FROM inbox WHERE id = ?1 AND run = ?2")?;
            take.execute(params![i64::try_from(word.0).unwrap_or(-1), held.key])?;
        }
        let at = entries.last().map_or(Timestamp::default(), |last| last.at);
        let mut given = tickets::change(&self.database, held.key, locks, at)?;
        if matches!(status, RunStatus::Ended(_)) && held.status != word_of(*status) {
            given |= tickets::free_all(&self.database, held.key, at)?;
        }
        Ok(if given { Reply::Given } else { Reply::Done })
    }

    /// Stores entries after `head` and gives the new head.
    fn insert(&self, key: i64, head: Link, entries: &[Entry]) -> rusqlite::Result<Link> {
        let mut insert = self
            .database
            .prepare_cached("INSERT INTO events (run, seq, at, body, link) VALUES (?1, ?2, ?3, ?4, ?5)")?;
        let mut link = head;
        for entry in entries {
            link = link.next(entry.seq, entry.at, &entry.body);
            let seq = i64::try_from(entry.seq).unwrap_or(i64::MAX);
            insert.execute(params![key, seq, entry.at.0, entry.body, link.0])?;
        }
        Ok(link)
    }

    fn lease(&self, key: i64, owner: &str, fence: i64, term: &Term) -> rusqlite::Result<()> {
        self.database
            .prepare_cached("REPLACE INTO leases (run, owner, fence, boot, until) VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![key, owner, fence, term.boot, term.until])
            .map(drop)
    }

    fn key(&self, run: RunId) -> Result<i64, Setback> {
        let mut find = self.database.prepare_cached("SELECT key FROM runs WHERE id = ?1")?;
        let key = find.query_row([run.to_string()], |row| row.get(0)).optional()?;
        key.ok_or(Setback::Refused(JournalError::NoSuchRun(run)))
    }

    /// The run of a lease that is still the last one given. That its time is up does not matter as long as nobody else
    /// took the run.
    fn held(&self, lease: &Lease) -> Result<Held, Setback> {
        let mut find = self.database.prepare_cached(
            "SELECT r.key, r.seq, r.head, r.status, l.owner, l.fence, r.waits FROM runs r LEFT JOIN leases l ON l.run = r.key \
             WHERE r.id = ?1",
        )?;
        let row = find.query_row([lease.run.to_string()], |row| {
            let held = Held {
                key: row.get(0)?,
                seq: u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0),
                head: Link(row.get(2)?),
                status: row.get(3)?,
                waits: row.get(6)?,
            };
            Ok((held, row.get::<_, Option<String>>(4)?, row.get::<_, Option<i64>>(5)?))
        });
        let Some((held, owner, fence)) = row.optional()? else {
            return Err(Setback::Refused(JournalError::NoSuchRun(lease.run)));
        };
        if owner.as_deref() != Some(&lease.owner)
            || fence.and_then(|fence| u64::try_from(fence).ok()) != Some(lease.fence)
        {
            return Err(Setback::Refused(JournalError::Stale { run: lease.run, fence: lease.fence }));
        }
        Ok(held)
    }

    fn execute(&self, statement: &str) -> rusqlite::Result<()> {
        self.database.prepare_cached(statement)?.execute([]).map(drop)
    }
}

struct Held {
    key: i64,
    seq: u64,
    head: Link,
    status: String,
    waits: Option<String>,
}

/// The word for a status in the table of runs.
pub(super) fn word_of(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Running => "running",
        RunStatus::Parked => "parked",
        RunStatus::Ended(Outcome::Succeeded) => "succeeded",
        RunStatus::Ended(Outcome::Failed) => "failed",
        RunStatus::Ended(Outcome::Cancelled) => "cancelled",
        RunStatus::Ended(Outcome::Undone) => "undone",
    }
}

/// The status for a word in the table of runs.
pub(super) fn status_of(word: &str) -> Option<RunStatus> {
    [
        RunStatus::Running,
        RunStatus::Parked,
        RunStatus::Ended(Outcome::Succeeded),
        RunStatus::Ended(Outcome::Failed),
        RunStatus::Ended(Outcome::Cancelled),
        RunStatus::Ended(Outcome::Undone),
    ]
    .into_iter()
    .find(|status| word_of(*status) == word)
}

fn inode(place: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(database_of(place)).ok().map(|meta| (meta.dev(), meta.ino()))
}
