//! Who a container runs as, by the container's own `/etc/passwd` and `/etc/group`.
//!
//! Those files are the image's and may be anything: looking up is pure text work, and reading them takes regular files
//! of a sane size only. It must happen inside the container's root, so that no link leads out of it.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;

use serde::{Deserialize, Serialize};

/// More than this is not read of such a file.
const LONGEST: u64 = 4 << 20;

/// Whom to become.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// User.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// All groups, the primary one among them.
    pub groups: Vec<u32>,
    /// Home folder.
    pub home: String,
}

/// Someone is not listed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    /// Not in `passwd`.
    #[error("no user {0}")]
    User(String),
    /// Not in `group`.
    #[error("no group {0}")]
    Group(String),
}

/// Whom an image's or a pod's wish means.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wish<'a> {
    /// `name`, `uid`, `name:group`, `uid:gid`; empty means root.
    pub user: &'a str,
    /// Overrides the primary group.
    pub gid: Option<u32>,
    /// Further groups.
    pub groups: &'a [u32],
}

/// Looks a user up in the text of the two files.
///
/// # Errors
/// When a name (not a number) is not listed.
pub fn resolve(passwd: &str, group: &str, wish: Wish<'_>) -> Result<Identity, Unknown> {
    let (user, group_wish) = match wish.user.split_once(':') {
        Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
        None => (wish.user, None),
    };
    let user = if user.is_empty() { "0" } else { user };
    let number = user.parse::<u32>().ok();
    let entry = passwd.lines().filter_map(account).find(|entry| match number {
        Some(uid) => entry.uid == uid,
        None => entry.name == user,
    });
    let (uid, default_gid) = match (&entry, number) {
        (Some(entry), _) => (entry.uid, entry.gid),
        (None, Some(uid)) => (uid, 0),
        (None, None) => return Err(Unknown::User(user.into())),
    };
    let gid = match (wish.gid, group_wish) {
        (Some(gid), _) => gid,
        (None, Some(name)) => group_id(group, name)?,
        (None, None) => default_gid,
    };
    let mut groups = wish.groups.to_vec();
    // As a login has it: without it, a program that changes its primary group would lose a group it was kept out by.
    groups.push(gid);
    if let (Some(entry), None) = (&entry, group_wish) {
        groups.extend(memberships(group, entry.name));
    }
    groups.sort_unstable();
    groups.dedup();
    let home = entry.map_or("/", |entry| entry.home).to_owned();
    Ok(Identity { uid, gid, groups, home })
}

struct Account<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

fn account(line: &str) -> Option<Account<'_>> {
    let mut fields = line.trim().split(':');
    let name = fields.next()?;
    let uid = fields.nth(1)?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    let home = fields.nth(1).filter(|home| !home.is_empty()).unwrap_or("/");
    Some(Account { name, uid, gid, home })
}

fn group_line(line: &str) -> Option<(&str, u32, &str)> {
    let mut fields = line.trim().split(':');
    let name = fields.next()?;
    let gid = fields.nth(1)?.parse().ok()?;
    Some((name, gid, fields.next().unwrap_or("")))
}

fn group_id(group: &str, wanted: &str) -> Result<u32, Unknown> {
    if let Ok(gid) = wanted.parse() {
        return Ok(gid);
    }
    let found = group.lines().filter_map(group_line).find(|(name, ..)| *name == wanted);
    found.map(|(_, gid, _)| gid).ok_or_else(|| Unknown::Group(wanted.into()))
}

fn memberships<'a>(group: &'a str, user: &'a str) -> impl Iterator<Item = u32> + 'a {
    let lines = group.lines().filter_map(group_line);
    lines.filter(move |(_, _, members)| members.split(',').any(|member| member == user)).map(|(_, gid, _)| gid)
}

/// The text of a regular file; empty when there is none. Never blocks on what is not a file.
///
/// # Errors
/// When it is there and can't be read.
pub fn read_listing(path: &str) -> io::Result<String> {
    let file = match OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(String::new());
        }
        other => other?,
    };
    if !file.metadata()?.is_file() {
        return Ok(String::new());
    }
    let mut bytes = Vec::new();
    file.take(LONGEST).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n# remark\nbroken\nwww:x:33:34:www:/var/www:/bin/sh\n";
    const GROUP: &str = "root:x:0:\nweb:x:34:\nlogs:x:50:other,www\nstaff:x:60:www\n";

    fn find(user: &str) -> Result<Identity, Unknown> {
        resolve(PASSWD, GROUP, Wish { user, ..Wish::default() })
    }

    #[test]
    fn names_and_numbers() {
        assert_eq!(find("").unwrap(), Identity { groups: vec![0], home: "/root".into(), ..Identity::default() });
        let www = Identity { uid: 33, gid: 34, groups: vec![34, 50, 60], home: "/var/www".into() };
        assert_eq!(find("www").unwrap(), www);
        assert_eq!(find("33").unwrap(), www);
        assert_eq!(
            find("1000").unwrap(),
            Identity { uid: 1000, groups: vec![0], home: "/".into(), ..Identity::default() }
        );
        assert_eq!(find("www:logs").unwrap(), Identity { gid: 50, groups: vec![50], ..www.clone() });
        assert_eq!(find("1000:1001").unwrap().gid, 1001);
        assert_eq!(find("nobody").unwrap_err(), Unknown::User("nobody".into()));
        assert_eq!(find("www:nobody").unwrap_err(), Unknown::Group("nobody".into()));
    }

    #[test]
    fn overrides_are_merged() {
        let wish = Wish { user: "www", gid: Some(7), groups: &[50, 9] };
        let found = resolve(PASSWD, GROUP, wish).unwrap();
        assert_eq!((found.gid, found.groups), (7, vec![7, 9, 50, 60]));
    }

    #[test]
    fn what_is_no_file_is_empty() {
        assert_eq!(read_listing("/dev/zero").unwrap(), "");
        assert_eq!(read_listing("/nonexistent/x").unwrap(), "");
        assert_eq!(read_listing("/tmp").unwrap(), "");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(passwd: String, group: String, user: String) {
            drop(resolve(&passwd, &group, Wish { user: &user, ..Wish::default() }));
        }
    }
}
