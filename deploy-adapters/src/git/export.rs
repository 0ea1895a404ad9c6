//! A tree of a commit as files. First the whole of it is planned, within bounds, then it is written: what is too large or
//! cannot be written safely leaves nothing behind.
//!
//! Only files and folders are made, each under a name that is one path component and in a folder made here, and nothing
//! that exists is opened: whatever a tree says, nothing outside the folder is touched.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use git2::{ObjectType, Oid, Repository};

use super::failure::Failure;
use super::tree::{self, Node};

/// The most files and folders of one export.
const MAX_ENTRIES: usize = 100_000;
/// The deepest folder.
const MAX_DEPTH: usize = 64;

/// Writes the folder at `path` into `to`, which exists and is empty.
pub(super) fn write(
    repository: &Repository,
    commit: Oid,
    path: &str,
    limit: u64,
    to: &Path,
) -> Result<(), Failure> {
    let Node::Folder(root) = tree::find(repository, commit, path)? else {
        return Err(Failure::NotAFile("a file"));
    };
    for (path, node) in plan(repository, root, limit)? {
        let path = to.join(path);
        match node {
            Node::Folder(_) => DirBuilder::new().mode(0o755).create(path).map_err(failure)?,
            Node::File { id, executable } => {
                let bytes = tree::blob(repository, id, limit)?;
                let mode = if executable { 0o755 } else { 0o644 };
                let mut options = OpenOptions::new();
                let file = options.write(true).create_new(true).mode(mode).open(path);
                file.and_then(|mut file| file.write_all(&bytes))
                    .map_err(failure)?;
            }
        }
    }
    Ok(())
}

/// Everything to write, folders before what is in them.
fn plan(repository: &Repository, root: Oid, limit: u64) -> Result<Vec<(PathBuf, Node)>, Failure> {
    let odb = repository.odb().map_err(Failure::corrupt)?;
    let mut planned = Vec::new();
    let mut bytes = 0_u64;
    let mut folders = vec![(PathBuf::new(), root, 0)];
    while let Some((folder, id, depth)) = folders.pop() {
        if depth > MAX_DEPTH {
            return Err(Failure::answer(
                "its folders are nested too deeply to be exported",
            ));
        }
        for entry in &tree::folder(repository, &odb, id)? {
            let Ok(node) = tree::node(entry.filemode(), entry.id()) else {
                continue;
            };
            let name = entry.name_bytes();
            if !is_component(name) {
                return Err(Failure::answer("it holds a name that no file may have"));
            }
            let path = folder.join(std::ffi::OsStr::from_bytes(name));
            match node {
                Node::Folder(id) => folders.push((path.clone(), id, depth + 1)),
                Node::File { id, .. } => {
                    bytes = bytes.saturating_add(tree::size(&odb, id, ObjectType::Blob)?)
                }
            }
            planned.push((path, node));
            if bytes > limit {
                return Err(Failure::TooLarge(limit));
            }
            if planned.len() > MAX_ENTRIES {
                return Err(Failure::answer("it holds too many files to be exported"));
            }
        }
    }
    Ok(planned)
}

/// Whether a tree entry's name stays in its folder, and is not one that git would take for a repository's.
fn is_component(name: &[u8]) -> bool {
    !name.is_empty()
        && name.len() <= 255
        && name != b"."
        && name != b".."
        && !name.eq_ignore_ascii_case(b".git")
        && !name.contains(&b'/')
        && !name.contains(&0)
}

/// Two names that are one on this file system are the tree's fault; everything else is the disk's.
fn failure(error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::AlreadyExists | io::ErrorKind::InvalidFilename => Failure::answer(error),
        _ => Failure::unavailable(error),
    }
}
