//! `piton completions`.

use clap::ValueEnum;

use crate::exit::{Code, Failure};
use crate::screen::Screen;

/// Print what makes a shell complete `piton`, its runbooks and its runs
///
/// For bash: `source <(piton completions bash)` in ~/.bashrc; likewise for the others.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Shell {
    Bash,
    Elvish,
    Fish,
    Powershell,
    Zsh,
}

pub(crate) fn run(args: Args, screen: &Screen) -> Result<Code, Failure> {
    let name = match args.shell {
        Shell::Bash => "bash",
        Shell::Elvish => "elvish",
        Shell::Fish => "fish",
        Shell::Powershell => "powershell",
        Shell::Zsh => "zsh",
    };
    let shells = clap_complete::env::Shells::builtins();
    let Some(completer) = shells.completer(name) else {
        return Err(Failure::other(format!("completions for {name} were not built in")));
    };
    let mut script = Vec::new();
    completer
        .write_registration("COMPLETE", "piton", "piton", "piton", &mut script)
        .map_err(|error| Failure::other(error.to_string()))?;
    let mut out = screen.out();
    out.bytes(&script)?;
    out.flush()?;
    Ok(Code::Succeeded)
}
