//! Making connections: ssh's own settings, and what its errors mean.

use std::error::Error as _;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use openssh::{ControlPersist, KnownHosts, Session, SessionBuilder};
use piton_core::ids::HostName;
use piton_core::inventory::SshSettings;

use crate::ciphers;
use crate::options::Options;
use crate::script::is_user;

/// Why a host is not reached.
#[derive(Debug, Clone)]
pub(crate) struct ConnectError {
    /// For people: what, and what to do.
    pub(crate) message: String,
    /// Whether trying again is of use.
    pub(crate) hope: Hope,
}

/// Whether trying again is of use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hope {
    /// It may work at any time.
    Soon,
    /// It may work when tried once or twice more (a name server that is slow to answer).
    Little,
    /// Only after somebody has changed something.
    None,
}

impl ConnectError {
    pub(crate) fn soon(message: String) -> Self {
        Self { message, hope: Hope::Soon }
    }
}

/// How to reach one host.
pub(crate) struct Destination {
    host: HostName,
    settings: SshSettings,
}

impl Destination {
    /// Checks what the inventory says: ssh has no `--` before the destination, and takes a word that begins with `-`
    /// for an option.
    pub(crate) fn new(host: HostName, settings: SshSettings) -> Result<Self, ConnectError> {
        let wrong = |what: &str, text: &str| ConnectError {
            message: format!("the ssh {what} of {host} cannot be {text:?}"),
            hope: Hope::None,
        };
        if let Some(address) = &settings.address {
            let fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ':' | '%');
            if address.is_empty() || address.starts_with('-') || !address.chars().all(fit) {
                return Err(wrong("address", address));
            }
        }
        if let Some(user) = &settings.user
            && !is_user(user)
        {
            return Err(wrong("user", user));
        }
        if let Some(jump) = &settings.jump {
            let fit = |c: char| c.is_ascii_alphanumeric() || ".,_-:%@[]/".contains(c);
            if !jump.chars().all(fit) || jump.split(',').any(|hop| hop.is_empty() || hop.starts_with('-')) {
                return Err(wrong("jump", jump));
            }
        }
        for (what, path) in
            [("identity", &settings.identity), ("config", &settings.config), ("known_hosts", &settings.known_hosts)]
        {
            if let Some(path) = path
                && (path.is_empty() || path.starts_with('-') || path.contains(['\0', '\n', '"']))
            {
                return Err(wrong(what, path));
            }
        }
        Ok(Self { host, settings })
    }

    /// Connects.
    pub(crate) async fn connect(&self, options: &Options) -> Result<Session, ConnectError> {
        let directory = control_dir(options).map_err(|error| ConnectError {
            message: format!("no directory for the sockets of ssh: {error}"),
            hope: Hope::None,
        })?;
        let config = self.settings.config.as_deref().map(expand);
        let ours = ciphers::file(&directory, config.as_deref())
            .map_err(|error| ConnectError { message: error.to_string(), hope: Hope::None })?;
        let mut builder = SessionBuilder::default();
        builder
            .known_hosts_check(KnownHosts::Strict)
            .connect_timeout(options.connect_timeout)
            .server_alive_interval(options.alive_interval)
            .control_directory(directory);
        // Should the engine be killed, its connections end by themselves.
        if let Ok(seconds) = usize::try_from(options.idle.as_secs() + 30)
            && let Some(seconds) = std::num::NonZeroUsize::new(seconds)
        {
            builder.control_persist(ControlPersist::IdleFor(seconds));
        }
        let settings = &self.settings;
        if let Some(user) = &settings.user {
            builder.user(user.clone());
        }
        if let Some(port) = settings.port {
            builder.port(port);
        }
        if let Some(identity) = &settings.identity {
            builder.keyfile(expand(identity));
        }
        if let Some(config) = ours.as_ref().or(config.as_ref()) {
            builder.config_file(config);
        }
        if let Some(known_hosts) = &settings.known_hosts {
            builder.user_known_hosts_file(expand(known_hosts));
        }
        if let Some(jump) = &settings.jump {
            builder.jump_hosts(jump.split(','));
        }
        builder.connect_mux(self.address()).await.map_err(|error| {
            let mut error = self.explain(&error);
            // What is wrong in a file is wrong in theirs.
            if let (Some(ours), Some(theirs)) = (&ours, &config) {
                error.message = error.message.replace(&*ours.to_string_lossy(), &theirs.to_string_lossy());
            }
            error
        })
    }

    fn address(&self) -> &str {
        self.settings.address.as_deref().unwrap_or(self.host.as_str())
    }

    fn explain(&self, error: &openssh::Error) -> ConnectError {
        let said = error.source().map_or_else(|| error.to_string(), ToString::to_string);
        let said = said.replace('\r', "");
        let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let last = lines.last().copied().unwrap_or("ssh gave no reason");
        let (host, address) = (&self.host, self.address());
        let port = self.settings.port.map_or_else(String::new, |port| format!(" -p {port}"));
        if said.contains("Host key verification failed") {
            let known = self.settings.known_hosts.as_deref().unwrap_or("~/.ssh/known_hosts");
            let message = if said.contains("IDENTIFICATION HAS CHANGED") {
                let place =
                    lines.iter().find_map(|line| line.strip_prefix("Offending ")?.split_once(" in ")).map(|p| p.1);
                let place = place.unwrap_or(known);
                let file = place.rsplit_once(':').map_or(place, |(file, _)| file);
                let name = match self.settings.port {
                    Some(port) if port != 22 => format!("'[{address}]:{port}'"),
                    Some(_) | None => address.to_owned(),
                };
                format!(
                    "the host key of {host} ({address}) is not the one in {place}: somebody may be in between. If the \
                     host was set up anew, compare `ssh-keyscan{port} {address} | ssh-keygen -lf -` with what the host \
                     itself says, then `ssh-keygen -R {name} -f {file}` and add the new key"
                )
            } else {
                format!(
                    "the host key of {host} ({address}) is not in {known}: compare `ssh-keyscan{port} {address} | \
                     ssh-keygen -lf -` with what the host itself says, then connect once with `ssh{port} {address}`, or \
                     add the line of ssh-keyscan to {known}"
                )
            };
            return ConnectError { message, hope: Hope::None };
        }
        let hopeless = ["Permission denied", "Too many authentication failures", "Bad configuration option"];
        let hopeless =
            hopeless.iter().chain(&["Bad owner or permissions", "No such file", "terminating, ", "no matching "]);
        let no_ssh = matches!(error, openssh::Error::Connect(e) if e.kind() == io::ErrorKind::NotFound);
        let hope = if no_ssh || hopeless.into_iter().any(|text| said.contains(text)) {
            Hope::None
        } else if said.contains("Could not resolve hostname") {
            Hope::Little
        } else {
            Hope::Soon
        };
        ConnectError { message: format!("{host} ({address}) cannot be reached: {last}"), hope }
    }
}

