//! Objects: created, read, listed, changed, refused.

use serde_json::{Value, json};

use crate::client::{DEPLOYMENTS, JOBS, PODS, deployment, get, job, merge, post, put, server};

#[tokio::test]
async fn a_created_object_has_what_the_server_gives() {
    let server = server().await;
    let created = post(&server, JOBS, job("load", &["forever"])).await;
    assert_eq!(created.status, 201);
    let job = created.body;
    assert_eq!(
        (&job["kind"], &job["apiVersion"]),
        (&json!("Job"), &json!("batch/v1"))
    );
    let metadata = &job["metadata"];
    assert_eq!(metadata["generation"], 1);
    assert_eq!(metadata["namespace"], "demo");
    for field in ["uid", "resourceVersion", "creationTimestamp"] {
        assert!(!metadata[field].as_str().unwrap().is_empty(), "{field}");
    }
    assert_eq!(job["spec"]["completions"], 1);
    let labels = &job["spec"]["template"]["metadata"]["labels"];
    assert_eq!(labels["batch.kubernetes.io/job-name"], "load");
    assert_eq!(labels["batch.kubernetes.io/controller-uid"], metadata["uid"]);
    let read = get(&server, &format!("{JOBS}/load")).await.ok();
    assert_eq!(read["metadata"]["uid"], metadata["uid"]);
}

#[tokio::test]
async fn what_cannot_be_created_is_refused_with_its_reason() {
    let server = server().await;
    post(&server, JOBS, job("load", &["forever"])).await.ok();
    post(&server, JOBS, job("load", &["forever"]))
        .await
        .is_refused(409, "AlreadyExists");
    let elsewhere = "/apis/batch/v1/namespaces/nowhere/jobs";
    let missing = post(&server, elsewhere, job("load", &[])).await;
    missing.is_refused(404, "NotFound");
    assert_eq!(missing.body["message"], "namespaces \"nowhere\" not found");
    let bad_name = post(&server, JOBS, job("Load_", &[])).await;
    bad_name.is_refused(422, "Invalid");
    assert_eq!(bad_name.body["details"]["causes"][0]["field"], "metadata.name");
    let mut always = job("always", &[]);
    always["spec"]["template"]["spec"]["restartPolicy"] = json!("Always");
    post(&server, JOBS, always).await.is_refused(422, "Invalid");
    let mut unselected = deployment("web", 1, &[]);
    unselected["spec"]["selector"]["matchLabels"]["app"] = json!("other");
    post(&server, DEPLOYMENTS, unselected)
        .await
        .is_refused(422, "Invalid");
    let mut ill_typed = job("typed", &[]);
    ill_typed["spec"]["backoffLimit"] = json!("three");
    post(&server, JOBS, ill_typed).await.is_refused(400, "BadRequest");
    get(&server, &format!("{JOBS}/other"))
        .await
        .is_refused(404, "NotFound");
    get(&server, "/apis/batch/v2/namespaces/demo/jobs")
        .await
        .is_refused(404, "NotFound");
}

#[tokio::test]
async fn an_unknown_field_is_dropped_or_under_strict_validation_refused() {
    let server = server().await;
    let mut odd = job("odd", &["forever"]);
    odd["spec"]["template"]["spec"]["containers"][0]["imagee"] = json!("x");
    let strict = post(&server, &format!("{JOBS}?fieldValidation=Strict"), odd.clone()).await;
    strict.is_refused(400, "BadRequest");
    let message = strict.body["message"].as_str().unwrap();
    assert!(
        message.contains("unknown field \"spec.template.spec.containers[0].imagee\""),
        "{message}"
    );
    let created = post(&server, JOBS, odd).await.ok();
    assert_eq!(
        created["spec"]["template"]["spec"]["containers"][0].get("imagee"),
        None
    );
}

#[tokio::test]
async fn a_generation_counts_the_changes_of_a_spec_alone() {
    let server = server().await;
    let created = post(&server, DEPLOYMENTS, deployment("web", 1, &["forever"]))
        .await
        .ok();
    assert_eq!(created["metadata"]["generation"], 1);
    let path = format!("{DEPLOYMENTS}/web");
    let labelled = merge(&server, &path, json!({"metadata": {"labels": {"a": "b"}}}))
        .await
        .ok();
    assert_eq!(labelled["metadata"]["generation"], 1);
    let scaled = merge(&server, &path, json!({"spec": {"replicas": 2}})).await.ok();
    assert_eq!(scaled["metadata"]["generation"], 2);
    assert_eq!(scaled["metadata"]["labels"], json!({"a": "b"}));
}

