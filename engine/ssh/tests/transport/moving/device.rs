//! From a block device: a loop device over a file.

use std::process::Command;

use super::*;

/// A loop device (losetup(8)); let go when dropped.
struct Loop(String);

impl Loop {
    fn over(file: &Path) -> Self {
        let made = Command::new("losetup").args(["--find", "--show"]).arg(file).output().unwrap();
        assert!(made.status.success(), "losetup: {}", String::from_utf8_lossy(&made.stderr));
        Self(String::from_utf8(made.stdout).unwrap().trim().to_owned())
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _gone_or_not = Command::new("losetup").args(["--detach", &self.0]).status();
    }
}

#[tokio::test]
async fn a_disk_becomes_a_sparse_file_and_one_that_is_written_to_is_not_believed() {
    let pair = Pair::new();
    let hosts = pair.hosts("sh");
    // No multiple of 64 KiB.
    image(&pair.path("disk"), 200 * MIB + 4096, &[(3, 40), (150, 20)]);
    let disk = Loop::over(&pair.path("disk"));
    let order = TransferOrder { from: disk.0.clone(), ..pair.order("", "copy") };
    let noted = Noted::default();
    hosts.transfer(&order, &noted).await.unwrap();
    assert!(same(&pair.path("disk"), &pair.path("copy")));
    assert!(passed(&noted) <= 62 * MIB, "zeros are not sent: {}", passed(&noted));
    assert!(allocated(&pair.path("copy")) <= 62 * MIB);
    let mode = std::fs::metadata(pair.path("copy")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600, "a disk holds secrets");

    std::fs::remove_file(pair.path("copy")).unwrap();
    noted.progress.lock().unwrap().clear();
    let come = || noted.progress.lock().unwrap().last().is_some_and(|(moved, _)| *moved > MIB);
    let manner = Manner { rate: Some(40 * MIB), ..Manner::default() };
    let order = TransferOrder { manner, ..order };
    let done = tokio::join!(hosts.transfer(&order, &noted), async {
        until("something has come", come).await;
        let file = File::options().write(true).open(&disk.0).unwrap();
        file.write_all_at(b"new", 5 * MIB).unwrap();
        file.sync_all().unwrap();
    });
    let Err(Refusal::Refused(why)) = done.0 else { panic!("{:?}", done.0) };
    assert!(why.contains("was changed while it was moved"), "{why}");
    assert_eq!(pair.names(), ["disk"], "nothing is left over");
}

/// Its token would be the same whatever was written to it.
#[tokio::test]
async fn a_disk_of_which_the_kernel_tells_nothing_is_refused() {
    let pair = Pair::new();
    // 240 is for local use (Documentation/admin-guide/devices.txt): no driver has it.
    let made = Command::new("mknod").arg(pair.path("disk")).args(["b", "240", "9"]).status().unwrap();
    assert!(made.success());
    for sh in ["dash", "bash --posix", "busybox sh", "ksh", "mksh"] {
        let moved = pair.hosts(sh).transfer(&pair.order("disk", "copy"), &Noted::default()).await;
        let Err(Refusal::Refused(why)) = moved else { panic!("{sh}: {moved:?}") };
        assert!(why.contains("the kernel tells nothing of"), "{sh}: {why}");
    }
    assert_eq!(pair.names(), ["disk"]);
}
