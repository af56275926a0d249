//! The names of the files that hold a stream, and finding them again.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use piton_core::ids::{JobId, RunId};
use piton_runner::output::Stream;

use super::digest::BLOCK;
use super::stretch::Stretch;

/// The longest name of a job that is used as it is: with all that is added to it, it must not exceed 255 bytes, the
/// limit of Linux's file systems.
const LONGEST: usize = 200;

/// Before a stream's first file has at least this length, there are no further ones.
pub(super) const SMALLEST_FIRST: u64 = 8 * BLOCK;

/// The directory of a run's output.
pub(super) fn dir_of(state: &Path, run: RunId) -> PathBuf {
    state.join("output").join(run.to_string())
}

/// A job's name as its files carry it. Overlong ones are cut and made unique again by a digest.
pub(super) fn name_of(job: &JobId) -> String {
    let name = job.file_name();
    if name.len() <= LONGEST {
        return name;
    }
    let digest = blake3::hash(name.as_bytes()).to_hex();
    let head: String = name.chars().take(LONGEST - 40).collect();
    format!("{head}~{}", &digest[..32])
}

/// `.out` or `.err`.
pub(super) fn ending(stream: Stream) -> &'static str {
    match stream {
        Stream::Out => ".out",
        Stream::Err => ".err",
    }
}

/// The file of the first bytes of a stream.
pub(super) fn first(dir: &Path, job: &str, stream: Stream) -> PathBuf {
    dir.join(format!("{job}{}", ending(stream)))
}

/// The file of the stretch that begins at `offset`.
pub(super) fn further(dir: &Path, job: &str, stream: Stream, offset: u64) -> PathBuf {
    dir.join(format!("{job}{}.{offset:020}", ending(stream)))
}

/// The index of times of a file.
pub(super) fn index_of(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".idx");
    name.into()
}

/// Whether anything of a job's streams may be there already.
pub(super) fn is_begun(dir: &Path, job: &str) -> bool {
    [Stream::Out, Stream::Err].into_iter().any(|stream| first(dir, job, stream).symlink_metadata().is_ok())
}

/// The stretches of a stream in order: the first bytes, then those further ones that follow each other up to the end.
pub(super) fn stretches(dir: &Path, job: &str, stream: Stream) -> io::Result<Vec<Stretch>> {
    let prefix = format!("{job}{}.", ending(stream));
    let mut found = Vec::new();
    let Some(head) = Stretch::first(first(dir, job, stream))? else { return Ok(found) };
    let alone = head.len < SMALLEST_FIRST;
    found.push(head);
    if alone {
        // The directory of a large run has many names: they are not gone through for each small stream.
        return Ok(found);
    }
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        Err(error) => return Err(error),
    };
    let mut offsets = BTreeSet::new();
    for entry in entries {
        let name = entry?.file_name();
        let digits = name.to_str().and_then(|name| name.strip_prefix(&prefix)).filter(|digits| digits.len() == 20);
        if let Some(offset) = digits.and_then(|digits| digits.parse::<u64>().ok()) {
            offsets.insert(offset);
        }
    }
    let mut tail: Vec<Stretch> = Vec::new();
    for offset in offsets {
        // The writer may have removed it in the meantime.
        let Some(stretch) = Stretch::further(further(dir, job, stream, offset), offset)? else { continue };
        if tail.last().is_some_and(|before| before.end() != offset) {
            tail.clear();
        }
        tail.push(stretch);
    }
    found.extend(tail);
    Ok(found)
}

/// The names ([`JobId::file_name`]; overlong ones cut) of all jobs of a run that have printed something that was kept.
///
/// # Errors
///
/// What the system says; a run without output has an empty list.
pub fn jobs_with_output(state_dir: &Path, run: RunId) -> io::Result<Vec<String>> {
    let entries = match std::fs::read_dir(dir_of(state_dir, run)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut jobs = BTreeSet::new();
    for entry in entries {
        let name = entry?.file_name();
        let job = name.to_str().and_then(|name| name.strip_suffix(".out").or_else(|| name.strip_suffix(".err")));
        jobs.extend(job.map(str::to_owned));
    }
    Ok(jobs.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use piton_core::ids::{AttemptId, HostName, Part, TaskId};

    #[test]
    fn the_longest_names_fit_into_a_file_system_and_stay_apart() {
        let job = |host: &str| JobId {
            attempt: AttemptId {
                task: TaskId::new("s".repeat(64).parse().unwrap(), Some(HostName::new(host).unwrap())),
                number: u32::MAX,
            },
            part: Part::Unless,
            round: u32::MAX,
        };
        let names = [name_of(&job(&"h".repeat(253))), name_of(&job(&"h".repeat(252)))];
        assert_ne!(names[0], names[1]);
        assert_eq!(name_of(&job("h")), job("h").file_name());
        let dir = tempfile::tempdir().unwrap();
        for name in names {
            let longest = index_of(&further(dir.path(), &name, Stream::Out, u64::MAX)).with_extension("idx.new");
            std::fs::write(longest, "").unwrap();
        }
    }
}