#[tokio::test]
async fn what_cannot_change_is_refused() {
    let server = server().await;
    post(&server, JOBS, job("load", &["forever"])).await.ok();
    let image = json!({"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "b"}]}}}});
    let refused = merge(&server, &format!("{JOBS}/load"), image).await;
    refused.is_refused(422, "Invalid");
    assert_eq!(refused.body["details"]["causes"][0]["field"], "spec.template");
    post(&server, DEPLOYMENTS, deployment("web", 1, &[])).await.ok();
    let mut other = deployment("web", 1, &[]);
    for labels in ["/spec/selector/matchLabels", "/spec/template/metadata/labels"] {
        *other.pointer_mut(labels).unwrap() = json!({"app": "other"});
    }
    put(&server, &format!("{DEPLOYMENTS}/web"), other)
        .await
        .is_refused(422, "Invalid");
}

#[tokio::test]
async fn a_write_with_another_version_or_uid_is_refused() {
    let server = server().await;
    let created = post(&server, JOBS, job("load", &["forever"])).await.ok();
    let path = format!("{JOBS}/load");
    let uid = &created["metadata"]["uid"];
    let stop = |uid: &Value| json!({"metadata": {"uid": uid}, "spec": {"suspend": true}});
    // Another incarnation is no conflict to a real server: its uid is a field that cannot change.
    let other = merge(&server, &path, stop(&json!("another"))).await;
    other.is_refused(422, "Invalid");
    assert_eq!(other.body["details"]["causes"][0]["field"], "metadata.uid");
    let stopped = merge(&server, &path, stop(uid)).await.ok();
    assert_eq!(stopped["spec"]["suspend"], true);
    let stale = json!({"metadata": {"resourceVersion": created["metadata"]["resourceVersion"]}});
    merge(&server, &path, stale).await.is_refused(409, "Conflict");
    put(&server, &path, created).await.is_refused(409, "Conflict");
}

#[tokio::test]
async fn a_status_is_written_by_its_subresource_alone() {
    let server = server().await;
    server.put_namespace("demo");
    let claim = json!({"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}, "status": {"phase": "Bound"}});
    let claims = "/api/v1/namespaces/demo/persistentvolumeclaims";
    let created = post(&server, claims, claim).await.ok();
    assert_eq!(created.get("status"), None);
    let path = format!("{claims}/data");
    let change = json!({"metadata": {"labels": {"a": "b"}}, "status": {"phase": "Bound"}});
    let changed = merge(&server, &path, change.clone()).await.ok();
    assert_eq!(
        (changed.get("status"), &changed["metadata"]["labels"]),
        (None, &json!({"a": "b"}))
    );
    let by_status = merge(&server, &format!("{path}/status"), change).await.ok();
    assert_eq!(by_status["status"]["phase"], "Bound");
}

#[tokio::test]
async fn a_list_selects_and_pages_consistently() {
    let server = server().await;
    for name in ["a", "b", "c"] {
        post(&server, JOBS, job(name, &["forever"])).await.ok();
    }
    let names = |list: &Value| -> Vec<String> {
        let items = list["items"].as_array().unwrap();
        items
            .iter()
            .map(|item| item["metadata"]["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let all = get(&server, "/apis/batch/v1/jobs").await.ok();
    assert_eq!(all["kind"], "JobList");
    assert_eq!(names(&all), ["a", "b", "c"]);
    // As the items of every built-in kind.
    assert_eq!(all["items"][0].get("kind"), None);
    let chosen = get(&server, &format!("{JOBS}?labelSelector=app%20in%20(a,c)"))
        .await
        .ok();
    assert_eq!(names(&chosen), ["a", "c"]);
    let named = get(&server, &format!("{JOBS}?fieldSelector=metadata.name%3Db"))
        .await
        .ok();
    assert_eq!(names(&named), ["b"]);
    let first = get(&server, &format!("{JOBS}?limit=2")).await.ok();
    assert_eq!(
        (names(&first), &first["metadata"]["remainingItemCount"]),
        (vec!["a".to_owned(), "b".to_owned()], &json!(1))
    );
    post(&server, JOBS, job("d", &["forever"])).await.ok();
    let next = first["metadata"]["continue"].as_str().unwrap();
    let rest = get(&server, &format!("{JOBS}?limit=2&continue={next}"))
        .await
        .ok();
    assert_eq!(names(&rest), ["c"]);
    assert_eq!(
        rest["metadata"]["resourceVersion"],
        first["metadata"]["resourceVersion"]
    );
    assert_eq!(rest["metadata"].get("continue"), None);
    server.expire_lists();
    let expired = get(&server, &format!("{JOBS}?limit=2&continue={next}")).await;
    expired.is_refused(410, "Expired");
}

#[tokio::test]
async fn the_gateway_api_can_be_absent() {
    let server = server().await;
    let routes = "/apis/gateway.networking.k8s.io/v1/namespaces/demo/httproutes";
    let route = json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "web"},
        "spec": {
            "parentRefs": [{"name": "edge", "namespace": "gateways"}],
            "rules": [{"matches": [{"path": {"type": "PathPrefix", "value": "/web"}}], "backendRefs": [{"name": "web", "port": 80}]}],
        },
    });
    let created = post(&server, routes, route.clone()).await.ok();
    assert_eq!(created["spec"]["rules"][0]["backendRefs"][0]["kind"], "Service");
    assert_eq!(created["metadata"]["generation"], 1);
    let mut odd = route.clone();
    odd["metadata"]["name"] = json!("odd");
    odd["spec"]["rules"][0]["sticky"] = json!(true);
    let strict = post(&server, &format!("{routes}?fieldValidation=Strict"), odd).await;
    strict.is_refused(400, "BadRequest");
    server.configure(|settings| settings.gateway_api = false);
    post(&server, routes, route).await.is_refused(404, "NotFound");
    get(
        &server,
        "/apis/gateway.networking.k8s.io/v1/httproutes?watch=true",
    )
    .await
    .is_refused(404, "NotFound");
}

#[tokio::test]
async fn health_version_and_resources_are_told() {
    let server = server().await;
    assert_eq!(get(&server, "/readyz").await.body, "ok");
    assert_eq!(get(&server, "/version").await.ok()["minor"], "34");
    let batch = get(&server, "/apis/batch/v1").await.ok();
    assert!(
        batch["resources"]
            .as_array()
            .unwrap()
            .iter()
            .any(|resource| resource["name"] == "jobs")
    );
}

#[tokio::test]
async fn a_log_is_read_when_a_container_has_started() {
    let server = server().await;
    post(&server, JOBS, job("load", &["forever"])).await.ok();
    let pod = crate::client::within(server.running_pod("demo", "load")).await;
    assert_eq!(get(&server, &format!("{PODS}/{pod}/log")).await.body, "here\n");
    server.write_log("demo", &pod, "one\ntwo\nthree\n");
    assert_eq!(
        get(&server, &format!("{PODS}/{pod}/log?tailLines=2")).await.body,
        "two\nthree\n"
    );
    get(&server, &format!("{PODS}/{pod}/log?container=other"))
        .await
        .is_refused(400, "BadRequest");
    get(&server, &format!("{PODS}/other/log"))
        .await
        .is_refused(404, "NotFound");
}

#[tokio::test]
async fn every_call_is_in_the_log_and_can_be_counted() {
    let server = server().await;
    let mark = server.mark();
    post(&server, JOBS, job("load", &["forever"])).await.ok();
    get(&server, &format!("{JOBS}/load")).await.ok();
    get(&server, &format!("{JOBS}/other"))
        .await
        .is_refused(404, "NotFound");
    get(&server, &format!("{JOBS}?limit=1")).await.ok();
    let calls = server.calls_since(mark);
    assert_eq!(
        (calls.writes(), calls.reads(), calls.lists(), calls.watches()),
        (1, 2, 1, 0)
    );
    let codes: Vec<Option<u16>> = calls.iter().map(|call| call.status).collect();
    assert_eq!(codes, [Some(201), Some(200), Some(404), Some(200)]);
    assert_eq!(calls.on("jobs").len(), 4);
    assert_eq!(calls.iter().last().unwrap().query, "limit=1");
}

#[tokio::test]
async fn a_field_that_a_kind_is_not_selected_by_is_refused() {
    let server = server().await;
    for path in [
        "fieldSelector=spec.foo%3Db",
        "labelSelector=a%20b",
        "limit=1&continue=abc",
    ] {
        get(&server, &format!("{JOBS}?{path}"))
            .await
            .is_refused(400, "BadRequest");
    }
    get(&server, &format!("{PODS}?fieldSelector=status.phase%3DRunning"))
        .await
        .ok();
}
