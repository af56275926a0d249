//! What jobs print, kept in files.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use piton_core::digest::Digest;
use piton_core::ids::{AttemptId, JobId, Part, RunId};
use piton_core::run::Extent;
use piton_core::time::Timestamp;
use piton_runner::clock::Clock;
use piton_runner::output::{HEAD, JobOutput, OutputSink, Stream};
use piton_store::{DEFAULT_CAP, Extents, FileOutputs, Keep, OutputReader, StreamEnd, jobs_with_output, prune};

use super::small_disk::Disk;

const SMALL: u64 = 1 << 20;

#[derive(Default)]
struct Watch(AtomicI64);

#[async_trait]
impl Clock for Watch {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }

    async fn until(&self, _at: Timestamp) {
        std::future::pending().await
    }
}

fn outputs(dir: &Path, cap: u64) -> (FileOutputs, Arc<Watch>) {
    let watch = Arc::new(Watch::default());
    (FileOutputs::new(dir, Arc::clone(&watch) as Arc<dyn Clock>, cap), watch)
}

fn run() -> RunId {
    RunId::from_parts(1, 1)
}

fn job(number: u32) -> JobId {
    JobId { attempt: AttemptId { task: "copy[hv1]".parse().unwrap(), number }, part: Part::Main, round: 1 }
}

/// Bytes of which every stretch is different.
fn stream(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}

async fn write(output: &mut Box<dyn JobOutput>, stream: Stream, bytes: &[u8]) {
    for chunk in bytes.chunks(50_000) {
        output.write(stream, chunk).await.unwrap();
    }
}

fn extent(bytes: &[u8]) -> Option<Extent> {
    Some(Extent { len: bytes.len() as u64, digest: Digest::of(bytes) })
}

fn whole(reader: &OutputReader, stream: Stream) -> (Vec<u8>, u64) {
    let (mut bytes, mut offset, mut left_out) = (Vec::new(), 0, 0);
    loop {
        let piece = reader.read(stream, offset, 77_777).unwrap();
        if piece.bytes.is_empty() {
            return (bytes, left_out);
        }
        left_out += piece.left_out;
        offset = piece.offset + piece.bytes.len() as u64;
        bytes.extend(piece.bytes);
    }
}

