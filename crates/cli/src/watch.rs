//! One object over time: as it is, then every change, until something has come about.

use std::time::Duration;

use futures::{AsyncBufReadExt as _, TryStreamExt as _};
use serde_json::Value;

use crate::{
    discovery::ResourceType,
    duration::Limit,
    error::Error,
    session::{JSON, Session, escaped},
};

/// An object that is watched.
pub(crate) struct Watched<'a> {
    pub(crate) resource: &'a ResourceType,
    pub(crate) namespace: &'a str,
    pub(crate) name: &'a str,
}

/// Whether the time ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    TimedOut,
}

impl Watched<'_> {
    /// Shows `step` the object (`None`: it is not there) now and after every change, until it says that
    /// this is it. With [`Limit::Now`], once.
    pub(crate) async fn until(
        &self,
        session: &Session,
        limit: Limit,
        mut step: impl FnMut(Option<&Value>) -> Result<bool, Error>,
    ) -> Result<Outcome, Error> {
        if limit == Limit::Now {
            let (object, _) = self.list(session).await?;
            return Ok(if step(object.as_ref())? { Outcome::Done } else { Outcome::TimedOut });
        }
        let forever = async {
            while !self.follow(session, &mut step).await? {}
            Ok(Outcome::Done)
        };
        match limit {
            Limit::After(time) => tokio::time::timeout(time, forever).await.unwrap_or(Ok(Outcome::TimedOut)),
            Limit::Now | Limit::Never => forever.await,
        }
    }

    fn path(&self, more: &str) -> String {
        let only = escaped(&format!("metadata.name={}", self.name));
        format!("{}?fieldSelector={only}{more}", self.resource.collection(Some(self.namespace)))
    }

    async fn list(&self, session: &Session) -> Result<(Option<Value>, String), Error> {
        let mut list = session.get(&self.path(""), JSON).await?;
        let version = list["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned();
        Ok((list["items"].get_mut(0).map(Value::take), version))
    }

    /// Lists and watches until the step is content (true) or the watch ends (false).
    async fn follow(
        &self,
        session: &Session,
        step: &mut impl FnMut(Option<&Value>) -> Result<bool, Error>,
    ) -> Result<bool, Error> {
        let (object, version) = self.list(session).await?;
        if step(object.as_ref())? {
            return Ok(true);
        }
        let path = self.path(&format!("&watch=true&resourceVersion={version}"));
        let mut lines = session.lines(&path, JSON).await?.lines();
        while let Some(line) = lines.try_next().await? {
            let event: Value = serde_json::from_str(&line)
                .map_err(|error| Error::Parse { path: path.clone(), why: error.to_string() })?;
            let object = &event["object"];
            let content = match event["type"].as_str() {
                Some("ADDED" | "MODIFIED") => step(Some(object))?,
                Some("DELETED") => step(None)?,
                // The history that was asked for is gone: list again.
                Some("ERROR") if object["code"] == 410 => return Ok(false),
                Some("ERROR") => return Err(Error::status(object)),
                _ => false,
            };
            if content {
                return Ok(true);
            }
        }
        // A server that ends watches at once must not be asked in a tight loop.
        tokio::time::sleep(Duration::from_millis(100)).await;
        Ok(false)
    }
}
