//! Finds helm, lints and renders. A helm that was asked for and does not run is a failure, never a test passed over.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;

use serde_json::Value;

/// The namespace and the release that everything is rendered for.
pub(crate) const NAMESPACE: &str = "apps";
pub(crate) const RELEASE: &str = "r";

/// The binaries to try; none where nobody asked.
pub(crate) fn binaries() -> Vec<PathBuf> {
    let Some(paths) = env::var_os("DEPLOY_TEST_HELM") else {
        eprintln!(
            "not run: set DEPLOY_TEST_HELM to a helm, or to several separated by ':', as in\n  \
             DEPLOY_TEST_HELM=$(command -v helm) cargo test -p deploy-http --test chart\n\
             (https://helm.sh/docs/intro/install/; .ci/run puts a Helm 3 and a Helm 4 into target/helm)"
        );
        return Vec::new();
    };
    let found: Vec<PathBuf> = env::split_paths(&paths).collect();
    assert!(!found.is_empty(), "DEPLOY_TEST_HELM names no helm");
    found
}

/// The chart's folder.
pub(crate) fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("chart")
}

/// A file of the chart.
pub(crate) fn file(name: &str) -> String {
    fs::read_to_string(chart().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The values files that everything is rendered with.
pub(crate) fn samples() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(chart().join("ci"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() >= 4, "the samples were not found: {files:?}");
    files
}

/// One YAML document.
pub(crate) fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// What was rendered: objects, or what helm said.
type Rendering = Result<Vec<Value>, String>;

/// What `helm template` makes of a values file and more values. The same is rendered once, however many tests look at it.
pub(crate) fn render(helm: &Path, values: &Path, set: &[&str]) -> Rendering {
    static DONE: Mutex<BTreeMap<String, Rendering>> = Mutex::new(BTreeMap::new());
    let text = fs::read_to_string(values).unwrap();
    let key = format!("{} {text} {set:?}", helm.display());
    if let Some(done) = DONE.lock().unwrap().get(&key) {
        return done.clone();
    }
    let rendering = template(helm, values, set);
    DONE.lock().unwrap().insert(key, rendering.clone());
    rendering
}

fn template(helm: &Path, values: &Path, set: &[&str]) -> Rendering {
    let mut command = Command::new(helm);
    command.args(["template", RELEASE]).arg(chart());
    command.args(["--namespace", NAMESPACE, "--values"]).arg(values);
    for value in set {
        command.args(["--set", value]);
    }
    let output = run(command);
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let text = String::from_utf8(output.stdout).unwrap();
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let objects: Vec<Value> = documents.into_iter().filter(|object| !object.is_null()).collect();
    assert!(!objects.is_empty(), "nothing was rendered");
    Ok(objects)
}

/// As [`render`], for values that are good.
pub(crate) fn rendered(helm: &Path, values: &Path, set: &[&str]) -> Vec<Value> {
    render(helm, values, set).unwrap_or_else(|said| panic!("{} {set:?}: {said}", values.display()))
}

/// The objects of a kind.
pub(crate) fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| object["kind"] == kind).collect()
}

/// The server's own Deployment.
pub(crate) fn deployment(objects: &[Value]) -> &Value {
    match of_kind(objects, "Deployment").as_slice() {
        [deployment] => deployment,
        others => panic!("{} Deployments", others.len()),
    }
}

fn run(mut command: Command) -> Output {
    // A helm of whoever runs the tests may have plugins and a cluster of its own.
    command.env("HELM_NO_PLUGINS", "1").env("KUBECONFIG", "/dev/null");
    command.output().unwrap_or_else(|error| {
        panic!(
            "DEPLOY_TEST_HELM: {} does not run: {error}",
            command.get_program().display()
        )
    })
}

#[test]
fn the_chart_lints_with_every_sample() {
    for helm in binaries() {
        for values in samples() {
            let mut command = Command::new(&helm);
            command.args(["lint", "--strict"]).arg(chart());
            command.arg("--values").arg(&values);
            let output = run(command);
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "{}: {said}", values.display());
            assert!(!said.contains("[WARNING]"), "{}: {said}", values.display());
        }
    }
}

#[test]
fn the_chart_has_the_version_of_the_server() {
    let chart = yaml(&file("Chart.yaml"));
    assert_eq!(chart["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
}