#[tokio::test]
async fn both_streams_are_kept_and_told_exactly() {
    let dir = tempfile::tempdir().unwrap();
    let (sink, _) = outputs(dir.path(), DEFAULT_CAP);
    let mut output = sink.open(run(), &job(1), true).await.unwrap();
    assert_eq!(jobs_with_output(dir.path(), run()).unwrap(), [""; 0], "nothing is made before it is printed");
    let (out, err) = (stream(3_000_000), stream(10));
    write(&mut output, Stream::Out, &out).await;
    write(&mut output, Stream::Err, &err).await;
    assert_eq!((output.position(Stream::Out), output.position(Stream::Err)), (3_000_000, 10));
    let printed = output.finish().await.unwrap();
    assert_eq!((printed.out, printed.err), (extent(&out), extent(&err)));
    assert_eq!(output.head().await.unwrap(), (out[..HEAD].to_vec(), false));

    let reader = OutputReader::of(dir.path(), run(), &job(1));
    assert_eq!(whole(&reader, Stream::Out), (out, 0));
    assert_eq!(whole(&reader, Stream::Err), (err, 0));
    assert_eq!(jobs_with_output(dir.path(), run()).unwrap(), ["copy@hv1.1.main1"]);
    let empty = OutputReader::of(dir.path(), run(), &job(2));
    assert_eq!(empty.extents(Stream::Out).unwrap(), Extents { len: 0, left_out: None });
    use std::os::unix::fs::PermissionsExt;
    for entry in std::fs::read_dir(dir.path().join("output").join(run().to_string())).unwrap() {
        assert_eq!(entry.unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[tokio::test]
async fn what_is_not_to_be_kept_leaves_no_trace() {
    let dir = tempfile::tempdir().unwrap();
    let (sink, _) = outputs(dir.path(), DEFAULT_CAP);
    let mut output = sink.open(run(), &job(1), false).await.unwrap();
    let out = stream(HEAD + 5);
    write(&mut output, Stream::Out, &out).await;
    assert_eq!(output.position(Stream::Out), out.len() as u64);
    assert_eq!(output.head().await.unwrap(), (out[..HEAD].to_vec(), false));
    let printed = output.finish().await.unwrap();
    assert_eq!((printed.out, printed.err), (extent(&out), extent(b"")));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_stream_goes_on_where_it_stood_with_the_digest_of_all_bytes() {
    let bytes = stream(5_000_000);
    for cap in [SMALL, 2 * SMALL, DEFAULT_CAP] {
        let dir = tempfile::tempdir().unwrap();
        // Each piece is written by an engine of its own, which is gone without a word afterwards.
        let mut at = 0;
        for len in [1, 65_535, 1, 700_000, 0, 65_536, 1_234_567, 64 * 1024 * 7, 2_000_000] {
            let (sink, _) = outputs(dir.path(), cap);
            let mut output = sink.open(run(), &job(1), true).await.unwrap();
            assert_eq!(output.position(Stream::Out), at as u64, "cap {cap}");
            write(&mut output, Stream::Out, &bytes[at..at + len]).await;
            at += len;
            let printed = output.finish().await.unwrap();
            assert_eq!(printed.out, extent(&bytes[..at]), "cap {cap} after {at}");
        }
        let reader = OutputReader::of(dir.path(), run(), &job(1));
        let extents = reader.extents(Stream::Out).unwrap();
        assert_eq!(extents.len, at as u64);
        let (kept, left_out) = whole(&reader, Stream::Out);
        match extents.left_out {
            None => assert_eq!((kept, left_out), (bytes[..at].to_vec(), 0)),
            Some(gone) => {
                assert!(kept.len() as u64 <= cap, "{} of {cap}", kept.len());
                assert!(kept.len() as u64 >= cap / 4 * 3, "{} of {cap}", kept.len());
                assert_eq!(left_out, gone.end - gone.start);
                let expected = [&bytes[..gone.start as usize], &bytes[gone.end as usize..at]].concat();
                assert_eq!(kept, expected);
                let piece = reader.read(Stream::Out, gone.start + 10, 5).unwrap();
                assert_eq!((piece.offset, piece.left_out), (gone.end, gone.end - gone.start - 10));
            }
        }
        assert_eq!(reader.extents(Stream::Out).unwrap().left_out.is_some(), cap < DEFAULT_CAP);
    }
}

#[tokio::test]
async fn another_cap_later_does_no_harm() {
    let bytes = stream(9_000_000);
    let dir = tempfile::tempdir().unwrap();
    let mut at = 0;
    for (cap, len) in [(8 * SMALL, 3_000_001), (SMALL, 2_000_000), (DEFAULT_CAP, 1_999_999), (2 * SMALL, 2_000_000)] {
        let (sink, _) = outputs(dir.path(), cap);
        let mut output = sink.open(run(), &job(1), true).await.unwrap();
        assert_eq!(output.position(Stream::Out), at as u64);
        write(&mut output, Stream::Out, &bytes[at..at + len]).await;
        at += len;
        assert_eq!(output.finish().await.unwrap().out, extent(&bytes[..at]));
    }
    let reader = OutputReader::of(dir.path(), run(), &job(1));
    let gone = reader.extents(Stream::Out).unwrap().left_out.unwrap();
    let expected = [&bytes[..gone.start as usize], &bytes[gone.end as usize..at]].concat();
    assert_eq!(whole(&reader, Stream::Out).0, expected);
}

#[tokio::test]
async fn two_engines_that_follow_the_same_job_do_not_spoil_it() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = stream(400_000);
    let (sink, _) = outputs(dir.path(), DEFAULT_CAP);
    let mut stopped = sink.open(run(), &job(1), true).await.unwrap();
    write(&mut stopped, Stream::Out, &bytes[..100_000]).await;
    stopped.finish().await.unwrap();
    let mut new = sink.open(run(), &job(1), true).await.unwrap();
    write(&mut new, Stream::Out, &bytes[100_000..]).await;
    // The first wakes up and does not know yet that it has lost the run.
    write(&mut stopped, Stream::Out, &bytes[100_000..150_000]).await;
    assert_eq!(new.finish().await.unwrap().out, extent(&bytes));
    assert_eq!(whole(&OutputReader::of(dir.path(), run(), &job(1)), Stream::Out).0, bytes);
}

#[tokio::test]
async fn the_last_lines_and_the_lines_of_a_time_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let (sink, watch) = outputs(dir.path(), DEFAULT_CAP);
    let mut output = sink.open(run(), &job(1), true).await.unwrap();
    let line = |n: usize| format!("line {n} {}\n", "x".repeat(n % 3000));
    let mut starts = vec![0u64];
    for n in 0..1000 {
        watch.0.store(1_000 * n as i64, Ordering::SeqCst);
        output.write(Stream::Out, line(n).as_bytes()).await.unwrap();
        starts.push(output.position(Stream::Out));
    }
    output.finish().await.unwrap();
    let reader = OutputReader::of(dir.path(), run(), &job(1));
    for lines in [1, 2, 10, 999, 1000] {
        let end = reader.tail(Stream::Out, lines).unwrap();
        assert_eq!(end, StreamEnd { offset: starts[1000 - lines as usize], lines });
    }
    assert_eq!(reader.tail(Stream::Out, 5000).unwrap(), StreamEnd { offset: 0, lines: 1000 });
    assert_eq!(reader.tail(Stream::Out, 0).unwrap(), StreamEnd { offset: starts[1000], lines: 0 });
    assert_eq!(reader.tail(Stream::Err, 5).unwrap(), StreamEnd { offset: 0, lines: 0 });

    let between = |from: i64, until: i64| reader.between(Stream::Out, Timestamp(from), Timestamp(until)).unwrap();
    assert_eq!(between(10_000, 20_000), starts[10]..starts[20]);
    assert_eq!(between(9_500, 10_001), starts[10]..starts[11]);
    assert_eq!(between(-5, 1), 0..starts[1]);
    assert_eq!(between(999_000, i64::MAX), starts[999]..starts[1000]);
    assert_eq!(between(2_000_000, i64::MAX), starts[1000]..starts[1000]);
    assert_eq!(between(20_000, 10_000), starts[20]..starts[20]);
    assert_eq!(reader.time_of(Stream::Out, starts[500]).unwrap(), Some(Timestamp(500_000)));
    assert_eq!(reader.time_of(Stream::Out, starts[1000]).unwrap(), None);

    // A line without its end, and one that comes in two parts.
    output.write(Stream::Out, b"half").await.unwrap();
    output.finish().await.unwrap();
    assert_eq!(reader.tail(Stream::Out, 1).unwrap(), StreamEnd { offset: starts[1000], lines: 1 });
    watch.0.store(5_000_000, Ordering::SeqCst);
    output.write(Stream::Out, b" whole\nnew\n").await.unwrap();
    output.finish().await.unwrap();
    assert_eq!(between(5_000_000, i64::MAX), starts[1000] + 11..starts[1000] + 15);
}

#[tokio::test]
async fn lines_begin_anew_where_bytes_were_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let (sink, watch) = outputs(dir.path(), SMALL);
    let mut output = sink.open(run(), &job(1), true).await.unwrap();
    let text: String = (0..300_000).map(|n| format!("{n:06}\n")).collect();
    for chunk in text.as_bytes().chunks(50_000) {
        watch.0.fetch_add(1_000, Ordering::SeqCst);
        output.write(Stream::Out, chunk).await.unwrap();
    }
    output.finish().await.unwrap();
    let reader = OutputReader::of(dir.path(), run(), &job(1));
    let gone = reader.extents(Stream::Out).unwrap().left_out.unwrap();
    assert_ne!(gone.end % 7, 0, "the bytes that are left begin in the middle of a line");
    let all = reader.tail(Stream::Out, u64::MAX).unwrap();
    assert_eq!((all.offset, all.lines), (gone.end, (text.len() as u64 - gone.end) / 7 + 1));
    assert_eq!(reader.tail(Stream::Out, 3).unwrap().offset, text.len() as u64 - 21);
    // What came while bytes were left out begins with the first that are there.
    let then = Timestamp(i64::try_from(gone.start / 50_000 + 5).unwrap() * 1_000);
    assert_eq!(reader.between(Stream::Out, then, Timestamp(i64::MAX)).unwrap(), gone.end..text.len() as u64);
}

#[tokio::test]
async fn old_output_goes_first_and_what_is_spared_stays() {
    let dir = tempfile::tempdir().unwrap();
    let (sink, _) = outputs(dir.path(), DEFAULT_CAP);
    let run = |number| RunId::from_parts(number, 0);
    for number in 1..=5 {
        let mut output = sink.open(run(number), &job(1), true).await.unwrap();
        write(&mut output, Stream::Out, &[b'x'; 1000]).await;
        output.finish().await.unwrap();
        let path = dir.path().join("output").join(run(number).to_string());
        let then = std::time::UNIX_EPOCH + std::time::Duration::from_secs(number * 100);
        let files: Vec<_> = std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()).collect();
        for path in files.iter().chain([&path]) {
            std::fs::File::open(path).unwrap().set_modified(then).unwrap();
        }
    }
    std::fs::create_dir(dir.path().join("output/not-a-run")).unwrap();
    let keep = |since, bytes| Keep { since: Timestamp(since), bytes };
    let spare = |id: RunId| id == run(1);
    assert_eq!(prune(dir.path(), keep(0, u64::MAX), &spare).unwrap().runs, []);
    assert_eq!(prune(dir.path(), keep(200_001, u64::MAX), &spare).unwrap().runs, [run(2)]);
    let pruned = prune(dir.path(), keep(0, 2_100), &spare).unwrap();
    assert_eq!((pruned.runs, pruned.bytes), (vec![run(3), run(4)], 2 * (1000 + 16)));
    assert_eq!(prune(dir.path(), keep(i64::MAX, 0), &|_| false).unwrap().runs, [run(1), run(5)]);
    assert!(dir.path().join("output/not-a-run").exists());
}

