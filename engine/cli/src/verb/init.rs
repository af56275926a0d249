//! `piton init`.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::exit::{Code, Failure};
use crate::project;
use crate::screen::Screen;

/// Make a small project that works at once
///
/// Writes piton.toml, inventory.yaml, runbooks/hello.yaml with its test, and .gitignore; what is there already is left
/// alone, and said.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where
    #[arg(default_value = ".")]
    dir: PathBuf,
}

const FILES: [(&str, &str); 5] = [
    ("piton.toml", include_str!("init/piton.toml")),
    ("inventory.yaml", include_str!("init/inventory.yaml")),
    ("runbooks/hello.yaml", include_str!("init/hello.yaml")),
    ("runbooks/hello.test.yaml", include_str!("init/hello.test.yaml")),
    (".gitignore", include_str!("init/gitignore")),
];

pub(crate) fn run(args: Args, screen: &Screen) -> Result<Code, Failure> {
    let root = project::absolute(&args.dir)?;
    if root.join(project::FILE).exists() {
        return Err(Failure::usage(format!("{} is a project already", args.dir.display()))
            .hint(format!("`piton -C {} check` looks it over", args.dir.display())));
    }
    let mut made = Vec::new();
    for (name, text) in FILES {
        let path = root.join(name);
        match write(&path, text) {
            Ok(()) => made.push(name),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                screen.note(format_args!("{name} is there already and was left as it is"));
            }
            Err(error) => return Err(Failure::other(format!("{} cannot be written: {error}", path.display()))),
        }
    }
    let mut out = screen.out();
    if screen.json {
        out.json(&serde_json::json!({ "project": root, "made": made }))?;
    } else {
        for name in made {
            out.line(args.dir.join(name).display())?;
        }
    }
    out.flush()?;
    let go = if args.dir == Path::new(".") { String::new() } else { format!("cd {} && ", args.dir.display()) };
    screen.note(format_args!("Now try: {go}piton run hello"));
    Ok(Code::Succeeded)
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir)?;
    }
    std::fs::OpenOptions::new().write(true).create_new(true).open(path)?.write_all(text.as_bytes())
}
