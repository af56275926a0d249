//! `piton schema`.

use clap::ValueEnum;
use piton_core::schema::Document;

use crate::exit::{Code, Failure};
use crate::screen::Screen;

/// Print the JSON Schema of a kind of document, for editors
///
/// An editor with the YAML language server then completes words, shows what they mean, and marks what is wrong. Write
/// the schema to a file and name it in the first line of a document: `# yaml-language-server: $schema=runbook.json`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Of which kind of document
    #[arg(value_enum)]
    of: Kind,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    /// Runbooks
    Runbook,
    /// Inventories
    Inventory,
    /// Tests of runbooks
    Test,
    /// Windows and schedules
    Windows,
}

pub(crate) fn run(args: &Args, screen: &Screen) -> Result<Code, Failure> {
    let document = match args.of {
        Kind::Runbook => Document::Runbook,
        Kind::Inventory => Document::Inventory,
        Kind::Test => Document::Test,
        Kind::Windows => Document::Windows,
    };
    let mut out = screen.out();
    let schema = document.schema();
    if screen.json {
        out.json(&schema)?;
    } else {
        out.line(format_args!("{schema:#}"))?;
    }
    out.flush()?;
    Ok(Code::Succeeded)
}
