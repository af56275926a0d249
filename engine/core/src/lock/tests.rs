use proptest::prelude::*;

use super::*;

fn run(number: u64) -> RunId {
    RunId::from_parts(number, 0)
}

fn ticket(id: u64, of: u64, task: Option<&str>, locks: &[(&str, u32)]) -> Ticket {
    let locks = locks.iter().map(|(name, most)| Lock { name: (*name).into(), most: *most }).collect();
    let task = task.map(|task| task.parse().unwrap());
    Ticket { id, run: run(of), task, locks, asked: Timestamp(0), state: TicketState::Waiting }
}

fn states(tickets: &[Ticket]) -> String {
    let state = |ticket: &Ticket| match ticket.state {
        TicketState::Waiting => 'w',
        TicketState::Held(_) => 'h',
        TicketState::Refused(_) => 'x',
    };
    tickets.iter().map(state).collect()
}

fn settled(mut tickets: Vec<Ticket>) -> (String, Vec<Ticket>) {
    settle(&mut tickets, Timestamp(1));
    (states(&tickets), tickets)
}

const SHARED: u32 = Lock::SHARED;

#[test]
fn who_may_hold_beside_whom() {
    let table: &[(&[(&str, u32)], &str)] = &[
        (&[("a", 1), ("a", 1)], "hw"),
        (&[("a", SHARED), ("a", SHARED), ("a", SHARED)], "hhh"),
        (&[("a", SHARED), ("a", 1), ("a", SHARED)], "hww"),
        (&[("a", 1), ("a", SHARED), ("a", SHARED)], "hww"),
        (&[("a", 2), ("a", 2), ("a", 2)], "hhw"),
        (&[("a", 3), ("a", 3), ("a", 2)], "hhw"),
        (&[("a", 2), ("a", 2), ("a", 9)], "hhw"),
        (&[("a", 2), ("a", SHARED), ("a", 2)], "hhw"),
        (&[("a", 1), ("b", 1), ("a", 1), ("b", SHARED)], "hhww"),
    ];
    for (locks, wanted) in table {
        let tickets = (1..).zip(locks.iter()).map(|(n, lock)| ticket(n, n, None, &[*lock])).collect();
        assert_eq!(settled(tickets).0, *wanted, "{locks:?}");
    }
}

#[test]
fn first_asked_first_served_and_no_run_has_half_of_its_locks() {
    let mut tickets = vec![
        ticket(1, 1, None, &[("a", 1)]),
        ticket(2, 2, None, &[("a", 1), ("b", 1)]),
        ticket(3, 3, None, &[("b", 1)]),
        ticket(4, 4, None, &[("c", 1)]),
    ];
    settle(&mut tickets, Timestamp(1));
    assert_eq!(states(&tickets), "hwwh", "b is free, and kept for the one who asked first");
    assert_eq!(blockers(&tickets, 2), [1]);
    assert_eq!(tells(&tickets, 1), format!("a, b (run {} holds a)", run(1)));
    assert_eq!(tells(&tickets, 2), format!("b (run {} asked before for b)", run(2)));
    tickets.remove(0);
    assert!(settle(&mut tickets, Timestamp(2)));
    assert_eq!(states(&tickets), "hwh");
    assert_eq!(tickets[0].state, TicketState::Held(Timestamp(2)));
    assert!(!settle(&mut tickets, Timestamp(3)), "and then nothing changes any more");
}

#[test]
fn what_a_run_holds_does_not_stand_in_the_way_of_its_own_tasks() {
    let tickets = vec![
        ticket(1, 1, None, &[("vm", 1)]),
        ticket(2, 1, Some("a[h1]"), &[("vm", 1)]),
        ticket(3, 1, Some("a[h2]"), &[("vm", 1)]),
        ticket(4, 2, None, &[("vm", SHARED)]),
    ];
    assert_eq!(settled(tickets).0, "hhww", "its tasks stand in each other's way");
}

#[test]
fn two_runs_that_would_wait_for_each_other_the_youngest_is_told() {
    let mut tickets = vec![
        ticket(1, 1, None, &[("a", 1)]),
        ticket(2, 2, None, &[("b", 1)]),
        ticket(3, 1, Some("s[h1]"), &[("b", 1)]),
    ];
    settle(&mut tickets, Timestamp(1));
    assert_eq!(states(&tickets), "hhw", "to wait is no fault");
    tickets.push(ticket(4, 2, Some("s[h1]"), &[("a", 1)]));
    settle(&mut tickets, Timestamp(2));
    assert_eq!(states(&tickets), "hhwx");
    let TicketState::Refused(why) = &tickets[3].state else { panic!() };
    assert_eq!(
        *why,
        format!(
            "to wait for a would be to wait for ever: run {} waits for b, and what it waits for is held by this run",
            run(1)
        )
    );
    // Once the second run is over, the first has what it waited for.
    tickets.retain(|ticket| ticket.run != run(2));
    settle(&mut tickets, Timestamp(3));
    assert_eq!(states(&tickets), "hh");
}

