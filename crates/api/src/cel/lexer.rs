//! From text to tokens.

use super::Error;

/// The smallest parts of an expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Int(i64),
    /// The one number that is an integer only with a minus before it.
    LeastInt,
    Uint(u64),
    Double(f64),
    Text(String),
    Bytes(Vec<u8>),
    Name(String),
    Symbol(&'static str),
}

/// A token and its column, from 1.
pub(super) type Placed = (Token, usize);

const SYMBOLS: &[&str] = &[
    "&&", "||", "==", "!=", "<=", ">=", "?.", "[?", "<", ">", "+", "-", "*", "/", "%", "!", "?", ":", ".", ",", "(",
    ")", "[", "]", "{", "}",
];

struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

/// Takes an expression apart.
pub(super) fn tokens(text: &str) -> Result<Vec<Placed>, Error> {
    let mut lexer = Lexer { text, at: 0 };
    let mut found = Vec::new();
    loop {
        lexer.skip();
        if lexer.at >= text.len() {
            return Ok(found);
        }
        let column = text[..lexer.at].chars().count() + 1;
        found.push((lexer.next(column)?, column));
    }
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn skip(&mut self) {
        loop {
            let blanks = self.rest().len() - self.rest().trim_start().len();
            self.at += blanks;
            if self.rest().starts_with("//") {
                self.at += self.rest().find('\n').unwrap_or(self.rest().len());
            } else if blanks == 0 || self.rest().is_empty() {
                return;
            }
        }
    }

    fn next(&mut self, column: usize) -> Result<Token, Error> {
        let wrong = |what: String| Error::Syntax { column, what };
        if let Some((prefix, quote)) = self.string_start() {
            self.at += prefix.len();
            return self.string(&prefix, &quote, column);
        }
        let rest = self.rest();
        let first = rest.chars().next().unwrap_or_default();
        let after_dot = rest.strip_prefix('.').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        if first.is_ascii_digit() || after_dot {
            return self.number(column);
        }
        if first.is_ascii_alphabetic() || first == '_' {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            let name = rest[..end].to_owned();
            self.at += end;
            return Ok(Token::Name(name));
        }
        if let Some(quoted) = rest.strip_prefix('`')
            && let Some(end) = quoted.find('`')
        {
            let name = quoted[..end].to_owned();
            self.at += end + 2;
            return Ok(Token::Name(name));
        }
        let symbol = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol));
        let symbol = symbol.ok_or_else(|| wrong(format!("token recognition error at: '{first}'")))?;
        self.at += symbol.len();
        Ok(Token::Symbol(symbol))
    }

    fn string_start(&self) -> Option<(String, String)> {
        let rest = self.rest();
        let end = rest.find(['"', '\''])?;
        let prefix = rest[..end].to_ascii_lowercase();
        if !matches!(prefix.as_str(), "" | "r" | "b" | "rb" | "br") {
            return None;
        }
        let quoted = &rest[end..];
        let quote = ["\"\"\"", "'''", "\"", "'"].into_iter().find(|quote| quoted.starts_with(quote))?;
        Some((prefix, quote.to_owned()))
    }

    fn string(&mut self, prefix: &str, quote: &str, column: usize) -> Result<Token, Error> {
        self.at += quote.len();
        let (raw, is_bytes) = (prefix.contains('r'), prefix.contains('b'));
        let wrong = |what: &str| Error::Syntax { column, what: what.to_owned() };
        let mut bytes = Vec::new();
        loop {
            let rest = self.rest();
            if rest.starts_with(quote) {
                self.at += quote.len();
                break;
            }
            let letter = rest.chars().next().ok_or_else(|| wrong("token recognition error: unterminated string"))?;
            self.at += letter.len_utf8();
            if letter == '\\' && !raw {
                self.escape(&mut bytes, is_bytes, column)?;
            } else {
                bytes.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
        if is_bytes {
            return Ok(Token::Bytes(bytes));
        }
        String::from_utf8(bytes).map(Token::Text).map_err(|_| wrong("a string is no UTF-8"))
    }

    fn escape(&mut self, bytes: &mut Vec<u8>, is_bytes: bool, column: usize) -> Result<(), Error> {
        let wrong = || Error::Syntax { column, what: "invalid escape sequence".to_owned() };
        let letter = self.rest().chars().next().ok_or_else(wrong)?;
        self.at += letter.len_utf8();
        let plain = match letter {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'a' => '\x07',
            'b' => '\x08',
            'f' => '\x0c',
            'v' => '\x0b',
            '\\' | '\'' | '"' | '`' | '?' => letter,
            'x' | 'X' | 'u' | 'U' | '0'..='3' => {
                let (digits, radix) = match letter {
                    'x' | 'X' => (2, 16),
                    'u' => (4, 16),
                    'U' => (8, 16),
                    _ => (3, 8),
                };
                let from = if radix == 8 { self.at - 1 } else { self.at };
                let text = self.text.get(from..from + digits).ok_or_else(wrong)?;
                let code = u32::from_str_radix(text, radix).map_err(|_| wrong())?;
                self.at = from + digits;
                if is_bytes && digits < 4 {
                    bytes.push(u8::try_from(code).map_err(|_| wrong())?);
                    return Ok(());
                }
                char::from_u32(code).ok_or_else(wrong)?
            }
            _ => return Err(wrong()),
        };
        bytes.extend_from_slice(plain.encode_utf8(&mut [0; 4]).as_bytes());
        Ok(())
    }

    fn number(&mut self, column: usize) -> Result<Token, Error> {
        let wrong = || Error::Syntax { column, what: "invalid number".to_owned() };
        let rest = self.rest();
        let hex = rest.strip_prefix("0x").or_else(|| rest.strip_prefix("0X"));
        if let Some(hex) = hex {
            let end = hex.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(hex.len());
            let (digits, unsigned) = (&hex[..end], hex[end..].starts_with(['u', 'U']));
            let value = u64::from_str_radix(digits, 16).map_err(|_| wrong())?;
            self.at += 2 + end + usize::from(unsigned);
            return if unsigned {
                Ok(Token::Uint(value))
            } else {
                i64::try_from(value).map(Token::Int).map_err(|_| wrong())
            };
        }
        let digits = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let mut end = digits(rest);
        let mut double = false;
        if rest[end..].starts_with('.') && rest[end + 1..].starts_with(|c: char| c.is_ascii_digit()) {
            double = true;
            end += 1 + digits(&rest[end + 1..]);
        }
        if rest[end..].starts_with(['e', 'E']) {
            let sign = usize::from(rest[end + 1..].starts_with(['+', '-']));
            let exponent = digits(&rest[end + 1 + sign..]);
            if exponent > 0 {
                double = true;
                end += 1 + sign + exponent;
            }
        }
        let text = rest[..end].to_owned();
        let unsigned = !double && rest[end..].starts_with(['u', 'U']);
        self.at += end + usize::from(unsigned);
        if double {
            return text.parse().map(Token::Double).map_err(|_| wrong());
        }
        let value: u64 = text.parse().map_err(|_| wrong())?;
        match (unsigned, i64::try_from(value)) {
            (true, _) => Ok(Token::Uint(value)),
            (false, Ok(value)) => Ok(Token::Int(value)),
            (false, Err(_)) if value == i64::MIN.unsigned_abs() => Ok(Token::LeastInt),
            _ => Err(wrong()),
        }
    }
}
