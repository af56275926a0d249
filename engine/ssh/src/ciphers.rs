//! Which cipher a connection uses where nobody has said: AES-GCM, if this machine's processor computes it.
//!
//! ssh takes the first value it finds for a setting (ssh_config(5)), and its own ciphers begin with ChaCha20, which no
//! processor computes by itself. So ssh is given a file that holds what it would have read anyway, and behind that ours.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use piton_core::digest::Digest;

use crate::shell::nonce;

/// The ciphers that OpenSSH offers by itself (myproposal.h, releases 7.2 to 10), the fastest first. A list without `^`,
/// which ssh knows only since release 8.1.
const FAST: &str = "aes256-gcm@openssh.com,aes128-gcm@openssh.com,chacha20-poly1305@openssh.com,aes128-ctr,aes192-ctr,\
                    aes256-ctr";

/// What ssh reads if it is told of no file.
const USUAL: &str = "Include ~/.ssh/config\nInclude /etc/ssh/ssh_config\n";

/// The file that ssh is to read, in `dir`, instead of `config` or of what it reads usually. `None`: nothing is gained.
///
/// # Errors
/// `config` cannot be read, or the file cannot be written; the text says which.
pub(crate) fn file(dir: &Path, config: Option<&Path>) -> io::Result<Option<PathBuf>> {
    if !computes_aes() {
        return Ok(None);
    }
    let text = text(config)?;
    let name = Digest::of(text.as_bytes());
    let path = dir.join(format!("{name:.16}.conf"));
    if path.exists() {
        return Ok(Some(path));
    }
    // Another connection may be about to write the same.
    let new = dir.join(format!("{name:.16}.{}", nonce()));
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new);
    written.and_then(|mut file| file.write_all(text.as_bytes())).and_then(|()| std::fs::rename(&new, &path)).map_err(
        |error| {
            io::Error::new(
                error.kind(),
                format!("the settings for ssh cannot be written to {}: {error}", path.display()),
            )
        },
    )?;
    Ok(Some(path))
}

fn text(config: Option<&Path>) -> io::Result<String> {
    let theirs = match config {
        None => USUAL.to_owned(),
        Some(path) => std::fs::read_to_string(path)
            .map_err(|error| io::Error::new(error.kind(), format!("ssh's config {}: {error}", path.display())))?,
    };
    Ok(format!("{theirs}\nHost *\nCiphers {FAST}\n"))
}

/// Whether the processor has instructions for AES.
fn computes_aes() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("aes");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("aes");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    return false;
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// What ssh makes of a file.
    fn ciphers(path: &Path) -> String {
        let output = Command::new("ssh").arg("-G").arg("-F").arg(path).arg("a-host").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().find_map(|line| line.strip_prefix("ciphers ")).unwrap().to_owned()
    }

    fn with(config: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let theirs = dir.path().join("theirs");
        std::fs::write(&theirs, config).unwrap();
        let path = dir.path().join("ours");
        std::fs::write(&path, text(Some(&theirs)).unwrap()).unwrap();
        (dir, path)
    }

    #[test]
    fn the_same_ciphers_as_those_of_ssh_in_another_order() {
        let (_dir, path) = with("");
        let sorted = |list: &str| {
            let mut list: Vec<String> = list.split(',').map(str::to_owned).collect();
            list.sort();
            list
        };
        assert_eq!(ciphers(&path), FAST);
        assert_eq!(sorted(FAST), sorted(&ciphers(Path::new("/dev/null"))));
    }

    #[test]
    fn what_somebody_has_set_stands() {
        for config in
            ["Ciphers aes256-ctr", "Host a-*\n  Ciphers aes256-ctr", "Match host a-host\n  Ciphers aes256-ctr"]
        {
            let (_dir, path) = with(config);
            assert_eq!(ciphers(&path), "aes256-ctr", "{config}");
        }
        let (_dir, path) = with("Host another\n  Ciphers aes256-ctr");
        assert_eq!(ciphers(&path), FAST);
    }

    #[test]
    fn a_file_is_written_once_for_all_that_read_the_same() {
        let dir = tempfile::tempdir().unwrap();
        if !computes_aes() {
            assert_eq!(file(dir.path(), None).unwrap(), None);
            return;
        }
        let usual = file(dir.path(), None).unwrap();
        assert_eq!(file(dir.path(), None).unwrap(), usual);
        let other = file(dir.path(), Some(Path::new("/dev/null"))).unwrap();
        assert_ne!(other, usual);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
        let error = file(dir.path(), Some(Path::new("/nonexistent/config"))).unwrap_err();
        assert!(error.to_string().starts_with("ssh's config /nonexistent/config: No such file"), "{error}");
    }
}
