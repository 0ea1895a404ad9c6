//! What every kind becomes, to the letter, and what stays the same when something else changes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod properties;

use deploy_core::manifest::{
    ConcurrencyPolicy, EnvValue, EnvVar, Labels, Published, PullPolicy, Quantity, Resources,
};
use deploy_core::workload::{Shape, SlotKind, Uid, Workload};
use deploy_testkit::builders::{WorkloadBuilder, pipeline_id, task_id, workload};
use insta::assert_json_snapshot;
use serde_json::{Value, json};

use super::{Top, Translator};
use crate::kubernetes::marks::{self, Marks};
use crate::kubernetes::rules::{Gateway, Rules};

fn parsed<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

fn translator(rules: Rules) -> Translator {
    Translator::new(Marks::new(parsed("default")), rules)
}

fn rules() -> Rules {
    Rules {
        image_pull_secret: Some(parsed("registry")),
        require_non_root: false,
        gateway: Some(Gateway {
            namespace: parsed("infra"),
            name: parsed("public"),
            own_prefix: "/apps/deploy-api".to_owned(),
            auth: Some("sso".to_owned()),
        }),
    }
}

fn top(translator: &Translator, workload: &Workload) -> Value {
    match translator.top(workload, false) {
        Top::Job(job) => serde_json::to_value(job),
        Top::CronJob(cron_job) => serde_json::to_value(cron_job),
        Top::Deployment(deployment) => serde_json::to_value(deployment),
    }
    .unwrap()
}

fn owner() -> Uid {
    Uid("d0000000-0000-4000-8000-000000000001".to_owned())
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    let pairs: std::collections::BTreeMap<_, _> = pairs.iter().copied().collect();
    serde_json::from_value(json!(pairs)).unwrap()
}

/// A workload that says everything a container can have.
fn full(builder: WorkloadBuilder) -> Workload {
    let quantity = |text: &str| Some(text.parse::<Quantity>().unwrap());
    let mut workload = builder
        .name("fibonacci")
        .namespace("etl")
        .run(pipeline_id(7))
        .command(&["python", "/code/fibo.py", "10"])
        .env("FIRST_NAME", "Ada")
        .build();
    workload.labels = labels(&[("app", "fibonacci"), ("example.com/team", "blue")]);
    workload.container.pull_policy = Some(PullPolicy::Always);
    workload.container.env.push(EnvVar {
        name: "PASSWORD".to_owned(),
        value: EnvValue::Secret {
            name: "database".to_owned(),
            key: "password".to_owned(),
        },
    });
    workload.container.resources = Resources {
        cpu_request: quantity("0.15"),
        cpu_limit: quantity("0.20"),
        memory_request: quantity("150Mi"),
        memory_limit: quantity("200Mi"),
    };
    workload
}

fn full_service() -> Workload {
    full(workload().shape(Shape::Service {
        replicas: 3,
        port: 5000,
        published: Some(Published {
            access: Some("data-team".to_owned()),
            prefix: "/helloworld/".to_owned(),
            rewrite: "/".to_owned(),
            timeout_ms: 6000,
            sticky_sessions: true,
            bypass_auth: false,
        }),
    }))
}

fn every_shape() -> Vec<Workload> {
    vec![
        full(workload().shape(Shape::Job {
            retries: 2,
            timeout_seconds: Some(90),
        })),
        full(workload().shape(Shape::CronJob {
            schedule: parsed("*/5 * * * *"),
            timezone: parsed("Europe/Paris"),
            concurrency: ConcurrencyPolicy::Replace,
            retries: 1,
            timeout_seconds: Some(60),
        })),
        full(workload().shape(Shape::Deployment { replicas: 2 })),
        full_service(),
    ]
}

#[test]
fn a_job_to_the_letter() {
    let full = every_shape().remove(0);
    assert_json_snapshot!("job", translator(rules()).job(&full, false, true));
    assert_json_snapshot!(
        "job_least",
        top(&translator(Rules::default()), &workload().build())
    );
}

#[test]
fn a_cron_job_to_the_letter() {
    let full = every_shape().remove(1);
    assert_json_snapshot!("cron_job", top(&translator(rules()), &full));
}

#[test]
fn a_deployment_to_the_letter() {
    let full = every_shape().remove(2);
    assert_json_snapshot!("deployment", top(&translator(rules()), &full));
}

#[test]
fn a_service_to_the_letter() {
    let (translator, full) = (translator(rules()), full_service());
    assert_json_snapshot!("service_deployment", top(&translator, &full));
    assert_json_snapshot!("service", translator.service(&full, &owner()));
    assert_json_snapshot!("service_route", translator.route(&full, &owner()));
}

