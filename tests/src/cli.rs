//! Runs `piton` as a person would, in a home, a project and a state directory of its own.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use piton_testkit::sshd::Sshd;
use regex::Regex;
use tempfile::TempDir;

use crate::lab::wait_for;

/// A place where `piton` finds nothing but what the test put there.
pub struct Place {
    dir: TempDir,
    piton: PathBuf,
}

/// What `piton` did.
#[derive(Debug, Clone)]
pub struct Ran {
    /// What it exited with.
    pub code: i32,
    /// What it wrote to stdout.
    pub out: String,
    /// What it wrote to stderr.
    pub err: String,
}

impl Place {
    /// An empty place for the binary `piton`, given as `env!("CARGO_BIN_EXE_piton-under-test")`.
    pub fn empty(piton: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("piton-cli").tempdir().unwrap();
        for name in ["home", "project", "state"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        Self { dir, piton: piton.into() }
    }

    /// A place with an empty project.
    pub fn new(piton: &str) -> Self {
        let place = Self::empty(piton);
        place.write("piton.toml", "");
        place
    }

    /// A place whose project has this runbook.
    pub fn with_runbook(piton: &str, name: &str, text: &str) -> Self {
        let place = Self::new(piton);
        place.write(&format!("runbooks/{name}.yaml"), text);
        place
    }

    /// A place whose inventory has the host `h`, a real sshd on this machine.
    pub fn with_host(piton: &str, sshd: &Sshd) -> Self {
        Self::with_hosts(piton, &[("h", sshd)])
    }

    /// A place whose inventory has these hosts, real sshds on this machine; several may be the same one.
    pub fn with_hosts(piton: &str, hosts: &[(&str, &Sshd)]) -> Self {
        let place = Self::new(piton);
        let text = |value: Option<String>| value.unwrap();
        let mut inventory = "hosts:\n".to_owned();
        for (name, sshd) in hosts {
            let ssh = sshd.host().ssh;
            inventory.push_str(&format!(
                "  {name}:\n    ssh: {{ address: {}, user: root, port: {}, identity: {}, known_hosts: {}, config: /dev/null }}\n",
                text(ssh.address),
                sshd.port(),
                text(ssh.identity),
                text(ssh.known_hosts)
            ));
        }
        place.write("inventory.yaml", &inventory);
        place
    }

    /// Adds to a file of the project.
    pub fn add(&self, name: &str, text: &str) {
        let path = self.project().join(name);
        let before = std::fs::read_to_string(&path).unwrap();
        std::fs::write(path, before + text).unwrap();
    }

    /// The project's directory, which is where `piton` is called.
    pub fn project(&self) -> PathBuf {
        self.dir.path().join("project")
    }

    /// The state directory.
    pub fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// A path outside of the project, for what runbooks do.
    pub fn outside(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file of the project.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.project().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// `piton` with these arguments, not yet started, with nothing in its environment that is not from here.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.piton);
        command
            .args(arguments)
            .current_dir(self.project())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.dir.path().join("home"))
            .env("PITON_STATE", self.state())
            .env("TZ", "UTC")
            .stdin(Stdio::null());
        command
    }

    /// Runs `piton` to its end.
    pub fn piton(&self, arguments: &[&str]) -> Ran {
        self.command(arguments).output().unwrap().into()
    }

    /// Starts `piton`, its output being caught.
    pub fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Waits until `piton` with these arguments says what is wanted on stdout.
    ///
    /// # Panics
    /// When it does not within a minute.
    pub fn wait(&self, arguments: &[&str], wanted: impl Fn(&str) -> bool) -> String {
        wait_for(&|| format!("{arguments:?} came to {:?}", self.piton(arguments)), &|| {
            Some(self.piton(arguments).out).filter(|out| wanted(out))
        })
    }

    /// Waits until there is a file.
    ///
    /// # Panics
    /// When there is none within a minute.
    pub fn wait_for_file(&self, path: &Path) {
        wait_for(&|| format!("{} never came", path.display()), &|| path.exists().then_some(()));
    }

    /// A text without what is different each time: ids, times, spans, digests, places, names of machines.
    pub fn steady(&self, text: &str) -> String {
        let here = self.dir.path().canonicalize().unwrap();
        let machine = machine();
        let text = text.replace(here.to_str().unwrap(), "HERE");
        let patterns = [
            (r"\b[0-9A-HJKMNP-TV-Z]{26}\b", "RUN"),
            (r"\b[0-9a-f]{64}\b", "DIGEST"),
            (r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{3}Z)?", "DATE"),
            (r"\b\d\d:\d\d:\d\d\b", "TIME"),
            (r" *\b\d+\.\ds\b", " SPAN"),
            (r#""at":\d+"#, r#""at":AT"#),
            (r"boot [0-9a-f-]{36}", "boot BOOT"),
            (r"process \d+", "process PID"),
        ];
        // Whoever runs the tests is called Ann.
        let text = text.replace(&format!("{}@{machine}", user()), "ann@MACHINE");
        let text = text.replace(&format!("@{machine}"), "@MACHINE");
        let engine = Regex::new(&format!(r"{}:\d+:[0-9a-f]{{8}}", regex::escape(&machine))).unwrap();
        let text = engine.replace_all(&text, "ENGINE").into_owned();
        let steady = patterns
            .iter()
            .fold(text, |text, (pattern, word)| Regex::new(pattern).unwrap().replace_all(&text, *word).into_owned());
        // An editor would cut off what stands at the end of lines.
        steady.lines().map(|line| format!("{}\n", line.trim_end())).collect()
    }

    /// What `piton` did, steadied, for snapshots.
    pub fn snapshot(&self, arguments: &[&str]) -> String {
        let ran = self.piton(arguments);
        let mut text = format!("exit {}\n", ran.code);
        for (name, said) in [("stdout", &ran.out), ("stderr", &ran.err)] {
            if !said.is_empty() {
                text.push_str(&format!("--- {name}\n{}", self.steady(said)));
            }
        }
        text
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ran {
    /// What a process said and how it ended, once it has.
    pub fn of(child: Child) -> Self {
        child.wait_with_output().unwrap().into()
    }

    /// Its lines of JSON.
    pub fn json(&self) -> Vec<serde_json::Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// The name of the user who runs the tests.
fn user() -> String {
    let told = Command::new("id").arg("-un").output().unwrap();
    String::from_utf8(told.stdout).unwrap().trim().to_owned()
}

fn machine() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap().trim().to_owned()
}
