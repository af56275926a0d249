//! The state directory: made for its owner alone, and clear about why it cannot be used.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use piton_runner::journal::JournalError;
use rustix::io::Errno;

/// `JournalError::Unusable` for this place.
pub(crate) fn unusable(place: &Path, detail: impl Into<String>) -> JournalError {
    JournalError::Unusable { place: place.display().to_string(), detail: detail.into() }
}

/// What an I/O error means for a journal.
pub(crate) fn io_error(place: &Path, doing: &str, error: &io::Error) -> JournalError {
    if is_full(error) {
        JournalError::Full { place: place.display().to_string(), detail: format!("{doing}: {error}") }
    } else {
        unusable(place, format!("{doing}: {error}"))
    }
}

/// Whether an error says that there is no room (write(2): ENOSPC, EDQUOT).
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
        || error.raw_os_error() == Some(Errno::NOSPC.raw_os_error())
        || error.raw_os_error() == Some(Errno::DQUOT.raw_os_error())
}

/// Makes a directory and those above it for the owner alone (mode 0700), durably. One that is there is left as it is.
pub(crate) fn make_dir(dir: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(dir) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            return if dir.is_dir() { Ok(()) } else { Err(io::Error::from(ErrorKind::NotADirectory)) };
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let above = dir.parent().filter(|above| !above.as_os_str().is_empty()).ok_or(error)?;
            make_dir(above)?;
            return make_dir(dir);
        }
        Err(error) => return Err(error),
    }
    // The name must outlast a power cut: what is synced inside of a directory that has no name is lost.
    match dir.parent() {
        Some(above) if !above.as_os_str().is_empty() => sync_dir(above),
        Some(_) | None => sync_dir(Path::new(".")),
    }
}

/// Makes the names in a directory durable (fsync(2)).
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Whether there is really no room, found out by trying: some errors of a store do not say it.
pub(crate) fn has_no_room(dir: &Path) -> bool {
    let probe = dir.join(format!(".room-{}", std::process::id()));
    let tried =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&probe).and_then(|mut f| {
            f.write_all(&[1; 64 * 1024])?;
            f.sync_all()
        });
    let removed = std::fs::remove_file(&probe);
    tried.is_err_and(|error| is_full(&error)) || removed.is_err_and(|error| is_full(&error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn directories_are_made_for_the_owner_alone_and_others_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let open = root.path().join("open");
        std::fs::create_dir(&open).unwrap();
        std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o755)).unwrap();
        let deep = open.join("a/b");
        make_dir(&deep).unwrap();
        make_dir(&deep).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&open), mode(&open.join("a")), mode(&deep)), (0o755, 0o700, 0o700));

        std::fs::write(root.path().join("file"), "").unwrap();
        assert_eq!(make_dir(&root.path().join("file")).unwrap_err().kind(), ErrorKind::NotADirectory);
        assert_eq!(make_dir(&root.path().join("file/x")).unwrap_err().kind(), ErrorKind::NotADirectory);
    }
}
