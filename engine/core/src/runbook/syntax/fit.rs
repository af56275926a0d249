//! Which modifiers go with which action.

use super::Drafter;
use super::step::Given;
use crate::fault::{FaultCode, Span};
use crate::ids::StepId;
use crate::runbook::Action;

impl Drafter<'_, '_> {
    pub(super) fn check_one_action(
        &mut self,
        actions: &[(&'static str, Span)],
        comes_later: bool,
        id: Option<&StepId>,
        first_line: Span,
    ) {
        match actions {
            [] if comes_later => {}
            [] => {
                let name = id.map_or(String::new(), |id| format!(" `{id}`"));
                let message = format!("the step{name} does nothing");
                let hint = "give it one of `run`, `exec`, `put`, `get`, `transfer`, `reboot`, `hook`, `assert`, `wait`, \
                            `approve`, `call`, `steps`";
                self.reader.fault_with(FaultCode::Action, first_line, message, hint);
            }
            [_] => {}
            [(first, _), rest @ ..] => {
                for (name, span) in rest {
                    let message = format!("the step does two things: `{first}` and `{name}`");
                    self.reader.fault_with(FaultCode::Action, *span, message, "make it two steps");
                }
            }
        }
    }

    /// A modifier that does nothing is a misunderstanding, and better said than kept quiet.
    pub(super) fn check_fit(&mut self, name: &str, action: &Action, given: &Given) {
        let hook = matches!(action, Action::Hook(_));
        let hooked = hook || given.place("before").or(given.place("after")).is_some();
        let works = match action {
            Action::Run(_)
            | Action::Exec(_)
            | Action::Put(_)
            | Action::Get(_)
            | Action::Transfer(_)
            | Action::Reboot(_)
            | Action::Hook(_) => true,
            Action::Assert(_)
            | Action::WaitFor(_)
            | Action::WaitUntil(_)
            | Action::Approve(_)
            | Action::Block
            | Action::Call(_) => false,
        };
        let scripts = works && ["unless", "verify", "undo"].iter().any(|script| given.place(script).is_some());
        let looks = matches!(action, Action::WaitUntil(_));
        let block = matches!(action, Action::Block);
        for (modifier, place) in &given.0 {
            let fits = match *modifier {
                "hosts" => works || looks || block,
                "become" | "timeout" | "repeat" | "retry" => works || looks || hooked,
                "estimate" => works || looks,
                "before" | "after" => !block && !matches!(action, Action::Call(_)),
                "unless" | "verify" | "undo" => works,
                "outputs" => matches!(action, Action::Run(_) | Action::Exec(_)),
                "env" | "no_log" => matches!(action, Action::Run(_) | Action::Exec(_)) || looks || scripts || hooked,
                "shell" => matches!(action, Action::Run(_)) || looks || scripts,
                "point_of_no_return" => !block && !matches!(action, Action::Call(_)),
                "locks" => !block && !matches!(action, Action::Call(_)),
                // `needs`, `when`, `barrier`, `on_failure`, `for_each`: they are about any step.
                _ => true,
            };
            if !fits {
                let what = match action {
                    Action::WaitFor(_) => "wait for",
                    Action::WaitUntil(_) => "wait until",
                    Action::Run(_)
                    | Action::Exec(_)
                    | Action::Put(_)
                    | Action::Get(_)
                    | Action::Transfer(_)
                    | Action::Reboot(_)
                    | Action::Hook(_)
                    | Action::Assert(_)
                    | Action::Approve(_)
                    | Action::Block
                    | Action::Call(_) => name,
                };
                let message = format!("`{modifier}` does nothing on `{what}`");
                self.reader.fault_with(FaultCode::Conflict, *place, message, "take it out");
            }
        }
    }
}
