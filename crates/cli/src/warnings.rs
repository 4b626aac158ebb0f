//! Warnings that the server sends beside its answers (RFC 9111 §5.5, code 299 as KEP-1693 uses it).

use std::{
    collections::HashSet,
    io::IsTerminal as _,
    sync::{Mutex, PoisonError},
};

use http::{HeaderMap, header};

/// The warnings that were told: each is told once in a command.
#[derive(Debug, Default)]
pub(crate) struct Warnings(Mutex<HashSet<String>>);

impl Warnings {
    /// Tells of those of an answer, on standard error.
    pub(crate) fn tell(&self, headers: &HeaderMap) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for text in texts(headers) {
            if !told.contains(&text) {
                let (on, off) = if std::io::stderr().is_terminal() { ("\x1b[33m", "\x1b[0m") } else { ("", "") };
                eprintln!("{on}Warning:{off} {text}");
                told.insert(text);
            }
        }
    }
}

/// What the headers warn of: `299 agent "text"`, one a header, as API servers write them.
fn texts(headers: &HeaderMap) -> impl Iterator<Item = String> {
    headers.get_all(header::WARNING).iter().filter_map(|value| {
        let (code, rest) = value.to_str().ok()?.split_once(' ')?;
        let quoted = rest.split_once('"')?.1;
        (code == "299").then(|| unquoted(quoted))
    })
}

/// The text up to the closing quote. A backslash stands before a quote or another backslash.
fn unquoted(quoted: &str) -> String {
    let mut text = String::with_capacity(quoted.len());
    let mut rest = quoted.chars();
    while let Some(one) = rest.next() {
        match one {
            '"' => break,
            '\\' => text.extend(rest.next()),
            one => text.push(one),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_read_from_headers() {
        let mut headers = HeaderMap::new();
        for value in ["299 - \"say \\\"please\\\"\"", "299 kube \"b\" \"date\"", "199 - \"other\"", "no sense"] {
            headers.append(header::WARNING, value.parse().unwrap());
        }
        assert_eq!(texts(&headers).collect::<Vec<_>>(), ["say \"please\"", "b"]);
    }
}
