use std::sync::{Mutex, PoisonError};

use futures_util::FutureExt as _;
use secrecy::SecretString;

use super::*;

/// Keeps what it is given, and can be told to fail, or to take the bytes and then not to come back.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Inside>>);

#[derive(Default)]
struct Inside {
    bytes: [Vec<u8>; 2],
    fails: bool,
    hangs: Option<bool>,
}

impl Kept {
    fn inside(&self) -> std::sync::MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn text(&self) -> String {
        String::from_utf8(self.inside().bytes[0].clone()).unwrap()
    }
}

#[async_trait]
impl JobOutput for Kept {
    fn position(&self, stream: Stream) -> u64 {
        self.inside().bytes[stream as usize].len() as u64
    }

    async fn write(&mut self, stream: Stream, bytes: &[u8]) -> Result<(), OutputError> {
        let hangs = {
            let mut inside = self.inside();
            if inside.fails {
                let (job, place, detail) = ("j".to_owned(), "p".to_owned(), "d".to_owned());
                return Err(OutputError { job, place, detail, full: true });
            }
            if inside.hangs != Some(false) {
                inside.bytes[stream as usize].extend_from_slice(bytes);
            }
            inside.hangs.is_some()
        };
        if hangs {
            std::future::pending::<()>().await;
        }
        Ok(())
    }

    async fn head(&mut self) -> Result<(Vec<u8>, bool), OutputError> {
        Ok((self.inside().bytes[0].clone(), true))
    }

    async fn finish(&mut self) -> Result<Printed, OutputError> {
        Ok(Printed::default())
    }
}

fn masked(kept: &Kept) -> MaskedOutput {
    let masker = Masker::new(&[SecretString::from("hunter2")]).unwrap();
    MaskedOutput::new(Box::new(kept.clone()), &masker, None)
}

#[tokio::test]
async fn positions_are_those_of_the_host_also_while_something_is_held_back() {
    let kept = Kept::default();
    let mut out = masked(&kept);
    out.write(Stream::Out, b"a hunt").await.unwrap();
    assert_eq!((out.position(Stream::Out), kept.text().as_str()), (6, "a "));
    out.write(Stream::Out, b"er2 b").await.unwrap();
    assert_eq!((out.position(Stream::Out), kept.text().as_str()), (11, "a *** b"));
    out.write(Stream::Out, b" hun").await.unwrap();
    out.finish().await.unwrap();
    out.finish().await.unwrap();
    assert_eq!(kept.text(), "a *** b hun");
}

#[tokio::test]
async fn who_opens_it_anew_reads_from_the_beginning_and_keeps_nothing_twice() {
    let text = b"a hunter2 b hunter2 c";
    for cut in 0..=text.len() {
        for again in 0..=text.len() {
            let kept = Kept::default();
            masked(&kept).write(Stream::Out, &text[..cut]).await.unwrap();
            let mut out = masked(&kept);
            assert_eq!(out.position(Stream::Out), 0);
            out.write(Stream::Out, &text[..again]).await.unwrap();
            drop(out);
            let mut out = masked(&kept);
            out.write(Stream::Out, text).await.unwrap();
            out.finish().await.unwrap();
            assert_eq!(kept.text(), "a *** b *** c", "cut at {cut}, then at {again}");
        }
    }
}

#[tokio::test]
async fn what_was_not_taken_can_be_given_again() {
    let kept = Kept::default();
    let mut out = masked(&kept);
    out.write(Stream::Out, b"x hunt").await.unwrap();
    kept.inside().fails = true;
    assert!(out.write(Stream::Out, b"er2 y").await.is_err());
    assert_eq!(out.position(Stream::Out), 6);
    assert!(out.write(Stream::Out, b"er2 y").await.is_err());
    kept.inside().fails = false;
    out.write(Stream::Out, b"er2 y").await.unwrap();
    assert_eq!((out.position(Stream::Out), kept.text().as_str()), (11, "x *** y"));
}

#[tokio::test]
async fn a_write_that_nobody_waits_for_any_more_counts_if_it_was_taken() {
    for taken in [true, false] {
        let kept = Kept::default();
        let mut out = masked(&kept);
        out.write(Stream::Out, b"x hunt").await.unwrap();
        kept.inside().hangs = Some(taken);
        assert!(out.write(Stream::Out, b"er2 y").now_or_never().is_none());
        kept.inside().hangs = None;
        assert_eq!(out.position(Stream::Out), if taken { 11 } else { 6 });
        let rest: &[u8] = if taken { b"" } else { b"er2 y" };
        out.write(Stream::Out, rest).await.unwrap();
        out.write(Stream::Out, b"!").await.unwrap();
        assert_eq!((out.position(Stream::Out), kept.text().as_str()), (12, "x *** y!"));
    }
}

#[tokio::test]
async fn what_is_withheld_is_read_and_not_kept() {
    let kept = Kept::default();
    kept.inside().bytes[0] = b"a ***".to_vec();
    let mut out = Withheld::new(Box::new(kept.clone()));
    assert_eq!(out.position(Stream::Out), 0);
    out.write(Stream::Out, b"a hunter2 and the old one").await.unwrap();
    assert_eq!(out.position(Stream::Out), 25);
    assert_eq!(out.head().await.unwrap(), (Vec::new(), false));
    out.finish().await.unwrap();
    assert_eq!(kept.text(), "a ***");
    assert_eq!(kept.inside().bytes[1], WITHHELD);
}

#[tokio::test]
async fn if_what_was_taken_could_not_be_written_the_stream_is_given_again_from_its_beginning() {
    let text = b"a hunter2 b hunter2 c";
    for lost in 0..13 {
        let kept = Kept::default();
        let mut out = masked(&kept);
        out.write(Stream::Out, &text[..17]).await.unwrap();
        let whole = kept.text();
        kept.inside().bytes[0].truncate(lost);
        let from = out.position(Stream::Out);
        assert_eq!(from, if lost < whole.len() { 0 } else { 17 }, "{whole}");
        out.write(Stream::Out, &text[usize::try_from(from).unwrap()..]).await.unwrap();
        out.finish().await.unwrap();
        assert_eq!(kept.text(), "a *** b *** c", "{lost} bytes were left");
    }
}
