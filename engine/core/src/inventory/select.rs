//! From what people write to hosts: names, groups, patterns, labels.

use std::collections::BTreeSet;

use super::Inventory;
use crate::fault::nearest;
use crate::ids::HostName;
use crate::yaml::read::shorten;

/// Why a pattern selects nothing, in words, with what was probably meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SelectError {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Inventory {
    /// The hosts that a pattern means, each once, in the order in which the pattern names them (groups in their own order, everything
    /// else by name).
    ///
    /// A pattern is a list, separated by commas or spaces, of: the name of a host; the name of a group; `all`; a
    /// glob over names of hosts and groups (`hv*`, `hv?`, `hv[1-3]`); a label, `label:rack=a` or `rack=a`, with a glob as its value if wanted; `local`,
    /// the engine's own machine; any of these after a `!`, which takes its hosts out again, wherever it stands.
    /// Where a host and a group have one name, the host is meant.
    ///
    /// With `allow_unknown`, a valid name of a host that the inventory does not have is taken as it is,
    /// because the user's ssh config may know it; something that looks like a pattern is not.
    ///
    /// # Errors
    /// When a part means no host at all, or when nothing is left.
    pub fn select(&self, pattern: &str, allow_unknown: bool) -> Result<Vec<HostName>, SelectError> {
        let parts: Vec<&str> = parts(pattern);
        let out: Vec<&str> = parts.iter().filter_map(|part| part.strip_prefix('!')).collect();
        let mut excluded = BTreeSet::new();
        for part in &out {
            excluded.extend(self.part(part, allow_unknown)?);
        }
        let mut hosts = Vec::new();
        let mut seen = BTreeSet::new();
        let only_out = out.len() == parts.len();
        let named: Vec<&str> = match only_out {
            // `!hv3` alone means everything else.
            true if !out.is_empty() => vec!["all"],
            _ => parts.into_iter().filter(|part| !part.starts_with('!')).collect(),
        };
        for part in named {
            for host in self.part(part, allow_unknown)? {
                if !excluded.contains(&host) && seen.insert(host.clone()) {
                    hosts.push(host);
                }
            }
        }
        if hosts.is_empty() {
            return Err(SelectError { message: format!("`{}` selects no host", shorten(pattern)), hint: None });
        }
        Ok(hosts)
    }

    fn part(&self, part: &str, allow_unknown: bool) -> Result<Vec<HostName>, SelectError> {
        if let Some((name, _)) = self.hosts.get_key_value(part) {
            return Ok(vec![name.clone()]);
        }
        if let Some(hosts) = self.groups.get(part) {
            return Ok(hosts.clone());
        }
        if part == "all" {
            return Ok(self.hosts.keys().cloned().collect());
        }
        if part == HostName::LOCAL
            && let Ok(local) = HostName::new(part)
        {
            return Ok(vec![local]);
        }
        if let Some((label, value)) = part.strip_prefix("label:").unwrap_or(part).split_once('=') {
            return self.labelled(label, value);
        }
        if part.contains(['*', '?', '[']) {
            return self.globbed(part);
        }
        match HostName::new(part) {
            Ok(name) if allow_unknown => Ok(vec![name]),
            Ok(_) => {
                let names = self.hosts.keys().map(HostName::as_str).chain(self.groups.keys().map(|g| g.as_str()));
                let hint = nearest(part, names).map(|near| format!("did you mean `{near}`?"));
                let message = format!("there is no host or group `{}` in the inventory", shorten(part));
                Err(SelectError { message, hint })
            }
            Err(bad) => Err(SelectError { message: bad.to_string(), hint: None }),
        }
    }

    fn labelled(&self, label: &str, value: &str) -> Result<Vec<HostName>, SelectError> {
        let fits = |given: &String| glob(value, given);
        let hosts: Vec<HostName> = self
            .hosts
            .iter()
            .filter(|(_, host)| host.labels.get(label).is_some_and(fits))
            .map(|(name, _)| name.clone())
            .collect();
        if !hosts.is_empty() {
            return Ok(hosts);
        }
        let labels: BTreeSet<&str> =
            self.hosts.values().flat_map(|host| host.labels.keys()).map(String::as_str).collect();
        if !labels.contains(label) {
            let hint = nearest(label, labels).map(|near| format!("did you mean `{near}`?"));
            return Err(SelectError { message: format!("no host has the label `{}`", shorten(label)), hint });
        }
        let values: BTreeSet<&str> =
            self.hosts.values().filter_map(|host| host.labels.get(label)).map(String::as_str).collect();
        let hint = match nearest(value, values.iter().copied()) {
            Some(near) => format!("did you mean `{label}={near}`?"),
            None => format!("there is {}", values.into_iter().take(12).collect::<Vec<_>>().join(", ")),
        };
        let message = format!("no host has the label `{}={}`", shorten(label), shorten(value));
        Err(SelectError { message, hint: Some(hint) })
    }

    fn globbed(&self, pattern: &str) -> Result<Vec<HostName>, SelectError> {
        let mut hosts: Vec<HostName> = self.hosts.keys().filter(|host| glob(pattern, host.as_str())).cloned().collect();
        for (group, members) in &self.groups {
            if glob(pattern, group.as_str()) {
                hosts.extend(members.iter().cloned());
            }
        }
        match hosts.is_empty() {
            true => {
                Err(SelectError { message: format!("no host or group matches `{}`", shorten(pattern)), hint: None })
            }
            false => Ok(hosts),
        }
    }
}

