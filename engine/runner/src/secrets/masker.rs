//! Hides secrets in a stream of bytes, however it is cut into pieces.

use std::collections::VecDeque;
use std::sync::Arc;

use aho_corasick::automaton::{Automaton as _, StateID};
use aho_corasick::nfa::noncontiguous::{Builder, NFA};
use aho_corasick::{Anchored, MatchKind};
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroize;

use super::forms::{Bytes, Forms};

/// What stands in the place of a secret.
pub const MASK: &[u8] = b"***";

/// How much of a secret, at the end of a stream that breaks off in the midst of it, is worth hiding: at least so many
/// bytes, and at least half of it.
const HALF: usize = 4;

/// Everything to be looked for. Cheap to clone.
#[derive(Clone)]
pub struct Masker(Arc<[Lane; 2]>);

impl std::fmt::Debug for Masker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Masker")
    }
}

/// One set of patterns and the automaton that finds them (Aho and Corasick, 1975).
struct Lane {
    patterns: Vec<Bytes>,
    automaton: NFA,
    start: StateID,
    /// For each state how many bytes of a pattern have been seen, and how long the longest pattern is that ends here.
    known: Vec<(usize, usize)>,
    /// Bytes that patterns begin with.
    begins: [bool; 256],
    /// Blanks and line breaks within a pattern do not count.
    broken: bool,
}

impl Masker {
    /// Looks for these secrets in all their forms.
    ///
    /// # Errors
    /// When there is more to be looked for than an automaton can have states.
    pub fn new<'s>(secrets: impl IntoIterator<Item = &'s SecretString>) -> Result<Self, String> {
        let mut forms = Forms::default();
        for secret in secrets {
            forms.add(secret.expose_secret());
        }
        Ok(Self(Arc::new([Lane::new(forms.solid, false)?, Lane::new(forms.broken, true)?])))
    }

    /// A text with its secrets hidden.
    pub fn mask(&self, text: &str) -> String {
        let mut masking = Masking::new(self.clone());
        let mut masked = Vec::with_capacity(text.len());
        masking.push(text.as_bytes(), &mut masked);
        masking.finish(&mut masked);
        String::from_utf8_lossy(&masked).into_owned()
    }
}

impl Lane {
    fn new(patterns: impl IntoIterator<Item = Bytes>, broken: bool) -> Result<Self, String> {
        let patterns: Vec<Bytes> = patterns.into_iter().collect();
        let texts = patterns.iter().map(|pattern| pattern.as_slice());
        let automaton = Builder::new().match_kind(MatchKind::Standard).prefilter(false).build(texts);
        let automaton = automaton.map_err(|error| format!("the secrets are too long to be looked for: {error}"))?;
        let start = automaton.start_state(Anchored::No).map_err(|error| error.to_string())?;
        let mut known = Vec::new();
        let mut begins = [false; 256];
        for pattern in &patterns {
            let mut state = start;
            for (seen, byte) in (1..).zip(pattern.iter()) {
                // From the start, the bytes of a pattern lead along the pattern.
                state = automaton.next_state(Anchored::No, state, *byte);
                let at = state.as_usize();
                if known.len() <= at {
                    known.resize(at + 1, (0, 0));
                }
                let ends = (0..if automaton.is_match(state) { automaton.match_len(state) } else { 0 })
                    .map(|index| automaton.pattern_len(automaton.match_pattern(state, index)));
                known[at] = (seen, ends.max().unwrap_or(0));
            }
            if let Some(first) = pattern.first() {
                begins[usize::from(*first)] = true;
            }
        }
        Ok(Self { patterns, automaton, start, known, begins, broken })
    }

    fn is_passed_over(&self, byte: u8) -> bool {
        self.broken && matches!(byte, b'\n' | b'\r' | b' ' | b'\t')
    }
}

/// A stream in which secrets are being hidden.
///
/// What comes out depends on what went in, and not on how that was cut into pieces. Nothing is held back but what may be the
/// beginning of a secret.
#[derive(Clone)]
pub struct Masking {
    masker: Masker,
    seen: [Seen; 2],
    /// How many bytes went in.
    position: u64,
    /// Those of them that did not come out yet.
    held: Vec<u8>,
    /// Stretches to be hidden that did not come out yet, in order, apart from each other.
    hidden: VecDeque<Hidden>,
}

/// How far a lane has come.
#[derive(Clone)]
struct Seen {
    state: StateID,
    /// Where each byte of the pattern that may be in progress stands.
    places: VecDeque<u64>,
}

#[derive(Clone, Copy)]
struct Hidden {
    start: u64,
    end: u64,
    /// The mask for it has come out.
    told: bool,
}

impl Drop for Masking {
    fn drop(&mut self) {
        self.held.zeroize();
    }
}

