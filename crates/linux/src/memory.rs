//! How this process deals with memory it no longer needs.

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
