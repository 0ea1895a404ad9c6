//! The two walks over everything. The parts follow one another on one server, as a user's day would: what one part
//! deploys, the next one lists, and the last one deletes.

use std::path::Path;
use std::sync::Arc;

use deploy_testkit::fixture::git_http::{GitHttp, Request};
use deploy_testkit::kubernetes::ApiServer;

use super::{deletes, lists, pipelines, tasks, templates, works};
use crate::api::Api;
use crate::node::Node;
use crate::scene::{Place, Scene};
use crate::server::Server;

#[test]
fn every_route_answers_on_repositories_in_a_folder() {
    let scene = Scene::set();
    walk(&scene, &scene.base_url());
}

#[test]
fn every_route_answers_on_the_stand_in_for_kubernetes() {
    let scene = Scene::set_in(Place::StandIn);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let cluster = Arc::new(runtime.block_on(ApiServer::start()).unwrap());
    cluster.configure(|settings| settings.probed_by_hand = true);
    let _node = runtime.block_on(async { Node::start(Arc::clone(&cluster)) });
    let files = tempfile::tempdir().unwrap();
    let kubeconfig = files.path().join("kubeconfig");
    std::fs::write(&kubeconfig, cluster.kubeconfig()).unwrap();
    walk_on_kubernetes(&scene, &kubeconfig);
    // What was deleted is gone with everything below it, and the jobs that ended stay for their retention.
    for plural in ["deployments", "services", "replicasets"] {
        assert_eq!(cluster.count(plural), 0, "{plural}");
    }
}

#[test]
fn every_route_answers_on_a_real_cluster() {
    let Some(kubeconfig) = std::env::var_os("DEPLOY_TEST_KUBECONFIG") else {
        eprintln!(
            "not run: DEPLOY_TEST_KUBECONFIG names the kubeconfig of a cluster, on which it makes namespaces"
        );
        return;
    };
    walk_on_kubernetes(&Scene::set_in(Place::Cluster), Path::new(&kubeconfig));
}

#[test]
fn every_route_answers_on_repositories_over_http() {
    let scene = Scene::set();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let git = runtime.block_on(GitHttp::serve(scene.git.root())).unwrap();
    walk(&scene, &git.url());
    let asked = git.requests();
    assert!(asked.iter().any(Request::asks_for_references), "{asked:?}");
    assert!(asked.iter().any(Request::asks_for_objects), "{asked:?}");
}

fn walk_on_kubernetes(scene: &Scene, kubeconfig: &Path) {
    let flags = ["--cluster", "kubernetes"];
    let env = [("KUBECONFIG", kubeconfig)];
    let server = Server::start_with(&scene.base_url(), &flags, &env);
    walk_over(scene, server);
}

fn walk(scene: &Scene, git_base_url: &str) {
    walk_over(scene, Server::start(git_base_url, &[]));
}

fn walk_over(scene: &Scene, server: Server) {
    let api = Api::new(server);
    probes(&api);
    lists::are_empty_at_first(&api);
    templates::walk(&api);
    works::walk(&api, scene);
    tasks::walk(&api, scene);
    pipelines::walk(&api, scene);
    lists::walk(&api);
    deletes::walk(&api, scene);
    assert_eq!(api.missed(), [""; 0], "rows of the table that nothing here walks");
    let log = api.server.log();
    assert!(!log.contains("ERROR"), "{log}");
    assert!(api.server.stop(), "it did not end as told:\n{log}");
}

fn probes(api: &Api) {
    for (path, status) in [("/healthz", "ok"), ("/readyz", "ready")] {
        assert_eq!(api.get(path).json(200), serde_json::json!({"status": status}));
        let head = api.request("HEAD", path).send();
        assert_eq!((head.status, head.body.as_str()), (200, ""));
    }
}
