//! The files of docs/examples, built in, so that the demo needs nothing but the binary.

/// The repository the demo makes of them; their `namespacetask`s name it.
pub const REPOSITORY: &str = "examples";

macro_rules! files {
    ($($path:literal,)+) => {
        /// Path below the repository's root, and content.
        pub const FILES: &[(&str, &[u8])] =
            &[$(($path, include_bytes!(concat!("../../../docs/examples/", $path)))),+];
    };
}

files! {
    "README.md",
    "diamond/pipeline.json",
    "error_with_cleanup/pipeline.json",
    "etl/create/code/Dockerfile",
    "etl/create/code/create.sh",
    "etl/create/manifest.json",
    "etl/delete/code/Dockerfile",
    "etl/delete/code/delete.sh",
    "etl/delete/manifest.json",
    "etl/load/code/Dockerfile",
    "etl/load/code/load.py",
    "etl/load/code/orders/monday.csv",
    "etl/load/code/orders/tuesday.csv",
    "etl/load/manifest.json",
    "fibonacci/code/Dockerfile",
    "fibonacci/code/fibo.py",
    "fibonacci/manifest.json",
    "heartbeat/code/Dockerfile",
    "heartbeat/code/heartbeat.sh",
    "heartbeat/manifest.json",
    "hello/code/Dockerfile",
    "hello/code/hello.py",
    "hello/manifest.json",
    "mixed/pipeline.json",
    "smoke/code/Dockerfile",
    "smoke/code/smoke.py",
    "smoke/manifest.json",
    "step/code/Dockerfile",
    "step/code/step.py",
    "step/manifest.json",
    "worker/code/Dockerfile",
    "worker/code/worker.py",
    "worker/manifest.json",
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    #[test]
    fn every_file_of_the_examples_is_built_in() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples");
        let mut folders = vec![root.clone()];
        let mut found = BTreeSet::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path: PathBuf = entry.unwrap().path();
                if path.is_dir() {
                    // Policies are an administrator's files, and no repository's.
                    if path != root.join("policies") {
                        folders.push(path);
                    }
                } else {
                    found.insert(path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned());
                }
            }
        }
        let built_in: BTreeSet<String> = FILES.iter().map(|(path, _)| (*path).to_owned()).collect();
        assert_eq!(built_in, found);
    }
}
