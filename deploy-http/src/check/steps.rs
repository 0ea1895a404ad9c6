//! Whether the manifests that a pipeline's steps name are there. A repository is known by its folder's name alone: the
//! checked folder itself, a folder with a `.git` between it and the pipeline, or a folder inside the checked one.

use std::path::{Path, PathBuf};

use deploy_core::manifest::Violation;
use deploy_core::pipeline::definition::Definition;
use deploy_core::work::DocumentKind;

/// Where repositories may be.
#[derive(Debug)]
pub(super) struct Roots {
    around: Vec<PathBuf>,
    dir: PathBuf,
}

impl Roots {
    /// Those that a pipeline below `dir` can name.
    pub(super) fn of(dir: &Path, pipeline: &Path) -> Self {
        // "." has no name of its own.
        let dir = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
        let pipeline = pipeline.canonicalize().unwrap_or_else(|_| pipeline.to_owned());
        let around = pipeline
            .ancestors()
            .skip(1)
            .take_while(|folder| folder.starts_with(&dir));
        let around = around.filter(|folder| **folder == dir || folder.join(".git").exists());
        Self {
            around: around.map(Path::to_owned).collect(),
            dir,
        }
    }

    fn root(&self, repository: &str) -> Option<PathBuf> {
        let named = |folder: &&PathBuf| {
            let name = folder.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| name.strip_suffix(".git").unwrap_or(name) == repository)
        };
        let inside = self.dir.join(repository);
        self.around
            .iter()
            .find(named)
            .cloned()
            .or_else(|| inside.is_dir().then_some(inside))
    }
}

/// The steps whose manifest is not where it should be, and how many steps are of repositories that are not here.
pub(super) fn missing(definition: &Definition, roots: &Roots) -> (Vec<Violation>, usize) {
    let mut violations = Vec::new();
    let mut skipped = 0;
    for (index, step) in definition.steps.iter().enumerate() {
        let Some(root) = roots.root(step.repository.as_str()) else {
            skipped += 1;
            continue;
        };
        let file = DocumentKind::Task.file_name();
        if !root.join(step.directory.as_str()).join(file).is_file() {
            let pointer = format!("/tasks/{index}/namespacetask");
            let message = format!("there is no {file} in {} of {}", step.directory, step.repository);
            violations.push(Violation::new(pointer, message));
        }
    }
    (violations, skipped)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_repository_is_known_by_its_folder() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().join("team");
        for folder in [
            "demo.git/.git",
            "demo.git/etl/daily",
            "other/load",
            "demo.git/plain",
        ] {
            fs::create_dir_all(top.join(folder)).unwrap();
        }
        let roots = Roots::of(&top, &top.join("demo.git/etl/daily/pipeline.json"));
        let found = |name: &str| {
            roots
                .root(name)
                .map(|root| root.file_name().unwrap().to_str().unwrap().to_owned())
        };
        assert_eq!(found("team").as_deref(), Some("team"));
        assert_eq!(found("demo").as_deref(), Some("demo.git"));
        assert_eq!(found("other").as_deref(), Some("other"));
        assert_eq!(found("etl"), None);
        assert_eq!(found("absent"), None);
    }
}
