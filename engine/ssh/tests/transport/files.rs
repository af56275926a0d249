//! Files to a host and from it, over a real sshd and on the engine's own machine.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use crate::common::{Mounted, Noted, host, run_id, until};
use piton_core::digest::Digest;
use piton_core::run::Refusal;
use piton_core::runbook::Manner;
use piton_runner::observer::Notice;
use piton_runner::transport::{GetOrder, Moved, PutBytes, PutOrder, Transport as _};
use piton_ssh::{Hosts, Options};
use piton_testkit::sshd::Sshd;

fn hosts(sshd: &Sshd, sh: &str) -> Hosts {
    let base = Some(sshd.path("jobs").to_str().unwrap().to_owned());
    let options = Options { control_dir: Some(sshd.dir().to_owned()), base, sh: sh.to_owned(), ..Options::default() };
    Hosts::new(BTreeMap::from([(host("hv1"), sshd.host())]), options)
}

fn put_order(source: PutBytes, to: &Path) -> PutOrder {
    PutOrder {
        run: run_id(),
        host: host("hv1"),
        source,
        to: to.to_str().unwrap().to_owned(),
        mode: None,
        owner: None,
        become_user: None,
        manner: Manner::default(),
    }
}

fn get_order(from: &Path, to: &Path) -> GetOrder {
    let from = from.to_str().unwrap().to_owned();
    GetOrder { run: run_id(), host: host("hv1"), from, to: to.to_owned(), become_user: None, manner: Manner::default() }
}

