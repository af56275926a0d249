//! How many durable events a second a journal takes, how long an append takes, how fast a large store opens; and how fast output
//! is taken.
//!
//! ```text
//! cargo run --release -p piton-store --features sled --example throughput -- sqlite DIR
//! cargo run --release -p piton-store --features sled --example throughput -- sled:journal.sled DIR
//! cargo run --release -p piton-store --example throughput -- output DIR
//! ```
//!
//! DIR is made, and must not be there yet.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use piton_core::ids::{AttemptId, JobId, Part, RunId};
use piton_core::run::{Event, Recorded};
use piton_core::time::Timestamp;
use piton_runner::clock::Clock;
use piton_runner::journal::{Batch, Filter, Journal, Lease, NewRun, RunStatus};
use piton_runner::output::{OutputSink, Stream};
use piton_store::{DEFAULT_CAP, FileOutputs, open_journal};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Outcome<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [what, dir] = words.as_slice() else { return Err("say what to measure, and a directory".into()) };
    std::fs::create_dir(dir)?;
    if what == "output" { output(Path::new(dir)).await } else { journal(what, Path::new(dir)).await }
}

fn event(seq: u64) -> Recorded<Event> {
    let event = Event::EngineTook { engine: format!("machine:{seq}:0123456789abcdef"), fence: seq };
    Recorded { seq, at: Timestamp(1_700_000_000_000), event }
}

async fn create(journal: &dyn Journal, number: u64) -> Outcome<Lease> {
    let run = NewRun {
        id: RunId::from_parts(1_700_000_000_000 + number, u128::from(number)),
        runbook: "throughput".parse()?,
        title: "Throughput".into(),
        by: "bench@local".into(),
        at: Timestamp(0),
        plan: "{}".into(),
        events: vec![event(1)],
    };
    Ok(journal.create(run, "bench", Duration::from_secs(3600)).await?)
}

async fn append(journal: &dyn Journal, lease: &Lease, first: u64, count: u64) -> Outcome<()> {
    let events = (first..first + count).map(event).collect();
    Ok(journal
        .append(lease, Batch { events, status: RunStatus::Running, taken: Vec::new(), locks: Vec::new(), waits: None })
        .await?)
}

async fn journal(spec: &str, dir: &Path) -> Outcome<()> {
    let journal = open_journal(spec, dir)?;
    let probe = std::fs::File::create(dir.join("probe"))?;
    let begun = Instant::now();
    for at in 0..1000u64 {
        std::os::unix::fs::FileExt::write_all_at(&probe, &[1; 512], at * 512)?;
        probe.sync_data()?;
    }
    println!("a bare write and fdatasync of 512 bytes: {:.0} us", begun.elapsed().as_secs_f64() * 1e3);

    let lease = create(&*journal, 0).await?;
    let begun = Instant::now();
    for turn in 0..1000 {
        append(&*journal, &lease, 2 + turn * 3, 3).await?;
    }
    println!("one run, appends of 3 events in sequence: {:.0} us each", begun.elapsed().as_secs_f64() * 1e3);

    let begun = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 1..=64 {
        let journal = Arc::clone(&journal);
        tasks.spawn(async move {
            let lease = create(&*journal, number).await?;
            for turn in 0..500 {
                append(&*journal, &lease, 2 + turn * 3, 3).await?;
            }
            Outcome::Ok(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    let events = 64.0 * 1500.0;
    println!("64 runs at once, appends of 3 events: {:.0} durable events/s", events / begun.elapsed().as_secs_f64());

    let large = create(&*journal, 100).await?;
    for turn in 0..900 {
        append(&*journal, &large, 2 + turn * 1000, 1000).await?;
    }
    drop(journal);
    let begun = Instant::now();
    let journal = open_journal(spec, dir)?;
    let opened = begun.elapsed();
    journal.list(&Filter { limit: 20, adrift: true, ..Filter::default() }).await?;
    println!(
        "a store of a million events: opened in {opened:.1?}, and what is adrift known after {:.1?}",
        begun.elapsed()
    );
    let begun = Instant::now();
    let verified = journal.verify(large.run).await?;
    println!("{} events verified in {:.1?}", verified.events, begun.elapsed());
    Ok(())
}

struct Wall;

#[async_trait]
impl Clock for Wall {
    fn now(&self) -> Timestamp {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(now.as_millis()).unwrap_or(i64::MAX))
    }

    async fn until(&self, _at: Timestamp) {}
}

async fn output(dir: &Path) -> Outcome<()> {
    let sink = FileOutputs::new(dir, Arc::new(Wall), DEFAULT_CAP);
    let attempt = AttemptId { task: "print[hv1]".parse()?, number: 1 };
    let job = JobId { attempt, part: Part::Main, round: 1 };
    let run = RunId::from_parts(0, 0);
    let mut output = sink.open(run, &job, true).await?;
    let chunk: Vec<u8> = (0..64 * 1024u32).map(|n| u8::try_from(n % 251).unwrap_or(0)).collect();
    let begun = Instant::now();
    for _ in 0..16 * 1024 {
        output.write(Stream::Out, &chunk).await?;
    }
    let took = begun.elapsed();
    println!("1 GiB taken at {:.0} MB/s", 1_073.741_824 / took.as_secs_f64());
    let begun = Instant::now();
    output.finish().await?;
    println!("made durable in {:.1?}", begun.elapsed());
    let begun = Instant::now();
    drop(sink.open(run, &job, true).await?);
    println!("opened again, digest rebuilt, in {:.1?}", begun.elapsed());
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("");
    println!("memory at most: {}", peak.trim_start_matches("VmHWM:").trim());
    Ok(())
}
