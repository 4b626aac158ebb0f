//! The forms of names, keys and values. Each check answers with what is wrong, or with nothing.
//!
//! The patterns are small enough to be walked by hand, which needs no regular expressions at run time.

const LABEL: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const SUBDOMAIN: &str = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const KEY: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";

/// Checks a name; `true` where it is only the beginning of one, to be completed by the server.
pub type NameCheck = fn(&str, bool) -> Vec<String>;

/// A message about a pattern, with examples of what fits it.
fn pattern(message: &str, pattern: &str, examples: &[&str]) -> String {
    let examples: Vec<String> = examples.iter().map(|e| format!("'{e}', ")).collect();
    match examples.len() {
        0 => format!("{message} (regex used for validation is '{pattern}')"),
        _ => format!("{message} (e.g. {}regex used for validation is '{pattern}')", examples.join(" or ")),
    }
}

fn lower(b: u8) -> bool {
    b.is_ascii_lowercase() || b.is_ascii_digit()
}

/// Whether the first and the last byte satisfy `edge` and all others `inner`.
fn shaped(text: &str, edge: fn(u8) -> bool, inner: fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    matches!((bytes.first(), bytes.last()), (Some(first), Some(last)) if edge(*first) && edge(*last))
        && bytes.iter().all(|b| inner(*b))
}

fn is_label(text: &str) -> bool {
    shaped(text, lower, |b| lower(b) || b == b'-')
}

fn is_subdomain(text: &str) -> bool {
    text.split('.').all(is_label)
}

fn is_key(text: &str) -> bool {
    shaped(text, |b| b.is_ascii_alphanumeric(), |b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

fn too_long(problems: &mut Vec<String>, text: &str, most: usize) {
    if text.len() > most {
        problems.push(format!("must be no more than {most} characters"));
    }
}

/// A DNS label of RFC 1123: `my-name`, at most 63 bytes.
#[must_use]
pub fn dns_label(text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    too_long(&mut problems, text, 63);
    if !is_label(text) {
        problems.push(if is_subdomain(text) {
            "must not contain dots".to_owned()
        } else {
            let message = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', \
                           and must start and end with an alphanumeric character";
            pattern(message, LABEL, &["my-name", "123-abc"])
        });
    }
    problems
}

/// A DNS subdomain of RFC 1123: `my.name`, at most 253 bytes.
#[must_use]
pub fn dns_subdomain(text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    too_long(&mut problems, text, 253);
    if !is_subdomain(text) {
        let message = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', \
                       and must start and end with an alphanumeric character";
        problems.push(pattern(message, SUBDOMAIN, &["example.com"]));
    }
    problems
}

/// A DNS label of RFC 1035: begins with a letter.
#[must_use]
pub fn dns_1035_label(text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    too_long(&mut problems, text, 63);
    if !is_label(text) || text.starts_with(|c: char| c.is_ascii_digit()) {
        let message = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', \
                       start with an alphabetic character, and end with an alphanumeric character";
        problems.push(pattern(message, "[a-z]([-a-z0-9]*[a-z0-9])?", &["my-name", "abc-123"]));
    }
    problems
}

/// A label key: `example.com/name`, the prefix being optional.
#[must_use]
pub fn qualified_name(text: &str) -> Vec<String> {
    let message = "must consist of alphanumeric characters, '-', '_' or '.', \
                   and must start and end with an alphanumeric character";
    let explain = || pattern(message, KEY, &["MyName", "my.name", "123-abc"]);
    let mut problems = Vec::new();
    let name = match text.split('/').collect::<Vec<_>>().as_slice() {
        [name] => *name,
        [prefix, name] => {
            if prefix.is_empty() {
                problems.push("prefix part must be non-empty".to_owned());
            } else {
                problems.extend(dns_subdomain(prefix).iter().map(|p| format!("prefix part {}", in_bytes(p))));
            }
            *name
        }
        _ => {
            let explain = explain();
            let hint = "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";
            return vec![format!("a valid label key {explain} {hint}")];
        }
    };
    match name.len() {
        0 => problems.push("name part must be non-empty".to_owned()),
        1..=63 => {}
        _ => problems.push("name part must be no more than 63 bytes".to_owned()),
    }
    if !is_key(name) {
        problems.push(format!("name part {}", explain()));
    }
    problems
}

/// Label keys count bytes where names count characters.
fn in_bytes(problem: &str) -> String {
    match problem.strip_suffix(" characters") {
        Some(start) if start.starts_with("must be no more than") => format!("{start} bytes"),
        _ => problem.to_owned(),
    }
}

/// The value of a label: empty, or at most 63 bytes.
#[must_use]
pub fn label_value(text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if text.len() > 63 {
        problems.push("must be no more than 63 bytes".to_owned());
    }
    if !text.is_empty() && !is_key(text) {
        let message = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', \
                       and must start and end with an alphanumeric character";
        problems.push(pattern(message, &format!("({KEY})?"), &["MyValue", "my_value", "12345"]));
    }
    problems
}

/// The name of a port in a container: at most 15 bytes with a letter among them.
#[must_use]
pub fn port_name(text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    too_long(&mut problems, text, 15);
    let mut claim = |holds: bool, problem: &str| {
        if !holds {
            problems.push(problem.to_owned());
        }
    };
    let charset = !text.is_empty() && text.bytes().all(|b| lower(b) || b == b'-');
    claim(charset, "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
    claim(text.bytes().any(|b| b.is_ascii_lowercase()), "must contain at least one letter (a-z)");
    claim(!text.contains("--"), "must not contain consecutive hyphens");
    claim(!text.starts_with('-') && !text.ends_with('-'), "must not begin or end with a hyphen");
    problems
}

/// The name of an environment variable: printable ASCII without `=`.
#[must_use]
pub fn env_var_name(text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if text.is_empty() {
        problems.push("environment variable name must be non-empty".to_owned());
    }
    if !text.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b'=') {
        let message =
            "a valid environment variable name must consist only of printable ASCII characters other than '='";
        problems.push(message.to_owned());
    }
    problems
}

/// A key of a ConfigMap or a Secret: safe as a file name.
#[must_use]
pub fn config_map_key(text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    too_long(&mut problems, text, 253);
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) {
        let message = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'";
        problems.push(pattern(message, "[-._a-zA-Z0-9]+", &["key.name", "KEY_NAME", "key-name"]));
    }
    match text {
        "." => problems.push("must not be '.'".to_owned()),
        ".." => problems.push("must not be '..'".to_owned()),
        _ if text.starts_with("..") => problems.push("must not start with '..'".to_owned()),
        _ => {}
    }
    problems
}

/// A name that must do as one segment of a path: what RBAC objects are called.
#[must_use]
pub fn path_segment(text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if text == "." || text == ".." {
        problems.push(format!("may not be '{text}'"));
        return problems;
    }
    for part in ["/", "%"] {
        if text.contains(part) {
            problems.push(format!("may not contain '{part}'"));
        }
    }
    problems
}

/// A percentage: `25%`.
#[must_use]
pub fn percent(text: &str) -> Vec<String> {
    let digits = text.strip_suffix('%').unwrap_or_default();
    if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
        return Vec::new();
    }
    let message = "a valid percent string must be a numeric string followed by an ending '%'";
    vec![pattern(message, "[0-9]+%", &["1%", "93%"])]
}

