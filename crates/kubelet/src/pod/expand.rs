//! `$(VAR)` in commands, arguments, values and subPathExpr, as Kubernetes expands it:
//! `$$` is a dollar sign, an unknown name stays as it is written.

/// Replaces the references in `input`; `lookup` gives a variable's value.
pub(crate) fn expand<'v>(input: &str, lookup: impl Fn(&str) -> Option<&'v str>) -> String {
    let mut output = String::with_capacity(input.len());
    let mut rest = input;
    while let Some(at) = rest.find('$') {
        output.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        rest = match after.as_bytes().first() {
            Some(b'$') => {
                output.push('$');
                &after[1..]
            }
            Some(b'(') => match after.find(')') {
                Some(end) => {
                    let name = &after[1..end];
                    match lookup(name) {
                        Some(value) => output.push_str(value),
                        None => {
                            output.push('$');
                            output.push_str(&after[..=end]);
                        }
                    }
                    &after[end + 1..]
                }
                None => {
                    output.push_str("$(");
                    &after[1..]
                }
            },
            _ => {
                output.push('$');
                after
            }
        };
    }
    output.push_str(rest);
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_expand_as_in_kubernetes() {
        let table = [
            ("$(VAR_A)", "A"),
            ("___$(VAR_B)___", "___B___"),
            ("$(VAR_A)$(VAR_B)", "AB"),
            ("$$(VAR_A)", "$(VAR_A)"),
            ("$$$(VAR_A)", "$A"),
            ("$(NOPE)", "$(NOPE)"),
            ("f00-$(NOPE)-bar", "f00-$(NOPE)-bar"),
            ("$VAR_A", "$VAR_A"),
            ("$(VAR_A", "$(VAR_A"),
            ("$()", "$()"),
            ("cost: 5$", "cost: 5$"),
            ("$$", "$"),
            ("$(EMPTY)x", "x"),
            ("\u{00e4}$(VAR_A)\u{00e4}", "\u{00e4}A\u{00e4}"),
            ("$(VAR_A))", "A)"),
            ("foo$(VAR_A)$$bar", "fooA$bar"),
        ];
        for (input, wanted) in table {
            let got = expand(input, |name| match name {
                "VAR_A" => Some("A"),
                "VAR_B" => Some("B"),
                "EMPTY" => Some(""),
                _ => None,
            });
            assert_eq!(got, wanted, "{input}");
        }
    }
}
