//! Collecting what a job wrote, once it has ended.

use std::io;
use std::sync::Arc;

use piton_core::run::Exit;
use piton_runner::output::Stream;
use piton_runner::transport::{JobEnd, MAX_OUTPUTS};

use crate::carry::{Broken, Carry};
use crate::files::index;
use crate::follow::{Follower, STALL, has, take};
use crate::script;
use crate::shell::{Answer, Reader, Shell};

impl Carry<'_> {
    /// The job has ended: takes the rest of what it wrote.
    pub(crate) async fn collect(
        &mut self,
        mut shell: Box<Shell>,
        answer: &Answer,
        follower: Follower,
    ) -> Result<JobEnd, Broken> {
        let lengths = [(Stream::Out, answer.number("out")), (Stream::Err, answer.number("err"))];
        let outputs_len = answer.number("outputs");
        let inline = answer.field("inline") == "1";
        let mut outputs = Vec::new();
        if inline {
            take_exactly(&mut shell.stdout, outputs_len, |bytes| outputs.extend_from_slice(bytes)).await?;
            for (stream, len) in lengths {
                self.take_inline(&mut shell.stdout, stream, len).await?;
            }
        } else {
            let follower = self.drain(follower, lengths).await?;
            self.release(follower);
            for (stream, len) in lengths {
                self.take_rest(&mut shell, stream, len).await?;
            }
            if outputs_len > 0 && outputs_len <= MAX_OUTPUTS as u64 {
                self.ask_rest(&mut shell, "output", 0, outputs_len).await?;
                take_exactly(&mut shell.stdout, outputs_len, |bytes| outputs.extend_from_slice(bytes)).await?;
            }
            let code = answer.number("code");
            return Ok(self.exited(shell, code, outputs, outputs_len));
        }
        self.release(follower);
        let code = answer.number("code");
        Ok(self.exited(shell, code, outputs, outputs_len))
    }

    fn exited(&self, shell: Box<Shell>, code: u64, outputs: Vec<u8>, len: u64) -> JobEnd {
        let outputs = if len > MAX_OUTPUTS as u64 {
            Err(format!("it wrote {len} bytes to $PITON_OUTPUT; {MAX_OUTPUTS} is the most"))
        } else {
            Ok(outputs)
        };
        let boot = shell.boot.clone();
        self.pool.give(shell);
        // A shell never says more than 255; should it, the job certainly did not succeed.
        JobEnd::Exited { exit: Exit(u8::try_from(code).unwrap_or(u8::MAX)), outputs, boot }
    }

    /// Takes what comes with the answer, but for what we have already.
    async fn take_inline(&mut self, reader: &mut Reader, stream: Stream, len: u64) -> Result<(), Broken> {
        let mut have = self.out.position(stream).min(len);
        let mut left = len;
        while left > 0 {
            if reader.ready().is_empty() && reader.fill().await? == 0 {
                return Err(Broken::Lost(io::ErrorKind::UnexpectedEof.into()));
            }
            let here = count(reader.ready().len()).min(left);
            let skip = have.min(here);
            if here > skip {
                let bytes = &reader.ready()[index(skip)..index(here)];
                self.out.write(stream, bytes).await?;
                self.news.printed(stream, bytes);
            }
            have -= skip;
            left -= here;
            reader.take(index(here));
        }
        Ok(())
    }

    /// Takes from the follower until all has come, as long as something comes.
    async fn drain(&mut self, mut follower: Follower, lengths: [(Stream, u64); 2]) -> Result<Follower, Broken> {
        while let Follower::On(shell) = &mut follower {
            let missing: Vec<_> = lengths.into_iter().filter(|(s, len)| self.out.position(*s) < *len).collect();
            if missing.is_empty() {
                break;
            }
            let wants = |stream| missing.iter().find(|(s, _)| *s == stream).map(|(_, len)| *len);
            let (out, err) = (wants(Stream::Out), wants(Stream::Err));
            let step = tokio::time::timeout(STALL, async {
                tokio::select! {
                    got = has(&mut shell.stdout), if out.is_some() => (got, Stream::Out, out),
                    got = has(&mut shell.stderr), if err.is_some() => (got, Stream::Err, err),
                }
            });
            match step.await {
                Ok((true, stream, len)) => {
                    let reader = match stream {
                        Stream::Out => &mut shell.stdout,
                        Stream::Err => &mut shell.stderr,
                    };
                    take(self.out, self.news, stream, reader, len.unwrap_or(0)).await?;
                }
                Ok((false, _, _)) | Err(_) => follower = Follower::Off,
            }
        }
        Ok(follower)
    }

    /// Asks for what has not come.
    async fn take_rest(&mut self, shell: &mut Shell, stream: Stream, len: u64) -> Result<(), Broken> {
        let from = self.out.position(stream);
        if from >= len {
            return Ok(());
        }
        let suffix = match stream {
            Stream::Out => "out",
            Stream::Err => "err",
        };
        self.ask_rest(shell, suffix, from, len - from).await?;
        while self.out.position(stream) < len {
            if !has(&mut shell.stdout).await {
                return Err(Broken::Lost(io::ErrorKind::UnexpectedEof.into()));
            }
            take(self.out, self.news, stream, &mut shell.stdout, len).await?;
        }
        Ok(())
    }

    async fn ask_rest(&mut self, shell: &mut Shell, suffix: &str, from: u64, len: u64) -> Result<(), Broken> {
        let (run, name) = (self.job.run.to_string(), self.job.id.file_name());
        let (from, len) = (from.to_string(), len.to_string());
        shell.ask(&script::run(script::REST, &[&run, &name, suffix, &from, &len])).await?;
        shell.answer().await?;
        Ok(())
    }

    /// Ends the follower, off the way of the job.
    fn release(&self, follower: Follower) {
        if let Follower::On(mut shell) = follower {
            let pool = Arc::clone(&self.pool);
            tokio::spawn(async move {
                let ended = tokio::time::timeout(STALL, async {
                    shell.ask(b"done\n").await?;
                    shell.answer().await?;
                    shell.answer_on_stderr().await
                });
                if let Ok(Ok(_)) = ended.await {
                    pool.give(shell);
                }
            });
        }
    }
}

async fn take_exactly(reader: &mut Reader, len: u64, mut sink: impl FnMut(&[u8])) -> io::Result<()> {
    let mut left = index(len);
    while left > 0 {
        if reader.ready().is_empty() && reader.fill().await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let here = reader.ready().len().min(left);
        sink(&reader.ready()[..here]);
        reader.take(here);
        left -= here;
    }
    Ok(())
}

fn count(index: usize) -> u64 {
    u64::try_from(index).unwrap_or(u64::MAX)
}
