//! Templates in a folder: `tasks/` and `pipelines/` below it, every `*.json` in them at any depth.
//!
//! Symbolic links are followed only where they stay inside the kind's folder, which is how Kubernetes mounts a ConfigMap;
//! one that leads out is no template. Names that are no template path are passed over. It reads and never writes.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use deploy_core::names::TemplatePath;
use deploy_core::ports::{TemplateError, TemplateStore};
use deploy_core::work::DocumentKind;

/// The largest template, bytes: what a manifest may have.
const LIMIT: u64 = 256 * 1024;
/// The most files and folders looked at for a list.
const MAX_ENTRIES: usize = 20_000;

/// [`TemplateStore`] over a folder. A folder that does not exist is an empty store. Needs a tokio runtime.
#[derive(Debug, Clone)]
pub struct FolderTemplates {
    root: PathBuf,
}

impl FolderTemplates {
    /// Templates below `root`, which is not touched before it is read.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    fn folder(&self, kind: DocumentKind) -> PathBuf {
        self.root.join(match kind {
            DocumentKind::Task => "tasks",
            DocumentKind::Pipeline => "pipelines",
        })
    }
}

#[async_trait]
impl TemplateStore for FolderTemplates {
    async fn list<'a>(
        &self,
        kind: DocumentKind,
        after: Option<&'a TemplatePath>,
        limit: usize,
    ) -> Result<Vec<TemplatePath>, TemplateError> {
        let folder = self.folder(kind);
        let mut paths = blocking(move || list(&folder).map_err(unavailable)).await?;
        paths.retain(|path| after.is_none_or(|after| path > after));
        paths.truncate(limit);
        Ok(paths)
    }

    async fn read(&self, kind: DocumentKind, path: &TemplatePath) -> Result<Vec<u8>, TemplateError> {
        let (folder, path) = (self.folder(kind), path.clone());
        blocking(move || read(&folder, &path)).await
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, TemplateError> + Send + 'static,
) -> Result<T, TemplateError> {
    let ended = tokio::task::spawn_blocking(work).await;
    ended.map_err(|e| TemplateError::Unavailable(e.into()))?
}

fn unavailable(error: io::Error) -> TemplateError {
    TemplateError::Unavailable(error.into())
}

/// A folder on the way down: its name below the root, where it really is, and where its parents really are.
struct Folder {
    name: String,
    place: PathBuf,
    above: Vec<PathBuf>,
}

/// Every template of a folder, sorted.
fn list(folder: &Path) -> io::Result<Vec<TemplatePath>> {
    let Some(root) = if_there(folder.canonicalize())? else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    let mut looked_at = 0;
    let mut folders = vec![Folder {
        name: String::new(),
        place: root.clone(),
        above: Vec::new(),
    }];
    while let Some(Folder { name, place, above }) = folders.pop() {
        let mut above = above;
        above.push(place.clone());
        for entry in fs::read_dir(&place)? {
            looked_at += 1;
            if looked_at > MAX_ENTRIES {
                return Err(io::Error::other(
                    "there are too many files below the templates' folder",
                ));
            }
            let entry = entry?;
            let Some(part) = entry.file_name().to_str().map(str::to_owned) else {
                continue;
            };
            let name = format!("{name}{part}");
            // A link that leads nowhere, or a file that was removed meanwhile.
            let Some(place) = if_there(entry.path().canonicalize())? else {
                continue;
            };
            if !place.starts_with(&root) {
                continue;
            }
            if place.is_file() {
                found.extend(name.parse::<TemplatePath>());
            } else if place.is_dir() && !part.starts_with('.') && !above.contains(&place) {
                let (name, above) = (format!("{name}/"), above.clone());
                folders.push(Folder { name, place, above });
            }
        }
    }
    found.sort();
    Ok(found)
}

fn read(folder: &Path, path: &TemplatePath) -> Result<Vec<u8>, TemplateError> {
    let root = if_there(folder.canonicalize()).map_err(unavailable)?;
    let root = root.ok_or(TemplateError::NotFound)?;
    let place = if_there(root.join(path.as_str()).canonicalize()).map_err(unavailable)?;
    let place = place.ok_or(TemplateError::NotFound)?;
    // Looked at before it is opened: opening a pipe would wait.
    if !place.starts_with(&root) || !place.is_file() {
        return Err(TemplateError::NotFound);
    }
    let file = if_there(File::open(place)).map_err(unavailable)?;
    let file = file.ok_or(TemplateError::NotFound)?;
    let mut bytes = Vec::new();
    file.take(LIMIT + 1)
        .read_to_end(&mut bytes)
        .map_err(unavailable)?;
    if bytes.len() as u64 > LIMIT {
        return Err(TemplateError::TooLarge { limit: LIMIT });
    }
    Ok(bytes)
}

