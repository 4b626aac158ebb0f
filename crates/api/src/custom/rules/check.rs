//! What is wrong with a rule as a definition gives it: it must parse, and name what there is.

use serde_json::Value;

use super::field_path;
use crate::cel::{self, Error, Expr};
use crate::custom::schema::{Additional, Schema};
use crate::field_error::{FieldError, Path};
use crate::value::Read as _;

/// Judges a rule of the schema `props`.
pub(in crate::custom) fn check(rule: &Value, props: &Value, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    const REASONS: &[&str] = &["FieldValueRequired", "FieldValueInvalid", "FieldValueForbidden", "FieldValueDuplicate"];
    let schema = Schema::parse(props);
    let text = rule.text("rule");
    if text.trim().is_empty() {
        errors.push(FieldError::required(&at.child("rule"), "rule is not specified"));
    } else {
        compile(text, &schema, &at.child("rule"), errors);
    }
    if let Some(text) = rule["messageExpression"].as_str() {
        match text.trim().is_empty() {
            true => {
                let detail = "messageExpression must be non-empty if specified";
                errors.push(FieldError::required(&at.child("messageExpression"), detail));
            }
            false => compile(text, &schema, &at.child("messageExpression"), errors),
        }
    }
    if rule.text("message").contains('\n') {
        errors.push(FieldError::invalid(
            &at.child("message"),
            rule.text("message"),
            "message must not contain line breaks",
        ));
    }
    if let Some(message) = rule["message"].as_str().filter(|message| message.trim().is_empty()) {
        errors.push(FieldError::invalid(&at.child("message"), message, "message must be non-empty if specified"));
    }
    let reason = rule.text("reason");
    if !reason.is_empty() && !REASONS.contains(&reason) {
        errors.push(FieldError::not_supported(&at.child("reason"), reason, REASONS));
    }
    let path = rule.text("fieldPath");
    let leads = |steps: Vec<String>| {
        let end = steps.iter().try_fold(&schema, |at, step| at.field(step));
        !steps.is_empty() && end.is_some()
    };
    if !path.is_empty() && !field_path(path).is_some_and(leads) {
        let detail = "fieldPath must be a valid path: does not refer to a valid field";
        errors.push(FieldError::invalid(&at.child("fieldPath"), path, detail));
    }
}

fn compile(text: &str, schema: &Schema, at: &Path<'_>, errors: &mut Vec<FieldError>) {
    let known = |expr: Expr| Walk { schema, bound: Vec::new() }.walk(&expr).map(|_| ());
    if let Err(error) = cel::parse(text).and_then(known) {
        let detail = match error {
            Error::Syntax { .. } => format!("compilation failed: {error}"),
            error => format!("compilation failed: ERROR: <input>:1:1: {error}"),
        };
        errors.push(FieldError::invalid(at, text, detail));
    }
}

/// Whether an expression uses a variable.
pub(super) fn names(expr: &Expr, wanted: &str) -> bool {
    let mut found = matches!(expr, Expr::Name(name) if name == wanted);
    each_part(expr, &mut |part| found = found || names(part, wanted));
    found
}

fn each_part<'a>(expr: &'a Expr, act: &mut dyn FnMut(&'a Expr)) {
    match expr {
        Expr::Literal(_) | Expr::Name(_) => {}
        Expr::Field { of, .. } | Expr::Has { of, .. } | Expr::Unary { of, .. } => act(of),
        Expr::Index { of, at, .. } => {
            act(of);
            act(at);
        }
        Expr::Call { on, with, .. } => on.as_deref().into_iter().chain(with).for_each(act),
        Expr::Binary { left, right, .. } => {
            act(left);
            act(right);
        }
        Expr::Choice { when, then, otherwise } => [when, then, otherwise].into_iter().for_each(|part| act(part)),
        Expr::List(items) => items.iter().for_each(act),
        Expr::Map(entries) => entries.iter().flat_map(|(key, value)| [key, value]).for_each(act),
        Expr::Each { of, filter, body, .. } => {
            act(of);
            filter.iter().for_each(|filter| act(filter));
            act(body);
        }
    }
}

/// A walk through an expression that knows which part of the schema each part of it is about.
struct Walk<'a> {
    schema: &'a Schema,
    bound: Vec<(String, Option<&'a Schema>)>,
}

impl<'a> Walk<'a> {
    /// The schema of an expression's value, where that is plain.
    fn walk(&mut self, expr: &Expr) -> Result<Option<&'a Schema>, Error> {
        match expr {
            Expr::Name(name) => self.variable(name),
            Expr::Field { of, name, .. } | Expr::Has { of, name } => {
                let of = self.walk(of)?;
                field(of, name)
            }
            Expr::Index { of, at, .. } => {
                self.walk(at)?;
                let of = self.walk(of)?;
                Ok(of.and_then(|of| match &of.additional {
                    Additional::Of(of) => Some(&**of),
                    _ => of.items.as_deref(),
                }))
            }
            Expr::Call { name, on, with } => {
                let space = match on.as_deref() {
                    Some(Expr::Name(space)) if self.variable(space).is_err() => Some(space.as_str()),
                    _ => None,
                };
                if let (Some(on), None) = (on, space) {
                    self.walk(on)?;
                }
                let full = space.map_or_else(|| name.clone(), |space| format!("{space}.{name}"));
                if !cel::is_function(&full) {
                    return Err(Error::Undeclared(space.unwrap_or(name).to_owned()));
                }
                with.iter().try_for_each(|part| self.walk(part).map(|_| ()))?;
                Ok(None)
            }
            Expr::Each { of, names, filter, body, .. } => {
                let of = self.walk(of)?;
                let item = of.and_then(|of| of.items.as_deref());
                let depth = self.bound.len();
                let last = names.len().saturating_sub(1);
                self.bound.extend(names.iter().enumerate().map(|(i, name)| (name.clone(), item.filter(|_| i == last))));
                let inner = filter.iter().chain([body]).try_for_each(|part| self.walk(part).map(|_| ()));
                self.bound.truncate(depth);
                inner.map(|()| None)
            }
            other => {
                let mut result = Ok(());
                each_part(other, &mut |part| {
                    if result.is_ok() {
                        result = self.walk(part).map(|_| ());
                    }
                });
                result.map(|()| None)
            }
        }
    }

    fn variable(&self, name: &str) -> Result<Option<&'a Schema>, Error> {
        if let Some((_, schema)) = self.bound.iter().rev().find(|(own, _)| own == name) {
            return Ok(*schema);
        }
        match name {
            "self" => Ok(Some(self.schema)),
            "oldSelf" => Ok(None),
            _ if cel::is_type(name) => Ok(None),
            _ => Err(Error::Undeclared(name.to_owned())),
        }
    }
}

fn field<'a>(of: Option<&'a Schema>, name: &str) -> Result<Option<&'a Schema>, Error> {
    let Some(of) = of else { return Ok(None) };
    let name = cel::unescaped(name);
    if let Some(found) = of.field(&name) {
        return Ok(Some(found));
    }
    let open = of.preserve || of.embedded || matches!(of.additional, Additional::Any) || of.properties.is_empty();
    if open || matches!(name.as_str(), "apiVersion" | "kind" | "metadata") {
        return Ok(None);
    }
    Err(Error::Undefined(name))
}
