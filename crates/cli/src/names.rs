//! What a command is about: `pods`, `pod web`, `pod/web svc/api`, `deploy,svc`, `all`.

use crate::{
    discovery::{Discovery, ResourceType},
    error::Error,
};

/// Objects of one type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Selection {
    pub(crate) resource: ResourceType,
    /// Empty: all.
    pub(crate) names: Vec<String>,
}

/// Reads the words after a verb.
pub(crate) fn select(discovery: &Discovery, words: &[String]) -> Result<Vec<Selection>, Error> {
    let Some(first) = words.first() else {
        return Err(Error::usage("You must specify the type of resource, such as `pods`; see `skiff api-resources`."));
    };
    if words.iter().any(|word| word.contains('/')) {
        return words.iter().map(|word| pair(discovery, word)).collect();
    }
    let names = words.get(1..).unwrap_or_default().to_vec();
    let types: Vec<&str> = first.split(',').filter(|one| !one.is_empty()).collect();
    let mut found = Vec::new();
    for name in &types {
        let category = discovery.category(name);
        if category.is_empty() {
            found.push(discovery.find(name)?);
        } else {
            found.extend(category);
        }
    }
    Ok(found.into_iter().map(|resource| Selection { resource: resource.clone(), names: names.clone() }).collect())
}

fn pair(discovery: &Discovery, word: &str) -> Result<Selection, Error> {
    let (kind, name) = word.split_once('/').ok_or_else(|| {
        Error::usage("there is no need to specify a resource type as a separate argument when passing arguments in resource/name form (e.g. 'skiff get resource/<resource_name>' instead of 'skiff get resource resource/<resource_name>'")
    })?;
    if kind.is_empty() || name.is_empty() || name.contains('/') {
        return Err(Error::usage(format!(
            "arguments in resource/name form must have a single resource and name, not {word:?}"
        )));
    }
    Ok(Selection { resource: discovery.find(kind)?.clone(), names: vec![name.to_owned()] })
}

/// The one object that a command is about.
pub(crate) fn single(discovery: &Discovery, words: &[String]) -> Result<(ResourceType, String), Error> {
    let mut all = select(discovery, words)?;
    match (all.pop(), all.is_empty()) {
        (Some(Selection { resource, mut names }), true) if names.len() == 1 => Ok((resource, names.remove(0))),
        (_, false) => Err(Error::usage("only one object can be named here")),
        _ => Err(Error::usage("resource name may not be empty")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discovery::tests::sample;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    fn selected(text: &str) -> Vec<(String, Vec<String>)> {
        let all = select(&sample(), &words(text)).unwrap();
        all.into_iter().map(|one| (one.resource.plural, one.names)).collect()
    }

    #[test]
    fn words_are_read_as_kubectl_reads_them() {
        assert_eq!(selected("po"), [("pods".to_owned(), vec![])]);
        assert_eq!(selected("po a b"), [("pods".to_owned(), words("a b"))]);
        assert_eq!(
            selected("po/a deploy/b"),
            [("pods".to_owned(), words("a")), ("deployments".to_owned(), words("b"))]
        );
        assert_eq!(selected("po,svc").len(), 2);
        assert!(select(&sample(), &words("po a/b/c")).is_err());
        assert!(single(&sample(), &words("po a b")).is_err());
        assert_eq!(single(&sample(), &words("svc/a")).unwrap().1, "a");
    }
}
