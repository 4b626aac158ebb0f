//! Pseudo terminals: made inside a container, watched over from outside.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};

/// A new terminal.
#[derive(Debug)]
pub struct Terminal {
    /// The end of whoever types and looks; it does not block.
    pub master: OwnedFd,
    /// The end of the program.
    pub slave: OwnedFd,
}

/// Makes a terminal of the `/dev/pts` that this process sees.
///
/// # Errors
/// When there is none, or what is there is no terminal multiplexer: in a container that may be anything.
pub fn open() -> io::Result<Terminal> {
    let flags = libc::O_NOCTTY | libc::O_NONBLOCK | libc::O_NOFOLLOW;
    let master = OpenOptions::new().read(true).write(true).custom_flags(flags).open("/dev/pts/ptmx")?;
    let found = master.metadata()?;
    if !found.file_type().is_char_device() || found.rdev() != nix::sys::stat::makedev(5, 2) {
        return Err(io::Error::from_raw_os_error(libc::ENODEV));
    }
    let unlocked: libc::c_int = 0;
    // SAFETY: TIOCSPTLCK reads an int, which outlives the call.
    if unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCSPTLCK, &raw const unlocked) } == -1 {
        return Err(io::Error::last_os_error());
    }
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // Asked of the master itself: a path could have been bent.
    // SAFETY: TIOCGPTPEER takes flags and returns a descriptor.
    let slave = unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCGPTPEER, flags) };
    if slave == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor for us and nobody else knows it.
    let slave = unsafe { OwnedFd::from_raw_fd(slave) };
    Ok(Terminal { master: master.into(), slave })
}

/// Makes `slave` the terminal that controls this process's session, which it leads.
///
/// # Errors
/// When it leads none, or the terminal controls another.
pub fn control(slave: impl AsFd) -> io::Result<()> {
    // SAFETY: TIOCSCTTY takes an integer.
    let result = unsafe { libc::ioctl(slave.as_fd().as_raw_fd(), libc::TIOCSCTTY, 0) };
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Tells a terminal, and the programs on it, how large it is.
///
/// # Errors
/// When it is none.
pub fn resize(terminal: impl AsFd, columns: u16, rows: u16) -> io::Result<()> {
    let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCSWINSZ reads a `winsize`, which outlives the call.
    let result = unsafe { libc::ioctl(terminal.as_fd().as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// How many columns and rows a terminal has; `None` for what is no terminal.
pub fn size(terminal: impl AsFd) -> Option<(u16, u16)> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCGWINSZ fills a `winsize`, which outlives the call.
    let result = unsafe { libc::ioctl(terminal.as_fd().as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) };
    (result == 0).then_some((size.ws_col, size.ws_row))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::{Read, Write};

    #[test]
    fn what_is_written_at_one_end_is_read_at_the_other() {
        // A machine without /dev/pts has no terminals to test.
        let Ok(terminal) = open() else { return };
        resize(&terminal.master, 120, 40).unwrap();
        assert_eq!(size(&terminal.slave), Some((120, 40)));
        let (mut slave, mut master) = (File::from(terminal.slave), File::from(terminal.master));
        slave.write_all(b"hello\n").unwrap();
        drop(slave);
        let mut text = [0; 64];
        let read = master.read(&mut text).unwrap();
        assert_eq!(&text[..read], b"hello\r\n");
        assert_eq!(master.read(&mut text).unwrap_err().raw_os_error(), Some(libc::EIO));
    }

    #[test]
    fn a_file_is_no_terminal() {
        let file = File::open("/dev/null").unwrap();
        assert!(size(&file).is_none() && resize(&file, 1, 1).is_err());
    }
}
