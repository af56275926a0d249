//! Other processes that use the store: the test binary itself, started anew.

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use piton_runner::journal::JournalError;
use piton_store::open_journal;

use super::powercut::long_event;
use super::*;

const PART: &str = "PITON_TEST_PART";
const DIR: &str = "PITON_TEST_DIR";
const SPEC: &str = "PITON_TEST_SPEC";
/// The test that is the other process when it is started with these variables.
const ENTRY: &str = "child::other_process";

/// Another process. It is killed when this is dropped.
pub(crate) struct Other {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    stdin: ChildStdin,
}

impl Other {
    /// Starts another process that plays a part with a store.
    pub fn start(part: &str, spec: &str, dir: &Path) -> Self {
        Self::start_under(&[], part, spec, dir)
    }

    /// Likewise, under another program.
    pub fn start_under(under: &[&str], part: &str, spec: &str, dir: &Path) -> Self {
        let this = std::env::current_exe().unwrap();
        let words: Vec<&str> = under
            .iter()
            .copied()
            .chain([this.to_str().unwrap(), "--ignored", "--exact", ENTRY, "--nocapture"])
            .collect();
        let mut child = Command::new(words[0])
            .args(&words[1..])
            .envs([(PART, part), (SPEC, spec), (DIR, dir.to_str().unwrap())])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, lines: BufReader::new(stdout).lines(), stdin }
    }

    /// The next thing it says; `None` when it has ended.
    pub fn hear(&mut self) -> Option<String> {
        self.lines.by_ref().map_while(Result::ok).find_map(|line| line.strip_prefix("@ ").map(str::to_owned))
    }

    /// Has it go on.
    pub fn tell(&mut self) {
        writeln!(self.stdin, "go").unwrap();
    }

    /// Kills it with SIGKILL and gives what it had still said.
    pub fn kill(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        std::iter::from_fn(|| self.hear()).collect()
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits until it ends by itself, well.
    pub fn end(mut self) {
        while self.hear().is_some() {}
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}");
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn say(what: &str) {
    let mut out = std::io::stdout().lock();
    // One write for the whole line: what was begun to be said was acknowledged.
    let line = format!("@ {what}\n");
    if out.write_all(line.as_bytes()).and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

fn wait_to_be_told() {
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

#[tokio::test]
#[ignore = "the other process of other tests"]
async fn other_process() {
    let given = |name: &str| std::env::var(name).unwrap();
    let dir = given(DIR);
    let journal = open_journal(&given(SPEC), Path::new(&dir)).unwrap();
    let me = format!("machine:{}:x", std::process::id());
    match given(PART).as_str() {
        // Takes run 1, appends for ever and says each number after it was acknowledged.
        "append" => {
            let lease = journal.claim(run_id(1), &me, Duration::ZERO).await.unwrap();
            let mut seq = journal.summary(run_id(1)).await.unwrap().seq;
            loop {
                let last = seq + 1 + seq % 3;
                journal.append(&lease, batch(seq + 1..=last)).await.unwrap();
                seq = last;
                say(&seq.to_string());
            }
        }
        // Takes run 1 for a short time, waits to be told, appends, and says what came of it.
        "hold" => {
            let lease = journal.claim(run_id(1), &me, Duration::from_millis(300)).await.unwrap();
            journal.append(&lease, batch(2..=2)).await.unwrap();
            say("held");
            wait_to_be_told();
            let again = [journal.append(&lease, batch(3..=3)).await, journal.renew(&lease, LONG).await];
            let stale = |result: &Result<(), JournalError>| matches!(result, Err(JournalError::Stale { .. }));
            say(if again.iter().all(stale) { "stale" } else { "went on" });
        }
        // Creates a run of its own, competes for run 1, and says how often it had it.
        "compete" => {
            let number = u64::from(std::process::id()) + 1000;
            let own = journal.create(created(number), &me, LONG).await.unwrap();
            let mut had = 0;
            for seq in 2..=60 {
                journal.append(&own, batch(seq..=seq)).await.unwrap();
                match journal.claim(run_id(1), &me, LONG).await {
                    Ok(lease) => {
                        let next = journal.summary(run_id(1)).await.unwrap().seq + 1;
                        journal.append(&lease, batch(next..=next)).await.unwrap();
                        journal.release(&lease).await.unwrap();
                        had += 1;
                    }
                    Err(JournalError::Held { .. }) => {}
                    Err(other) => panic!("{other}"),
                }
            }
            say(&format!("{number} {had}"));
        }
        // Creates a run of its own in a store that may not be there yet.
        "create" => {
            journal.create(created(u64::from(std::process::id())), &me, LONG).await.unwrap();
        }
        // Drives several runs at once, in two stores one after the other, and says of each event that it was acknowledged.
        "powercut" => {
            drop(journal);
            for half in 0..2 {
                let journal = open_journal(&given(SPEC), Path::new(&dir)).unwrap();
                let mut tasks = tokio::task::JoinSet::new();
                for number in 1..=4 {
                    tasks.spawn(work(Arc::clone(&journal), number, half));
                }
                while let Some(done) = tasks.join_next().await {
                    done.unwrap();
                }
            }
        }
        // Says something to run 1.
        "say" => {
            journal.say(run_id(1), "ada@ops", cancel("mistake"), Timestamp(1)).await.unwrap();
        }
        other => panic!("no part {other}"),
    }
}

async fn work(journal: Arc<dyn Journal>, number: u64, half: u64) {
    let run = run_id(number);
    let (lease, mut seq) = if half == 0 {
        let lease = journal.create(created(number), "a", LONG).await.unwrap();
        (lease, 1)
    } else {
        (journal.claim(run, "a", LONG).await.unwrap(), journal.summary(run).await.unwrap().seq)
    };
    say(&format!("{number} {seq}"));
    let turns = std::env::var("PITON_POWERCUT_TURNS").ok().and_then(|turns| turns.parse().ok()).unwrap_or(120);
    for turn in 0..turns {
        let mut taken = Vec::new();
        if turn % 16 == number {
            taken.push(journal.say(run, "ada@ops", cancel("x"), Timestamp(1)).await.unwrap());
        }
        let last = seq + 1 + (turn + number) % 3;
        let events = (seq + 1..=last).map(long_event).collect();
        journal.append(&lease, taking(Batch { events, ..no_events() }, &taken)).await.unwrap();
        seq = last;
        say(&format!("{number} {seq}"));
    }
}