/// `~/` means the home of whoever runs the engine.
fn expand(path: &str) -> PathBuf {
    match (path.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => Path::new(&home).join(rest),
        (Some(_) | None, Some(_) | None) => PathBuf::from(path),
    }
}

/// A socket's path holds at most 107 bytes (unix(7)); the names that are put below the directory take up to 47.
const LONGEST_DIR: usize = 60;

/// The directory for the sockets of this process's connections: ours, closed to others, and short.
fn control_dir(options: &Options) -> io::Result<PathBuf> {
    let uid = std::fs::metadata("/proc/self")?.uid();
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(|dir| Path::new(&dir).join("piton"));
    let usual = [runtime, Some(PathBuf::from(format!("/tmp/piton-ssh-{uid}")))];
    if let Some(root) = &options.control_dir {
        return own(root, uid);
    }
    let mut why = io::Error::other("none is set");
    for root in usual.into_iter().flatten() {
        match private(&root, uid).and_then(|()| own(&root, uid)) {
            Ok(dir) if dir.as_os_str().len() <= LONGEST_DIR => return Ok(dir),
            Ok(dir) => why = io::Error::other(format!("{} is longer than {LONGEST_DIR} bytes", dir.display())),
            Err(error) => why = io::Error::new(error.kind(), format!("{}: {error}", root.display())),
        }
    }
    Err(why)
}

/// Makes a directory that only we may enter, or checks that it is one.
fn private(dir: &Path, uid: u32) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(dir) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    let is = std::fs::symlink_metadata(dir)?;
    if !is.is_dir() || is.uid() != uid || is.mode() & 0o077 != 0 {
        return Err(io::Error::other("it is not a directory that only we may enter (mode 0700)"));
    }
    Ok(())
}

/// The part of this process; those of processes that are gone are removed.
fn own(root: &Path, uid: u32) -> io::Result<PathBuf> {
    let dir = root.join(std::process::id().to_string());
    if !dir.exists() {
        for left in std::fs::read_dir(root)?.flatten() {
            let name = left.file_name();
            let number = name.to_string_lossy();
            if number.bytes().all(|b| b.is_ascii_digit()) && !Path::new("/proc").join(&name).exists() {
                // Whoever owned it is gone; should two sweep at once, one finds nothing left to do.
                let _ = std::fs::remove_dir_all(left.path());
            }
        }
    }
    private(&dir, uid)?;
    Ok(dir)
}
