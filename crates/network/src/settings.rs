//! Kernel settings we change for the whole host, remembered so that they can be put back.

use std::{collections::BTreeMap, fs, io, path::PathBuf};

use skiff_linux::sysctl;

use crate::{Config, Error};

/// Settings of the whole host; everything else is set per link and goes with the link.
const HOST: [(&str, &str); 1] = [("net/ipv4/ip_forward", "1")];

fn record(config: &Config) -> PathBuf {
    config.run_dir.join("network.json")
}

/// Changes the host's settings and remembers what they were.
pub(crate) fn apply(config: &Config) -> Result<(), Error> {
    let mut old = load(config)?;
    let before = old.len();
    for (name, value) in HOST {
        if let Some(was) = sysctl::set(name, value)? {
            old.entry(name.to_owned()).or_insert(was);
        }
    }
    if old.len() == before { Ok(()) } else { save(config, &old) }
}

/// Puts the host's settings back and forgets them.
pub(crate) fn restore(config: &Config) -> Result<(), Error> {
    for (name, value) in load(config)? {
        sysctl::set(&name, &value)?;
    }
    match fs::remove_file(record(config)) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(Error::Record { operation: "remove", path: record(config), source })
        }
        _ => Ok(()),
    }
}

fn load(config: &Config) -> Result<BTreeMap<String, String>, Error> {
    let failed = |source| Error::Record { operation: "read", path: record(config), source };
    match fs::read(record(config)) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| failed(error.into())),
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(source) => Err(failed(source)),
    }
}

fn save(config: &Config, old: &BTreeMap<String, String>) -> Result<(), Error> {
    let failed = |source| Error::Record { operation: "write", path: record(config), source };
    let text = serde_json::to_vec(old).map_err(|error| failed(error.into()))?;
    let fresh = record(config).with_extension("new");
    fs::create_dir_all(&config.run_dir).map_err(failed)?;
    fs::write(&fresh, text).map_err(failed)?;
    fs::rename(&fresh, record(config)).map_err(failed)
}
