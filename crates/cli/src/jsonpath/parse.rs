//! Reads a template.

use serde_json::Value;

use super::{Filter, Index, Node, Operand, Operator, PathError, Step};

/// Text and `{actions}`; ranges nest.
pub(super) fn template(text: &str) -> Result<Vec<Node>, PathError> {
    let mut open: Vec<(Option<Vec<Step>>, Vec<Node>)> = vec![(None, Vec::new())];
    let mut rest = text;
    while let Some(start) = rest.find('{') {
        push_text(&mut open, &rest[..start]);
        let end = closing(&rest[start + 1..])?;
        action(rest[start + 1..start + 1 + end].trim(), &mut open)?;
        rest = &rest[start + end + 2..];
    }
    push_text(&mut open, rest);
    match open.pop() {
        Some((None, nodes)) => Ok(nodes),
        _ => Err(PathError::Unclosed),
    }
}

fn push_text(open: &mut [(Option<Vec<Step>>, Vec<Node>)], text: &str) {
    if let (Some((_, nodes)), false) = (open.last_mut(), text.is_empty()) {
        nodes.push(Node::Text(text.to_owned()));
    }
}

/// The place of the brace that closes, outside of quotes.
fn closing(text: &str) -> Result<usize, PathError> {
    let mut quote = None;
    let mut escaped = false;
    for (at, letter) in text.char_indices() {
        match (quote, letter) {
            _ if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), letter) if letter == open => quote = None,
            (None, '"' | '\'') => quote = Some(letter),
            (None, '}') => return Ok(at),
            _ => {}
        }
    }
    Err(PathError::Unclosed)
}

fn action(text: &str, open: &mut Vec<(Option<Vec<Step>>, Vec<Node>)>) -> Result<(), PathError> {
    if text == "end" {
        let Some((Some(steps), nodes)) = open.pop() else { return Err(PathError::NothingToEnd) };
        if let Some((_, outer)) = open.last_mut() {
            outer.push(Node::Range(steps, nodes));
        }
        return Ok(());
    }
    if let Some(path) = text.strip_prefix("range ") {
        open.push((Some(steps(path.trim())?), Vec::new()));
        return Ok(());
    }
    let node = match text.chars().next() {
        Some('"' | '\'') => Node::Text(unquoted(text)),
        _ => Node::Path(steps(text)?),
    };
    if let Some((_, nodes)) = open.last_mut() {
        nodes.push(node);
    }
    Ok(())
}

fn unquoted(text: &str) -> String {
    let inner = text.get(1..text.len().saturating_sub(1)).unwrap_or_default();
    let mut out = String::new();
    let mut letters = inner.chars();
    while let Some(letter) = letters.next() {
        match (letter, letter == '\\') {
            (_, true) => out.extend(letters.next().map(|next| match next {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                other => other,
            })),
            (letter, false) => out.push(letter),
        }
    }
    out
}

/// A path: `$`, `@`, `.name`, `..name`, `[…]`.
fn steps(text: &str) -> Result<Vec<Step>, PathError> {
    let mut steps = Vec::new();
    let mut rest = text.strip_prefix(['$', '@']).unwrap_or(text);
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("..") {
            let (name, left) = name(after);
            steps.push(Step::Descend(name));
            rest = left;
        } else if let Some(after) = rest.strip_prefix('.') {
            let (name, left) = name(after);
            match name.as_str() {
                "" => {}
                "*" => steps.push(Step::All),
                _ => steps.push(Step::Field(name)),
            }
            rest = left;
        } else if let Some(after) = rest.strip_prefix('[') {
            let end = bracket(after)?;
            steps.push(subscript(after[..end].trim())?);
            rest = &after[end + 1..];
        } else {
            return Err(PathError::Unknown(rest.to_owned()));
        }
    }
    Ok(steps)
}

/// A field's name up to the next `.` or `[`; a backslash takes the next letter as it is.
fn name(text: &str) -> (String, &str) {
    let mut out = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '.' | '[' => return (out, &text[at..]),
            '\\' => out.extend(letters.next().map(|(_, next)| next)),
            letter => out.push(letter),
        }
    }
    (out, "")
}

fn bracket(text: &str) -> Result<usize, PathError> {
    let (mut depth, mut quote) = (0, None);
    for (at, letter) in text.char_indices() {
        match (quote, letter) {
            (Some(open), letter) if letter == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(letter),
            (None, '[') => depth += 1,
            (None, ']') if depth == 0 => return Ok(at),
            (None, ']') => depth -= 1,
            _ => {}
        }
    }
    Err(PathError::UnclosedBracket)
}

fn subscript(text: &str) -> Result<Step, PathError> {
    if text == "*" {
        return Ok(Step::All);
    }
    if let Some(inside) = text.strip_prefix("?(").and_then(|text| text.strip_suffix(')')) {
        return filter(inside.trim()).map(Step::Filter);
    }
    if text.starts_with(['\'', '"']) {
        return Ok(Step::Fields(text.split(',').map(|one| unquoted(one.trim())).collect()));
    }
    let all: Result<Vec<Index>, PathError> = text.split(',').map(|one| index(one.trim())).collect();
    Ok(Step::Union(all?))
}

fn index(text: &str) -> Result<Index, PathError> {
    let wrong = || PathError::Index(text.to_owned());
    let number = |part: &str| match part.trim() {
        "" => Ok(None),
        part => part.parse::<i64>().map(Some).map_err(|_| wrong()),
    };
    let parts: Vec<&str> = text.split(':').collect();
    match parts.as_slice() {
        [one] => number(one)?.map(Index::At).ok_or_else(wrong),
        [from, to] => Ok(Index::Slice { from: number(from)?, to: number(to)?, step: 1 }),
        [from, to, step] => {
            let step = number(step)?.unwrap_or(1);
            if step < 1 { Err(wrong()) } else { Ok(Index::Slice { from: number(from)?, to: number(to)?, step }) }
        }
        _ => Err(wrong()),
    }
}

fn filter(text: &str) -> Result<Filter, PathError> {
    let operators = [
        ("==", Operator::Equal),
        ("!=", Operator::NotEqual),
        ("<=", Operator::LessOrEqual),
        (">=", Operator::MoreOrEqual),
        ("<", Operator::Less),
        (">", Operator::More),
    ];
    for (sign, operator) in operators {
        if let Some((left, right)) = outside_quotes(text, sign) {
            return Ok(Filter::Compare { left: operand(left)?, operator, right: operand(right)? });
        }
    }
    match operand(text)? {
        Operand::Path(steps) => Ok(Filter::Exists(steps)),
        Operand::Value(_) => Err(PathError::Filter(text.to_owned())),
    }
}

fn outside_quotes<'a>(text: &'a str, sign: &str) -> Option<(&'a str, &'a str)> {
    let mut quote = None;
    for (at, letter) in text.char_indices() {
        match (quote, letter) {
            (Some(open), letter) if letter == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(letter),
            (None, _) if text[at..].starts_with(sign) => return Some((&text[..at], &text[at + sign.len()..])),
            _ => {}
        }
    }
    None
}

fn operand(text: &str) -> Result<Operand, PathError> {
    let text = text.trim();
    match text.chars().next() {
        Some('@' | '$' | '.') => steps(text).map(Operand::Path),
        Some('"' | '\'') => Ok(Operand::Value(Value::String(unquoted(text)))),
        _ => serde_json::from_str(text).map(Operand::Value).map_err(|_| PathError::Filter(text.to_owned())),
    }
}
