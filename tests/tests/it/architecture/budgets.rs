//! Budgets of files and functions, module docs, and where `unsafe` may stand.

use std::path::Path;

use super::{files, root, shown};

/// Lines of a file, tests in it included.
const FILE: usize = 500;
/// Lines of a function.
const FUNCTION: usize = 60;

fn sources() -> Vec<(String, String)> {
    let all = files(&root(), "rs");
    assert!(all.len() > 50, "the search for sources is broken");
    all.iter().map(|path| (shown(path), std::fs::read_to_string(path).unwrap())).collect()
}

fn report(what: &str, wrong: &[String]) {
    assert!(wrong.is_empty(), "{what}:\n{}", wrong.join("\n"));
}

#[test]
fn files_keep_their_budget() {
    let long =
        sources().into_iter().map(|(path, text)| (path, text.lines().count())).filter(|(_, lines)| *lines > FILE);
    report("files over their budget", &long.map(|(path, lines)| format!("{path}: {lines}")).collect::<Vec<_>>());
}

#[test]
fn functions_keep_their_budget() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        for (name, lines) in functions(&text).into_iter().filter(|(_, lines)| *lines > FUNCTION) {
            wrong.push(format!("{path}: {name} has {lines} lines"));
        }
    }
    report("functions over their budget", &wrong);
}

#[test]
fn every_file_says_why_it_exists() {
    let mute = sources().into_iter().filter(|(_, text)| !text.starts_with("//!"));
    report("files without a module doc", &mute.map(|(path, _)| path).collect::<Vec<_>>());
}

#[test]
fn unsafe_is_in_one_crate_and_justified() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let lines: Vec<&str> = text.lines().collect();
        for (number, line) in lines.iter().enumerate().filter(|(_, line)| is_unsafe(line)) {
            let before = &lines[number.saturating_sub(6)..number];
            let home = Path::new(&path).starts_with("crates/linux");
            let excused = before.iter().any(|line| line.contains("SAFETY") || line.contains("# Safety"));
            if !home || !excused {
                wrong.push(format!("{path}: {}", line.trim()));
            }
        }
    }
    report("unsafe outside crates/linux, or without SAFETY", &wrong);
}

fn is_unsafe(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern"]
        .iter()
        .any(|form| code.contains(form) && !code.contains('"'))
}

#[test]
fn nothing_is_left_to_do() {
    let words = ["TO", "DO"].concat();
    let fix = ["FIX", "ME"].concat();
    let left = sources().into_iter().filter(|(_, text)| text.contains(&words) || text.contains(&fix));
    report("work left in the code", &left.map(|(path, _)| path).collect::<Vec<_>>());
}

/// The functions of a formatted file with their number of lines: from `fn` to the brace that closes
/// at the same indentation.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let Some(name) = function_name(code) else { continue };
        let indent = line.len() - code.len();
        let close = format!("{}}}", " ".repeat(indent));
        // A function on one line, or a declaration in a trait, has no body to measure.
        if line.trim_end().ends_with('}') || declaration(&lines[start..]) {
            continue;
        }
        if let Some(length) = lines[start..].iter().position(|line| **line == close) {
            found.push((name, length + 1));
        }
    }
    found
}

fn declaration(lines: &[&str]) -> bool {
    let end = lines.iter().find(|line| line.trim_end().ends_with(['{', ';']));
    end.is_some_and(|line| line.trim_end().ends_with(';'))
}

fn function_name(code: &str) -> Option<String> {
    let (before, after) = code.strip_prefix("fn ").map(|after| ("", after)).or_else(|| code.split_once(" fn "))?;
    let words = ["async", "const", "unsafe", "extern", "\"C\""];
    let modifiers =
        before.split_whitespace().all(|word| word.starts_with("pub") || word.ends_with(')') || words.contains(&word));
    let name = after.split(|letter: char| !letter.is_alphanumeric() && letter != '_').next()?;
    (modifiers && !name.is_empty()).then(|| name.to_owned())
}

#[test]
fn the_counter_of_lines_counts() {
    let text = "fn a() {\n    1\n}\n\nimpl B {\n    pub(crate) async fn c(&self)\n    where\n        Self: Sized,\n    {\n        2\n    }\n}\n";
    assert_eq!(functions(text), [("a".to_owned(), 3), ("c".to_owned(), 6)]);
}
