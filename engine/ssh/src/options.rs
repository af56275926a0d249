//! What may be set about how hosts are reached.

use std::path::PathBuf;
use std::time::Duration;

/// How hosts are reached, and how long Piton goes on trying. The defaults are right outside of tests.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long to go on trying to connect before a job was asked for; then it is refused.
    pub connect_limit: Duration,
    /// How long to go on trying to reach a host again after a job was asked for; then the job is lost.
    pub lost_limit: Duration,
    /// How long a job runs before its output is followed while it comes, and its start is reported. Jobs that end
    /// sooner cost one round trip and one channel.
    pub follow_after: Duration,
    /// How long shells and connections are kept that nobody needs.
    pub idle: Duration,
    /// At most this many connections at once, over all hosts; further ones queue.
    pub max_connections: usize,
    /// Channels used on one connection. sshd's `MaxSessions` is 10 unless set otherwise, and it gives a slot free
    /// late; where it allows fewer, Piton finds out.
    pub channels: usize,
    /// How long to wait for a channel of the connections that are open before making a further connection.
    pub patience: Duration,
    /// `ConnectTimeout` of ssh_config(5): connecting, up to the end of the key exchange.
    pub connect_timeout: Duration,
    /// `ServerAliveInterval` of ssh_config(5): with ssh's three tries, a frozen connection is noticed after four times
    /// this. Whole seconds.
    pub alive_interval: Duration,
    /// How long the login shell may take until ours runs in it.
    pub greeting: Duration,
    /// Where the sockets of ssh's connections are; made if it is not there. It must be short.
    pub control_dir: Option<PathBuf>,
    /// Variables of the engine's environment that jobs on its own machine do not inherit: secrets come from them.
    pub hidden: Vec<String>,
    /// The command that is the POSIX shell on the hosts.
    pub sh: String,
    /// Where jobs are kept on the hosts, instead of the usual places.
    pub base: Option<String>,
    /// The file that holds a host's boot id (random(4)).
    pub boot_id_path: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connect_limit: Duration::from_secs(30),
            lost_limit: Duration::from_secs(600),
            follow_after: Duration::from_millis(150),
            idle: Duration::from_secs(60),
            max_connections: 128,
            channels: 8,
            patience: Duration::from_millis(300),
            connect_timeout: Duration::from_secs(10),
            alive_interval: Duration::from_secs(5),
            greeting: Duration::from_secs(60),
            control_dir: None,
            hidden: Vec::new(),
            sh: "sh".to_owned(),
            base: None,
            boot_id_path: "/proc/sys/kernel/random/boot_id".to_owned(),
        }
    }
}
