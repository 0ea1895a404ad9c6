//! docs/examples as a whole: that its pipelines find their tasks, that every task brings what it needs on a cluster, and
//! that its README names them all. Whether the documents are valid is `deploy-http check`'s to say.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// The name under which the demo serves the folder.
const REPOSITORY: &str = "examples/";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples")
}

/// The folders, relative to the root, that hold a file of this name.
fn folders_with(file: &str, below: &str) -> Result<BTreeSet<String>, Box<dyn Error>> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(root().join(below))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() {
            let deeper = if below.is_empty() {
                name
            } else {
                format!("{below}/{name}")
            };
            found.extend(folders_with(file, &deeper)?);
        } else if name == file {
            found.insert(below.to_owned());
        }
    }
    Ok(found)
}

fn document(folder: &str, file: &str) -> Result<Value, Box<dyn Error>> {
    let bytes = fs::read(root().join(folder).join(file))?;
    Ok(serde_json::from_slice(&bytes)?)
}

#[test]
fn every_step_of_an_example_pipeline_is_an_example_task() -> Result<(), Box<dyn Error>> {
    let tasks = folders_with("manifest.json", "")?;
    let pipelines = folders_with("pipeline.json", "")?;
    assert!(!pipelines.is_empty());
    for folder in pipelines {
        let pipeline = document(&folder, "pipeline.json")?;
        let steps = pipeline["tasks"].as_array().ok_or("no tasks")?;
        for step in steps {
            let task = step["namespacetask"]
                .as_str()
                .and_then(|text| text.strip_prefix(REPOSITORY));
            assert!(task.is_some_and(|task| tasks.contains(task)), "{folder}: {step}");
        }
    }
    Ok(())
}

#[test]
fn every_example_task_can_be_built_and_runs_without_root() -> Result<(), Box<dyn Error>> {
    for folder in folders_with("manifest.json", "")? {
        let dockerfile = fs::read_to_string(root().join(&folder).join("code/Dockerfile"))?;
        let user = dockerfile
            .lines()
            .find_map(|line| line.strip_prefix("USER "))
            .and_then(|user| user.split(':').next())
            .and_then(|user| user.parse::<u32>().ok());
        assert!(user.is_some_and(|user| user > 0), "{folder}: {user:?}");
    }
    Ok(())
}

#[test]
fn every_file_that_an_example_command_names_is_in_its_code() -> Result<(), Box<dyn Error>> {
    for folder in folders_with("manifest.json", "")? {
        let manifest = document(&folder, "manifest.json")?;
        let command = manifest["cmd"].as_array().ok_or("no cmd")?;
        let files: Vec<&str> = command
            .iter()
            .filter_map(|part| part.as_str()?.strip_prefix("/code/"))
            .collect();
        assert!(!files.is_empty(), "{folder} runs nothing of its own");
        for file in files {
            assert!(
                root().join(&folder).join("code").join(file).exists(),
                "{folder}: {file}"
            );
        }
    }
    Ok(())
}

#[test]
fn the_readme_names_every_example() -> Result<(), Box<dyn Error>> {
    let readme = fs::read_to_string(root().join("README.md"))?;
    let mut folders = folders_with("manifest.json", "")?;
    folders.extend(folders_with("pipeline.json", "")?);
    for folder in folders {
        assert!(readme.contains(&format!("| `{folder}` |")), "{folder}");
    }
    Ok(())
}
