//! Where words go: data to stdout, everything else to stderr. Nothing here panics when a reader has gone.

use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};

use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use serde::Serialize;

use crate::exit::Failure;

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum ColorChoice {
    /// On a terminal, unless NO_COLOR is set (<https://no-color.org>).
    #[default]
    Auto,
    /// Also into files and pipes.
    Always,
    /// Not at all.
    Never,
}

/// How a verb speaks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Screen {
    /// Data as JSON.
    pub json: bool,
    /// No notes on stderr, only errors.
    pub quiet: bool,
    /// How much more to tell.
    pub verbose: u8,
    /// Colours on stdout.
    pub color_out: bool,
    /// Colours on stderr.
    pub color_err: bool,
}

impl Screen {
    /// Finds out what stdout and stderr can show.
    pub(crate) fn new(json: bool, quiet: bool, verbose: u8, color: ColorChoice) -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty())
            || std::env::var_os("TERM").is_some_and(|v| v == "dumb");
        let wanted = |terminal: bool| match color {
            ColorChoice::Auto => terminal && !plain,
            ColorChoice::Always => true,
            ColorChoice::Never => false,
        };
        Self {
            json,
            quiet,
            verbose,
            color_out: wanted(io::stdout().is_terminal()) && !json,
            color_err: wanted(io::stderr().is_terminal()),
        }
    }

    /// Opens stdout for data.
    pub(crate) fn out(&self) -> Out {
        Out { to: Box::new(BufWriter::with_capacity(64 * 1024, io::stdout())), color: self.color_out }
    }

    /// A line for whoever looks on, unless they asked for quiet. A stderr that cannot be written to is no reason to stop.
    pub(crate) fn note(&self, text: impl Display) {
        if !self.quiet {
            let _nobody_reads = writeln!(io::stderr().lock(), "{text}");
        }
    }

    /// An error line, with what to do about it.
    pub(crate) fn error(&self, text: impl Display, advice: Option<String>) {
        let (red, cyan) = (paint(self.color_err, RED.bold(), "error"), paint(self.color_err, CYAN, "hint"));
        let mut err = io::stderr().lock();
        let _nobody_reads = writeln!(err, "{red}: {text}");
        if let Some(advice) = advice {
            let _nobody_reads = writeln!(err, "{cyan}: {advice}");
        }
    }
}

/// Stdout, buffered, or another place for data.
pub(crate) struct Out {
    to: Box<dyn Write + Send>,
    /// Whether colours are wanted.
    pub color: bool,
}

impl Out {
    /// What `write` writes, as text without colours instead of data on stdout.
    pub(crate) fn caught(write: impl FnOnce(&mut Self) -> Result<(), Failure>) -> Result<String, Failure> {
        let caught = Arc::new(Mutex::new(Vec::new()));
        write(&mut Self { to: Box::new(Catcher(caught.clone())), color: false })?;
        let bytes = caught.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Writes a line.
    pub(crate) fn line(&mut self, text: impl Display) -> Result<(), Failure> {
        writeln!(self.to, "{text}").map_err(gone)
    }

    /// Writes a value as one line of JSON.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        serde_json::to_writer(&mut self.to, value).map_err(|error| gone(error.into()))?;
        writeln!(self.to).map_err(gone)
    }

    /// Writes bytes as they are.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.to.write_all(bytes).map_err(gone)
    }

    /// Brings everything out.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        self.to.flush().map_err(gone)
    }

    /// The text in a style, where colours are wanted.
    pub(crate) fn paint(&self, style: Style, text: impl Display) -> String {
        paint(self.color, style, text)
    }
}

/// A place for data that somebody looks into afterwards.
struct Catcher(Arc<Mutex<Vec<u8>>>);

impl Write for Catcher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn gone(error: io::Error) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        Failure::ReaderGone
    } else {
        Failure::other(format!("the output cannot be written: {error}"))
    }
}

pub(crate) const RED: Style = AnsiColor::Red.on_default();
pub(crate) const GREEN: Style = AnsiColor::Green.on_default();
pub(crate) const YELLOW: Style = AnsiColor::Yellow.on_default();
pub(crate) const CYAN: Style = AnsiColor::Cyan.on_default();
pub(crate) const DIM: Style = Style::new().dimmed();
pub(crate) const BOLD: Style = Style::new().bold();

/// The text in a style, if `color`.
pub(crate) fn paint(color: bool, style: Style, text: impl Display) -> String {
    if color { format!("{style}{text}{style:#}") } else { text.to_string() }
}
