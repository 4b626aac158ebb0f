//! `fieldPath` of a rule: fields by dots, and names that are no identifiers in brackets and single quotes.

/// The names of a path such as `.spec['a.b'].c`.
pub(super) fn parse(text: &str) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('.') {
            let name = after.split(['.', '[', ']']).next().filter(|name| !name.is_empty())?;
            rest = &after[name.len()..];
            names.push(name.to_owned());
        } else {
            let (name, after) = unquoted(rest.strip_prefix("['")?)?;
            names.push(name);
            rest = after.strip_prefix(']')?;
        }
    }
    Some(names)
}

/// A text up to its closing quote, and what follows.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\'' => return Some((name, &text[at + 1..])),
            '\\' => name.push(match letters.next()?.1 {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                other => other,
            }),
            letter => name.push(letter),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_names() {
        assert_eq!(parse(".spec['a.b'].c").unwrap(), ["spec", "a.b", "c"]);
        assert_eq!(parse(r"['it\'s']").unwrap(), ["it's"]);
        for text in ["spec", ".", ".a[0]", ".a['b'", "..a", ".a['b]"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
