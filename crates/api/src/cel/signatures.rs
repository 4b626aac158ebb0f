//! What functions take and give, for the check before there are values.
//!
//! A signature is written with one letter for each type: `on(with)gives`, nothing before the bracket for a
//! plain function. `b`ool, `i`nt, `u`int, `d`ouble, `s`tring, b`y`tes, `t`imestamp, du`r`ation, `l`ist,
//! `L`ist of strings, `m`ap, `q`uantity, I`p`, `c`idr, `w`eb address, `o`ptional, `e`: what is in the list or
//! the optional value, `S`: the same as what it is called on, `f`ormat, `F`: an optional one, `V`: optional
//! texts, `x`: anything.

use super::formats;
use super::types::Type;

const FORMAT: Type<'static> = Type::Named("kubernetes.NamedFormat");

const SIGNATURES: &[(&str, &[&str])] = &[
    ("size", &["s()i", "y()i", "l()i", "m()i", "(s)i", "(y)i", "(l)i", "(m)i"]),
    ("contains", &["s(s)b"]),
    ("startsWith", &["s(s)b"]),
    ("endsWith", &["s(s)b"]),
    ("matches", &["s(s)b", "(ss)b"]),
    ("find", &["s(s)s"]),
    ("findAll", &["s(s)L", "s(si)L"]),
    ("lowerAscii", &["s()s"]),
    ("upperAscii", &["s()s"]),
    ("trim", &["s()s"]),
    ("reverse", &["s()s", "l()S"]),
    ("charAt", &["s(i)s"]),
    ("substring", &["s(i)s", "s(ii)s"]),
    ("replace", &["s(ss)s", "s(ssi)s"]),
    ("split", &["s(s)L", "s(si)L"]),
    ("join", &["L()s", "L(s)s"]),
    ("indexOf", &["s(s)i", "s(si)i", "l(x)i"]),
    ("lastIndexOf", &["s(s)i", "s(si)i", "l(x)i"]),
    ("format", &["s(l)s"]),
    ("int", &["(i)i", "(u)i", "(d)i", "(s)i", "(t)i", "(r)i"]),
    ("uint", &["(u)u", "(i)u", "(d)u", "(s)u"]),
    ("double", &["(d)d", "(i)d", "(u)d", "(s)d"]),
    ("string", &["(s)s", "(b)s", "(i)s", "(u)s", "(d)s", "(y)s", "(t)s", "(r)s", "(q)s", "(p)s", "(c)s", "(w)s"]),
    ("bool", &["(b)b", "(s)b"]),
    ("bytes", &["(y)y", "(s)y"]),
    ("dyn", &["(x)x"]),
    ("type", &["(x)T"]),
    ("timestamp", &["(t)t", "(s)t", "(i)t"]),
    ("duration", &["(r)r", "(s)r"]),
    ("getFullYear", &["t()i", "t(s)i"]),
    ("getMonth", &["t()i", "t(s)i"]),
    ("getDate", &["t()i", "t(s)i"]),
    ("getDayOfMonth", &["t()i", "t(s)i"]),
    ("getDayOfWeek", &["t()i", "t(s)i"]),
    ("getDayOfYear", &["t()i", "t(s)i"]),
    ("getHours", &["t()i", "t(s)i", "r()i"]),
    ("getMinutes", &["t()i", "t(s)i", "r()i"]),
    ("getSeconds", &["t()i", "t(s)i", "r()i"]),
    ("getMilliseconds", &["t()i", "t(s)i", "r()i"]),
    ("sum", &["l()e"]),
    ("min", &["l()e"]),
    ("max", &["l()e"]),
    ("isSorted", &["l()b"]),
    ("distinct", &["l()S"]),
    ("sort", &["l()S"]),
    ("flatten", &["l()l"]),
    ("slice", &["l(ii)S"]),
    ("quantity", &["(s)q"]),
    ("isQuantity", &["(s)b"]),
    ("sign", &["q()i"]),
    ("isInteger", &["q()b"]),
    ("asInteger", &["q()i"]),
    ("asApproximateFloat", &["q()d"]),
    ("isGreaterThan", &["q(q)b"]),
    ("isLessThan", &["q(q)b"]),
    ("compareTo", &["q(q)i"]),
    ("add", &["q(q)q", "q(i)q"]),
    ("sub", &["q(q)q", "q(i)q"]),
    ("url", &["(s)w"]),
    ("isURL", &["(s)b"]),
    ("getScheme", &["w()s"]),
    ("getHost", &["w()s"]),
    ("getHostname", &["w()s"]),
    ("getPort", &["w()s"]),
    ("getEscapedPath", &["w()s"]),
    ("getQuery", &["w()m"]),
    ("ip", &["(s)p", "c()p"]),
    ("isIP", &["(s)b"]),
    ("family", &["p()i"]),
    ("isUnspecified", &["p()b"]),
    ("isLoopback", &["p()b"]),
    ("isLinkLocalMulticast", &["p()b"]),
    ("isLinkLocalUnicast", &["p()b"]),
    ("isGlobalUnicast", &["p()b"]),
    ("cidr", &["(s)c"]),
    ("isCIDR", &["(s)b"]),
    ("prefixLength", &["c()i"]),
    ("masked", &["c()c"]),
    ("containsIP", &["c(p)b", "c(s)b"]),
    ("containsCIDR", &["c(c)b", "c(s)b"]),
    ("hasValue", &["o()b"]),
    ("value", &["o()e"]),
    ("or", &["o(o)S"]),
    ("orValue", &["o(x)e"]),
    ("optional.of", &["(x)o"]),
    ("optional.none", &["()o"]),
    ("optional.ofNonZeroValue", &["(x)o"]),
    ("sets.contains", &["(ll)b"]),
    ("sets.equivalent", &["(ll)b"]),
    ("sets.intersects", &["(ll)b"]),
    ("math.abs", &["(i)i", "(u)u", "(d)d"]),
    ("ip.isCanonical", &["(s)b"]),
    ("format.named", &["(s)F"]),
    ("validate", &["f(s)V"]),
];

