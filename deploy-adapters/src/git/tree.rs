//! What is at a path of a commit, by tree entries alone: no file system is involved, so no link is followed and no path
//! leaves the tree. Sizes are read from the object's header before anything is inflated.

use deploy_core::names::Directory;
use git2::{ErrorCode, ObjectType, Odb, Oid, Repository, Tree};

use super::failure::Failure;

/// The largest folder listing, bytes of its tree object: some 400,000 entries.
const MAX_TREE: u64 = 16 << 20;
const LINK: &str = "a symbolic link";
const MODULE: &str = "a submodule";

/// A regular file or a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Node {
    File { id: Oid, executable: bool },
    Folder(Oid),
}

/// `path` below `directory`; an empty path is the directory itself.
pub(super) fn below(directory: &Directory, path: &str) -> String {
    if path.is_empty() {
        directory.to_string()
    } else {
        format!("{directory}/{path}")
    }
}

/// A regular file's bytes, at most `limit` of them.
pub(super) fn read(repository: &Repository, commit: Oid, path: &str, limit: u64) -> Result<Vec<u8>, Failure> {
    match find(repository, commit, path)? {
        Node::File { id, .. } => blob(repository, id, limit),
        Node::Folder(_) => Err(Failure::NotAFile("a folder")),
    }
}

/// git's hash of a file or folder.
pub(super) fn hash(repository: &Repository, commit: Oid, path: &str) -> Result<String, Failure> {
    match find(repository, commit, path)? {
        Node::File { id, .. } | Node::Folder(id) => Ok(id.to_string()),
    }
}

/// What is at `path`.
pub(super) fn find(repository: &Repository, commit: Oid, path: &str) -> Result<Node, Failure> {
    let commit = repository.find_commit(commit).map_err(|e| match e.code() {
        ErrorCode::NotFound => Failure::CommitAbsent,
        _ => Failure::corrupt(e),
    })?;
    let odb = repository.odb().map_err(Failure::corrupt)?;
    let mut node = Node::Folder(commit.tree_id());
    for part in path.split('/') {
        let Node::Folder(id) = node else {
            return Err(Failure::NotAFile("a file in place of a folder"));
        };
        let tree = folder(repository, &odb, id)?;
        let entry = tree.get_name(part).ok_or(Failure::PathNotFound)?;
        node = self::node(entry.filemode(), entry.id())?;
    }
    Ok(node)
}

/// A tree entry as a node; links and submodules are none.
pub(super) fn node(mode: i32, id: Oid) -> Result<Node, Failure> {
    match mode & 0o170_000 {
        0o040_000 => Ok(Node::Folder(id)),
        0o100_000 => Ok(Node::File {
            id,
            executable: mode & 0o100 != 0,
        }),
        0o120_000 => Err(Failure::NotAFile(LINK)),
        0o160_000 => Err(Failure::NotAFile(MODULE)),
        _ => Err(Failure::NotAFile("something that git does not know")),
    }
}

/// A tree object of a bearable size.
pub(super) fn folder<'a>(repository: &'a Repository, odb: &Odb<'_>, id: Oid) -> Result<Tree<'a>, Failure> {
    if size(odb, id, ObjectType::Tree)? > MAX_TREE {
        return Err(Failure::TooLarge(MAX_TREE));
    }
    repository.find_tree(id).map_err(Failure::corrupt)
}

/// A blob's bytes, at most `limit` of them.
pub(super) fn blob(repository: &Repository, id: Oid, limit: u64) -> Result<Vec<u8>, Failure> {
    let odb = repository.odb().map_err(Failure::corrupt)?;
    if size(&odb, id, ObjectType::Blob)? > limit {
        return Err(Failure::TooLarge(limit));
    }
    let blob = repository.find_blob(id).map_err(Failure::corrupt)?;
    Ok(blob.content().to_vec())
}

/// An object's size, without reading it.
pub(super) fn size(odb: &Odb<'_>, id: Oid, expected: ObjectType) -> Result<u64, Failure> {
    let (size, kind) = odb.read_header(id).map_err(Failure::corrupt)?;
    if kind != expected {
        return Err(Failure::corrupt(format!("{id} is not a {}", expected.str())));
    }
    Ok(size as u64)
}