#[test]
fn a_suspended_job_differs_from_one_that_runs_in_that_alone() {
    let translator = translator(rules());
    let job = |suspended| translator.job(&workload().build(), suspended, false);
    let (running, mut suspended) = (job(false), job(true));
    let spec = suspended.spec.as_mut().unwrap();
    assert_eq!(spec.suspend.take(), Some(true));
    assert_eq!(suspended, running);
}

#[test]
fn non_root_is_asked_for_by_the_installation_or_the_namespace_alone() {
    let strict = Rules {
        require_non_root: true,
        ..Rules::default()
    };
    let table = [
        (Rules::default(), false, Value::Null),
        (Rules::default(), true, json!(true)),
        (strict.clone(), false, json!(true)),
        (strict, true, json!(true)),
    ];
    for (rules, namespace_insists, wanted) in table {
        let job = translator(rules).job(&workload().build(), false, namespace_insists);
        let job = serde_json::to_value(job).unwrap();
        assert_eq!(
            job["spec"]["template"]["spec"]["securityContext"]["runAsNonRoot"],
            wanted
        );
    }
}

#[test]
fn a_redeploy_by_somebody_else_leaves_the_pods_as_they_are() {
    let translator = translator(rules());
    for before in every_shape() {
        let mut after = before.clone();
        after.task = task_id(99);
        after.identity = parsed("grace@example.com");
        after.run = None;
        let (before, after) = (top(&translator, &before), top(&translator, &after));
        assert_ne!(before["metadata"], after["metadata"]);
        assert_eq!(before["spec"], after["spec"]);
    }
}

#[test]
fn a_selector_is_made_of_our_labels_alone() {
    let (translator, workload) = (translator(rules()), full_service());
    let ours = marks::pods_of(SlotKind::Deployment, &workload.name);
    let deployment = top(&translator, &workload);
    assert_eq!(deployment["spec"]["selector"], json!({ "matchLabels": ours }));
    let service = translator.service(&workload, &owner()).unwrap();
    assert_eq!(service.spec.unwrap().selector, Some(ours.clone()));
    let pod = &deployment["spec"]["template"]["metadata"]["labels"];
    for (key, value) in ours {
        assert_eq!(pod[&key], json!(value));
    }
}

#[test]
fn a_port_of_80_is_served_once() {
    let workload = workload()
        .shape(Shape::Service {
            replicas: 1,
            port: 80,
            published: None,
        })
        .build();
    let service = translator(rules()).service(&workload, &owner()).unwrap();
    let ports: Vec<_> = service.spec.unwrap().ports.unwrap();
    assert_eq!(ports.len(), 1);
    assert_eq!(ports[0].port, 80);
}

#[test]
fn only_a_published_service_has_a_route_and_only_where_there_is_a_gateway() {
    let published = full_service();
    assert!(translator(rules()).route(&published, &owner()).is_some());
    assert_eq!(translator(Rules::default()).route(&published, &owner()), None);
    let plain = workload().service().build();
    assert_eq!(translator(rules()).route(&plain, &owner()), None);
    for other in every_shape().into_iter().take(3) {
        assert_eq!(translator(rules()).route(&other, &owner()), None);
        assert_eq!(translator(rules()).service(&other, &owner()), None);
    }
}

#[test]
fn a_route_that_keeps_its_prefix_rewrites_nothing() {
    let mut workload = full_service();
    if let Shape::Service {
        published: Some(published),
        ..
    } = &mut workload.shape
    {
        published.rewrite = "/helloworld".to_owned();
    }
    let route = translator(rules()).route(&workload, &owner()).unwrap();
    let route = serde_json::to_value(route).unwrap();
    assert_eq!(route["spec"]["rules"][0].get("filters"), None);
    assert_eq!(
        route["spec"]["rules"][0]["matches"][0]["path"]["value"],
        "/helloworld"
    );
}

#[test]
fn what_is_sent_is_read_back_equal() {
    let translator = translator(rules());
    let route = translator.route(&full_service(), &owner()).unwrap();
    let read: super::HttpRoute = serde_json::from_str(&serde_json::to_string(&route).unwrap()).unwrap();
    assert_eq!(read, route);
    for workload in every_shape() {
        match translator.top(&workload, true) {
            Top::Job(job) => assert_eq!(reread(&job), job),
            Top::CronJob(cron_job) => assert_eq!(reread(&cron_job), cron_job),
            Top::Deployment(deployment) => assert_eq!(reread(&deployment), deployment),
        }
    }
}

fn reread<T: serde::Serialize + serde::de::DeserializeOwned>(object: &T) -> T {
    serde_json::from_str(&serde_json::to_string(object).unwrap()).unwrap()
}
