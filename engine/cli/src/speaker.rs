//! Who speaks: the unix user whose process this is, and, where somebody became root, who that was.
//!
//! The kernel says which user it is (getuid(2)), and the user database of the machine what they are called (getpwuid(3)):
//! what the environment says of that anybody can set. `SUDO_UID`, which sudo(8) leaves behind, is believed from root alone:
//! whoever is root could be anybody in any case.

use std::ffi::CString;
use std::fmt;

use nix::unistd::{Gid, Group, Uid, User, getgrouplist};

use crate::parts;

/// Whoever speaks, by the names of this machine's user database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Speaker {
    /// The person.
    person: String,
    /// The user that they became to speak.
    became: Option<String>,
}

impl Speaker {
    /// Whoever runs this process.
    pub(crate) fn here() -> Self {
        Self::of(Uid::current().as_raw(), std::env::var("SUDO_UID").ok().as_deref(), name_of)
    }

    fn of(uid: u32, sudo: Option<&str>, name_of: impl Fn(u32) -> String) -> Self {
        let caller = sudo.filter(|_| uid == 0).and_then(|sudo| sudo.parse::<u32>().ok()).filter(|caller| *caller != 0);
        match caller {
            Some(caller) => Self { person: name_of(caller), became: Some(name_of(uid)) },
            None => Self { person: name_of(uid), became: None },
        }
    }

    /// The unix groups of the person, also those that a name service knows (getgrouplist(3)).
    pub(crate) fn groups(&self) -> Vec<String> {
        let Ok(Some(user)) = User::from_name(&self.person) else { return Vec::new() };
        let Ok(name) = CString::new(self.person.as_str()) else { return Vec::new() };
        let groups: Vec<Gid> = getgrouplist(&name, user.gid).unwrap_or_default();
        groups.into_iter().filter_map(|group| Group::from_gid(group).ok().flatten()).map(|group| group.name).collect()
    }
}

/// `person@machine`, or `person(user)@machine` where a person became a user; as the journal has it.
impl fmt::Display for Speaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (person, machine) = (&self.person, parts::machine());
        match &self.became {
            Some(user) => write!(f, "{person}({user})@{machine}"),
            None => write!(f, "{person}@{machine}"),
        }
    }
}

/// What a user is called; `uid-N` where nobody knows.
fn name_of(uid: u32) -> String {
    let user = User::from_uid(Uid::from_raw(uid)).ok().flatten();
    user.map_or_else(|| format!("uid-{uid}"), |user| user.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_root_says_who_became_root() {
        let name_of = |uid: u32| match uid {
            0 => "root".to_owned(),
            1000 => "ann".to_owned(),
            1001 => "bob".to_owned(),
            other => format!("uid-{other}"),
        };
        for (uid, sudo, person, became) in [
            (1000, None, "ann", None),
            (0, None, "root", None),
            (0, Some("1000"), "ann", Some("root")),
            (0, Some("0"), "root", None),
            (0, Some("7"), "uid-7", Some("root")),
            (0, Some("ann"), "root", None),
            (0, Some(""), "root", None),
            (0, Some("-1"), "root", None),
            // Anybody can set it for themselves.
            (1000, Some("1001"), "ann", None),
            (1000, Some("0"), "ann", None),
        ] {
            let expected = Speaker { person: person.to_owned(), became: became.map(str::to_owned) };
            assert_eq!(Speaker::of(uid, sudo, name_of), expected, "{uid} {sudo:?}");
        }
    }

    #[test]
    fn the_user_database_is_asked() {
        let root = Speaker::of(0, None, name_of);
        assert_eq!(root.person, "root");
        assert!(root.groups().contains(&"root".to_owned()), "{:?}", root.groups());
        let nobody_knows = Speaker::of(4_000_000_000, None, name_of);
        assert_eq!(nobody_knows.person, "uid-4000000000");
        assert_eq!(nobody_knows.groups(), [""; 0]);
    }
}
