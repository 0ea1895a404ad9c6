//! Makes a commit of given files in a bare repository, for examples and demonstrations. It pushes nothing and keeps no
//! working copy.

use std::path::{Component, Path};

use deploy_core::error::BoxError;
use deploy_core::names::{Branch, CommitId};
use git2::build::TreeUpdateBuilder;
use git2::{ErrorCode, FileMode, Repository, RepositoryInitOptions, Signature};

use super::settings;

/// Why nothing was published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// A path is not relative and plain.
    #[error("not a path inside a repository: {0}")]
    Path(String),
    /// git refused.
    #[error("git did not take the commit")]
    Git(#[source] BoxError),
}

impl From<git2::Error> for PublishError {
    fn from(error: git2::Error) -> Self {
        Self::Git(error.into())
    }
}

/// Puts a commit of exactly `files` (path, content, executable) on top of `branch` in the bare repository `folder`, both
/// made where they do not exist, and answers it. Where the branch holds just these files already, it is left as it is.
pub fn publish(
    folder: &Path,
    branch: &Branch,
    files: &[(&str, &[u8], bool)],
) -> Result<CommitId, PublishError> {
    settings::isolate().map_err(|e| PublishError::Git(e.into()))?;
    let reference = format!("refs/heads/{branch}");
    let repository = match Repository::open_bare(folder) {
        Ok(repository) => repository,
        Err(error) if error.code() == ErrorCode::NotFound => {
            let mut options = RepositoryInitOptions::new();
            options
                .bare(true)
                .external_template(false)
                .initial_head(branch.as_str());
            Repository::init_opts(folder, &options)?
        }
        Err(error) => return Err(error.into()),
    };
    let mut update = TreeUpdateBuilder::new();
    for (path, content, executable) in files {
        if !is_plain(path) {
            return Err(PublishError::Path((*path).to_owned()));
        }
        let mode = if *executable {
            FileMode::BlobExecutable
        } else {
            FileMode::Blob
        };
        update.upsert(*path, repository.blob(content)?, mode);
    }
    let empty = repository.treebuilder(None)?.write()?;
    let tree = update.create_updated(&repository, &repository.find_tree(empty)?)?;
    let parent = match repository.find_reference(&reference) {
        Ok(tip) => Some(tip.peel_to_commit()?),
        Err(error) if error.code() == ErrorCode::NotFound => None,
        Err(error) => return Err(error.into()),
    };
    let commit = match &parent {
        Some(tip) if tip.tree_id() == tree => tip.id(),
        _ => {
            let author = Signature::now("Deploy API", "deploy-api@localhost")?;
            let tree = repository.find_tree(tree)?;
            let parents: Vec<_> = parent.iter().collect();
            repository.commit(Some(&reference), &author, &author, "Publish", &tree, &parents)?
        }
    };
    commit
        .to_string()
        .parse()
        .map_err(|e: deploy_core::names::NameError| PublishError::Git(e.into()))
}

fn is_plain(path: &str) -> bool {
    let plain =
        |component| matches!(component, Component::Normal(name) if !name.eq_ignore_ascii_case(".git"));
    !path.is_empty() && !path.ends_with('/') && Path::new(path).components().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn publishing_replaces_the_files_and_keeps_an_unchanged_branch() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("demo.git");
        let branch = "main".parse().unwrap();
        let first = publish(&path, &branch, &[("a/f", b"1", false), ("run", b"2", true)]).unwrap();
        let same = publish(&path, &branch, &[("run", b"2", true), ("a/f", b"1", false)]).unwrap();
        assert_eq!(first, same);
        let second = publish(&path, &branch, &[("a/b/g", b"3", false)]).unwrap();
        assert_ne!(first, second);

        let repository = Repository::open_bare(&path).unwrap();
        assert_eq!(repository.head().unwrap().name(), Ok("refs/heads/main"));
        let commit = repository.head().unwrap().peel_to_commit().unwrap();
        assert_eq!(commit.id().to_string(), second.as_str());
        assert_eq!(commit.parent_id(0).unwrap().to_string(), first.as_str());
        let tree = commit.tree().unwrap();
        assert_eq!(tree.len(), 1);
        assert!(tree.get_path(Path::new("a/b/g")).is_ok());
        let before = commit.parent(0).unwrap().tree().unwrap();
        assert_eq!(before.get_name("run").unwrap().filemode(), 0o100_755);
    }

    #[test]
    fn a_path_that_leaves_the_repository_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for path in [
            "",
            "/etc/passwd",
            "../x",
            "a/../b",
            "./a",
            ".git/config",
            "a/.GIT/x",
            "a/",
        ] {
            let published = publish(folder.path(), &"main".parse().unwrap(), &[(path, b"", false)]);
            assert!(
                matches!(published, Err(PublishError::Path(_))),
                "{path}: {published:?}"
            );
        }
    }
}
