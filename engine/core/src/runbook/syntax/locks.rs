//! `locks`: what a run or a step must have for itself.

use super::param::is_map;
use super::{Drafter, Sees, Use};
use crate::fault::{FaultCode, Span};
use crate::lock::{Lock, bad_name};
use crate::runbook::LockWanted;
use crate::yaml::Node;
use crate::yaml::read::shorten;

impl Drafter<'_, '_> {
    pub(super) fn read_locks<'n>(
        &mut self,
        node: &'n Node<'n>,
        sees: Sees,
        uses: &mut Vec<Use<'n>>,
    ) -> Vec<LockWanted> {
        let items =
            if is_map(node) { Some(std::slice::from_ref(node)) } else { self.reader.one_or_list(node, "locks") };
        let mut locks: Vec<LockWanted> = Vec::new();
        for item in items.unwrap_or_default() {
            let Some(lock) = self.read_lock(item, sees, uses) else { continue };
            if locks.iter().any(|other| other.name.source() == lock.name.source()) {
                let message = format!("the lock `{}` stands here twice", shorten(lock.name.source()));
                self.reader.fault(FaultCode::Duplicate, item.span, message);
            }
            locks.push(lock);
        }
        locks
    }

    fn read_lock<'n>(&mut self, node: &'n Node<'n>, sees: Sees, uses: &mut Vec<Use<'n>>) -> Option<LockWanted> {
        if !is_map(node) {
            return self.lock_name(node, node.span, 1, sees, uses);
        }
        let mut fields = self.reader.fields(node, "locks")?;
        let name = fields.take("name");
        if name.is_none() {
            self.reader.missing(
                fields.span(),
                "locks",
                "name",
                "the name of the lock, such as `name: \"vm/{{ vm }}\"`",
            );
        }
        let shared = fields.take("shared").and_then(|node| self.reader.boolean(node, "shared")).unwrap_or_default();
        let count = fields.entry("count").and_then(|entry| {
            if shared {
                let message = "a lock is `shared` by all, or by a `count` of holders, not both";
                self.reader.fault(FaultCode::Conflict, entry.key_span, message);
            }
            self.reader.integer(&entry.value, "count", 1, 10_000).and_then(|count| u32::try_from(count).ok())
        });
        self.reader.finish(&fields);
        let most = if shared { Lock::SHARED } else { count.unwrap_or(1) };
        self.lock_name(name?, node.span, most, sees, uses)
    }

    fn lock_name<'n>(
        &mut self,
        node: &'n Node<'n>,
        span: Span,
        most: u32,
        sees: Sees,
        uses: &mut Vec<Use<'n>>,
    ) -> Option<LockWanted> {
        let name = self.template(node, "locks", sees, uses)?;
        if name.is_constant()
            && let Some(what) = bad_name(name.source())
        {
            let message = format!("the name of the lock `{}` {what}", shorten(name.source()));
            self.reader.fault_with(FaultCode::BadName, node.span, message, "one word, such as `vm/web1`");
            return None;
        }
        Some(LockWanted { name, most, span: self.reader.first_line(span) })
    }
}
