//! The runbook `mount-repair` against a real docker, with the ways in which a container's root can get lost.

use piton_tests::lab::{root, shown};
use piton_tests::machine::Machine;

/// docker with its data root on a disk of its own, and in it containers whose image names its user: then each exec needs passwd.
const SET_UP: &str = r#"set -e
    mkfs.ext4 -q /dev/vdb
    mkdir -p '/srv/容器 data' /etc/docker
    echo '/dev/vdb /srv/容器\040data ext4 defaults 0 2' >>/etc/fstab
    mount '/srv/容器 data'
    echo '{"data-root": "/srv/容器 data/docker"}' >/etc/docker/daemon.json
    systemctl start docker
    docker import -c 'USER app' -c 'CMD ["/bin/sh","-c","while :; do sleep 1; done"]' /opt/lab/tiny.tar lab/tiny:1 >/dev/null
    for name in c1 c2; do
      docker run -d --name $name lab/tiny:1
      docker exec $name sh -c 'echo before >/data/before; sync'
    done"#;

const MERGED: &str = r#"merged() { docker inspect -f '{{.GraphDriver.Data.MergedDir}}' "$1"; }"#;

fn run(machine: &Machine, exit: i32, more: &[&str]) -> String {
    let runbook = root().join("runbooks/docker/mount-repair.yaml").display().to_string();
    let words = [&["run", &runbook, "targets=m1"], more].concat();
    machine.expect(exit, &words)
}

fn assert_exec_fails(machine: &Machine, name: &str) {
    let output = machine.try_by_hand(&format!("docker exec {name} id"));
    assert!(!output.status.success() && shown(&output).contains("unable to find user"), "{}", shown(&output));
}

/// What was written before is there, and the container can write: to a new file, and to one of a lower layer (copy-up).
fn assert_works(machine: &Machine, name: &str) {
    let script = format!(
        "docker exec {name} cat /data/before && docker exec -u 0 {name} sh -c 'echo new >/new && cat /new && echo x:x:7:7::/:/bin/sh >>/etc/passwd && sync'
         docker cp {name}:/etc/passwd - | tar -xO | grep -c x:x:7"
    );
    assert_eq!(machine.by_hand(&script), "before\nnew\n1");
}

#[test]
fn lab_lost_roots_are_mounted_again_while_the_containers_run_on() {
    let machine = Machine::up(env!("CARGO_BIN_EXE_piton-under-test"), 1024, &["512M"]);
    machine.by_hand(SET_UP);
    let pids = machine.by_hand("docker inspect -f '{{.State.Pid}}' c1 c2");

    // The mount is gone where the daemon looks for it, and nowhere else.
    machine.by_hand(&format!("{MERGED}; nsenter -t $(pidof dockerd) -m umount -l \"$(merged c1)\""));
    assert_exec_fails(&machine, "c1");
    let said = run(&machine, 4, &["mode=check"]);
    assert!(
        said.contains("c1: gone") && said.contains("c2: healthy") && said.contains("1 containers have lost their root"),
        "{said}"
    );
    assert_exec_fails(&machine, "c1");
    run(&machine, 0, &[]);
    assert_works(&machine, "c1");
    let said = run(&machine, 0, &["mode=check"]);
    assert!(said.contains("broken: 0"), "{said}");

    // The whole data root is unmounted under the daemon.
    machine.by_hand("umount -l '/srv/容器 data'");
    assert!(!machine.try_by_hand("docker exec c2 id").status.success());
    run(&machine, 0, &[]);
    assert_works(&machine, "c2");
    assert_eq!(machine.by_hand("docker inspect -f '{{.State.Pid}}' c1 c2"), pids, "no container was restarted");

    // Somebody has mounted a second overlay over the same directories: writes fail until the container is restarted.
    machine.by_hand(&format!(
        "set -e; {MERGED}
         at=$(merged c2)
         pid=$(docker inspect -f '{{{{.State.Pid}}}}' c2)
         how=$(awk '$5 == \"/\" {{ for (i = 1; i <= NF; i++) if ($i == \"-\") {{ print $(i + 3); exit }} }}' /proc/$pid/mountinfo | sed 's/\\\\040/ /g')
         umount -l \"$at\"
         mount -t overlay overlay -o \"$how\" \"$at\""
    ));
    let said = run(&machine, 5, &[]);
    assert!(said.contains("c2: foreign") && said.contains("Only a restart helps"), "{said}");
    assert_eq!(machine.by_hand("docker inspect -f '{{.State.Pid}}' c1 c2"), pids, "nothing is restarted unasked");
    machine.piton(&["cancel", "latest", "--why", "with leave, then"]);
    machine.piton(&["resume", "latest"]);
    run(&machine, 0, &["allow_restart=true"]);
    assert_eq!(
        machine.by_hand("docker exec -u 0 c2 sh -c 'echo y >>/etc/passwd' && docker exec c2 cat /data/before"),
        "before"
    );

    // A layer is gone from the disk: saved as far as it can be read, and left to people.
    machine.by_hand("mv \"$(docker inspect -f '{{.GraphDriver.Data.UpperDir}}' c1)\" /srv/gone");
    let said = run(&machine, 5, &["containers=c1"]);
    assert!(said.contains("c1: lost"), "{said}");
    let size = machine.by_hand("docker image inspect -f '{{.Size}}' $(docker images -q 'rescued/c1')");
    assert!(size.parse::<u64>().is_ok_and(|size| (1_000_000..5_000_000).contains(&size)), "{size}: {said}");
}