/// A path as it may stand in a URL.
#[must_use]
pub fn http_path(text: &str) -> Vec<String> {
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:".contains(&b)) {
        return Vec::new();
    }
    vec![pattern("Invalid path", "[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+", &[])]
}

/// The name of an HTTP header.
#[must_use]
pub fn http_header_name(text: &str) -> Vec<String> {
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        return Vec::new();
    }
    let message = "a valid HTTP header must consist of alphanumeric characters or '-'";
    vec![pattern(message, "[-A-Za-z0-9]+", &["X-Header-Name"])]
}

/// The server completes a name that ends with a hyphen, so that hyphen does not count.
fn completed(name: &str, prefix: bool) -> String {
    match name.strip_suffix('-') {
        Some(start) if prefix && name.len() > 1 => format!("{start}a"),
        _ => name.to_owned(),
    }
}

/// Most kinds: a DNS subdomain.
#[must_use]
pub fn subdomain_name(name: &str, prefix: bool) -> Vec<String> {
    dns_subdomain(&completed(name, prefix))
}

/// Namespaces and services: a DNS label.
#[must_use]
pub fn label_name(name: &str, prefix: bool) -> Vec<String> {
    dns_label(&completed(name, prefix))
}

/// RBAC kinds: anything that does as a path segment.
#[must_use]
pub fn segment_name(name: &str, _prefix: bool) -> Vec<String> {
    path_segment(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_names_pass() {
        assert!(dns_label("my-name").is_empty());
        assert!(dns_subdomain("a.b-c.1").is_empty());
        assert!(dns_1035_label("a1").is_empty());
        assert!(qualified_name("example.com/My_name.x").is_empty());
        assert!(label_value("").is_empty() && label_value("A_b.1").is_empty());
        assert!(port_name("http-2").is_empty());
        assert!(env_var_name("A b.c").is_empty());
        assert!(config_map_key(".dot_KEY-1").is_empty());
        assert!(path_segment("system:node").is_empty());
        assert!(subdomain_name("web-", true).is_empty() && !subdomain_name("web-", false).is_empty());
    }

    #[test]
    fn bad_names_are_explained_as_kubernetes_does() {
        let table: &[(&str, Vec<String>)] = &[
            (
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start \
                 and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
                 '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
                dns_label("A"),
            ),
            ("must not contain dots", dns_label("a.b")),
            (
                "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and \
                 must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
                 '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
                dns_subdomain("a..b"),
            ),
            (
                "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
                 alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
                 '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
                qualified_name("a b"),
            ),
            ("prefix part must be non-empty", qualified_name("/a")),
            ("must be no more than 63 bytes", label_value(&"a".repeat(64))),
            ("must contain at least one letter (a-z)", port_name("8080")),
            ("must not start with '..'", config_map_key("..a")),
            ("may not contain '/'", path_segment("a/b")),
        ];
        for (message, problems) in table {
            assert_eq!(problems, &[(*message).to_owned()]);
        }
        assert_eq!(dns_label(&"A".repeat(64)).len(), 2);
    }
}
