//! `skiff image`: the images on this machine. A running server does the work; without one, the folder
//! is opened directly.

use std::{collections::HashSet, path::PathBuf};

use anyhow::Context as _;
use clap::Subcommand;
use http::Method;
use serde_json::{Value, json};
use skiff_image::{Image, Images, ImportOptions, Keyring, Reference};

use crate::{args::Places, node_client};

/// What can be done with images.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Bring in the images of an OCI layout, an OCI archive or a Docker archive
    Import {
        #[command(flatten)]
        places: Places,
        /// The archive or folder
        file: PathBuf,
        /// Name the image so, and not as the archive does
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
    },
    /// Fetch an image from its registry
    Pull {
        #[command(flatten)]
        places: Places,
        /// The image's name
        name: String,
    },
    /// List the images
    #[command(visible_alias = "list")]
    Ls {
        #[command(flatten)]
        places: Places,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove an image by name or id
    #[command(visible_alias = "remove")]
    Rm {
        #[command(flatten)]
        places: Places,
        /// The image's name or id
        name: String,
    },
}

/// Carries the command out.
pub(crate) async fn main(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Import { places, file, name } => {
            let file = std::path::absolute(&file)?;
            let body = json!({ "path": file, "name": name });
            let done = request(&places, Method::POST, "/images/import", Some(&body)).await?;
            names(&done).for_each(|name| println!("imported {name}"));
        }
        Command::Pull { places, name } => {
            let done = request(&places, Method::POST, "/images/pull", Some(&json!({ "name": name }))).await?;
            names(&done).for_each(|name| println!("pulled {name}"));
        }
        Command::Ls { places, json } => {
            let list = request(&places, Method::GET, "/images", None).await?;
            if json { println!("{list:#}") } else { print!("{}", table(&list)) }
        }
        Command::Rm { places, name } => {
            let gone = request(&places, Method::DELETE, "/images", Some(&json!({ "name": name }))).await?;
            match gone.as_array().filter(|gone| !gone.is_empty()) {
                Some(_) => println!("removed {name}"),
                None => println!("untagged {name}"),
            }
        }
    }
    Ok(())
}

async fn request(places: &Places, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
    if let Some(client) = node_client::client(places).await {
        return node_client::call(&client, method, path, body).await;
    }
    let folder = places.images();
    let images = Images::open(&folder, skiff_image::Config::default()).await;
    let images = images.with_context(|| format!("open the images in {}", folder.display()))?;
    let body = body.cloned().unwrap_or_default();
    carry_out(&images, &method, path, &body, &HashSet::new()).await
}

/// Does what a request asks; the server's socket leads here too.
pub(crate) async fn carry_out(
    images: &Images,
    method: &Method,
    path: &str,
    body: &Value,
    in_use: &HashSet<skiff_image::Digest>,
) -> anyhow::Result<Value> {
    let name = body["name"].as_str();
    match (method.as_str(), path) {
        ("POST", "/images/import") => {
            let file = body["path"].as_str().context("path: the archive's path is missing")?;
            let name = name.map(str::parse::<Reference>).transpose()?;
            let done = images.import(file, ImportOptions { name, ..ImportOptions::default() }).await?;
            Ok(done.iter().map(described).collect())
        }
        ("POST", "/images/pull") => {
            let reference: Reference = name.context("name: the image's name is missing")?.parse()?;
            Ok(json!([described(&images.pull(&reference, &Keyring::default(), None).await?)]))
        }
        ("GET", "/images") => Ok(images.list()?.iter().map(described).collect()),
        ("DELETE", "/images") => {
            let gone = images.remove(name.context("name: the image's name is missing")?, in_use).await?;
            Ok(gone.iter().map(|id| json!(id.to_string())).collect())
        }
        (method, path) => anyhow::bail!("{method} {path} is not served here"),
    }
}

fn described(image: &Image) -> Value {
    json!({
        "id": image.id.to_string(), "names": image.names, "digests": image.digests, "size": image.size,
        "storedAt": image.stored_at, "layers": image.layers.len(),
    })
}

fn names(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array()
        .into_iter()
        .flatten()
        .map(|image| image["names"][0].as_str().or(image["id"].as_str()).unwrap_or_default())
}

fn table(list: &Value) -> String {
    let mut rows = vec![["IMAGE".to_owned(), "IMAGE ID".to_owned(), "SIZE".to_owned()]];
    for image in list.as_array().into_iter().flatten() {
        let id = image["id"].as_str().unwrap_or_default();
        let short: String = id.trim_start_matches("sha256:").chars().take(12).collect();
        let size = format!("{:.1}MB", image["size"].as_u64().unwrap_or_default() as f64 / 1e6);
        let names: Vec<&str> = image["names"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let names = if names.is_empty() { vec!["<none>"] } else { names };
        rows.extend(names.into_iter().map(|name| [name.to_owned(), short.clone(), size.clone()]));
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default() + 3;
    let (first, second) = (width(0), width(1));
    rows.iter().map(|[name, id, size]| format!("{name:<first$}{id:<second$}{size}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_lists_each_name() {
        let list = json!([{"id": "sha256:0123456789abcdef", "names": ["docker.io/library/httpenv:latest"], "size": 1_250_000}]);
        let expected = "IMAGE                              IMAGE ID       SIZE\n\
                        docker.io/library/httpenv:latest   0123456789ab   1.2MB\n";
        assert_eq!(table(&list), expected);
    }
}