#[tokio::test]
async fn a_full_disk_counts_nothing_by_half_and_writing_can_be_tried_again() {
    let disk = Disk::of("4m");
    let bytes = stream(3_000_000);
    for (number, cap, chunk) in [(1, SMALL, 33_333), (2, SMALL, 200_000), (3, DEFAULT_CAP, 33_333)] {
        let (sink, _) = outputs(disk.path(), cap);
        let mut output = sink.open(run(), &job(number), true).await.unwrap();
        let (mut at, mut refused) = (0, 0);
        let mut filler = Some(disk.fill(700_000));
        while at < bytes.len() {
            let chunk = &bytes[at..bytes.len().min(at + chunk)];
            let before = output.position(Stream::Out);
            assert_eq!(before, at as u64);
            match output.write(Stream::Out, chunk).await {
                Ok(()) => at += chunk.len(),
                Err(error) => {
                    assert!(error.full, "{error}");
                    // Of what was taken before, some was not written: it is given again.
                    assert!(output.position(Stream::Out) < before);
                    at = usize::try_from(output.position(Stream::Out)).unwrap();
                    refused += 1;
                    // The second time there is room.
                    if refused % 2 == 0 {
                        std::fs::remove_file(filler.take().expect("full although it is empty")).unwrap();
                    }
                }
            }
        }
        assert_eq!(refused, 2, "cap {cap}");
        assert_eq!(output.finish().await.unwrap().out, extent(&bytes));
        let again = sink.open(run(), &job(number), true).await.unwrap();
        assert_eq!(again.position(Stream::Out), bytes.len() as u64);
        let reader = OutputReader::of(disk.path(), run(), &job(number));
        let gone = reader.extents(Stream::Out).unwrap().left_out.unwrap_or(0..0);
        let expected = [&bytes[..gone.start as usize], &bytes[gone.end as usize..]].concat();
        assert_eq!(whole(&reader, Stream::Out).0, expected);
        std::fs::remove_dir_all(disk.path().join("output")).unwrap();
    }
}

#[tokio::test]
async fn a_write_that_nobody_waits_for_any_more_is_counted_or_not_begun() {
    let dir = tempfile::tempdir().unwrap();
    let (sink, _) = outputs(dir.path(), DEFAULT_CAP);
    let mut output = sink.open(run(), &job(1), true).await.unwrap();
    let bytes = stream(2_000_000);
    let mut dropped = 0;
    loop {
        let at = usize::try_from(output.position(Stream::Out)).unwrap();
        if at == bytes.len() {
            break;
        }
        let chunk = &bytes[at..bytes.len().min(at + 20_000)];
        // Polled once and dropped, every other time.
        let write = output.write(Stream::Out, chunk);
        if dropped % 2 == 0 {
            let mut write = write;
            let once = std::future::poll_fn(|context| std::task::Poll::Ready(write.as_mut().poll(context).is_ready()));
            once.await;
        } else {
            write.await.unwrap();
        }
        dropped += 1;
    }
    assert_eq!(output.finish().await.unwrap().out, extent(&bytes));
    assert_eq!(whole(&OutputReader::of(dir.path(), run(), &job(1)), Stream::Out).0, bytes);
}
