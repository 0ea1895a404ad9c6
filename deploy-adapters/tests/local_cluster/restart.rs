//! Servers that stop, and servers that die: nothing goes on unseen, nothing is started twice, nothing is forgotten.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use deploy_adapters::local::{LocalCluster, LocalError};
use deploy_core::ports::{Clock, Cluster, Freshness, Inventory, Namespaces};
use deploy_core::workload::{Condition, ObjectRef, ReasonCode, Shape, Workload};
use deploy_testkit::contract::cluster::{job, until, until_ended, workload};

use crate::support::{
    Bench, Ear, Hasty, MemorySource, Standing, is_alive, is_ready, open, options, sh, within_patience,
};

/// Runs a server that dies when `life` is over: nobody is told to end, and its locks are freed by the system. (Its runtime
/// is dropped; child processes live on, as they do after a kill -9.)
async fn die_after<T, F, L>(folder: &Path, clock: Arc<dyn Clock>, life: L) -> T
where
    T: Send + 'static,
    F: Future<Output = T>,
    L: FnOnce(LocalCluster) -> F + Send + 'static,
{
    let folder = folder.to_owned();
    let server = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let cluster = open(&folder, Arc::default(), clock).await;
            life(cluster).await
        })
    });
    tokio::task::spawn_blocking(|| server.join().unwrap())
        .await
        .unwrap()
}

async fn condition(cluster: &LocalCluster, object: &ObjectRef) -> Condition {
    let seen = cluster.observe(object, Freshness::Confirmed).await.unwrap();
    seen.unwrap().condition
}

