//! Patches: the present version with what the client wants to be different.

use axum::body::Body;
use bytes::Bytes;
use serde_json::Value;
use skiff_api::{
    field_error::{FieldError, Path},
    patch::{self as rules, CONTENT_TYPES, PatchType},
    status::{Qualified, Status},
};

use super::{
    Call, apply,
    update::{self, Part, Proposal},
    write::WriteOptions,
};
use crate::http::{body, respond::Answer};

/// The options of a patch, as errors name them.
pub(super) const PATCH_OPTIONS: Qualified<'static> = Qualified::new("meta.k8s.io", "PatchOptions");

/// A patch as it came.
pub(super) struct Patch {
    kind: PatchType,
    bytes: Bytes,
    document: Value,
}

impl Patch {
    /// The options of a patch that is no apply.
    pub(super) fn options(call: &Call) -> Result<WriteOptions, Status> {
        if call.query().has("force") {
            let error = FieldError::forbidden(&Path::new("force"), "may not be specified for non-apply patch");
            return Err(Status::invalid(PATCH_OPTIONS, "", &[error]));
        }
        WriteOptions::parse(call, PATCH_OPTIONS.name)
    }

    pub(super) async fn read(call: &Call, body: Body) -> Result<Self, Status> {
        let media_type = body::media_type(&call.headers).unwrap_or_default();
        let Some(kind) = PatchType::of_content_type(&media_type) else {
            return Err(Status::unsupported_media_type(CONTENT_TYPES));
        };
        if kind == PatchType::Strategic && call.subresource() != Some("scale") && call.kind.resource.custom().is_some()
        {
            let known: Vec<&str> = CONTENT_TYPES.iter().copied().filter(|known| *known != media_type).collect();
            return Err(Status::unsupported_media_type(&known));
        }
        let bytes = body::read(&call.headers, body).await?;
        let document = serde_json::from_slice(&bytes)
            .map_err(|error| Status::bad_request(format!("error decoding patch: {error}")))?;
        Ok(Self { kind, bytes, document })
    }

    /// The object with the patch applied; `type_name` tells how its lists merge.
    pub(super) fn apply(&self, object: &Value, type_name: &str) -> Result<Value, Status> {
        let patched = match self.kind {
            PatchType::Json => rules::json(object, &self.document),
            PatchType::Merge => rules::merge(object, &self.document),
            PatchType::Strategic => rules::strategic(object, &self.document, type_name),
        };
        patched.map_err(|error| error.status())
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Answers a PATCH of the whole object.
pub(super) async fn patch(call: &Call, body: Body) -> Answer {
    patch_part(call, Part::Whole, body).await
}

/// Answers a PATCH of that part.
pub(super) async fn patch_part(call: &Call, part: Part, body: Body) -> Answer {
    if apply::is_apply(call) {
        return apply::apply(call, part, body).await;
    }
    let options = Patch::options(call)?;
    let patch = Patch::read(call, body).await?;
    let resource = &call.kind.resource;
    let propose = |old: &Value| {
        let patched = patch.apply(old, resource.type_name())?;
        let (mut object, warnings) = resource.decode_patched(&patched, patch.bytes(), options.validation)?;
        resource.default(&mut object);
        Ok(Proposal::new(object, warnings))
    };
    update::answer(call, update::change(call, part, &options, propose).await?).await
}