async fn put(hosts: &Hosts, order: &PutOrder) -> Result<Moved, Refusal> {
    hosts.put(order, &Noted::default()).await
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Bytes of which no two blocks are alike, with requests of ours among them.
fn bytes(len: usize) -> Vec<u8> {
    let line = |n: usize| format!("run ==0\nlaunch {n}\0\n").into_bytes();
    (0..).flat_map(line).take(len).collect()
}

#[tokio::test]
async fn a_file_arrives_whole_with_mode_and_owner_and_comes_back_the_same() {
    let sshd = Sshd::start();
    for sh in ["dash", "bash --posix", "busybox sh", "ksh", "mksh"] {
        let dir = tempfile::tempdir().unwrap();
        let hosts = hosts(&sshd, sh);
        for len in [0, 1, 3_000_000] {
            let (from, to) = (dir.path().join("from"), dir.path().join("it's a file; \u{1F600}"));
            std::fs::write(&from, bytes(len)).unwrap();
            let mut order = put_order(PutBytes::Path(from.clone()), &to);
            order.mode = Some(0o640);
            order.owner = Some("nobody:nogroup".to_owned());
            let moved = put(&hosts, &order).await.unwrap();
            assert_eq!(moved, Moved { bytes: len as u64, digest: Digest::of(&bytes(len)) }, "{sh}");
            assert_eq!(std::fs::read(&to).unwrap(), bytes(len), "{sh}");
            assert_eq!(mode(&to), 0o640);
            assert_eq!(std::fs::metadata(&to).unwrap().uid(), 65534);
            let back = dir.path().join("back");
            let got = hosts.get(&get_order(&to, &back), &Noted::default()).await.unwrap();
            assert_eq!(got, moved);
            assert_eq!((std::fs::read(&back).unwrap(), mode(&back)), (bytes(len), 0o640));
            assert_eq!(names(dir.path()), ["back", "from", "it's a file; \u{1F600}"], "{sh}: nothing is left over");
            std::fs::remove_file(&to).unwrap();
        }
    }
}

#[tokio::test]
async fn what_is_there_already_is_left_alone_and_what_is_replaced_keeps_its_mode() {
    let sshd = Sshd::start();
    let hosts = hosts(&sshd, "sh");
    let to = sshd.path("to");
    let order = |text: &str| put_order(PutBytes::Text(text.to_owned()), &to);
    put(&hosts, &order("one")).await.unwrap();
    assert_eq!(mode(&to), 0o644);
    let first = std::fs::metadata(&to).unwrap();
    std::fs::set_permissions(&to, std::fs::Permissions::from_mode(0o751)).unwrap();
    put(&hosts, &order("one")).await.unwrap();
    assert_eq!(std::fs::metadata(&to).unwrap().ino(), first.ino(), "it was not written again");
    put(&hosts, &order("two")).await.unwrap();
    assert_eq!(std::fs::read_to_string(&to).unwrap(), "two");
    assert_eq!(mode(&to), 0o751);
    let link = sshd.path("link");
    std::os::unix::fs::symlink(&to, &link).unwrap();
    put(&hosts, &put_order(PutBytes::Text("three".to_owned()), &link)).await.unwrap();
    assert!(link.is_symlink(), "a link stays one");
    assert_eq!(std::fs::read_to_string(&to).unwrap(), "three");
}

#[tokio::test]
async fn a_transfer_goes_on_where_a_killed_connection_left_it() {
    let sshd = Sshd::start();
    let hosts = hosts(&sshd, "sh");
    let (from, to, back) = (sshd.path("from"), sshd.path("to"), sshd.path("back"));
    let content = bytes(200_000_000);
    std::fs::write(&from, &content).unwrap();
    let noted = Noted::default();
    let kill = |pid: u32| std::process::Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap();
    let order = put_order(PutBytes::Path(from), &to);
    let moved = tokio::join!(hosts.put(&order, &noted), async {
        until("something has come", || {
            noted.progress.lock().unwrap().last().is_some_and(|(moved, _)| *moved > 1_000_000)
        })
        .await;
        sshd.serving().into_iter().for_each(|pid| assert!(kill(pid).success()));
    })
    .0
    .unwrap();
    assert_eq!(moved.bytes, content.len() as u64);
    assert!(std::fs::read(&to).unwrap() == content);
    assert!(matches!(noted.notices.lock().unwrap()[0], Notice::Disconnected { .. }));
    let order = get_order(&to, &back);
    let noted = Noted::default();
    let moved = tokio::join!(hosts.get(&order, &noted), async {
        until("something has come", || {
            noted.progress.lock().unwrap().last().is_some_and(|(moved, _)| *moved > 1_000_000)
        })
        .await;
        sshd.serving().into_iter().for_each(|pid| assert!(kill(pid).success()));
    })
    .0
    .unwrap();
    assert_eq!(moved.bytes, content.len() as u64);
    assert!(std::fs::read(&back).unwrap() == content);
    assert!(matches!(noted.notices.lock().unwrap()[0], Notice::Disconnected { .. }));
}

#[tokio::test]
async fn a_directory_goes_and_comes_with_its_links_and_names() {
    let sshd = Sshd::start();
    let hosts = hosts(&sshd, "sh");
    let from = sshd.path("from");
    std::fs::create_dir_all(from.join("a b/empty")).unwrap();
    std::fs::write(from.join("a b/-rf"), "one").unwrap();
    std::fs::write(from.join("$(id)"), "two").unwrap();
    std::os::unix::fs::symlink("a b/-rf", from.join("link")).unwrap();
    let (to, back) = (sshd.path("to/deep"), sshd.path("back"));
    let put = put(&hosts, &put_order(PutBytes::Path(from), &to)).await.unwrap();
    let got = hosts.get(&get_order(&to, &back), &Noted::default()).await.unwrap();
    assert_eq!(put, got);
    assert_eq!(put.bytes, 6);
    for there in [to, back] {
        assert_eq!(names(&there), ["$(id)", "a b", "link"]);
        assert_eq!(names(&there.join("a b")), ["-rf", "empty"]);
        assert_eq!(std::fs::read_link(there.join("link")).unwrap(), Path::new("a b/-rf"));
        assert_eq!(std::fs::read_to_string(there.join("link")).unwrap(), "one");
    }
}

#[tokio::test]
async fn refusals_say_what_where_and_what_to_do() {
    let sshd = Sshd::start();
    let hosts = hosts(&sshd, "sh");
    let text = || PutBytes::Text("x".to_owned());
    std::fs::write(sshd.path("file"), "").unwrap();
    let dir = sshd.dir().display();
    let cases = [
        (put_order(text(), sshd.dir()), format!("{dir} is a directory on the host: name the file")),
        (
            put_order(text(), &sshd.path("no/file")),
            format!("there is no directory {dir}/no/ on the host: make it in a step before"),
        ),
        (put_order(text(), Path::new("/dev/null")), "/dev/null is not a regular file on the host".to_owned()),
        (put_order(text(), Path::new("x\ny")), "\"x\\ny\" is not an absolute path on one line".to_owned()),
        (
            put_order(PutBytes::Path("/no/such".into()), &sshd.path("x")),
            "/no/such on this machine: No such file or directory (os error 2)".to_owned(),
        ),
    ];
    for (order, why) in cases {
        assert_eq!(put(&hosts, &order).await, Err(Refusal::Refused(why)));
    }
    let mut order = put_order(text(), &sshd.path("x"));
    order.owner = Some("nosuchuser".to_owned());
    let Err(Refusal::Refused(why)) = put(&hosts, &order).await else { panic!() };
    assert!(why.contains("nosuchuser"), "{why}");
    assert!(!sshd.path("x").exists());
    let get = hosts.get(&get_order(Path::new("/no/such"), &sshd.path("y")), &Noted::default()).await;
    assert_eq!(get, Err(Refusal::Refused("there is no /no/such on the host".to_owned())));
}

#[tokio::test]
async fn a_full_disk_is_said_and_the_bytes_that_follow_are_not_taken_for_requests() {
    let sshd = Sshd::start();
    let hosts = hosts(&sshd, "sh");
    let small = Mounted::new(sshd.path("small"), "size=64k");
    let touched = sshd.path("touched");
    let request = format!("run E\nE\ntouch {}\nE\n", touched.display());
    let content = request.repeat(200_000);
    let put = put(&hosts, &put_order(PutBytes::Text(content), &small.path().join("x"))).await;
    let Err(Refusal::Refused(why)) = put else { panic!("{put:?}") };
    assert!(why.contains("cannot write") && why.contains("No space left on device"), "{why}");
    assert!(hosts.ping(&host("hv1")).await.is_ok());
    assert!(!touched.exists());
}

#[tokio::test]
async fn another_user_writes_and_reads_what_is_theirs() {
    let sshd = Sshd::start();
    let hosts = hosts(&sshd, "sh");
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let theirs = dir.path().join("theirs");
    std::fs::create_dir(&theirs).unwrap();
    std::os::unix::fs::chown(&theirs, Some(65534), Some(65534)).unwrap();
    let mut order = put_order(PutBytes::Text("x".to_owned()), &theirs.join("x"));
    order.become_user = Some("nobody".to_owned());
    put(&hosts, &order).await.unwrap();
    assert_eq!(std::fs::metadata(theirs.join("x")).unwrap().uid(), 65534);
    order.to = dir.path().join("x").to_str().unwrap().to_owned();
    let Err(Refusal::Refused(why)) = put(&hosts, &order).await else { panic!() };
    assert!(why.contains("cannot write in") && why.contains("Permission denied"), "{why}");
}

#[tokio::test]
async fn a_large_file_keeps_its_holes_and_what_it_replaces_its_mode_and_owner() {
    let sshd = Sshd::start();
    let hosts = hosts(&sshd, "sh");
    let (from, to, back) = (sshd.path("from"), sshd.path("to"), sshd.path("back"));
    let file = std::fs::File::create(&from).unwrap();
    file.set_len(3 << 30).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &bytes(5_000_000), 1 << 30).unwrap();
    std::fs::write(&to, "before").unwrap();
    std::fs::set_permissions(&to, std::fs::Permissions::from_mode(0o751)).unwrap();
    std::os::unix::fs::chown(&to, Some(65534), Some(65534)).unwrap();
    let noted = Noted::default();
    hosts.put(&put_order(PutBytes::Path(from.clone()), &to), &noted).await.unwrap();
    let is = std::fs::metadata(&to).unwrap();
    assert_eq!((is.len(), mode(&to), is.uid()), (3 << 30, 0o751, 65534));
    assert!(is.blocks() * 512 < 6_000_000, "{}", is.blocks());
    assert!(noted.progress.lock().unwrap().last().unwrap().1 < 6_000_000);
    hosts.get(&get_order(&to, &back), &noted).await.unwrap();
    let is = std::fs::metadata(&back).unwrap();
    assert_eq!((is.len(), mode(&back), is.uid()), (3 << 30, 0o751, 0), "what was got is ours");
    assert!(is.blocks() * 512 < 6_000_000, "{}", is.blocks());
    assert!(std::process::Command::new("cmp").args([&from, &back]).status().unwrap().success());
}
