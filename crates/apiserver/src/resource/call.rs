//! One request about objects of one kind, with everything that its handler needs.

use std::sync::Arc;

use http::{HeaderMap, header::CONTENT_TYPE};
use hyper::upgrade::OnUpgrade;
use skiff_api::status::{Qualified, Status};
use skiff_store::{Entry, Snapshot};

use crate::{
    http::{
        accept::{Accepted, Encoding, Form, negotiate},
        info::{Info, Target},
        query::{BadOption, Query},
        respond::Style,
    },
    kind::KindRef,
    layers::Intent,
    protobuf,
    state::State,
    user::User,
};

/// One request about objects.
pub(crate) struct Call {
    pub(crate) state: Arc<State>,
    pub(crate) kind: KindRef,
    pub(crate) user: Arc<User>,
    pub(crate) headers: HeaderMap,
    pub(crate) accepted: Accepted,
    /// The client's connection, if it can become something else than HTTP.
    pub(crate) connection: Option<OnUpgrade>,
    target: Arc<Target>,
    intent: Arc<Intent>,
}

impl Call {
    /// `Err` if there is no such path.
    pub(crate) fn new(
        state: Arc<State>,
        user: Arc<User>,
        intent: Arc<Intent>,
        headers: HeaderMap,
    ) -> Result<Self, Status> {
        let mut call = Self::passed_on(state, user, intent, headers)?;
        let type_name = call.type_name().to_owned();
        // What is asked, and kept nowhere, is no object with metadata or a row.
        let question = call.is_virtual() && call.verb() == "create";
        let has = |encoding, form| match (encoding, form) {
            (_, Form::Table | Form::Metadata) if question => false,
            (_, Form::Discovery) | (Encoding::Protobuf, Form::Table) => false,
            (Encoding::Protobuf, Form::Object) => protobuf::knows(&type_name),
            _ => true,
        };
        call.accepted = negotiate(&call.headers, has).ok_or_else(not_acceptable)?;
        Ok(call)
    }

    /// The same for what somebody else answers, in whatever form the client asks them for.
    pub(crate) fn passed_on(
        state: Arc<State>,
        user: Arc<User>,
        intent: Arc<Intent>,
        headers: HeaderMap,
    ) -> Result<Self, Status> {
        let Info::Resource(target) = &intent.info else { return Err(Status::no_such_path()) };
        let target = Arc::clone(target);
        let kind =
            state.kinds.find(&target.group, &target.version, &target.resource).ok_or_else(Status::no_such_path)?;
        let call = Self { state, kind, user, headers, accepted: Accepted::default(), connection: None, target, intent };
        call.check_place()?;
        Ok(call)
    }

    /// The same request as one about that pod.
    pub(crate) fn about_pod(&self, name: String) -> Result<Self, Status> {
        let target = Target {
            resource: "pods".to_owned(),
            name: Some(name),
            subresource: Some("binding".to_owned()),
            ..(*self.target).clone()
        };
        let intent = Intent {
            info: Info::Resource(Arc::new(target)),
            query: self.query().clone(),
            verb: self.verb().to_owned(),
        };
        let (state, user, mut headers) = (Arc::clone(&self.state), Arc::clone(&self.user), self.headers.clone());
        // The body was turned into JSON already.
        headers.remove(CONTENT_TYPE);
        Self::new(state, user, Arc::new(intent), headers)
    }

    /// The same call for work that outlives the request.
    pub(crate) fn share(&self) -> Self {
        Self {
            state: Arc::clone(&self.state),
            kind: self.kind.clone(),
            user: Arc::clone(&self.user),
            headers: HeaderMap::new(),
            accepted: self.accepted,
            connection: None,
            target: Arc::clone(&self.target),
            intent: Arc::clone(&self.intent),
        }
    }

    /// A namespaced object is reached through its namespace, a cluster-scoped one is not.
    fn check_place(&self) -> Result<(), Status> {
        let target = &self.target;
        let is_namespace = self.kind.is("", "namespaces");
        match (self.kind.namespaced(), target.namespace.is_some()) {
            (true, false) if target.name.is_some() => Err(Status::no_such_path()),
            (true, false) if matches!(self.verb(), "create" | "deletecollection") && !self.is_virtual() => {
                Err(Status::method_not_allowed_here())
            }
            (false, true) if !is_namespace => Err(Status::no_such_path()),
            _ => Ok(()),
        }
    }

    fn is_virtual(&self) -> bool {
        self.kind.resource.durability() == skiff_api::resource::Durability::Virtual
    }

    pub(crate) fn verb(&self) -> &str {
        &self.intent.verb
    }

    pub(crate) fn query(&self) -> &Query {
        &self.intent.query
    }

    /// The namespace in the path; empty for the cluster, or for all namespaces.
    pub(crate) fn namespace(&self) -> &str {
        let namespace = self.target.namespace.as_deref().filter(|_| self.kind.namespaced());
        namespace.unwrap_or_default()
    }

    /// The name in the path; empty for a collection.
    pub(crate) fn name(&self) -> &str {
        self.target.name.as_deref().unwrap_or_default()
    }

    pub(crate) fn subresource(&self) -> Option<&str> {
        self.target.subresource.as_deref()
    }

    /// The resource as errors name it.
    pub(crate) fn resource(&self) -> Qualified<'_> {
        self.kind.resource.qualified()
    }

    pub(crate) fn key(&self) -> Box<[u8]> {
        self.kind.key(self.namespace(), self.name())
    }

    /// The object that the path names.
    pub(crate) fn find(&self, snapshot: &Snapshot) -> Result<Arc<Entry>, Status> {
        if let Some(wanted) = self.revision()?
            && wanted > snapshot.revision()
        {
            return Err(Status::too_large_resource_version(wanted, snapshot.revision()));
        }
        snapshot.get(&self.key()).cloned().ok_or_else(|| Status::not_found(self.resource(), self.name()))
    }

    /// The query's `resourceVersion`, for verbs that read.
    pub(crate) fn revision(&self) -> Result<Option<u64>, Status> {
        let Some(text) = self.query().get("resourceVersion") else { return Ok(None) };
        text.parse().map(Some).map_err(|_| {
            Status::bad_request(format!(
                "resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: invalid syntax"
            ))
        })
    }

    /// Whether people read the answer: they asked for it, or use curl.
    pub(crate) fn pretty(&self) -> bool {
        self.accepted.pretty || crate::http::accept::pretty(self.query(), &self.headers)
    }

    /// The schema's name of what is read and written at this path.
    pub(crate) fn type_name(&self) -> &str {
        let resource = &self.kind.resource;
        let part = self.subresource().and_then(|name| resource.part(name));
        part.map_or_else(|| resource.type_name(), |part| part.type_name)
    }

    /// How an answer of that type is to be written.
    pub(crate) fn style<'a>(&self, type_name: &'a str) -> Style<'a> {
        Style { encoding: self.accepted.encoding, pretty: self.pretty(), type_name }
    }
}

/// 406 with what there is.
pub(crate) fn not_acceptable() -> Status {
    Status::not_acceptable(&["application/json", "application/yaml", protobuf::MEDIA_TYPE])
}

/// The same for a watch.
pub(crate) fn not_streamed() -> Status {
    Status::not_acceptable(&["application/json;stream=watch", "application/vnd.kubernetes.protobuf;stream=watch"])
}

impl From<BadOption> for Status {
    fn from(bad: BadOption) -> Self {
        let BadOption { name, value, expected } = bad;
        Self::bad_request(format!("{name}: Invalid value: {value:?}: {expected}"))
    }
}
