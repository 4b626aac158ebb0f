//! From tokens to an expression, of bounded depth and size.

use super::Error;
use super::lexer::{Placed, Token, tokens};
use super::value::Val;

/// Expressions nested deeper are refused.
const DEEPEST: usize = 48;
/// So are longer ones.
const LONGEST: usize = 5 << 10;

/// An expression. `place` is where messages say that something is wrong, in letters from 1.
#[derive(Debug)]
pub(crate) enum Expr {
    /// A constant.
    Literal(Val<'static>),
    /// A variable.
    Name(String, usize),
    /// `a.b`, `a.?b`
    Field { of: Box<Expr>, name: String, optional: bool, place: usize },
    /// `has(a.b)`
    Has { of: Box<Expr>, name: String, place: usize },
    /// `a[b]`, `a[?b]`
    Index { of: Box<Expr>, at: Box<Expr>, optional: bool, place: usize },
    /// `f(a)`, `a.f(b)`
    Call { name: String, on: Option<Box<Expr>>, with: Vec<Expr>, place: usize },
    /// `!a`, `-a`
    Unary { name: &'static str, of: Box<Expr>, place: usize },
    /// `a + b`
    Binary { name: &'static str, left: Box<Expr>, right: Box<Expr>, place: usize },
    /// `a ? b : c`
    Choice { when: Box<Expr>, then: Box<Expr>, otherwise: Box<Expr>, place: usize },
    /// `[a, b]`
    List(Vec<Expr>),
    /// `{a: b}`
    Map(Vec<(Expr, Expr)>),
    /// `a.all(x, …)` and its kin.
    Each { how: Each, of: Box<Expr>, names: Vec<String>, filter: Option<Box<Expr>>, body: Box<Expr>, place: usize },
}

/// What is done with each of many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Each {
    All,
    Exists,
    ExistsOne,
    Filter,
    Map,
    TransformMap,
    /// `cel.bind(x, a, b)`
    Bind,
    /// `a.optMap(x, b)`
    OptMap,
    /// `a.optFlatMap(x, b)`
    OptFlatMap,
}

/// Reads an expression.
pub(crate) fn parse(text: &str) -> Result<Expr, Error> {
    if text.len() > LONGEST {
        return Err(Error::Syntax { column: 1, what: format!("expression is longer than {LONGEST} bytes") });
    }
    let tokens = tokens(text)?;
    let end = text.chars().count() + 1;
    let mut parser = Parser { tokens, at: 0, end, depth: 0 };
    let expr = parser.expression()?;
    match parser.peek() {
        None => Ok(expr),
        Some(_) => Err(parser.wrong("mismatched input, expected <EOF>")),
    }
}

struct Parser {
    tokens: Vec<Placed>,
    at: usize,
    end: usize,
    depth: usize,
}

const LEVELS: &[&[&str]] =
    &[&["||"], &["&&"], &["<", "<=", ">", ">=", "==", "!=", "in"], &["+", "-"], &["*", "/", "%"]];

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(token, _)| token)
    }

    fn wrong(&self, what: &str) -> Error {
        let column = self.tokens.get(self.at).map_or(self.end, |(_, column)| *column);
        Error::Syntax { column, what: what.to_owned() }
    }

    /// Where what was read last stands.
    fn last(&self) -> usize {
        self.at.checked_sub(1).and_then(|at| self.tokens.get(at)).map_or(1, |(_, column)| *column)
    }

    fn eat(&mut self, symbol: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Symbol(found)) if *found == symbol);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, symbol: &str) -> Result<(), Error> {
        if self.eat(symbol) { Ok(()) } else { Err(self.wrong(&format!("missing '{symbol}'"))) }
    }

    fn name(&mut self) -> Result<String, Error> {
        match self.peek() {
            Some(Token::Name(name)) => {
                let name = name.clone();
                self.at += 1;
                Ok(name)
            }
            _ => Err(self.wrong("missing IDENTIFIER")),
        }
    }

    fn deeper<T>(&mut self, act: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        if self.depth >= DEEPEST {
            return Err(self.wrong(&format!("expression is nested deeper than {DEEPEST}")));
        }
        self.depth += 1;
        let done = act(self);
        self.depth -= 1;
        done
    }

    fn expression(&mut self) -> Result<Expr, Error> {
        self.deeper(|this| {
            let when = this.binary(0)?;
            if !this.eat("?") {
                return Ok(when);
            }
            let place = this.last();
            let then = Box::new(this.binary(0)?);
            this.expect(":")?;
            let otherwise = Box::new(this.expression()?);
            Ok(Expr::Choice { when: Box::new(when), then, otherwise, place })
        })
    }

    fn operator(&mut self, level: usize) -> Option<&'static str> {
        let found = LEVELS[level].iter().find(|one| match self.peek() {
            Some(Token::Symbol(symbol)) => symbol == *one,
            Some(Token::Name(name)) => name == "in" && **one == "in",
            _ => false,
        })?;
        self.at += 1;
        Some(found)
    }

    fn binary(&mut self, level: usize) -> Result<Expr, Error> {
        if level == LEVELS.len() {
            return self.unary();
        }
        let mut left = self.binary(level + 1)?;
        let mut count = 0;
        while let Some(name) = self.operator(level) {
            count += 1;
            if count > 4 * DEEPEST {
                return Err(self.wrong("expression has too many operators in a row"));
            }
            let place = self.last();
            let right = Box::new(self.binary(level + 1)?);
            left = Expr::Binary { name, left: Box::new(left), right, place };
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Expr, Error> {
        if self.eat("!") {
            let place = self.last();
            let of = self.deeper(Self::unary)?;
            return Ok(Expr::Unary { name: "!", of: Box::new(of), place });
        }
        if self.eat("-") {
            if self.peek() == Some(&Token::LeastInt) {
                self.at += 1;
                return Ok(Expr::Literal(Val::Int(i64::MIN)));
            }
            let place = self.last();
            let of = self.deeper(Self::unary)?;
            return Ok(Expr::Unary { name: "-", of: Box::new(of), place });
        }
        self.member()
    }

    fn member(&mut self) -> Result<Expr, Error> {
        let mut expr = self.primary()?;
        let mut count = 0;
        loop {
            count += 1;
            if count > 4 * DEEPEST {
                return Err(self.wrong("expression has too many members in a row"));
            }
            if self.eat(".") {
                let place = self.last();
                if self.eat("?") {
                    expr = Expr::Field { of: Box::new(expr), name: self.name()?, optional: true, place };
                    continue;
                }
                let name = self.name()?;
                expr = match self.eat("(") {
                    true => {
                        let place = self.last();
                        let with = self.list(")")?;
                        self.method(expr, name, with, place)?
                    }
                    false => Expr::Field { of: Box::new(expr), name, optional: false, place },
                };
            } else if self.eat("[?") {
                let place = self.last();
                let at = Box::new(self.expression()?);
                self.expect("]")?;
                expr = Expr::Index { of: Box::new(expr), at, optional: true, place };
            } else if self.eat("[") {
                let place = self.last();
                let at = Box::new(self.expression()?);
                self.expect("]")?;
                expr = Expr::Index { of: Box::new(expr), at, optional: false, place };
            } else {
                return Ok(expr);
            }
        }
    }

    fn list(&mut self, end: &str) -> Result<Vec<Expr>, Error> {
        let mut list = Vec::new();
        while !self.eat(end) {
            list.push(self.expression()?);
            if !self.eat(",") {
                self.expect(end)?;
                break;
            }
        }
        Ok(list)
    }

    fn method(&self, on: Expr, name: String, mut with: Vec<Expr>, place: usize) -> Result<Expr, Error> {
        let how = match (name.as_str(), with.len()) {
            ("all", 2 | 3) => Each::All,
            ("exists", 2 | 3) => Each::Exists,
            ("exists_one" | "existsOne", 2 | 3) => Each::ExistsOne,
            ("filter", 2) => Each::Filter,
            ("map", 2 | 3) | ("transformList", 3 | 4) => Each::Map,
            ("transformMap", 3 | 4) => Each::TransformMap,
            ("optMap", 2) => Each::OptMap,
            ("optFlatMap", 2) => Each::OptFlatMap,
            ("bind", 3) if matches!(&on, Expr::Name(name, _) if name == "cel") => {
                let body = with.pop().map(Box::new);
                let of = with.pop().map(Box::new);
                let (Some(body), Some(of)) = (body, of) else { return Err(self.wrong("cel.bind has three arguments")) };
                let names = self.variables(with)?;
                return Ok(Expr::Each { how: Each::Bind, of, names, filter: None, body, place });
            }
            _ => return Ok(Expr::Call { name, on: Some(Box::new(on)), with, place }),
        };
        let Some(body) = with.pop().map(Box::new) else { return Err(self.wrong("a macro has arguments")) };
        let two = name.starts_with("transform") || (with.len() == 2 && name != "map");
        let filter = if with.len() > 1 + usize::from(two) { with.pop().map(Box::new) } else { None };
        Ok(Expr::Each { how, of: Box::new(on), names: self.variables(with)?, filter, body, place })
    }

    fn variables(&self, from: Vec<Expr>) -> Result<Vec<String>, Error> {
        let name = |expr| match expr {
            Expr::Name(name, _) => Ok(name),
            _ => Err(self.wrong("argument must be a simple name")),
        };
        from.into_iter().map(name).collect()
    }

    fn primary(&mut self) -> Result<Expr, Error> {
        let Some(token) = self.peek().cloned() else { return Err(self.wrong("mismatched input '<EOF>'")) };
        self.at += 1;
        Ok(match token {
            Token::Int(value) => Expr::Literal(Val::Int(value)),
            Token::Uint(value) => Expr::Literal(Val::Uint(value)),
            Token::Double(value) => Expr::Literal(Val::Double(value)),
            Token::Text(text) => Expr::Literal(Val::text(text)),
            Token::Bytes(bytes) => Expr::Literal(Val::Bytes(bytes.into())),
            Token::Symbol("(") => {
                let inner = self.expression()?;
                self.expect(")")?;
                inner
            }
            Token::Symbol("[") => Expr::List(self.list("]")?),
            Token::Symbol("{") => Expr::Map(self.entries()?),
            Token::Symbol(".") => return self.primary(),
            Token::Name(name) => return self.named(name),
            _ => {
                self.at -= 1;
                return Err(self.wrong("mismatched input"));
            }
        })
    }

    fn entries(&mut self) -> Result<Vec<(Expr, Expr)>, Error> {
        let mut entries = Vec::new();
        while !self.eat("}") {
            let key = self.expression()?;
            self.expect(":")?;
            entries.push((key, self.expression()?));
            if !self.eat(",") {
                self.expect("}")?;
                break;
            }
        }
        Ok(entries)
    }

    fn named(&mut self, name: String) -> Result<Expr, Error> {
        match name.as_str() {
            "true" | "false" => return Ok(Expr::Literal(Val::Bool(name == "true"))),
            "null" => return Ok(Expr::Literal(Val::Null)),
            "in" => {
                self.at -= 1;
                return Err(self.wrong("mismatched input 'in'"));
            }
            _ => {}
        }
        let start = self.last();
        if !self.eat("(") {
            return Ok(Expr::Name(name, start));
        }
        let place = self.last();
        let mut with = self.list(")")?;
        if name != "has" {
            return Ok(Expr::Call { name, on: None, with, place });
        }
        match (with.pop(), with.is_empty()) {
            (Some(Expr::Field { of, name, optional: false, place }), true) => Ok(Expr::Has { of, name, place }),
            _ => Err(self.wrong("invalid argument to has() macro")),
        }
    }
}