/// What comes of a call.
pub(super) enum Given<'a> {
    /// There is no such function.
    Unknown,
    /// It does not take these.
    Unfit,
    /// It gives this.
    Gives(Type<'a>),
}

/// What a function gives for these: of a method, `on` is what it is called on.
pub(super) fn call<'a>(name: &str, on: Option<&Type<'a>>, with: &[Type<'a>]) -> Given<'a> {
    if matches!(name, "math.greatest" | "math.least") {
        return Given::Gives(with.first().cloned().filter(Type::is_number).unwrap_or(Type::Dyn));
    }
    if formats::is_one(name) {
        return if on.is_none() && with.is_empty() { Given::Gives(FORMAT) } else { Given::Unfit };
    }
    let Some((_, known)) = SIGNATURES.iter().find(|(own, _)| *own == name) else { return Given::Unknown };
    let mut found: Option<Type<'a>> = None;
    for signature in *known {
        let Some(gives) = fit(signature, on, with) else { continue };
        found = Some(match found {
            Some(other) => other.join(gives),
            None => gives,
        });
    }
    found.map_or(Given::Unfit, Given::Gives)
}

fn fit<'a>(signature: &str, on: Option<&Type<'a>>, with: &[Type<'a>]) -> Option<Type<'a>> {
    let (own, rest) = signature.split_once('(')?;
    let (takes, gives) = rest.split_once(')')?;
    let own_fits = match (own.chars().next(), on) {
        (None, None) => true,
        (Some(letter), Some(on)) => is(letter, on),
        _ => false,
    };
    let fits = own_fits && takes.len() == with.len() && takes.chars().zip(with).all(|(letter, of)| is(letter, of));
    fits.then(|| result(gives.chars().next().unwrap_or('x'), on, with))
}

fn is(letter: char, of: &Type<'_>) -> bool {
    match (letter, of) {
        ('x', _) | (_, Type::Dyn) => true,
        ('b', Type::Bool) | ('i', Type::Int) | ('u', Type::Uint) | ('d', Type::Double) | ('s', Type::Text) => true,
        ('y', Type::Bytes) | ('t', Type::Time) | ('r', Type::Duration) | ('l', Type::List(_)) => true,
        ('m', Type::Map(..)) | ('o', Type::Optional(_)) => true,
        ('L', Type::List(of)) => of.fits(&Type::Text),
        (letter, Type::Named(name)) => named(letter) == Some(*name),
        _ => false,
    }
}

const fn named(letter: char) -> Option<&'static str> {
    match letter {
        'q' => Some("kubernetes.Quantity"),
        'p' => Some("net.IP"),
        'c' => Some("net.CIDR"),
        'w' => Some("kubernetes.URL"),
        'f' => Some("kubernetes.NamedFormat"),
        _ => None,
    }
}

fn result<'a>(letter: char, on: Option<&Type<'a>>, with: &[Type<'a>]) -> Type<'a> {
    match letter {
        'b' => Type::Bool,
        'i' => Type::Int,
        'u' => Type::Uint,
        'd' => Type::Double,
        's' => Type::Text,
        'y' => Type::Bytes,
        't' => Type::Time,
        'r' => Type::Duration,
        'T' => Type::Meta,
        'l' => Type::list(Type::Dyn),
        'L' => Type::list(Type::Text),
        'm' => Type::Map(Box::new(Type::Text), Box::new(Type::list(Type::Text))),
        'o' => Type::Optional(Box::new(with.first().cloned().unwrap_or(Type::Dyn))),
        'F' => Type::Optional(Box::new(FORMAT)),
        'V' => Type::Optional(Box::new(Type::list(Type::Text))),
        'S' => on.cloned().unwrap_or(Type::Dyn),
        'e' => match on {
            Some(Type::List(of) | Type::Optional(of)) => (**of).clone(),
            _ => Type::Dyn,
        },
        letter => named(letter).map_or(Type::Dyn, Type::Named),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_has_a_signature() {
        for name in super::super::functions::NAMES {
            let known = SIGNATURES.iter().any(|(own, _)| own == name) || name.starts_with("math.");
            assert!(known, "{name}");
        }
    }
}