impl Masking {
    /// A stream of which nothing has come.
    pub fn new(masker: Masker) -> Self {
        let seen = masker.0.each_ref().map(|lane| Seen { state: lane.start, places: VecDeque::new() });
        Self { masker, seen, position: 0, held: Vec::new(), hidden: VecDeque::new() }
    }

    /// Takes the next bytes, and gives what can be given of them and of those before.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let begin = self.position;
        let mut found = Vec::new();
        for (lane, seen) in self.masker.0.iter().zip(&mut self.seen) {
            seen.take(lane, bytes, begin, &mut found);
        }
        self.held.extend_from_slice(bytes);
        self.position += bytes.len() as u64;
        self.hide(found);
        let settled = self.seen.iter().filter_map(|seen| seen.places.front()).min().copied().unwrap_or(self.position);
        self.give(settled, out);
    }

    /// The stream has ended. A secret that it breaks off in is hidden too, if at least half of it is there.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        let mut found = Vec::new();
        for (lane, seen) in self.masker.0.iter().zip(&mut self.seen) {
            let first = self.position - self.held.len() as u64;
            let index = |place: u64| usize::try_from(place.saturating_sub(first)).unwrap_or(usize::MAX);
            let tail: Vec<u8> = seen.places.iter().filter_map(|place| self.held.get(index(*place)).copied()).collect();
            let longest = (HALF..=tail.len()).rev().find(|&len| {
                let end = &tail[tail.len() - len..];
                lane.patterns.iter().any(|pattern| len * 2 >= pattern.len() && pattern.starts_with(end))
            });
            if let Some(start) = longest.and_then(|len| seen.places.get(tail.len() - len)) {
                found.push((*start, self.position));
            }
            seen.state = lane.start;
            seen.places.clear();
        }
        self.hide(found);
        self.give(self.position, out);
    }

    /// Stretches that overlap are hidden as one.
    fn hide(&mut self, mut found: Vec<(u64, u64)>) {
        if found.is_empty() {
            return;
        }
        let mut all: Vec<Hidden> = self.hidden.drain(..).collect();
        all.extend(found.drain(..).map(|(start, end)| Hidden { start, end, told: false }));
        all.sort_by_key(|hidden| hidden.start);
        for hidden in all {
            match self.hidden.back_mut() {
                Some(last) if hidden.start < last.end => {
                    last.end = last.end.max(hidden.end);
                    last.told |= hidden.told;
                }
                Some(_) | None => self.hidden.push_back(hidden),
            }
        }
    }

    /// Gives everything before `end`.
    fn give(&mut self, end: u64, out: &mut Vec<u8>) {
        let first = self.position - self.held.len() as u64;
        let mut at = first;
        let held = std::mem::take(&mut self.held);
        let index = |place: u64| usize::try_from(place - first).unwrap_or(held.len()).min(held.len());
        while at < end {
            let Some(hidden) = self.hidden.front_mut().filter(|hidden| hidden.start < end) else {
                out.extend_from_slice(&held[index(at)..index(end)]);
                at = end;
                break;
            };
            out.extend_from_slice(&held[index(at)..index(hidden.start.max(at))]);
            if !std::mem::replace(&mut hidden.told, true) {
                out.extend_from_slice(MASK);
            }
            if hidden.end > end {
                // More of it may come; what does belongs to the same mask.
                hidden.start = end;
                at = end;
            } else {
                at = hidden.end.max(at);
                self.hidden.pop_front();
            }
        }
        self.held = held[index(at)..].to_vec();
        drop(zeroize::Zeroizing::new(held));
    }
}

impl Seen {
    fn take(&mut self, lane: &Lane, bytes: &[u8], begin: u64, found: &mut Vec<(u64, u64)>) {
        let mut at = 0;
        while at < bytes.len() {
            if self.places.is_empty() {
                // Most bytes are of no interest.
                match bytes[at..].iter().position(|byte| lane.begins[usize::from(*byte)]) {
                    Some(skip) => at += skip,
                    None => return,
                }
            }
            let byte = bytes[at];
            let place = begin + at as u64;
            at += 1;
            if lane.is_passed_over(byte) {
                continue;
            }
            self.state = lane.automaton.next_state(Anchored::No, self.state, byte);
            let (depth, longest) = lane.known.get(self.state.as_usize()).copied().unwrap_or((0, 0));
            self.places.push_back(place);
            while self.places.len() > depth {
                self.places.pop_front();
            }
            if longest > 0
                && let Some(start) = self.places.get(depth - longest)
            {
                found.push((*start, place + 1));
            }
        }
    }
}

#[cfg(test)]
#[path = "masker_tests.rs"]
mod tests;