/// `None` where nothing is there; other errors stay what they are.
fn if_there<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use deploy_testkit::contract::template_store::{self, Publisher};

    struct Files<'a>(&'a Path);

    impl Files<'_> {
        fn put(&self, path: &str, bytes: &[u8]) {
            let path = self.0.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }

    impl Publisher for Files<'_> {
        fn put(&self, kind: DocumentKind, path: &TemplatePath, bytes: &[u8]) {
            let folder = match kind {
                DocumentKind::Task => "tasks",
                DocumentKind::Pipeline => "pipelines",
            };
            self.put(&format!("{folder}/{path}"), bytes);
        }
    }

    async fn listed(store: &FolderTemplates) -> Vec<String> {
        let listed = store.list(DocumentKind::Task, None, 100).await.unwrap();
        listed.into_iter().map(String::from).collect()
    }

    #[tokio::test]
    async fn it_keeps_the_contract() {
        let root = tempfile::tempdir().unwrap();
        let store = FolderTemplates::new(root.path());
        template_store::check(&store, &Files(root.path())).await;
    }

    #[tokio::test]
    async fn what_is_no_template_is_passed_over() {
        let root = tempfile::tempdir().unwrap();
        let files = Files(root.path());
        for path in [
            "a.json",
            "b.yaml",
            ".hidden.json",
            ".git/c.json",
            "sp ace.json",
            "d/.json",
        ] {
            files.put(&format!("tasks/{path}"), b"{}");
        }
        fs::create_dir(root.path().join("tasks/folder.json")).unwrap();
        let store = FolderTemplates::new(root.path());
        assert_eq!(listed(&store).await, ["a.json"]);
        let folder = store
            .read(DocumentKind::Task, &"folder.json".parse().unwrap())
            .await;
        assert!(matches!(folder, Err(TemplateError::NotFound)), "{folder:?}");
        let below = store
            .read(DocumentKind::Task, &"a.json/b.json".parse().unwrap())
            .await;
        assert!(matches!(below, Err(TemplateError::NotFound)), "{below:?}");
    }

    #[tokio::test]
    async fn a_link_is_followed_inside_the_folder_and_never_out_of_it() {
        let root = tempfile::tempdir().unwrap();
        let files = Files(root.path());
        // As a ConfigMap is mounted: the names are links through a hidden folder.
        files.put("tasks/..2024/job.json", b"job");
        files.put("tasks/..2024/python/job.json", b"python");
        files.put("secret.json", b"secret");
        files.put("pipelines/other.json", b"other");
        let tasks = root.path().join("tasks");
        for (target, name) in [
            ("..2024", "..data"),
            ("..data/job.json", "job.json"),
            ("..data/python", "python"),
            ("../secret.json", "secret.json"),
            ("../pipelines", "pipelines"),
            ("../pipelines/other.json", "other.json"),
            ("/etc/passwd", "passwd.json"),
            ("nowhere", "dangling.json"),
            (".", "loop"),
        ] {
            symlink(target, tasks.join(name)).unwrap();
        }
        let store = FolderTemplates::new(root.path());
        assert_eq!(listed(&store).await, ["job.json", "python/job.json"]);
        let read = async |path: &str| store.read(DocumentKind::Task, &path.parse().unwrap()).await;
        assert_eq!(read("python/job.json").await.unwrap(), b"python");
        for outside in [
            "secret.json",
            "other.json",
            "pipelines/other.json",
            "passwd.json",
            "dangling.json",
        ] {
            let answer = read(outside).await;
            assert!(
                matches!(answer, Err(TemplateError::NotFound)),
                "{outside}: {answer:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_store_that_cannot_be_read_is_not_called_empty() {
        let root = tempfile::tempdir().unwrap();
        symlink("tasks", root.path().join("tasks")).unwrap();
        let store = FolderTemplates::new(root.path());
        let listed = store.list(DocumentKind::Task, None, 1).await;
        assert!(matches!(listed, Err(TemplateError::Unavailable(_))), "{listed:?}");
    }
}
