//! That what is rendered can be applied, as helm does: strictly, so that an unknown field is an error and not a loss. To the
//! stand-in, of which some kinds of the chart are none; `objects` holds those against their types.

use std::io::Write;
use std::process::{Command, Stdio};

use deploy_testkit::kubernetes::ApiServer;
use serde_json::{Value, json};

use super::helm::{NAMESPACE, binaries, rendered, samples};

/// Where an object of a kind that the stand-in has is applied to.
fn path(object: &Value) -> Option<String> {
    let plural = match object["kind"].as_str()? {
        "Deployment" => "deployments",
        "HTTPRoute" => "httproutes",
        "Namespace" => {
            return Some(format!(
                "/api/v1/namespaces/{}",
                object["metadata"]["name"].as_str()?
            ));
        }
        "Service" => "services",
        _ => return None,
    };
    let version = object["apiVersion"].as_str()?;
    let api = if version.contains('/') { "apis" } else { "api" };
    let name = object["metadata"]["name"].as_str()?;
    Some(format!("/{api}/{version}/namespaces/{NAMESPACE}/{plural}/{name}"))
}

/// Applies it by curl; the status, and what was said.
fn apply(server: &ApiServer, object: &Value) -> (String, String) {
    let url = format!(
        "{}{}?fieldManager=helm&fieldValidation=Strict",
        server.url(),
        path(object).unwrap()
    );
    let mut curl = Command::new("curl")
        .args(["-q", "-sS", "--noproxy", "*", "--max-time", "60", "-X", "PATCH"])
        .args(["-H", "Content-Type: application/apply-patch+yaml"])
        .args(["--data-binary", "@-", "--write-out", "\n%{http_code}"])
        .arg(url)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = curl.stdin.take().unwrap();
    input.write_all(object.to_string().as_bytes()).unwrap();
    drop(input);
    let output = String::from_utf8(curl.wait_with_output().unwrap().stdout).unwrap();
    let (said, status) = output.rsplit_once('\n').unwrap();
    (status.to_owned(), said.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_rendered_is_applied_and_applied_again() {
    for helm in binaries() {
        for values in samples() {
            let server = ApiServer::start().await.unwrap();
            let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
            let mut objects = rendered(&helm, &values, &[]);
            objects.retain(|object| path(object).is_some());
            assert!(objects.len() >= 2, "{}", values.display());
            objects.insert(0, namespace);
            for expected in ["201", "200"] {
                for object in &objects {
                    let (status, said) = tokio::task::block_in_place(|| apply(&server, object));
                    assert_eq!(status, expected, "{}: {said}", object["kind"]);
                }
            }
        }
    }
}
