//! Large files from host to host: two real sshds, each a host of its own.

mod device;
mod direct;
mod users;

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use piton_core::run::Refusal;
use piton_core::runbook::Manner;
use piton_runner::transport::{Moved, TransferOrder, Transport as _};
use piton_ssh::{Hosts, Options};
use piton_testkit::sshd::Sshd;

use crate::common::{Mounted, Noted, host, run_id, until};

const MIB: u64 = 1024 * 1024;

/// Two hosts, and a directory for files.
struct Pair {
    one: Sshd,
    two: Sshd,
    dir: tempfile::TempDir,
}

impl Pair {
    fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("pmove").tempdir_in("/var/tmp").unwrap();
        Self { one: Sshd::start(), two: Sshd::start(), dir }
    }

    /// An engine, which knows nothing of one before it.
    fn hosts(&self, sh: &str) -> Hosts {
        let base = Some(self.one.path("jobs").to_str().unwrap().to_owned());
        let control_dir = Some(self.one.dir().to_owned());
        let options = Options { control_dir, base, sh: sh.to_owned(), ..Options::default() };
        Hosts::new(BTreeMap::from([(host("one"), self.one.host()), (host("two"), self.two.host())]), options)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn order(&self, from: &str, to: &str) -> TransferOrder {
        TransferOrder {
            run: run_id(),
            from_host: host("one"),
            from: self.path(from).to_str().unwrap().to_owned(),
            to_host: host("two"),
            to: self.path(to).to_str().unwrap().to_owned(),
            mode: None,
            owner: None,
            become_user: None,
            manner: Manner::default(),
        }
    }

    fn part(&self) -> Option<PathBuf> {
        let mut names = std::fs::read_dir(self.dir.path()).unwrap().map(|entry| entry.unwrap().path());
        names.find(|path| path.extension().is_some_and(|e| e == "piton-part"))
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.dir.path()).unwrap();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// How many bytes passed in all, those that had to be sent again counted again.
fn passed(noted: &Noted) -> u64 {
    let steps = noted.progress.lock().unwrap().clone();
    steps.windows(2).map(|pair| pair[1].0.saturating_sub(pair[0].0)).sum()
}

/// Writes `len` bytes at `at` of which no two blocks are alike.
fn fill(file: &File, at: u64, len: u64) {
    for mib in 0..len.div_ceil(MIB) {
        let place = at + mib * MIB;
        let block: Vec<u8> = (0..MIB / 8).flat_map(|word| (place + word * 31 + 1).to_le_bytes()).collect();
        let count = usize::try_from((len - mib * MIB).min(MIB)).unwrap();
        file.write_all_at(&block[..count], place).unwrap();
    }
}

/// A file with these stretches of data, in MiB.
fn image(path: &Path, len: u64, data: &[(u64, u64)]) {
    let file = File::create(path).unwrap();
    file.set_len(len).unwrap();
    for (at, count) in data {
        fill(&file, at * MIB, count * MIB);
    }
}

fn same(one: &Path, other: &Path) -> bool {
    std::process::Command::new("cmp").arg(one).arg(other).status().unwrap().success()
}

fn allocated(path: &Path) -> u64 {
    std::fs::metadata(path).unwrap().blocks() * 512
}

/// The tools of busybox and no others.
fn busybox_tools(dir: &Path) -> String {
    std::fs::create_dir(dir).unwrap();
    let done = std::process::Command::new("busybox").args(["--install", "-s"]).arg(dir).status().unwrap();
    assert!(done.success());
    format!("env PATH={} sh", dir.display())
}

#[tokio::test]
async fn a_file_arrives_whole_with_holes_mode_and_owner_and_the_second_time_nothing_is_moved() {
    let pair = Pair::new();
    let busybox = busybox_tools(&pair.path("bin"));
    for sh in ["dash", "bash --posix", "busybox sh", "ksh", "mksh", &busybox] {
        let hosts = pair.hosts(sh);
        for (len, data) in
            [(0, vec![]), (1, vec![(0, 1)]), (70 * MIB + 7, vec![(0, 3), (50, 10)]), (33 * MIB, vec![(0, 33)])]
        {
            let (from, to) = ("it's an image; \u{1F600}", "copy of it");
            let path = pair.path(from);
            image(&path, len, &[]);
            let file = File::options().write(true).open(&path).unwrap();
            data.iter().for_each(|(at, count)| fill(&file, at * MIB, (count * MIB).min(len)));
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
            std::os::unix::fs::chown(&path, Some(1), Some(2)).unwrap();

            let noted = Noted::default();
            let moved = hosts.transfer(&pair.order(from, to), &noted).await.unwrap();
            assert_eq!(moved.bytes, len, "{sh}");
            let copy = pair.path(to);
            assert!(same(&path, &copy), "{sh} {len}");
            let is = std::fs::metadata(&copy).unwrap();
            assert_eq!((is.len(), is.mode() & 0o7777, is.uid(), is.gid()), (len, 0o640, 1, 2), "{sh}");
            assert!(allocated(&copy) <= allocated(&path) + MIB, "{sh}: holes stay holes");
            let total: u64 = data.iter().map(|(_, count)| (count * MIB).min(len)).sum();
            assert!(passed(&noted) <= total + 3 * MIB, "{sh}: {} of {total}", passed(&noted));
            assert_eq!(pair.names(), ["bin", to, from], "{sh}: nothing is left over");

            let again = Noted::default();
            assert_eq!(hosts.transfer(&pair.order(from, to), &again).await.unwrap(), moved, "{sh}");
            assert_eq!(passed(&again), 0, "{sh}");
            assert_eq!(std::fs::metadata(&copy).unwrap().ino(), is.ino(), "{sh}: it was not written again");
            std::fs::remove_file(&copy).unwrap();
        }
    }
}

#[tokio::test]
async fn of_a_large_sparse_image_only_the_data_is_moved() {
    let pair = Pair::new();
    let hosts = pair.hosts("sh");
    // Like a file system in an image: some large stretches, and a little every 128 MiB.
    image(&pair.path("image"), 20 * 1024 * MIB, &[(1, 60), (5_000, 60), (20_400, 60)]);
    let file = File::options().write(true).open(pair.path("image")).unwrap();
    (0..160).for_each(|group| fill(&file, group * 128 * MIB + 64 * 1024, 128 * 1024));
    let noted = Noted::default();
    let moved = hosts.transfer(&pair.order("image", "copy"), &noted).await.unwrap();
    assert_eq!(moved.bytes, 20 * 1024 * MIB);
    assert!((180 * MIB..220 * MIB).contains(&passed(&noted)), "{}", passed(&noted));
    assert!(allocated(&pair.path("copy")) < 220 * MIB);
    for (at, count) in [(0, 70), (4_990, 80), (20_390, 90)] {
        let part = |name: &str| {
            let mut bytes = vec![0; usize::try_from(count * MIB).unwrap()];
            File::open(pair.path(name)).unwrap().read_exact_at(&mut bytes, at * MIB).unwrap();
            bytes
        };
        assert!(part("image") == part("copy"), "at {at} MiB");
    }
    let dense = TransferOrder { manner: Manner { sparse: false, ..Manner::default() }, ..pair.order("small", "dense") };
    image(&pair.path("small"), 50 * MIB, &[(7, 1)]);
    hosts.transfer(&dense, &Noted::default()).await.unwrap();
    assert!(allocated(&pair.path("dense")) >= 50 * MIB, "without `sparse` the target has room for all of it");
}

#[tokio::test]
async fn a_cut_connection_costs_a_part_and_no_more() {
    let pair = Pair::new();
    let hosts = pair.hosts("sh");
    image(&pair.path("image"), 200 * MIB, &[(0, 200)]);
    let noted = Noted::default();
    let order = pair.order("image", "copy");
    let come = |bytes: u64| noted.progress.lock().unwrap().last().is_some_and(|(moved, _)| *moved > bytes);
    let kill = |sshd: &Sshd| {
        for pid in sshd.serving() {
            let killed = std::process::Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap();
            assert!(killed.success());
        }
    };
    let done = tokio::join!(hosts.transfer(&order, &noted), async {
        until("something has come", || come(50 * MIB)).await;
        kill(&pair.two);
        until("more has come", || come(120 * MIB)).await;
        kill(&pair.one);
    });
    assert_eq!(done.0.unwrap().bytes, 200 * MIB);
    assert!(same(&pair.path("image"), &pair.path("copy")));
    assert!(passed(&noted) <= 200 * MIB + 2 * 33 * MIB, "{}", passed(&noted));
    assert_eq!(noted.notices.lock().unwrap().len(), 4, "two connections were lost and came back");
}

/// Has an engine move the image until so much has come, and vanish.
async fn half(pair: &Pair, order: &TransferOrder, bytes: u64) -> u64 {
    let (hosts, noted) = (pair.hosts("sh"), Noted::default());
    let come = || noted.progress.lock().unwrap().last().is_some_and(|(moved, _)| *moved > bytes);
    tokio::select! {
        done = hosts.transfer(order, &noted) => panic!("{done:?}"),
        () = until("something has come", come) => {}
    }
    passed(&noted)
}

#[tokio::test]
async fn another_engine_goes_on_where_one_vanished() {
    let pair = Pair::new();
    image(&pair.path("image"), 200 * MIB, &[(0, 200)]);
    let order = pair.order("image", "copy");
    let first = half(&pair, &order, 100 * MIB).await;
    assert!(!pair.path("copy").exists(), "nothing is there by halves");
    let noted = Noted::default();
    pair.hosts("sh").transfer(&order, &noted).await.unwrap();
    assert!(same(&pair.path("image"), &pair.path("copy")));
    assert!(first + passed(&noted) <= 200 * MIB + 2 * 33 * MIB, "{first} and {}", passed(&noted));
    assert_eq!(pair.names(), ["copy", "image"]);
}

#[tokio::test]
async fn what_was_planted_in_what_an_earlier_try_left_is_found() {
    let pair = Pair::new();
    image(&pair.path("image"), 300 * MIB, &[(0, 100), (200, 100)]);
    let order = pair.order("image", "copy");
    half(&pair, &order, 120 * MIB).await;
    let part = File::options().write(true).open(pair.part().unwrap()).unwrap();
    // In what has arrived, in what has not, and where the image has a hole.
    for at in [3 * MIB + 5, 299 * MIB, 150 * MIB] {
        part.write_all_at(b"planted", at).unwrap();
    }
    let noted = Noted::default();
    pair.hosts("sh").transfer(&order, &noted).await.unwrap();
    assert!(same(&pair.path("image"), &pair.path("copy")));
}

#[tokio::test]
async fn what_is_damaged_while_it_is_written_is_sent_again() {
    let pair = Pair::new();
    let hosts = pair.hosts("sh");
    image(&pair.path("image"), 200 * MIB, &[(0, 200)]);
    let order = pair.order("image", "copy");
    let noted = Noted::default();
    let come = || noted.progress.lock().unwrap().last().is_some_and(|(moved, _)| *moved > 100 * MIB);
    let done = tokio::join!(hosts.transfer(&order, &noted), async {
        until("half has come", come).await;
        let part = File::options().write(true).open(pair.part().unwrap()).unwrap();
        part.write_all_at(b"planted", 3 * MIB).unwrap();
    });
    done.0.unwrap();
    assert!(same(&pair.path("image"), &pair.path("copy")));
    assert!(passed(&noted) > 220 * MIB, "the part was sent again: {}", passed(&noted));
}

#[tokio::test]
async fn refusals_say_which_host_and_leave_the_target_as_it_was() {
    let pair = Pair::new();
    let hosts = pair.hosts("sh");
    let dir = pair.dir.path().display();
    std::fs::write(pair.path("file"), "x").unwrap();
    std::fs::create_dir(pair.path("sub")).unwrap();
    let cases = [
        (pair.order("none", "copy"), format!("one: there is no {dir}/none")),
        (pair.order("sub", "copy"), format!("one: {dir}/sub is a directory: one file is moved at a time")),
        (pair.order("file", "sub"), format!("two: {dir}/sub is a directory: name the file")),
        (pair.order("file", "no/copy"), format!("two: there is no directory {dir}/no/: make it in a step before")),
        (
            TransferOrder { to: "/dev/null".into(), ..pair.order("file", "") },
            "two: /dev/null is not a regular file".into(),
        ),
        (
            TransferOrder { to: "x\ny".into(), ..pair.order("file", "") },
            "\"x\\ny\" is not an absolute path on one line".into(),
        ),
    ];
    for (order, why) in cases {
        assert_eq!(hosts.transfer(&order, &Noted::default()).await, Err(Refusal::Refused(why)));
    }
    let order = TransferOrder { owner: Some("nosuchuser".into()), ..pair.order("file", "copy") };
    let Err(Refusal::Refused(why)) = hosts.transfer(&order, &Noted::default()).await else { panic!() };
    assert!(why.starts_with("two: ") && why.contains("nosuchuser"), "{why}");
    assert_eq!(pair.names(), ["file", "sub"], "nothing is left over");
}

#[tokio::test]
async fn a_source_that_changes_meanwhile_is_not_believed() {
    let pair = Pair::new();
    let hosts = pair.hosts("sh");
    image(&pair.path("image"), 200 * MIB, &[(0, 200)]);
    std::fs::write(pair.path("copy"), "as it was").unwrap();
    let noted = Noted::default();
    let come = || noted.progress.lock().unwrap().last().is_some_and(|(moved, _)| *moved > 100 * MIB);
    let order = pair.order("image", "copy");
    for how in ["written to", "shortened"] {
        let done = tokio::join!(hosts.transfer(&order, &noted), async {
            until("half has come", come).await;
            let image = File::options().write(true).open(pair.path("image")).unwrap();
            match how {
                "written to" => image.write_all_at(b"new", 5 * MIB).unwrap(),
                _ => image.set_len(150 * MIB).unwrap(),
            }
        });
        let Err(Refusal::Refused(why)) = done.0 else { panic!("{how}: {:?}", done.0) };
        let expected = if how == "shortened" { "became shorter" } else { "was changed while it was moved" };
        assert!(why.contains(expected) && why.contains("one"), "{how}: {why}");
        assert_eq!(std::fs::read_to_string(pair.path("copy")).unwrap(), "as it was");
        assert_eq!(pair.names(), ["copy", "image"], "{how}");
        noted.progress.lock().unwrap().clear();
    }
}

#[tokio::test]
async fn a_full_disk_is_said_before_anything_is_sent_and_in_the_middle() {
    let pair = Pair::new();
    let hosts = pair.hosts("sh");
    let small = Mounted::new(pair.path("small"), "size=64m");
    image(&pair.path("image"), 100 * MIB, &[(0, 100)]);
    let noted = Noted::default();
    let full = hosts.transfer(&pair.order("image", "small/copy"), &noted).await;
    let why = format!("no room on two: 100MiB are needed in {}/, 64MiB are free", small.path().display());
    assert_eq!(full, Err(Refusal::Refused(why)));
    assert_eq!(passed(&noted), 0);
    image(&pair.path("image"), 50 * MIB, &[(0, 50)]);
    let come = || noted.progress.lock().unwrap().last().is_some_and(|(moved, _)| *moved > MIB);
    let order = TransferOrder {
        manner: Manner { rate: Some(20 * MIB), ..Manner::default() },
        ..pair.order("image", "small/copy")
    };
    let done = tokio::join!(hosts.transfer(&order, &noted), async {
        until("something has come", come).await;
        image(&small.path().join("other"), 30 * MIB, &[(0, 30)]);
    });
    let Err(Refusal::Refused(why)) = done.0 else { panic!("{:?}", done.0) };
    assert!(why.starts_with("two: cannot write") && why.contains("No space left on device"), "{why}");
    assert_eq!(std::fs::read_dir(small.path()).unwrap().count(), 1, "what was written takes no room any more");
}

#[tokio::test]
async fn on_one_host_it_is_a_copy_and_with_the_engines_machine_it_goes_as_well() {
    let pair = Pair::new();
    let hosts = pair.hosts("sh");
    image(&pair.path("image"), 40 * MIB, &[(0, 3), (38, 2)]);
    let ends = [("one", "one", "a"), ("local", "two", "b"), ("two", "local", "c")];
    for (from, to, name) in ends {
        let order = TransferOrder { from_host: host(from), to_host: host(to), ..pair.order("image", name) };
        let moved: Moved = hosts.transfer(&order, &Noted::default()).await.unwrap();
        assert_eq!(moved.bytes, 40 * MIB);
        assert!(same(&pair.path("image"), &pair.path(name)), "{from} to {to}");
    }
}

/// The words that bring root of host `one` to host `two`: its own key and known hosts, not the engine's.
fn trusted(pair: &Pair) -> String {
    let bin = pair.path("bin");
    std::fs::create_dir(&bin).unwrap();
    let two = pair.two.dir().display();
    let script = format!(
        "#!/bin/sh\necho called >>{}\nexec /usr/bin/ssh -F /dev/null -i {two}/user_key -o UserKnownHostsFile={two}/known_hosts \"$@\"\n",
        pair.path("calls").display()
    );
    std::fs::write(bin.join("ssh"), script).unwrap();
    std::fs::set_permissions(bin.join("ssh"), std::fs::Permissions::from_mode(0o755)).unwrap();
    format!("env PATH={}:/usr/sbin:/usr/bin:/sbin:/bin sh", bin.display())
}
