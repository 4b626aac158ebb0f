//! Clients that others wrote drive a whole server: kubectl, old and new, the Python and JavaScript
//! clients, kube-rs, and the calls that Helm makes. The scripts stand in `tests/clients`; what they
//! need is fetched by `scripts/clients`, at pinned versions.

mod kubectl;
mod rust;
mod scripts;

use std::path::PathBuf;

/// A file of the cache that `scripts/clients` fills, or `None`, loudly.
fn cached(path: &str) -> Option<PathBuf> {
    let home = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let named = home("SKIFF_CLIENTS");
    let cache = named.clone().or_else(|| {
        let caches = home("XDG_CACHE_HOME").or_else(|| Some(home("HOME")?.join(".cache")))?;
        Some(caches.join("skiff-clients"))
    })?;
    let file = cache.join(path);
    if file.exists() {
        return Some(file);
    }
    assert!(named.is_none(), "{} is missing", file.display());
    eprintln!("SKIPPED: {} is missing (run scripts/clients)", file.display());
    None
}
