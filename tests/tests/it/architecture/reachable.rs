//! Every `.rs` file is part of some crate: reached by `mod` from a target's root.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use super::{files, root, shown};

#[test]
fn every_file_is_reached_by_a_mod() {
    let all: BTreeSet<PathBuf> = files(&root(), "rs").into_iter().collect();
    let mut reached = BTreeSet::new();
    for path in all.iter().filter(|path| is_root(path)) {
        follow(path, path.parent().unwrap(), &mut reached);
    }
    let lost: Vec<String> = all.difference(&reached).map(|path| shown(path)).collect();
    assert!(lost.is_empty(), "files that no `mod` declares: {lost:?}");
}

/// A target's root: `src/lib.rs`, `src/main.rs`, `build.rs`, or what cargo finds by itself.
fn is_root(path: &Path) -> bool {
    let name = path.file_name().unwrap().to_string_lossy();
    let folder = path.parent().unwrap().file_name().unwrap().to_string_lossy();
    let in_source = folder == "src" && (name == "lib.rs" || name == "main.rs");
    let above =
        path.parent().unwrap().parent().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    let nested_main = name == "main.rs" && matches!(above.as_deref(), Some("tests" | "benches" | "bin"));
    in_source || nested_main || name == "build.rs" || matches!(&*folder, "benches" | "bin" | "fuzz_targets")
}

fn follow(file: &Path, folder: &Path, reached: &mut BTreeSet<PathBuf>) {
    if !reached.insert(file.to_path_buf()) {
        return;
    }
    let text = std::fs::read_to_string(file).unwrap();
    let mut named: Option<String> = None;
    for line in text.lines().map(str::trim) {
        if let Some(path) = line.strip_prefix("#[path = \"").and_then(|rest| rest.strip_suffix("\"]")) {
            named = Some(path.to_owned());
            continue;
        }
        let Some(name) = module(line) else { continue };
        let beside = file.parent().unwrap();
        let candidates = match named.take() {
            Some(path) => vec![beside.join(path)],
            None => vec![folder.join(format!("{name}.rs")), folder.join(&name).join("mod.rs")],
        };
        if let Some(found) = candidates.into_iter().find(|path| path.exists()) {
            follow(&found, &home(&found), reached);
        }
    }
}

/// Where a file's own modules are.
fn home(file: &Path) -> PathBuf {
    let parent = file.parent().unwrap();
    if file.file_name().unwrap() == "mod.rs" { parent.to_path_buf() } else { parent.join(file.file_stem().unwrap()) }
}

/// The name in `mod name;`.
fn module(line: &str) -> Option<String> {
    let declared = line.strip_suffix(';')?;
    let mut words = declared.split_whitespace().rev();
    let name = words.next()?;
    let plain = words.next() == Some("mod") && words.all(|word| word.starts_with("pub") || word.starts_with("in"));
    plain.then(|| name.to_owned())
}
