//! The walls of the workspace, checked on its source text and on what cargo says of its manifests. Every rule is a
//! pure function that its own module shows samples which break it; here the rules meet the tree.

use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::{fs, io};

use serde_json::Value;

#[path = "architecture/manifests.rs"]
mod manifests;
#[path = "architecture/sources.rs"]
mod sources;

use manifests::CRATES;
use sources::Source;

#[test]
fn the_source_keeps_its_rules() -> Result<(), Box<dyn Error>> {
    let tree = tree()?;
    for (name, ..) in CRATES {
        let lib = format!("{name}/src/lib.rs");
        assert!(tree.iter().any(|source| source.path == lib), "{lib} was not read");
    }
    let broken: Vec<String> = sources::RULES.iter().flat_map(|rule| rule(&tree)).collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    Ok(())
}

#[test]
fn the_manifests_keep_their_rules() -> Result<(), Box<dyn Error>> {
    let metadata = metadata()?;
    assert_eq!(metadata["packages"].as_array().map(Vec::len), Some(CRATES.len()));
    let broken: Vec<String> = manifests::RULES.iter().flat_map(|rule| rule(&metadata)).collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    Ok(())
}

/// Every Rust file of the workspace's crates.
fn tree() -> io::Result<Vec<Source>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut sources = Vec::new();
    for (name, ..) in CRATES {
        walk(&root.join(name), name, &mut sources)?;
    }
    Ok(sources)
}

fn walk(folder: &Path, path: &str, sources: &mut Vec<Source>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = format!("{path}/{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            if !path.ends_with("/target") {
                walk(&entry.path(), &path, sources)?;
            }
        } else if path.ends_with(".rs") {
            let text = fs::read_to_string(entry.path())?;
            sources.push(Source { path, text });
        }
    }
    Ok(())
}

/// What the manifests declare; nothing is resolved, so nothing is fetched.
fn metadata() -> Result<Value, Box<dyn Error>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
