//! As other users than the one who logs in.

use super::*;

/// A directory that belongs to `nobody`, and to nobody else.
fn of_nobody(pair: &Pair, name: &str) {
    let path = pair.path(name);
    std::fs::create_dir(&path).unwrap();
    std::os::unix::fs::chown(&path, Some(65534), Some(65534)).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
}

/// An order to move it as `nobody`, who may enter the directory of the pair.
fn as_nobody(pair: &Pair, from: &str, to: &str) -> TransferOrder {
    std::fs::set_permissions(pair.dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    TransferOrder { become_user: Some("nobody".to_owned()), ..pair.order(from, to) }
}

#[tokio::test]
async fn another_user_reads_on_one_host_and_writes_on_the_other() {
    for sh in ["dash", "busybox sh", "mksh"] {
        let pair = Pair::new();
        let hosts = pair.hosts(sh);
        of_nobody(&pair, "from");
        of_nobody(&pair, "to");
        let source = pair.path("from/image");
        image(&source, 20 * MIB + 5, &[(0, 3), (19, 1)]);
        std::os::unix::fs::chown(&source, Some(65534), Some(65534)).unwrap();
        std::fs::set_permissions(&source, std::fs::Permissions::from_mode(0o600)).unwrap();
        let order = as_nobody(&pair, "from/image", "to/copy");
        let moved = hosts.transfer(&order, &Noted::default()).await.unwrap();
        assert_eq!(moved.bytes, 20 * MIB + 5, "{sh}");
        let copy = pair.path("to/copy");
        assert!(same(&source, &copy), "{sh}");
        let is = std::fs::metadata(&copy).unwrap();
        assert_eq!((is.uid(), is.gid(), is.permissions().mode() & 0o7777), (65534, 65534, 0o600), "{sh}");
        assert!(allocated(&copy) < 10 * MIB, "{sh}: {}", allocated(&copy));
        assert_eq!(std::fs::read_dir(pair.path("to")).unwrap().count(), 1, "{sh}: nothing is left over");
        // What is there is found to be there, which takes reading it as the same user.
        let noted = Noted::default();
        hosts.transfer(&order, &noted).await.unwrap();
        assert_eq!(passed(&noted), 0, "{sh}");
    }
}

#[tokio::test]
async fn another_user_is_refused_what_is_not_theirs_and_the_host_is_named() {
    let pair = Pair::new();
    let hosts = pair.hosts("sh");
    let dir = pair.dir.path().display().to_string();
    of_nobody(&pair, "theirs");
    std::fs::write(pair.path("theirs/file"), "x").unwrap();
    std::os::unix::fs::chown(pair.path("theirs/file"), Some(65534), Some(65534)).unwrap();
    std::fs::write(pair.path("of-root"), "x").unwrap();
    std::fs::set_permissions(pair.path("of-root"), std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(pair.path("open"), "x").unwrap();
    std::fs::set_permissions(pair.path("open"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let refused = [
        (as_nobody(&pair, "of-root", "theirs/copy"), "one: ", "of-root"),
        (as_nobody(&pair, "theirs/file", "copy"), "two: ", "permission denied"),
        (
            TransferOrder { owner: Some("root".into()), ..as_nobody(&pair, "theirs/file", "theirs/copy") },
            "two: ",
            "chown",
        ),
        (TransferOrder { become_user: Some("no-such-user".into()), ..pair.order("open", "copy") }, "", "no-such-user"),
        (TransferOrder { become_user: Some("-x".into()), ..pair.order("open", "copy") }, "", "not a user to become"),
    ];
    for (order, host, says) in refused {
        let done = hosts.transfer(&order, &Noted::default()).await;
        let Err(Refusal::Refused(why)) = done else { panic!("{order:?}: {done:?}") };
        assert!(why.starts_with(host) && why.contains(says), "{order:?}: {why}");
    }
    assert_eq!(pair.names(), ["of-root", "open", "theirs"], "nothing was written in {dir}");
    assert_eq!(std::fs::read_dir(pair.path("theirs")).unwrap().count(), 1, "nothing is left over");
    // What they may read and nobody need give away is theirs where it arrives.
    hosts.transfer(&as_nobody(&pair, "open", "theirs/copy"), &Noted::default()).await.unwrap();
    assert_eq!(std::fs::metadata(pair.path("theirs/copy")).unwrap().uid(), 65534);
}

#[tokio::test]
async fn another_user_goes_on_after_a_cut_and_by_the_direct_way() {
    let pair = Pair::new();
    // The key is of root: who has become another cannot use it, and the way through the engine is gone instead.
    let hosts = pair.hosts(&trusted(&pair));
    of_nobody(&pair, "from");
    of_nobody(&pair, "to");
    image(&pair.path("from/image"), 120 * MIB, &[(0, 120)]);
    std::os::unix::fs::chown(pair.path("from/image"), Some(65534), Some(65534)).unwrap();
    let noted = Noted::default();
    let order = as_nobody(&pair, "from/image", "to/copy");
    let come = || noted.progress.lock().unwrap().last().is_some_and(|(moved, _)| *moved > 40 * MIB);
    let done = tokio::join!(hosts.transfer(&order, &noted), async {
        until("something has come", come).await;
        for pid in pair.two.serving() {
            let _gone = std::process::Command::new("kill").args(["-9", &pid.to_string()]).status();
        }
    });
    assert_eq!(done.0.unwrap().bytes, 120 * MIB);
    assert!(same(&pair.path("from/image"), &pair.path("to/copy")));
    assert!(passed(&noted) < 200 * MIB, "a part was sent again, and not all: {}", passed(&noted));
    assert_eq!(std::fs::metadata(pair.path("to/copy")).unwrap().uid(), 65534);
    assert_eq!(std::fs::read_dir(pair.path("to")).unwrap().count(), 1, "nothing is left over");
}