/// The parts of a pattern. Commas inside brackets belong to the glob.
fn parts(pattern: &str) -> Vec<&str> {
    let mut inside = false;
    let separates = move |c: char| {
        match c {
            '[' => inside = true,
            ']' => inside = false,
            _ => {}
        }
        !inside && (c == ',' || c.is_whitespace())
    };
    pattern.split(separates).filter(|part| !part.is_empty()).collect()
}

/// Whether the whole text matches: `*` any characters, `?` one, `[a-c1]` one of these, `[!a]` none of these.
/// A `[` without its `]` stands for itself. Takes time text × pattern at worst.
fn glob(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t) = (0, 0);
    // Where to go on if the characters after the last `*` do not fit: it takes one character more.
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        let fits = match pattern.get(p) {
            Some('*') => {
                p += 1;
                retry = Some((p, t));
                continue;
            }
            Some('?') => Some(p + 1),
            Some('[') => match class(&pattern[p..], text[t]) {
                Some((true, length)) => Some(p + length),
                Some((false, _)) => None,
                None => (text[t] == '[').then_some(p + 1),
            },
            Some(c) => (*c == text[t]).then_some(p + 1),
            None => None,
        };
        match (fits, retry) {
            (Some(next), _) => {
                p = next;
                t += 1;
            }
            (None, Some((star, from))) => {
                p = star;
                t = from + 1;
                retry = Some((star, from + 1));
            }
            (None, None) => return false,
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// Whether `c` is in the class that `pattern` begins with, and the length of the class; `None` if it has no end.
fn class(pattern: &[char], c: char) -> Option<(bool, usize)> {
    let negated = pattern.get(1) == Some(&'!');
    let first = if negated { 2 } else { 1 };
    // A `]` right at the beginning stands for itself.
    let end = (first + 1..pattern.len()).find(|&at| pattern[at] == ']')?;
    let mut inside = false;
    let mut at = first;
    while at < end {
        if pattern.get(at + 1) == Some(&'-') && at + 2 < end {
            inside |= (pattern[at]..=pattern[at + 2]).contains(&c);
            at += 3;
        } else {
            inside |= pattern[at] == c;
            at += 1;
        }
    }
    Some((inside != negated, end + 1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fault::Source;

    fn inventory() -> Inventory {
        let text = "
hosts:
  hv1: { labels: { rack: a } }
  hv2: { labels: { rack: a } }
  hv3: { labels: { rack: b } }
  db-1: { labels: { rack: b } }
  web: {}
groups:
  hypervisors: [hv3, hv1, hv2]
  odd: [hv3, hv1]
";
        let (inventory, faults) = super::super::parse(&Source { name: "inventory.yaml".into(), text: text.into() });
        assert_eq!(faults, []);
        inventory.unwrap()
    }

    fn select(pattern: &str) -> Result<Vec<String>, String> {
        match inventory().select(pattern, false) {
            Ok(hosts) => Ok(hosts.iter().map(ToString::to_string).collect()),
            Err(error) => Err(match error.hint {
                Some(hint) => format!("{} ({hint})", error.message),
                None => error.message,
            }),
        }
    }

    #[test]
    fn patterns_mean_hosts() {
        for (pattern, hosts) in [
            ("hv1", vec!["hv1"]),
            ("hypervisors", vec!["hv3", "hv1", "hv2"]),
            ("all", vec!["db-1", "hv1", "hv2", "hv3", "web"]),
            ("hv*", vec!["hv1", "hv2", "hv3"]),
            ("hv[1-2]", vec!["hv1", "hv2"]),
            ("hv[!1-2]", vec!["hv3"]),
            ("hyper*", vec!["hv3", "hv1", "hv2"]),
            ("label:rack=a", vec!["hv1", "hv2"]),
            ("rack=b", vec!["db-1", "hv3"]),
            ("rack=[ab]", vec!["db-1", "hv1", "hv2", "hv3"]),
            ("hypervisors,!hv3", vec!["hv1", "hv2"]),
            ("!hv3 hypervisors", vec!["hv1", "hv2"]),
            ("!rack=a", vec!["db-1", "hv3", "web"]),
            ("hv2, hv1 hv2", vec!["hv2", "hv1"]),
            ("odd hypervisors", vec!["hv3", "hv1", "hv2"]),
            ("local", vec!["local"]),
            ("web", vec!["web"]),
        ] {
            assert_eq!(select(pattern), Ok(hosts.into_iter().map(str::to_owned).collect()), "{pattern}");
        }
    }

    #[test]
    fn what_means_nothing_says_what_was_probably_meant() {
        for (pattern, message) in [
            ("hv9", "there is no host or group `hv9` in the inventory (did you mean `hv1`?)"),
            ("hypervisor", "there is no host or group `hypervisor` in the inventory (did you mean `hypervisors`?)"),
            ("zzz", "there is no host or group `zzz` in the inventory"),
            ("", "`` selects no host"),
            ("hv1,!hv1", "`hv1,!hv1` selects no host"),
            ("xy*", "no host or group matches `xy*`"),
            ("rak=a", "no host has the label `rak` (did you mean `rack`?)"),
            ("rack=c", "no host has the label `rack=c` (did you mean `rack=a`?)"),
            ("rack=south", "no host has the label `rack=south` (there is a, b)"),
            ("hv1,-oProxyCommand=x", "no host has the label `-oProxyCommand`"),
            (
                "-x",
                "`-x` is not a host name: letters, digits, `.`, `_` or `-`, not beginning with `-` or `.`, 253 at most",
            ),
        ] {
            assert_eq!(select(pattern), Err(message.to_owned()), "{pattern}");
        }
    }

    #[test]
    fn an_unknown_name_is_taken_only_where_the_caller_says_so() {
        let names = |pattern| inventory().select(pattern, true).map(|hosts| hosts.len()).map_err(|error| error.message);
        assert_eq!(names("backup.example.org,hv1"), Ok(2));
        assert_eq!(names("10.0.0.1"), Ok(1));
        assert!(names("nothing*").is_err());
        assert!(names("-x").is_err());
        assert!(names("a;b").is_err());
    }

    #[test]
    fn globs() {
        for (pattern, text, fits) in [
            ("*", "", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("?", "ü", true),
            ("[a", "[a", true),
            ("[]x]", "]", true),
            ("a**b", "ab", true),
            ("", "a", false),
        ] {
            assert_eq!(glob(pattern, text), fits, "{pattern} {text}");
        }
    }

    proptest! {
        #[test]
        fn no_pattern_panics(pattern in "\\PC{0,20}|[a-z*?!,=\\[\\]-]{0,30}") {
            let _ = inventory().select(&pattern, true);
        }

        #[test]
        fn a_text_matches_itself_and_stars_around_its_parts(text in "[a-z]{0,12}", at in 0usize..12) {
            prop_assert!(glob(&text, &text));
            let (left, right) = text.split_at(at.min(text.len()));
            let left_star = format!("{left}*{right}");
            prop_assert!(glob(&left_star, &text));
            let longer = format!("{left}xyz{right}");
            prop_assert!(glob(&left_star, &longer));
        }
    }
}
