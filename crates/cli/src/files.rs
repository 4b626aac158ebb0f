//! Manifests: files, folders and standard input, JSON or YAML, several documents in one.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::{discovery::ResourceType, error::Error, session::Session};

/// A document with the place it came from.
pub(crate) type Document = Value;

/// The objects of a file, of the manifests in a folder, or of standard input (`-`). Lists are taken
/// apart.
pub(crate) fn read(path: &str) -> Result<Vec<Document>, Error> {
    if path == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text)?;
        return documents(&text, "STDIN");
    }
    if path.starts_with("http://") || path.starts_with("https://") {
        return Err(Error::usage(format!("{path}: URLs are not read; fetch it and pass the file")));
    }
    let mut all = Vec::new();
    for file in manifests(Path::new(path))? {
        let text = fs::read_to_string(&file).map_err(|source| in_file(&file, source))?;
        all.extend(documents(&text, &file.display().to_string())?);
    }
    Ok(all)
}

fn in_file(path: &Path, source: std::io::Error) -> Error {
    if source.kind() == std::io::ErrorKind::NotFound {
        return Error::usage(format!("the path \"{}\" does not exist", path.display()));
    }
    Error::File { path: path.display().to_string(), source }
}

fn manifests(path: &Path) -> Result<Vec<PathBuf>, Error> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = fs::read_dir(path).map_err(|source| in_file(path, source))?;
    let known = |path: &PathBuf| path.extension().is_some_and(|one| one == "yaml" || one == "yml" || one == "json");
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(known).collect();
    files.sort();
    Ok(files)
}

/// The documents of a text.
pub(crate) fn documents(text: &str, path: &str) -> Result<Vec<Document>, Error> {
    let wrong = |why: String| Error::Parse { path: path.to_owned(), why };
    let mut found = Vec::new();
    let trimmed = text.trim_start();
    if trimmed.starts_with('{') || trimmed.starts_with('[') {
        for document in serde_json::Deserializer::from_str(text).into_iter::<Value>() {
            found.push(document.map_err(|error| wrong(error.to_string()))?);
        }
    } else {
        let all: Vec<Value> = serde_saphyr::from_multiple(text).map_err(|error| wrong(error.to_string()))?;
        found.extend(all.into_iter().filter(|document| !document.is_null()));
    }
    let mut objects = Vec::new();
    for mut document in found {
        let is_list = document["kind"].as_str().is_some_and(|kind| kind.ends_with("List"));
        match document.get_mut("items").and_then(Value::as_array_mut).filter(|_| is_list) {
            Some(items) => objects.append(items),
            None => objects.push(document),
        }
    }
    for object in &objects {
        for field in ["apiVersion", "kind"] {
            if !object[field].is_string() {
                return Err(Error::usage(format!(
                    "error validating \"{path}\": error validating data: {field} not set"
                )));
            }
        }
    }
    Ok(objects)
}

/// Where an object belongs: its type, name and namespace. A namespace that contradicts `-n` is an error.
pub(crate) async fn identify(session: &Session, object: &Value) -> Result<(ResourceType, String, String), Error> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (version, kind) = (text(&object["apiVersion"]), text(&object["kind"]));
    let discovery = session.discovery().await?;
    let resource = discovery.of(&version, &kind).ok_or_else(|| {
        Error::usage(format!(
            "resource mapping not found for kind \"{kind}\" in version \"{version}\": ensure CRDs are installed first"
        ))
    })?;
    let own = text(&object["metadata"]["namespace"]);
    if session.names_namespace() && !own.is_empty() && resource.namespaced && own != session.namespace() {
        return Err(Error::usage(format!(
            "the namespace from the provided object \"{own}\" does not match the namespace \"{}\". \
             You must pass '--namespace={own}' to perform this operation.",
            session.namespace()
        )));
    }
    let namespace = if own.is_empty() { session.namespace().to_owned() } else { own };
    Ok((resource.clone(), text(&object["metadata"]["name"]), namespace))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_json_and_lists() {
        let text = "apiVersion: v1\nkind: Pod\n---\n# nothing\n---\napiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: A}\n- {apiVersion: v1, kind: B}\n";
        let kinds: Vec<_> = documents(text, "x").unwrap().iter().map(|one| one["kind"].clone()).collect();
        assert_eq!(kinds, ["Pod", "A", "B"]);
        assert_eq!(
            documents("{\"apiVersion\":\"v1\",\"kind\":\"A\"}{\"apiVersion\":\"v1\",\"kind\":\"B\"}", "x")
                .unwrap()
                .len(),
            2
        );
        assert!(documents("kind: A", "x").unwrap_err().to_string().contains("apiVersion not set"));
        assert!(documents("a: [", "f.yaml").unwrap_err().to_string().contains("f.yaml"));
    }
}
