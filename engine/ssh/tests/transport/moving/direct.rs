//! From host to host without the engine in between.

use super::*;

#[tokio::test]
async fn where_the_source_reaches_the_target_nothing_passes_through_the_engine() {
    let pair = Pair::new();
    let hosts = pair.hosts(&trusted(&pair));
    image(&pair.path("image"), 100 * MIB + 3, &[(0, 20), (60, 40)]);
    let noted = Noted::default();
    hosts.transfer(&pair.order("image", "it's a copy"), &noted).await.unwrap();
    assert!(same(&pair.path("image"), &pair.path("it's a copy")));
    let calls = || std::fs::read_to_string(pair.path("calls")).unwrap().lines().count();
    assert_eq!(calls(), 3, "once to see whether it goes, and once for each part");
    assert_eq!(passed(&noted), 60 * MIB);

    // The network between the two goes away: the rest goes through the engine.
    image(&pair.path("image"), 200 * MIB, &[(0, 200)]);
    let noted = Noted::default();
    let order = pair.order("image", "second");
    let come = || noted.progress.lock().unwrap().last().is_some_and(|(moved, _)| *moved > 40 * MIB);
    let done = tokio::join!(hosts.transfer(&order, &noted), async {
        until("something has come", come).await;
        std::fs::write(pair.path("bin/ssh"), "#!/bin/sh\necho no route to host\nexit 255\n").unwrap();
    });
    assert_eq!(done.0.unwrap().bytes, 200 * MIB);
    assert!(same(&pair.path("image"), &pair.path("second")));
}

#[tokio::test]
async fn a_host_that_answers_in_the_targets_place_is_not_written_to() {
    let pair = Pair::new();
    let sh = trusted(&pair);
    // Whatever it is that answers, it does not have the file that was made on the target.
    std::fs::write(pair.path("bin/ssh"), "#!/bin/sh\ncat >/dev/null\necho piton some-boot 1:2\n").unwrap();
    let hosts = pair.hosts(&sh);
    image(&pair.path("image"), 3 * MIB, &[(0, 3)]);
    hosts.transfer(&pair.order("image", "copy"), &Noted::default()).await.unwrap();
    assert!(same(&pair.path("image"), &pair.path("copy")));
}
