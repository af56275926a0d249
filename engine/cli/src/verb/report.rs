//! `piton report`.

use std::path::PathBuf;

use crate::cli::Globals;
use crate::exit::{Code, Failure};
use crate::report::{Format, gather};
use crate::screen::Screen;
use crate::store::Store;

/// Tell the whole story of a run to somebody who was not there
///
/// Who asked, what was planned, what happened to each task and when, what people said and why, what was unknown and how
/// it was settled, and the head and tail of what was printed. A run that still goes on is told as far as it has come.
/// A report holds what hosts printed and what parameters said: look at it before you send it out.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run
    #[arg(value_name = "RUN", add = clap_complete::ArgValueCompleter::new(super::completing::runs))]
    run: String,
    /// The form [default: markdown; json with --json; for a FILE what its name ends in]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Write it to FILE instead of stdout
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(crate) async fn run(args: Args, globals: &Globals, screen: &Screen) -> Result<Code, Failure> {
    let store = Store::here(globals)?;
    let summary = store.find(&args.run).await?;
    let report = gather(&store, &summary).await?;
    let text = report.rendered(format(&args, screen))?;
    match &args.output {
        Some(file) => {
            std::fs::write(file, text)
                .map_err(|error| Failure::usage(format!("{} cannot be written: {error}", file.display())))?;
            screen.note(format_args!("The report of run {} is in {}.", summary.id, file.display()));
        }
        None => {
            let mut out = screen.out();
            out.bytes(text.as_bytes())?;
            out.flush()?;
        }
    }
    Ok(Code::Succeeded)
}

fn format(args: &Args, screen: &Screen) -> Format {
    let ending = args.output.as_ref().and_then(|file| file.extension()?.to_str());
    let named = match ending {
        Some("html" | "htm") => Some(Format::Html),
        Some("json") => Some(Format::Json),
        Some("xml") => Some(Format::Junit),
        Some(_) | None => None,
    };
    let default = if screen.json { Format::Json } else { Format::Markdown };
    args.format.or(named).unwrap_or(default)
}
