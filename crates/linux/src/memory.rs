//! How this process deals with memory it no longer needs.

use std::{fs, io, ops::Range};

/// Makes the allocator hand large blocks back to the kernel when they are freed, for good, and share its pools among
/// threads. Without this it keeps what was large once: a buffer used at start would stay for as long as the process
/// lives. Call it first.
pub fn return_what_is_freed() {
    #[cfg(target_env = "gnu")]
    {
        const LARGE: libc::c_int = 256 << 10;
        const POOLS: libc::c_int = 2;
        // SAFETY: these calls only set numbers inside the allocator, which are valid ones and which it guards itself.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
            libc::mallopt(libc::M_TRIM_THRESHOLD, LARGE);
            libc::mallopt(libc::M_ARENA_MAX, POOLS);
        }
    }
}

/// Makes the kernel forget which pages of this program's own file are in use, so that only those count from now on that
/// are used again. Most of what runs at start never runs again, and with each page that is touched the kernel maps its
/// neighbours too. Nothing is read from the disk anew: the pages stay in the page cache for as long as there is room.
///
/// # Errors
/// When the kernel does not say what is mapped, or refuses.
pub fn forget_code() -> io::Result<()> {
    let program = fs::read_link("/proc/self/exe")?;
    for range in untouched(&fs::read_to_string("/proc/self/smaps")?, &program.to_string_lossy()) {
        // SAFETY: these are whole mappings of a file, which nothing can write to and which hold no page that differs
        // from the file: whoever reads or runs them next gets the same bytes from the file again. The kernel does not
        // let a file that is being executed be changed.
        if unsafe { libc::madvise(range.start as *mut libc::c_void, range.len(), libc::MADV_DONTNEED) } == -1 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// The mappings of the file `program` that cannot be written to and are just like the file; `smaps` is the kernel's list.
fn untouched(smaps: &str, program: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut current = None;
    for line in smaps.lines() {
        if line.starts_with(|first: char| first.is_ascii_digit() || matches!(first, 'a'..='f')) {
            current = mapping(line, program);
        } else if let (Some(range), Some(own)) = (&current, line.strip_prefix("Anonymous:"))
            && own.trim() == "0 kB"
        {
            found.push(Range::clone(range));
        }
    }
    found
}

/// The addresses in a mapping's first line, if it is a private one of `program` without write permission.
fn mapping(line: &str, program: &str) -> Option<Range<usize>> {
    let (place, rest) = line.split_once(' ')?;
    if !matches!(rest.get(..4)?, "r-xp" | "r--p") || !rest.ends_with(&format!(" {program}")) {
        return None;
    }
    let (start, end) = place.split_once('-')?;
    Some(usize::from_str_radix(start, 16).ok()?..usize::from_str_radix(end, 16).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_like_the_file_is_forgotten() {
        let smaps = "\
00200000-007d8000 r--p 00000000 fe:00 1013 /opt/a skiff\nSize: 8 kB\nAnonymous:             0 kB
007d8000-024d0000 r-xp 005d7000 fe:00 1013 /opt/a skiff\nSize: 8 kB\nAnonymous:             0 kB
024d0000-024d5000 r--p 022ce000 fe:00 1013 /opt/a skiff\nAnonymous:            12 kB
024d5000-024de000 rw-p 022d2000 fe:00 1013 /opt/a skiff\nAnonymous:             0 kB
024de000-024df000 r--p 00000000 00:00 0\nAnonymous:             0 kB
f24de000-f24df000 r-xp 00000000 fe:00 1014 /lib/libc.so\nAnonymous:             0 kB\n";
        assert_eq!(untouched(smaps, "/opt/a skiff"), [0x20_0000..0x7d_8000, 0x7d_8000..0x24d_0000]);
    }

    #[test]
    fn the_program_goes_on() {
        let resident = || {
            let smaps = fs::read_to_string("/proc/self/smaps").unwrap();
            let program = fs::read_link("/proc/self/exe").unwrap();
            let mut own = false;
            let mut sum = 0;
            for line in smaps.lines() {
                if line.contains("-") && line.contains(" r-xp ") {
                    own = line.ends_with(&*program.to_string_lossy());
                }
                if let Some(size) = line.strip_prefix("Rss:").filter(|_| own) {
                    sum += size.trim().trim_end_matches(" kB").parse::<usize>().unwrap();
                    own = false;
                }
            }
            sum
        };
        let before = resident();
        forget_code().unwrap();
        let after = resident();
        assert!(after < before, "{before} kB of code before, {after} kB after");
    }
}
