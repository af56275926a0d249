//! Who is not reached, and hears why.

use super::*;

#[tokio::test]
async fn an_account_without_a_shell_is_said_to_have_none() {
    let sshd = Sshd::with("ForceCommand echo This account is currently not available.");
    let hosts = hosts(&sshd, Options { connect_limit: Duration::from_secs(1), ..options(&sshd) });
    let (end, _) = run(&hosts, "a", "true").await;
    let JobEnd::Refused(Refusal::Unreachable(why)) = end else { panic!("{end:?}") };
    assert!(why.contains("there is no shell") && why.contains("not available"), "{why}");
}

#[tokio::test]
async fn an_unknown_and_a_changed_host_key_are_refused_at_once_with_what_to_do() {
    let mut sshd = Sshd::start();
    let known = std::fs::read_to_string(sshd.path("known_hosts")).unwrap();
    std::fs::write(sshd.path("known_hosts"), "").unwrap();
    let one = hosts(&sshd, options(&sshd));
    let (end, _) = run(&one, "a", "true").await;
    let JobEnd::Refused(Refusal::Unreachable(why)) = end else { panic!("{end:?}") };
    assert!(why.starts_with("the host key of hv1 (127.0.0.1) is not in ") && why.contains("ssh-keyscan -p"), "{why}");
    std::fs::write(sshd.path("known_hosts"), known).unwrap();
    sshd.change_host_key();
    let two = hosts(&sshd, options(&sshd));
    let (end, _) = run(&two, "a", "true").await;
    let JobEnd::Refused(Refusal::Unreachable(why)) = end else { panic!("{end:?}") };
    let remove = format!("ssh-keygen -R '[127.0.0.1]:{}' -f {}", sshd.port(), sshd.path("known_hosts").display());
    assert!(why.contains("is not the one in") && why.contains(&remove), "{why}");
}

#[tokio::test]
async fn who_is_not_let_in_hears_it_at_once() {
    let sshd = Sshd::start();
    std::fs::write(sshd.path("authorized_keys"), "").unwrap();
    let (end, _) = run(&hosts(&sshd, options(&sshd)), "a", "true").await;
    let JobEnd::Refused(Refusal::Unreachable(why)) = end else { panic!("{end:?}") };
    assert!(why.starts_with("hv1 (127.0.0.1) cannot be reached: root@127.0.0.1: Permission denied"), "{why}");
}

#[tokio::test]
async fn a_host_that_is_down_is_tried_until_the_limit_and_then_refused() {
    let mut sshd = Sshd::start();
    sshd.down();
    let hosts = hosts(&sshd, Options { connect_limit: Duration::from_secs(1), ..options(&sshd) });
    let noted = Noted::default();
    let job = job(run_id(), &h(), "a", "true");
    let end = hosts.carry(&job, Launch::Fresh, &mut Kept::default(), &noted).await;
    let JobEnd::Refused(Refusal::Unreachable(why)) = end else { panic!("{end:?}") };
    assert!(why.contains("Connection refused"), "{why}");
    assert_eq!(*noted.launches.lock().unwrap(), 0);
    assert!(matches!(&noted.notices.lock().unwrap()[..], [Notice::Disconnected { .. }]));
}

#[tokio::test]
async fn settings_that_ssh_would_take_for_options_never_reach_it() {
    let sshd = Sshd::start();
    let changes: [fn(&mut piton_core::inventory::Host); 4] = [
        |h| h.ssh.address = Some("-oProxyCommand=touch /tmp/piton-proxy".to_owned()),
        |h| h.ssh.user = Some("-x".to_owned()),
        |h| h.ssh.jump = Some("good,-oProxyCommand=x".to_owned()),
        |h| h.ssh.identity = Some("-x".to_owned()),
    ];
    for change in changes {
        let mut there = sshd.host();
        change(&mut there);
        let hosts = Hosts::new(BTreeMap::from([(h(), there)]), options(&sshd));
        let (end, _) = run(&hosts, "a", "true").await;
        let JobEnd::Refused(Refusal::Unreachable(why)) = end else { panic!("{end:?}") };
        assert!(why.contains("of hv1 cannot be"), "{why}");
    }
    assert!(!Path::new("/tmp/piton-proxy").exists());
}

#[tokio::test]
async fn a_name_that_nobody_knows_is_refused_after_three_tries() {
    let sshd = Sshd::start();
    let mut there = sshd.host();
    there.ssh.address = Some("no-such-host.invalid".to_owned());
    let hosts = Hosts::new(BTreeMap::from([(h(), there)]), options(&sshd));
    let (end, _) = run(&hosts, "a", "true").await;
    let JobEnd::Refused(Refusal::Unreachable(why)) = end else { panic!("{end:?}") };
    assert!(why.contains("Could not resolve hostname no-such-host.invalid"), "{why}");
}

#[tokio::test]
async fn a_cipher_that_a_config_of_ssh_demands_is_the_one_that_is_used() {
    let sshd = Sshd::with("Ciphers chacha20-poly1305@openssh.com");
    let config = sshd.path("config");
    let hosts = || {
        let mut there = sshd.host();
        there.ssh.config = Some(config.display().to_string());
        Hosts::new(BTreeMap::from([(h(), there)]), options(&sshd))
    };
    let refused = async |text: &str| {
        std::fs::write(&config, text).unwrap();
        let (end, _) = run(&hosts(), "a", "true").await;
        let JobEnd::Refused(Refusal::Unreachable(why)) = end else { panic!("{end:?}") };
        why
    };
    let why = refused("Ciphers aes256-ctr").await;
    assert!(why.contains("no matching cipher found"), "{why}");
    let why = refused("Nonsense yes").await;
    assert!(why.contains(&config.display().to_string()), "{why}");
    std::fs::write(&config, "Compression no").unwrap();
    assert_eq!(exit_of(&run(&hosts(), "a", "true").await.0), 0);
    std::fs::remove_file(&config).unwrap();
    let (end, _) = run(&hosts(), "a", "true").await;
    let JobEnd::Refused(Refusal::Unreachable(why)) = end else { panic!("{end:?}") };
    assert!(why.contains(&config.display().to_string()) && why.contains("No such file"), "{why}");
}
