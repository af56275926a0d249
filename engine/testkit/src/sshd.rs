//! A private sshd on a loopback port, with throw-away keys: the real thing, gone when it is dropped.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use piton_core::inventory::{Host, SshSettings};

/// A private sshd on a loopback port.
pub struct Sshd {
    dir: tempfile::TempDir,
    port: u16,
    extra: String,
    child: Option<Child>,
}

impl Sshd {
    /// Starts it with everything at its default.
    ///
    /// # Panics
    /// If openssh-server is not installed or cannot be started.
    pub fn start() -> Self {
        Self::with("")
    }

    /// Starts it with further lines of configuration (sshd_config(5)).
    ///
    /// # Panics
    /// If openssh-server is not installed or cannot be started.
    pub fn with(extra: &str) -> Self {
        // A short path: ssh's sockets live in it.
        let dir = tempfile::Builder::new().prefix("psshd").tempdir_in("/tmp").expect("a directory in /tmp");
        let port = free_port();
        let mut sshd = Self { dir, port, extra: extra.to_owned(), child: None };
        for (name, kind) in [("host_key", "host"), ("user_key", "user")] {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-C", kind, "-f"])
                .arg(sshd.path(name))
                .status()
                .expect("ssh-keygen is installed (package openssh-client)");
            assert!(made.success());
        }
        // A home of its own: no profile of this machine's user, and what jobs leave is gone with it.
        std::fs::create_dir(sshd.path("home")).expect("a directory");
        std::fs::copy(sshd.path("user_key.pub"), sshd.path("authorized_keys")).expect("a copy");
        sshd.trust();
        sshd.up();
        sshd
    }

    /// Writes the known-hosts file with the key that the server has now.
    fn trust(&self) {
        let key = std::fs::read_to_string(self.path("host_key.pub")).expect("the key");
        let lines = format!("[127.0.0.1]:{port} {key}\n[127.0.*]:{port} {key}\n", port = self.port);
        std::fs::write(self.path("known_hosts"), lines).expect("a file");
    }

    /// Starts the server again after [`Sshd::down`].
    ///
    /// # Panics
    /// If it does not answer.
    pub fn up(&mut self) {
        let config = format!(
            "Port {port}\nListenAddress 0.0.0.0\nHostKey {dir}/host_key\nAuthorizedKeysFile {dir}/authorized_keys\n\
             PidFile none\nStrictModes no\nUsePAM no\nSetEnv HOME={dir}/home\nPasswordAuthentication no\nPerSourcePenalties no\nMaxStartups 500\n{extra}\n",
            port = self.port,
            dir = self.dir().display(),
            extra = self.extra,
        );
        // OpenSSH before 9.8 does not know PerSourcePenalties.
        let config = config.replace("PerSourcePenalties no\n", "");
        std::fs::write(self.path("sshd_config"), config).expect("a file");
        std::fs::create_dir_all("/run/sshd").expect("sshd wants its directory");
        let log = std::fs::File::create(self.path("log")).expect("a file");
        let child = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f"])
            .arg(self.path("sshd_config"))
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("sshd is installed (package openssh-server)");
        self.child = Some(child);
        for _ in 0..2_000 {
            if std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return;
            }
            let ended = self.child.as_mut().and_then(|c| c.try_wait().ok().flatten());
            assert!(ended.is_none(), "sshd ended: {}", std::fs::read_to_string(self.path("log")).unwrap_or_default());
            std::thread::yield_now();
            std::thread::park_timeout(std::time::Duration::from_millis(5));
        }
        panic!("sshd does not answer");
    }

    /// Kills the listening server; connections that stand go on.
    pub fn down(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            let _gone = child.kill();
            let _reaped = child.wait();
        }
    }

    /// The processes that serve connections.
    pub fn serving(&self) -> Vec<u32> {
        let Some(listener) = self.child.as_ref().map(Child::id) else { return Vec::new() };
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse::<u32>().ok()) else { continue };
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let parent = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)?.parse::<u32>().ok());
            if parent == Some(listener) {
                found.push(pid);
            }
        }
        found
    }

    /// Gives the server another host key, as after a host was set up anew; `known_hosts` keeps the old one.
    ///
    /// # Panics
    /// If the key cannot be made.
    pub fn change_host_key(&mut self) {
        self.down();
        for name in ["host_key", "host_key.pub"] {
            std::fs::remove_file(self.path(name)).expect("the old key");
        }
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(self.path("host_key"))
            .status()
            .expect("ssh-keygen is installed");
        assert!(made.success());
        self.up();
    }

    /// Its directory, gone when it is dropped.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A file in its directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    /// The port on 127.0.0.1, and on every other loopback address.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The host as an inventory describes it.
    pub fn host(&self) -> Host {
        self.host_at("127.0.0.1")
    }

    /// The host under another loopback address.
    pub fn host_at(&self, address: &str) -> Host {
        let text = |path: PathBuf| Some(path.display().to_string());
        let ssh = SshSettings {
            address: Some(address.to_owned()),
            user: Some("root".to_owned()),
            port: Some(self.port),
            identity: text(self.path("user_key")),
            known_hosts: text(self.path("known_hosts")),
            config: Some("/dev/null".to_owned()),
            jump: None,
        };
        Host { ssh, ..Host::default() }
    }

    /// A bare session of the openssh crate, for comparing.
    ///
    /// # Panics
    /// If it cannot be made.
    pub async fn session(&self, control: &Path) -> openssh::Session {
        self.session_at("127.0.0.1", control).await
    }

    /// A bare session to another loopback address.
    ///
    /// # Panics
    /// If it cannot be made.
    pub async fn session_at(&self, address: &str, control: &Path) -> openssh::Session {
        let mut builder = openssh::SessionBuilder::default();
        builder
            .user("root".to_owned())
            .port(self.port)
            .keyfile(self.path("user_key"))
            .config_file("/dev/null")
            .user_known_hosts_file(self.path("known_hosts"))
            .known_hosts_check(openssh::KnownHosts::Strict)
            .control_directory(control);
        builder.connect_mux(address).await.expect("the session opens")
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let serving = self.serving();
        self.down();
        for pid in serving {
            // They may have ended by themselves.
            let _gone = Command::new("kill").args(["-s", "KILL", &pid.to_string()]).stderr(Stdio::null()).status();
        }
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("its address").port()
}