#[test]
fn a_circle_of_three_and_one_that_goes_through_the_queue() {
    let tickets = vec![
        ticket(1, 1, None, &[("a", 1)]),
        ticket(2, 2, None, &[("b", 1)]),
        ticket(3, 3, None, &[("c", 1)]),
        ticket(4, 1, Some("s[h]"), &[("b", 1)]),
        ticket(5, 2, Some("s[h]"), &[("c", 1)]),
        ticket(6, 3, Some("s[h]"), &[("a", 1)]),
    ];
    assert_eq!(settled(tickets).0, "hhhwwx");
    // Run 1 waits for b. Run 3 waits for b behind it with a as well, which run 1 holds: run 1 need not let it go first.
    let tickets = vec![
        ticket(1, 1, None, &[("a", 1)]),
        ticket(2, 3, None, &[("a", 1), ("b", 1)]),
        ticket(3, 1, Some("s[h]"), &[("b", 1)]),
    ];
    assert_eq!(settled(tickets).0, "hwh", "who waits for us cannot keep us waiting");
    // Both share a, and both want it for themselves.
    let tickets = vec![
        ticket(1, 1, None, &[("a", SHARED)]),
        ticket(2, 2, None, &[("a", SHARED)]),
        ticket(3, 1, Some("s[h]"), &[("a", 1)]),
        ticket(4, 2, Some("s[h]"), &[("a", 1)]),
    ];
    assert_eq!(settled(tickets).0, "hhwx");
}

fn any_ticket() -> impl Strategy<Value = (u64, bool, Vec<(usize, u32)>)> {
    let most = prop_oneof![Just(1), Just(2), Just(SHARED)];
    (0..4u64, any::<bool>(), prop::collection::vec((0..4usize, most), 1..3))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is asked for and given back in whatever order: nobody holds what they may not beside the others, nobody
    /// overtakes, and in the end everybody is served: whoever can finish finishes, and then nobody waits.
    #[test]
    fn nobody_holds_too_much_and_nobody_waits_for_ever(asks in prop::collection::vec((any_ticket(), 0..6usize), 1..14)) {
        let names = ["a", "b", "c", "d"];
        let mut tickets: Vec<Ticket> = Vec::new();
        for (id, ((of, task, locks), gone)) in (1..).zip(asks) {
            let mut own: Vec<(&str, u32)> = Vec::new();
            for (name, most) in locks {
                if own.iter().all(|(known, _)| *known != names[name]) {
                    own.push((names[name], most));
                }
            }
            // A run asks for its own locks first, and once; and its tasks only when it has them.
            let first = tickets.iter().find(|ticket| ticket.run == run(of) && ticket.task.is_none());
            let new = match first {
                None => ticket(id, of, None, &own),
                Some(first) if first.holds() && task => ticket(id, of, Some(&format!("t{id}[h]")), &own),
                Some(_) => continue,
            };
            tickets.push(new);
            settle(&mut tickets, Timestamp(1));
            check(&tickets)?;
            // Now and then one that does not wait is over.
            if let Some(at) = tickets.iter().enumerate().filter(|(_, t)| finished(&tickets, t)).map(|(at, _)| at).nth(gone) {
                free(&mut tickets, at);
                check(&tickets)?;
            }
        }
        let mut rounds = 0;
        while let Some(at) = (0..tickets.len()).find(|&at| finished(&tickets, &tickets[at])) {
            free(&mut tickets, at);
            check(&tickets)?;
            rounds += 1;
            prop_assert!(rounds < 100);
        }
        prop_assert_eq!(states(&tickets), "", "these wait for ever: {:?}", tickets);
    }
}

/// Whether the ticket can be given back now: a task that has its locks or was refused; a run of which nothing is open.
fn finished(tickets: &[Ticket], ticket: &Ticket) -> bool {
    let open = tickets.iter().any(|other| other.run == ticket.run && other.task.is_some());
    !ticket.waits() && (ticket.task.is_some() || !open)
}

fn free(tickets: &mut Vec<Ticket>, at: usize) {
    tickets.remove(at);
    settle(tickets, Timestamp(2));
}

fn check(tickets: &[Ticket]) -> Result<(), TestCaseError> {
    for name in ["a", "b", "c", "d"] {
        let held: Vec<usize> =
            (0..tickets.len()).filter(|&at| tickets[at].holds() && tickets[at].lock(name).is_some()).collect();
        for &at in &held {
            let ticket = &tickets[at];
            let most = usize::try_from(ticket.lock(name).unwrap().most).unwrap();
            let apart = |other: &usize| !tickets[*other].covers(ticket) && !ticket.covers(&tickets[*other]);
            let beside = holds_of(tickets, held.iter().copied().filter(apart));
            prop_assert!(beside <= most, "{name}: {tickets:?}");
        }
    }
    Ok(())
}
