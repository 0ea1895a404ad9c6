//! The defaults that the API server writes into a spec, as far as clients read them back: names of fields that are
//! always there on a real server are there here.

use serde_json::{Value, json};

use super::kinds::{
    CRON_JOBS, DEPLOYMENTS, HTTP_ROUTES, JOBS, Kind, NAMESPACES, PODS, REPLICA_SETS, SERVICES,
};
use super::object::{default, map, number, set, text};
use super::store::State;

/// Fills in what is not said.
pub(super) fn fill(kind: &Kind, value: &mut Value, state: &mut State) {
    match kind.plural {
        NAMESPACES => namespace(value),
        PODS => pod(value.pointer_mut("/spec"), "Always"),
        JOBS => job(value),
        CRON_JOBS => cron_job(value),
        DEPLOYMENTS => deployment(value),
        REPLICA_SETS => {
            default(value, "/spec/replicas", json!(1));
            pod(value.pointer_mut("/spec/template/spec"), "Always");
        }
        SERVICES => service(value, state),
        HTTP_ROUTES => http_route(value),
        _ => {}
    }
    if matches!(kind.plural, JOBS | CRON_JOBS | DEPLOYMENTS) {
        default(value, "/status", json!({}));
    }
}

/// What is filled in at creation alone, because it comes from the object's uid.
pub(super) fn fill_job_selector(value: &mut Value) {
    if value.pointer("/spec/manualSelector") == Some(&json!(true)) {
        return;
    }
    let uid = text(value, "/metadata/uid").to_owned();
    let name = text(value, "/metadata/name").to_owned();
    set(
        value,
        "/spec/selector",
        json!({"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}),
    );
    let labels = map(value, "/spec/template/metadata/labels");
    for prefix in ["", "batch.kubernetes.io/"] {
        labels.insert(format!("{prefix}controller-uid"), json!(uid));
        labels.insert(format!("{prefix}job-name"), json!(name));
    }
    // One without labels takes those of its template.
    let labels = json!(labels);
    if map(value, "/metadata/labels").is_empty() {
        set(value, "/metadata/labels", labels);
    }
}

fn namespace(value: &mut Value) {
    let name = text(value, "/metadata/name").to_owned();
    map(value, "/metadata/labels").insert("kubernetes.io/metadata.name".to_owned(), json!(name));
    default(value, "/spec/finalizers", json!(["kubernetes"]));
    default(value, "/status/phase", json!("Active"));
}

fn job(value: &mut Value) {
    default(value, "/spec/parallelism", json!(1));
    default(value, "/spec/completions", json!(1));
    job_spec(value.pointer_mut("/spec"));
}

fn job_spec(spec: Option<&mut Value>) {
    let Some(spec) = spec else { return };
    default(spec, "/backoffLimit", json!(6));
    default(spec, "/completionMode", json!("NonIndexed"));
    default(spec, "/suspend", json!(false));
    default(spec, "/manualSelector", json!(false));
    default(spec, "/podReplacementPolicy", json!("TerminatingOrFailed"));
    pod(spec.pointer_mut("/template/spec"), "Always");
}

fn cron_job(value: &mut Value) {
    default(value, "/spec/concurrencyPolicy", json!("Allow"));
    default(value, "/spec/suspend", json!(false));
    default(value, "/spec/successfulJobsHistoryLimit", json!(3));
    default(value, "/spec/failedJobsHistoryLimit", json!(1));
    // Of a job template's spec the server defaults the pod alone; the rest comes when a job is made of it.
    pod(
        value.pointer_mut("/spec/jobTemplate/spec/template/spec"),
        "Always",
    );
}

fn deployment(value: &mut Value) {
    default(value, "/spec/replicas", json!(1));
    default(value, "/spec/revisionHistoryLimit", json!(10));
    default(value, "/spec/progressDeadlineSeconds", json!(600));
    default(value, "/spec/strategy/type", json!("RollingUpdate"));
    if text(value, "/spec/strategy/type") == "RollingUpdate" {
        default(value, "/spec/strategy/rollingUpdate/maxSurge", json!("25%"));
        default(value, "/spec/strategy/rollingUpdate/maxUnavailable", json!("25%"));
    }
    pod(value.pointer_mut("/spec/template/spec"), "Always");
}

fn pod(spec: Option<&mut Value>, restart: &str) {
    let Some(spec) = spec else { return };
    default(spec, "/restartPolicy", json!(restart));
    default(spec, "/dnsPolicy", json!("ClusterFirst"));
    default(spec, "/schedulerName", json!("default-scheduler"));
    default(spec, "/terminationGracePeriodSeconds", json!(30));
    default(spec, "/securityContext", json!({}));
    for kind in ["containers", "initContainers"] {
        for container in spec
            .get_mut(kind)
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            let image = text(container, "/image");
            let latest = !image.rsplit('/').next().is_some_and(|name| name.contains(':'))
                || image.ends_with(":latest");
            let policy = if latest { "Always" } else { "IfNotPresent" };
            default(container, "/imagePullPolicy", json!(policy));
            default(container, "/resources", json!({}));
            default(
                container,
                "/terminationMessagePath",
                json!("/dev/termination-log"),
            );
            default(container, "/terminationMessagePolicy", json!("File"));
            for port in container
                .get_mut("ports")
                .and_then(Value::as_array_mut)
                .into_iter()
                .flatten()
            {
                default(port, "/protocol", json!("TCP"));
            }
        }
    }
}

fn service(value: &mut Value, state: &mut State) {
    default(value, "/spec/type", json!("ClusterIP"));
    default(value, "/spec/sessionAffinity", json!("None"));
    default(value, "/spec/internalTrafficPolicy", json!("Cluster"));
    default(value, "/spec/ipFamilyPolicy", json!("SingleStack"));
    default(value, "/spec/ipFamilies", json!(["IPv4"]));
    if value.pointer("/spec/clusterIP").is_none() {
        let number = state.count();
        let address = format!("10.96.{}.{}", number / 250 % 250, number % 250 + 1);
        set(value, "/spec/clusterIP", json!(address));
    }
    let address = value.pointer("/spec/clusterIP").cloned().unwrap_or_default();
    default(value, "/spec/clusterIPs", json!([address]));
    for port in value
        .pointer_mut("/spec/ports")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        default(port, "/protocol", json!("TCP"));
        let number = number(port, "/port", 0);
        default(port, "/targetPort", json!(number));
    }
    default(value, "/status/loadBalancer", json!({}));
}

fn http_route(value: &mut Value) {
    for parent in items(value.pointer_mut("/spec/parentRefs")) {
        default(parent, "/group", json!("gateway.networking.k8s.io"));
        default(parent, "/kind", json!("Gateway"));
    }
    default(value, "/spec/rules", json!([{}]));
    for rule in items(value.pointer_mut("/spec/rules")) {
        default(rule, "/matches", json!([{}]));
        for matched in items(rule.get_mut("matches")) {
            default(matched, "/path", json!({"type": "PathPrefix", "value": "/"}));
        }
        for backend in items(rule.get_mut("backendRefs")) {
            default(backend, "/group", json!(""));
            default(backend, "/kind", json!("Service"));
            default(backend, "/weight", json!(1));
        }
    }
}

fn items(list: Option<&mut Value>) -> impl Iterator<Item = &mut Value> {
    list.and_then(Value::as_array_mut).into_iter().flatten()
}
