//! Counts effects: what an action did must not be done twice, unless its step says that twice is as good as once.

use std::collections::BTreeMap;

use piton_core::ids::TaskId;
use piton_core::runbook::{Repeat, Step};

/// How often each action was done to its end.
#[derive(Default)]
pub(crate) struct Effects {
    done: BTreeMap<TaskId, u32>,
}

impl Effects {
    /// An action was done. What is wrong with that, if anything is: `changed` tells whether it changed anything, `exit`
    /// what it exited with, `whole` whether it did all of its work.
    pub(crate) fn done(
        &mut self,
        task: &TaskId,
        step: &Step,
        changed: bool,
        exit: Option<u8>,
        whole: bool,
    ) -> Option<String> {
        let count = self.done.entry(task.clone()).or_default();
        let before = *count;
        *count += u32::from(whole);
        (before > 0).then(|| complaint(before + 1, task, step, changed, exit)).flatten()
    }

    /// A person has decided that tasks are tried again: what they did before is theirs to know.
    pub(crate) fn forgive(&mut self) {
        self.done.clear();
    }
}

fn complaint(times: u32, task: &TaskId, step: &Step, changed: bool, exit: Option<u8>) -> Option<String> {
    let allowed = match (step.repeat, &step.retry) {
        (Repeat::Safe, _) => "`repeat: safe`",
        (Repeat::Ask, Some(_)) => "`retry`",
        (Repeat::Ask, None) => {
            return Some(format!("{task} was done {times} times, and nothing says that this is safe"));
        }
    };
    if changed {
        return Some(format!(
            "{task} has {allowed} and was done again after it had been done, and that changed something again: \
             twice is not as good as once"
        ));
    }
    match exit {
        Some(status) if status != 0 && step.repeat == Repeat::Safe => Some(format!(
            "{task} has `repeat: safe`, and when it was done again after it had been done it exited with {status}"
        )),
        Some(_) | None => None,
    }
}

#[cfg(test)]
mod tests {
    use piton_core::fault::Source;
    use piton_core::runbook::parse;

    use super::*;

    /// What is said of a second time, for a step with these modifiers.
    fn second(modifiers: &str, changed: bool, exit: u8) -> Option<String> {
        let text = format!("runbook: x\nsteps: [ {{ id: a, run: x{modifiers} }} ]");
        let (runbook, faults) = parse(&Source { name: "x.yaml".into(), text: text.into() });
        let step = runbook.unwrap_or_else(|| panic!("{faults:?}")).steps.remove(0);
        let task: TaskId = "a[h]".parse().unwrap();
        let mut effects = Effects::default();
        assert_eq!(effects.done(&task, &step, true, Some(1), false), None, "half of it is not the whole");
        assert_eq!(effects.done(&task, &step, true, Some(0), true), None, "once is right");
        effects.done(&task, &step, changed, Some(exit), true)
    }

    #[test]
    fn a_second_time_must_be_allowed_and_change_nothing() {
        assert!(second("", false, 0).unwrap().contains("nothing says that this is safe"));
        assert_eq!(second(", repeat: safe", false, 0), None);
        assert!(second(", repeat: safe", true, 0).unwrap().contains("twice is not as good as once"));
        assert!(second(", repeat: safe", false, 3).unwrap().contains("exited with 3"));
        assert!(second(", retry: 1", true, 0).unwrap().contains("`retry` and was done again"));
        assert_eq!(second(", retry: 1", false, 3), None);
    }
}
