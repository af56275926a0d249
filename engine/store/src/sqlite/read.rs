//! The readers' side: events with their links checked, lists, the inbox.

use std::path::Path;

use piton_core::digest::Digest;
use piton_core::ids::RunId;
use piton_core::lock::Ticket;
use piton_core::run::{Event, Recorded, WordId};
use piton_core::time::Timestamp;
use piton_runner::journal::{Filter, JournalError, Letter, RunSummary, Verified};
use rusqlite::types::Value;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, params_from_iter};

use super::open::explain;
use super::tickets;
use super::write::status_of;
use crate::chain::{Link, Stored, corrupt, walk};
use crate::place::unusable;
use crate::record::decode;
use crate::terms::Terms;

/// A connection for one look.
pub(super) struct Reader<'c> {
    pub(super) place: &'c Path,
    pub(super) terms: &'c Terms,
    pub(super) database: &'c Connection,
}

struct RunRow {
    key: i64,
    seq: u64,
    head: Vec<u8>,
    plan: Digest,
}

impl Reader<'_> {
    pub(super) fn events(&self, run: RunId, from: u64, limit: usize) -> Result<Vec<Recorded<Event>>, JournalError> {
        self.snapshot(|| {
            let row = self.row(run)?;
            let from = from.max(1);
            if from > row.seq || limit == 0 {
                return Ok(Vec::new());
            }
            let link = self.link_before(run, &row, from)?;
            let last = row.seq.min(from.saturating_add(u64::try_from(limit - 1).unwrap_or(u64::MAX)));
            let mut events = Vec::new();
            self.walk(run, &row, (from, last), link, |Stored { seq, at, body, .. }| {
                let event = decode(&body).map_err(|why| why.of_event(&self.name(), run, seq))?;
                events.push(Recorded { seq, at, event });
                Ok(())
            })?;
            Ok(events)
        })
    }

    pub(super) fn verify(&self, run: RunId) -> Result<Verified, JournalError> {
        self.snapshot(|| {
            let row = self.row(run)?;
            if Digest::of(self.plan_of(run, row.key)?.as_bytes()) != row.plan {
                return Err(corrupt(run, 1, "the plan is not the one that the run was created with"));
            }
            let head = self.walk(run, &row, (1, row.seq), Link::origin(run, row.plan), |_| Ok(()))?;
            if head.0 != *row.head {
                return Err(corrupt(run, row.seq, "the chain does not end where the run says"));
            }
            let mut beyond = self.prepare("SELECT count(*) FROM events WHERE run = ?1 AND seq > ?2")?;
            let more: i64 = beyond
                .query_row((row.key, sql(row.seq)), |found| found.get(0))
                .map_err(|error| explain(self.place, &error))?;
            if more > 0 {
                return Err(corrupt(run, row.seq.saturating_add(1), "there are more events than the run has"));
            }
            Ok(Verified { events: row.seq, head: Digest(head.0) })
        })
    }

    pub(super) fn plan(&self, run: RunId) -> Result<String, JournalError> {
        self.snapshot(|| self.plan_of(run, self.row(run)?.key))
    }

    fn plan_of(&self, run: RunId, key: i64) -> Result<String, JournalError> {
        let mut find = self.prepare("SELECT plan FROM plans WHERE run = ?1")?;
        let plan =
            find.query_row([key], |row| row.get(0)).optional().map_err(|error| damage(self.place, run, 1, &error))?;
        plan.ok_or_else(|| JournalError::Corrupt { run, seq: 1, detail: "its plan is missing".into() })
    }

    pub(super) fn summary(&self, run: RunId) -> Result<RunSummary, JournalError> {
        let found = self.runs(" WHERE r.id = ?3", vec![Value::Text(run.to_string())], 1)?;
        found.into_iter().next().ok_or(JournalError::NoSuchRun(run))
    }

    pub(super) fn list(&self, filter: &Filter) -> Result<Vec<RunSummary>, JournalError> {
        const OPEN: &str = " AND r.status IN ('running', 'parked')";
        let (mut which, mut values) = (String::from(" WHERE 1"), Vec::new());
        let mut bind = |clause: &str, value: String| {
            values.push(Value::Text(value));
            clause.replace('?', &format!("?{}", values.len() + 2))
        };
        if let Some(prefix) = &filter.id_prefix {
            let prefix = prefix.to_ascii_uppercase();
            which.push_str(&bind(" AND r.id >= ?", prefix.clone()));
            which.push_str(&bind(" AND r.id < ?", format!("{prefix}\u{10ffff}")));
        }
        if let Some(runbook) = &filter.runbook {
            which.push_str(&bind(" AND r.runbook = ?", runbook.as_str().to_owned()));
        }
        if let Some(before) = filter.before {
            which.push_str(&bind(" AND r.id < ?", before.to_string()));
        }
        if filter.open || filter.adrift {
            which.push_str(OPEN);
        }
        if filter.adrift {
            which.push_str(
                " AND held IS NULL AND (r.status = 'running' OR EXISTS (SELECT 1 FROM inbox i WHERE i.run = r.key))",
            );
        }
        which.push_str(" ORDER BY r.id DESC");
        self.runs(&which, values, filter.limit)
    }

    /// Summaries; `which` may use `r` (the run) and `held` (the owner of an unexpired lease), and `values` from `?3` on.
    fn runs(&self, which: &str, values: Vec<Value>, limit: usize) -> Result<Vec<RunSummary>, JournalError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut bound = vec![Value::Text(self.terms.boot().to_owned()), Value::Integer(self.terms.now())];
        bound.extend(values);
        let mut find = self.prepare(&format!(
            "SELECT r.id, r.runbook, r.title, r.by, r.created, r.changed, r.status, r.seq, r.digest, \
             (SELECT l.owner FROM leases l WHERE l.run = r.key AND l.boot = ?1 AND l.until > ?2) AS held, r.waits \
             FROM runs r{which} LIMIT {limit}"
        ))?;
        let rows =
            find.query_map(params_from_iter(bound), |row| Ok(summary_of(row))).map_err(|e| explain(self.place, &e))?;
        rows.map(|row| match row.map_err(|error| explain(self.place, &error))? {
            Ok(summary) => Ok(summary),
            Err(detail) => Err(unusable(self.place, format!("a run's row makes no sense: {detail}"))),
        })
        .collect()
    }

    pub(super) fn inbox(&self, run: RunId) -> Result<Vec<Letter>, JournalError> {
        self.snapshot(|| {
            let key = self.row(run)?.key;
            let mut find = self.prepare("SELECT id, by, at, word FROM inbox WHERE run = ?1 ORDER BY id")?;
            let rows = find
                .query_map([key], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
                .map_err(|error| explain(self.place, &error))?;
            rows.map(|row| {
                let (id, by, at, word): (i64, String, i64, Vec<u8>) =
                    row.map_err(|error| explain(self.place, &error))?;
                let id = u64::try_from(id).unwrap_or(0);
                let word = decode(&word).map_err(|why| why.of_word(&self.name(), run, id))?;
                Ok(Letter { id: WordId(id), by, at: Timestamp(at), word })
            })
            .collect()
        })
    }

    pub(super) fn tickets(&self, run: Option<RunId>) -> Result<Vec<Ticket>, JournalError> {
        self.snapshot(|| {
            let key = run.map(|run| self.row(run)).transpose()?.map(|row| row.key);
            tickets::read(self.database, key).map_err(|error| explain(self.place, &error))
        })
    }

    /// The link that event `from` was chained to.
    fn link_before(&self, run: RunId, row: &RunRow, from: u64) -> Result<Link, JournalError> {
        if from == 1 {
            return Ok(Link::origin(run, row.plan));
        }
        let before = from - 1;
        let mut find = self.prepare("SELECT link FROM events WHERE run = ?1 AND seq = ?2")?;
        let link: Option<Vec<u8>> = find
            .query_row((row.key, sql(before)), |found| found.get(0))
            .optional()
            .map_err(|error| damage(self.place, run, before, &error))?;
        link.and_then(|link| Link::from_slice(&link)).ok_or_else(|| corrupt(run, before, "it is missing"))
    }

    /// Goes over the events `from..=last` and gives the last link.
    fn walk(
        &self,
        run: RunId,
        row: &RunRow,
        (from, last): (u64, u64),
        link: Link,
        each: impl FnMut(Stored) -> Result<(), JournalError>,
    ) -> Result<Link, JournalError> {
        let mut find = self
            .prepare("SELECT seq, at, body, link FROM events WHERE run = ?1 AND seq BETWEEN ?2 AND ?3 ORDER BY seq")?;
        let rows = find.query_map((row.key, sql(from), sql(last)), |found| {
            let seq = u64::try_from(found.get::<_, i64>(0)?).unwrap_or(0);
            Ok(Stored { seq, at: Timestamp(found.get(1)?), body: found.get(2)?, link: found.get(3)? })
        });
        let rows = rows.map_err(|error| damage(self.place, run, from, &error))?;
        walk(run, (from, last), link, rows.map(|row| row.map_err(|error| damage(self.place, run, from, &error))), each)
    }

    fn row(&self, run: RunId) -> Result<RunRow, JournalError> {
        let mut find = self.prepare("SELECT key, seq, head, digest FROM runs WHERE id = ?1")?;
        let row = find
            .query_row([run.to_string()], |row| {
                let seq = u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0);
                Ok(RunRow { key: row.get(0)?, seq, head: row.get(2)?, plan: Digest(row.get(3)?) })
            })
            .optional()
            .map_err(|error| damage(self.place, run, 1, &error))?;
        row.ok_or(JournalError::NoSuchRun(run))
    }

    /// All that is read inside belongs to one state of the store.
    fn snapshot<T>(&self, look: impl FnOnce() -> Result<T, JournalError>) -> Result<T, JournalError> {
        let around = self.database.unchecked_transaction().map_err(|error| explain(self.place, &error))?;
        let found = look();
        drop(around);
        found
    }

    fn prepare(&self, sql: &str) -> Result<rusqlite::CachedStatement<'_>, JournalError> {
        self.database.prepare_cached(sql).map_err(|error| explain(self.place, &error))
    }

    fn name(&self) -> String {
        self.place.display().to_string()
    }
}