#[tokio::test]
async fn what_a_dead_server_left_running_is_ended_and_lost() {
    within_patience(async {
        let folder = tempfile::tempdir().unwrap();
        let clock = Standing::new();
        let done = job(3, "done", sh("exit 5"));
        let burnt = job(4, "burnt", sh("exit 0"));
        let [d, b] = [&done, &burnt].map(Clone::clone);
        let life = move |cluster: LocalCluster| async move {
            let mut ear = Ear::new();
            let mild = job(
                1,
                "mild",
                sh(&format!("echo $$ >{}; exec sleep 1000", ear.path())),
            );
            // Neither it nor its child wants to end.
            let script = format!(
                "trap '' TERM; sh -c 'echo $$ >{}; while :; do sleep 1000; done' & echo $$ >{}; wait",
                ear.path(),
                ear.path()
            );
            let stubborn = job(2, "stubborn", sh(&script));
            cluster.apply(&mild).await.unwrap();
            cluster.apply(&stubborn).await.unwrap();
            cluster.apply(&d).await.unwrap();
            cluster.stop(&b).await.unwrap();
            let ended = until_ended(&cluster, &d.object()).await;
            let pids = [ear.hear_pid().await, ear.hear_pid().await, ear.hear_pid().await];
            ([mild, stubborn], ended, pids)
        };
        let (running, ended_before, pids) = die_after(folder.path(), clock.clone(), life).await;
        assert!(pids.iter().all(|pid| is_alive(*pid)));

        // One grace may begin after another has passed.
        let graces = async {
            loop {
                clock.pass(Duration::from_secs(10)).await;
            }
        };
        let cluster = tokio::select! {
            cluster = open(folder.path(), Arc::default(), clock.clone()) => cluster,
            () = graces => unreachable!("there are always more"),
        };
        assert!(pids.iter().all(|pid| !is_alive(*pid)));
        for lost in &running {
            let Condition::Ended(ended) = condition(&cluster, &lost.object()).await else {
                panic!("{} goes on", lost.name);
            };
            assert_eq!(ended.failure.unwrap().code, ReasonCode::Lost);
            // Sent again by an engine that does not know, it is not started again.
            assert!(!cluster.apply(lost).await.unwrap().created);
        }
        let done_after = condition(&cluster, &done.object()).await;
        assert_eq!(done_after, Condition::Ended(ended_before));
        assert_eq!(condition(&cluster, &burnt.object()).await, Condition::Stopped);
        cluster.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn a_deployment_of_a_dead_server_starts_again_under_its_pods_name() {
    within_patience(async {
        let folder = tempfile::tempdir().unwrap();
        let life = |cluster: LocalCluster| async move {
            let wanted = workload(
                1,
                "lasts",
                sh("exec sleep 1000"),
                Shape::Deployment { replicas: 1 },
            );
            cluster.apply(&wanted).await.unwrap();
            until(&cluster, &wanted.object(), is_ready).await;
            let pods = cluster.pods_of(wanted.task).await.unwrap();
            (wanted, pods)
        };
        let (wanted, before) = die_after(folder.path(), Arc::new(Hasty), life).await;
        let cluster = open(folder.path(), Arc::default(), Arc::new(Hasty)).await;
        until(&cluster, &wanted.object(), is_ready).await;
        let pods = cluster.pods_of(wanted.task).await.unwrap();
        assert_eq!((pods.len(), &pods[0].name), (1, &before[0].name));
        assert_eq!(pods[0].restarts, before[0].restarts + 1);
        cluster.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn a_server_that_stops_ends_everything_and_takes_up_what_lasts() {
    within_patience(async {
        let bench = Bench::new(Arc::new(Hasty)).await;
        let mut ear = Ear::new();
        let script = format!("echo $$ >{}; exec sleep 1000", ear.path());
        let interrupted = job(1, "interrupted", sh(&script));
        let lasting = workload(2, "lasting", sh(&script), Shape::Deployment { replicas: 1 });
        bench.cluster.apply(&interrupted).await.unwrap();
        bench.cluster.apply(&lasting).await.unwrap();
        let pids = [ear.hear_pid().await, ear.hear_pid().await];
        bench.cluster.shutdown().await;
        assert!(pids.iter().all(|pid| !is_alive(*pid)));
        assert!(bench.cluster.apply(&job(3, "late", sh("exit 0"))).await.is_err());
        let Bench { folder, cluster, .. } = bench;
        drop(cluster);

        let cluster = open(folder.path(), Arc::default(), Arc::new(Hasty)).await;
        let Condition::Ended(ended) = condition(&cluster, &interrupted.object()).await else {
            panic!("it goes on");
        };
        assert_eq!(ended.failure.unwrap().code, ReasonCode::Lost);
        until(&cluster, &lasting.object(), is_ready).await;
        cluster.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn a_job_that_was_recorded_and_never_ran_runs_at_the_next_start() {
    within_patience(async {
        let bench = Bench::new(Arc::new(Hasty)).await;
        let wanted = job(1, "recorded", sh("echo here"));
        bench.run(&wanted).await;
        bench.cluster.shutdown().await;
        let Bench { folder, cluster, .. } = bench;
        drop(cluster);
        // As it was between the record and the process.
        edit_record(folder.path(), &wanted, |record| {
            record["ended"] = serde_json::Value::Null;
            record["pods"] = serde_json::json!([]);
        });
        let cluster = open(folder.path(), Arc::default(), Arc::new(Hasty)).await;
        let ended = until_ended(&cluster, &wanted.object()).await;
        assert_eq!(ended.failure, None);
        assert_eq!(cluster.pods_of(wanted.task).await.unwrap().len(), 1);
        cluster.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn a_process_that_only_has_a_recorded_number_is_left_alone() {
    within_patience(async {
        let bench = Bench::new(Arc::new(Hasty)).await;
        let wanted = job(1, "recycled", sh("exit 0"));
        bench.run(&wanted).await;
        bench.cluster.shutdown().await;
        let Bench { folder, cluster, .. } = bench;
        drop(cluster);
        let mut stranger = tokio::process::Command::new("sleep")
            .arg("1000")
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let pid = stranger.id().unwrap();
        edit_record(folder.path(), &wanted, |record| {
            record["pods"][0]["process"] = serde_json::json!({"pid": pid, "born": "another boot 1"});
        });
        let cluster = open(folder.path(), Arc::default(), Arc::new(Hasty)).await;
        assert!(is_alive(pid));
        stranger.kill().await.unwrap();
        cluster.shutdown().await;
    })
    .await;
}

#[tokio::test]
async fn one_server_at_a_time_uses_a_folder() {
    let bench = Bench::new(Arc::new(Hasty)).await;
    let again = |folder: &Path| {
        let source: Arc<MemorySource> = Arc::default();
        LocalCluster::open(options(folder), source, Arc::new(Hasty))
    };
    let refused = again(bench.folder.path()).await.err().unwrap();
    assert!(matches!(refused, LocalError::InUse { .. }));
    assert!(refused.to_string().contains("another server uses"));
    bench.cluster.shutdown().await;
    drop(bench.cluster);
    assert!(again(bench.folder.path()).await.is_ok());
}

#[tokio::test]
async fn a_damaged_record_refuses_the_start_and_names_itself() {
    let bench = Bench::new(Arc::new(Hasty)).await;
    let wanted = job(1, "damaged", sh("exit 0"));
    bench.run(&wanted).await;
    bench.cluster.shutdown().await;
    let Bench {
        folder,
        cluster,
        source,
    } = bench;
    drop(cluster);
    let file = record_file(folder.path(), &wanted);
    let whole = std::fs::read(&file).unwrap();
    std::fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    let refused = LocalCluster::open(options(folder.path()), source, Arc::new(Hasty)).await;
    let error = refused.err().unwrap();
    assert!(matches!(&error, LocalError::Damaged { path, .. } if *path == file.canonicalize().unwrap()));
}

#[tokio::test]
async fn namespaces_and_their_claims_outlive_a_server() {
    let bench = Bench::new(Arc::new(Hasty)).await;
    let (namespace, repository) = ("team".parse().unwrap(), "Team".parse().unwrap());
    bench.cluster.ensure(&namespace, Some(&repository)).await.unwrap();
    bench.cluster.shutdown().await;
    let Bench {
        folder,
        cluster,
        source,
    } = bench;
    drop(cluster);
    let cluster = open(folder.path(), source, Arc::new(Hasty)).await;
    let listed = cluster.list(None, 10).await.unwrap().items;
    assert_eq!(listed.len(), 1);
    assert_eq!(
        (&listed[0].name, &listed[0].repository),
        (&namespace, &Some(repository))
    );
}

fn record_file(folder: &Path, job: &Workload) -> std::path::PathBuf {
    let objects = folder.join("local/objects/job");
    objects
        .join(job.namespace.as_str())
        .join(job.name.as_str())
        .join("object.json")
}

fn edit_record(folder: &Path, job: &Workload, edit: impl FnOnce(&mut serde_json::Value)) {
    let file = record_file(folder, job);
    let mut record = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    edit(&mut record);
    std::fs::write(&file, serde_json::to_vec(&record).unwrap()).unwrap();
}
