//! Patches: the present version with what the client wants to be different.

use axum::body::Body;
use bytes::Bytes;
use serde_json::Value;
use skiff_api::{
    patch::{self as rules, CONTENT_TYPES, PatchType},
    status::Status,
};

use super::{
    Call,
    update::{self, Part, Proposal},
    write::WriteOptions,
};
use crate::http::{body, respond::Answer};

/// A patch as it came.
pub(super) struct Patch {
    kind: PatchType,
    bytes: Bytes,
    document: Value,
}

impl Patch {
    pub(super) async fn read(call: &Call, body: Body) -> Result<Self, Status> {
        let media_type = body::media_type(&call.headers).unwrap_or_default();
        let Some(kind) = PatchType::of_content_type(&media_type) else {
            return Err(unsupported(&media_type));
        };
        if kind == PatchType::Strategic && call.subresource() != Some("scale") && call.kind.resource.custom().is_some()
        {
            let mut status = unsupported(&media_type);
            status.message = status.message.replace("application/strategic-merge-patch+json", "").replace(", ,", ",");
            status.message = status.message.trim_end_matches([',', ' ']).to_owned();
            return Err(status);
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

fn unsupported(media_type: &str) -> Status {
    let mut status = Status::unsupported_media_type(CONTENT_TYPES);
    if media_type.starts_with("application/apply-patch") {
        status.message = format!(
            "server-side apply is not supported by this server - accepted media types include: {}",
            CONTENT_TYPES.join(", ")
        );
    }
    status
}

/// Answers a PATCH of the whole object.
pub(super) async fn patch(call: &Call, body: Body) -> Answer {
    patch_part(call, Part::Whole, body).await
}

/// Answers a PATCH of that part.
pub(super) async fn patch_part(call: &Call, part: Part, body: Body) -> Answer {
    let options = WriteOptions::parse(call, "PatchOptions")?;
    let patch = Patch::read(call, body).await?;
    let resource = &call.kind.resource;
    let propose = |old: &Value| {
        let patched = patch.apply(old, resource.type_name())?;
        let (mut object, warnings) = resource.decode_patched(&patched, patch.bytes(), options.validation)?;
        resource.default(&mut object);
        Ok(Proposal { object, warnings })
    };
    update::answer(call, update::change(call, part, options.dry_run, propose).await?)
}