fn summary_of(row: &Row<'_>) -> Result<RunSummary, String> {
    let said = |error: rusqlite::Error| error.to_string();
    let text = |index: usize| row.get::<_, String>(index).map_err(said);
    let number = |index: usize| row.get::<_, i64>(index).map_err(said);
    let status = text(6)?;
    Ok(RunSummary {
        id: text(0)?.parse().map_err(|error| format!("{error}"))?,
        runbook: text(1)?.parse().map_err(|error| format!("{error}"))?,
        title: text(2)?,
        by: text(3)?,
        created: Timestamp(number(4)?),
        changed: Timestamp(number(5)?),
        status: status_of(&status).ok_or_else(|| format!("status `{status}`"))?,
        seq: u64::try_from(number(7)?).map_err(|error| error.to_string())?,
        plan: Digest(row.get(8).map_err(said)?),
        owner: row.get(9).map_err(said)?,
        // What a newer Piton waits for is not what this one can tell.
        waits: row.get::<_, Option<String>>(10).map_err(said)?.and_then(|waits| serde_json::from_str(&waits).ok()),
    })
}

/// An error while event `seq` was read. Where SQLite says that pages are damaged or columns have other types, that event
/// is what cannot be had; what stands before it can.
fn damage(place: &Path, run: RunId, seq: u64, error: &rusqlite::Error) -> JournalError {
    let damaged = match error.sqlite_error_code() {
        Some(code) => matches!(code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase),
        None => true,
    };
    if damaged { JournalError::Corrupt { run, seq, detail: error.to_string() } } else { explain(place, error) }
}

fn sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
