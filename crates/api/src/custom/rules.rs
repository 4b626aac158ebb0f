//! `x-kubernetes-validations`: expressions that must hold where a schema says so.

mod check;
mod path;

use std::sync::Arc;

use serde_json::Value;

pub(super) use self::check::{Place, check};
use super::schema::{Schema, Sort};
use crate::cel::{self, Budget, Error, Expr, Val};
use crate::field_error::{FieldError, Path};
use crate::value::Read as _;

/// One expression.
#[derive(Debug)]
pub struct Rule {
    source: String,
    expr: Expr,
    message: String,
    message_expr: Option<Expr>,
    reason: String,
    /// The field to blame, below the value.
    field: Vec<String>,
    uses_old: bool,
    optional_old: bool,
}

impl Rule {
    /// What cannot be parsed was refused when the definition was written.
    pub(super) fn parse(rule: &Value) -> Option<Self> {
        let expr = cel::parse(rule.text("rule")).ok()?;
        Some(Self {
            uses_old: check::names(&expr, "oldSelf"),
            expr,
            source: rule.text("rule").trim().to_owned(),
            message: rule.text("message").to_owned(),
            message_expr: rule["messageExpression"].as_str().and_then(|text| cel::parse(text).ok()),
            reason: rule.text("reason").to_owned(),
            field: path::parse(rule.text("fieldPath")).unwrap_or_default(),
            optional_old: rule.flag("optionalOldSelf"),
        })
    }

    /// What is wrong with a value. A rule about changes says nothing about what is new, and no other
    /// rule about what stays as it was.
    pub(super) fn judge(
        &self,
        schema: &Schema,
        value: &Value,
        old: Option<&Value>,
        at: Option<&Path<'_>>,
        budget: &mut Budget,
    ) -> Option<FieldError> {
        let about_change = self.uses_old && !self.optional_old;
        if (about_change && old.is_none()) || (!self.uses_old && old == Some(value)) || budget.left() == 0 {
            return None;
        }
        let root = Path::new("<nil>");
        let at = at.unwrap_or(&root);
        let mut part = budget.one();
        let before = part.left();
        let holds = self.eval(&self.expr, schema, value, old, &mut part);
        let error = match holds {
            Ok(Val::Bool(true)) => None,
            Ok(Val::Bool(false)) => {
                let message = self.message(schema, value, old, &mut part);
                Some(self.blame(at, &root, schema, value, message))
            }
            Ok(other) => {
                let detail = format!("rule {:?} evaluated to {}, not to bool", self.source, other.kind());
                Some(FieldError::invalid_unshown(at, detail))
            }
            Err(error) => {
                let text = if self.message.is_empty() { &self.source } else { self.message.trim() };
                let detail = match &error {
                    Error::Cost if budget.is_short() => {
                        "validation failed due to running out of cost budget, no further validation rules will be run"
                            .to_owned()
                    }
                    Error::Cost => format!(
                        "'{error}': no further validation rules will be run due to call cost exceeds limit for rule: {text}"
                    ),
                    Error::Overload(_) => format!(
                        "'{error}': call arguments did not match a supported operator, function or macro signature for \
                         rule: {text}"
                    ),
                    error => format!("{error} evaluating rule: {text}"),
                };
                if error == Error::Cost {
                    budget.end();
                }
                Some(FieldError::invalid(at, schema.sort.name(), detail))
            }
        };
        budget.settle(before, &part);
        error
    }

    fn eval<'a>(
        &'a self,
        expr: &'a Expr,
        schema: &'a Schema,
        value: &'a Value,
        old: Option<&'a Value>,
        budget: &mut Budget,
    ) -> Result<Val<'a>, Error> {
        let old = old.map(|old| Val::of(old, Some(schema)));
        let old = if self.optional_old { Some(Val::Optional(old.map(Arc::new))) } else { old };
        let mut variables = vec![("self".to_owned(), Val::of(value, Some(schema)))];
        variables.extend(old.map(|old| ("oldSelf".to_owned(), old)));
        cel::Scope::new(variables).eval(expr, budget)
    }

    fn message(&self, schema: &Schema, value: &Value, old: Option<&Value>, budget: &mut Budget) -> String {
        let made = self.message_expr.as_ref().map(|expr| self.eval(expr, schema, value, old, budget));
        if let Some(Ok(Val::Text(text))) = made
            && !text.trim().is_empty()
            && !text.contains('\n')
            && text.len() <= 5 << 10
        {
            return text.trim().to_owned();
        }
        if self.message.is_empty() { format!("failed rule: {}", self.source) } else { self.message.trim().to_owned() }
    }

    fn blame(&self, at: &Path<'_>, root: &Path<'_>, schema: &Schema, value: &Value, message: String) -> FieldError {
        let mut text = if std::ptr::eq(at, root) { String::new() } else { at.to_string() };
        for name in &self.field {
            if !text.is_empty() {
                text.push('.');
            }
            text.push_str(name);
        }
        let at = if text.is_empty() { *root } else { Path::new(&text) };
        match self.reason.as_str() {
            "FieldValueForbidden" => FieldError::forbidden(&at, message),
            "FieldValueRequired" => FieldError::required(&at, message),
            "FieldValueDuplicate" => FieldError { detail: message, ..FieldError::duplicate(&at, value.clone()) },
            _ if matches!(schema.sort, Sort::Object | Sort::Array) => FieldError::invalid_unshown(&at, message),
            _ => FieldError::invalid(&at, value.clone(), message),
        }
    }
}
