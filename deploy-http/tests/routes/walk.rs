//! The two walks over everything. The parts follow one another on one server, as a user's day would: what one part
//! deploys, the next one lists, and the last one deletes.

use deploy_testkit::fixture::git_http::{GitHttp, Request};

use super::{deletes, lists, pipelines, tasks, templates, works};
use crate::api::Api;
use crate::scene::Scene;
use crate::server::Server;

#[test]
fn every_route_answers_on_repositories_in_a_folder() {
    let scene = Scene::set();
    walk(&scene, &scene.base_url());
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

fn walk(scene: &Scene, git_base_url: &str) {
    let api = Api::new(Server::start(git_base_url, &[]));
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
