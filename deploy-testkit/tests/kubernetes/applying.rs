//! Server-side apply, over the wire.

use serde_json::{Value, json};

use crate::client::{DEPLOYMENTS, SERVICES, apply, deployment, get, merge, send, server};

#[tokio::test]
async fn an_apply_creates_and_then_updates_in_place() {
    let server = server().await;
    let path = format!("{DEPLOYMENTS}/web");
    let created = apply(&server, &path, deployment("web", 1, &["forever"])).await;
    assert_eq!(created.status, 201);
    let uid = created.body["metadata"]["uid"].clone();
    let mut next = deployment("web", 3, &["forever"]);
    next["metadata"]["uid"] = uid.clone();
    let updated = apply(&server, &path, next).await;
    assert_eq!(updated.status, 200);
    assert_eq!(
        (
            &updated.body["metadata"]["uid"],
            &updated.body["spec"]["replicas"]
        ),
        (&uid, &json!(3))
    );
    assert_eq!(updated.body["metadata"]["generation"], 2);
    let again = apply(&server, &path, deployment("web", 3, &["forever"]))
        .await
        .ok();
    assert_eq!(again["metadata"]["generation"], 2);
}

#[tokio::test]
async fn an_apply_for_another_incarnation_is_refused() {
    let server = server().await;
    let path = format!("{DEPLOYMENTS}/web");
    let mut config = deployment("web", 1, &["forever"]);
    config["metadata"]["uid"] = json!("11111111-1111-4111-8111-111111111111");
    apply(&server, &path, config.clone())
        .await
        .is_refused(409, "Conflict");
    get(&server, &path).await.is_refused(404, "NotFound");
    apply(&server, &path, deployment("web", 1, &["forever"]))
        .await
        .ok();
    let other = apply(&server, &path, config).await;
    other.is_refused(422, "Invalid");
    assert_eq!(other.body["details"]["causes"][0]["field"], "metadata.uid");
}

#[tokio::test]
async fn a_dropped_label_goes_and_one_by_hand_stays() {
    let server = server().await;
    let path = format!("{SERVICES}/web");
    let service = |labels: Value| {
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "web", "labels": labels},
            "spec": {"selector": {"app": "web"}, "ports": [
                {"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"},
                {"name": "own", "port": 8080, "targetPort": 8080, "protocol": "TCP"},
            ]},
        })
    };
    let created = apply(&server, &path, service(json!({"a": "1", "b": "2"})))
        .await
        .ok();
    let address = created["spec"]["clusterIP"].clone();
    assert!(address.is_string());
    merge(&server, &path, json!({"metadata": {"labels": {"hand": "3"}}}))
        .await
        .ok();
    let mut next = service(json!({"a": "1"}));
    next["spec"]["ports"].as_array_mut().unwrap().pop();
    let applied = apply(&server, &path, next).await.ok();
    assert_eq!(applied["metadata"]["labels"], json!({"a": "1", "hand": "3"}));
    assert_eq!(applied["spec"]["clusterIP"], address);
    assert_eq!(applied["spec"]["ports"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_unchanged_apply_is_no_new_version() {
    let server = server().await;
    let namespace =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team", "labels": {"a": "1"}}});
    let first = apply(&server, "/api/v1/namespaces/team", namespace.clone())
        .await
        .ok();
    let again = apply(&server, "/api/v1/namespaces/team", namespace).await.ok();
    assert_eq!(again, first);
}

#[tokio::test]
async fn an_apply_that_is_ill_formed_is_refused() {
    let server = server().await;
    let path = format!("{DEPLOYMENTS}/web");
    let kind = "application/apply-patch+yaml";
    let unmanaged = send(&server, "PATCH", &path, kind, deployment("web", 1, &[]))
        .await
        .unwrap();
    unmanaged.is_refused(422, "Invalid");
    let other = apply(&server, &path, deployment("other", 1, &[])).await;
    other.is_refused(400, "BadRequest");
    let strategic = send(&server, "PATCH", &path, "application/json-patch+json", json!({}))
        .await
        .unwrap();
    strategic.is_refused(415, "UnsupportedMediaType");
    let mut odd = deployment("web", 1, &[]);
    odd["spec"]["foo"] = json!(1);
    let unknown = apply(&server, &path, odd).await;
    assert_eq!((unknown.status, unknown.body.get("reason")), (500, None));
    let message = unknown.body["message"].as_str().unwrap();
    assert!(
        message.ends_with(".spec.foo: field not declared in schema"),
        "{message}"
    );
    apply(&server, &path, crate::client::job("web", &[]))
        .await
        .is_refused(400, "BadRequest");
    apply(&server, &path, deployment("web", 1, &["forever"]))
        .await
        .ok();
    let theirs = format!("{path}?fieldManager=other");
    let contested = send(
        &server,
        "PATCH",
        &theirs,
        kind,
        deployment("web", 2, &["forever"]),
    )
    .await
    .unwrap();
    contested.is_refused(409, "Conflict");
    assert_eq!(
        contested.body["details"]["causes"][0],
        json!({
            "reason": "FieldManagerConflict",
            "message": "conflict with \"deploy-api\"",
            "field": ".spec.replicas",
        })
    );
}
