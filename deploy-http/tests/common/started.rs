//! A server that nothing was asked of yet, for tests of what it refuses.

use serde_json::Value;

use super::api::Api;
use super::scene::Scene;
use super::server::Server;

/// A server with those flags on a scene of its own.
pub fn start(flags: &[&str]) -> Started {
    let scene = Scene::set();
    let api = Api::new(Server::start(&scene.base_url(), flags));
    Started { api, _scene: scene }
}

/// A server and the repositories it reads, which go when it goes.
pub struct Started {
    api: Api,
    _scene: Scene,
}

impl std::ops::Deref for Started {
    type Target = Api;

    fn deref(&self) -> &Api {
        &self.api
    }
}

/// Asserts that no task, run or namespace is there.
#[track_caller]
pub fn nothing_has_begun(api: &Api) {
    for list in [
        "/v1/list/tasks",
        "/v1/list/pods",
        "/v1/list/pipelines",
        "/v1/list/namespaces",
    ] {
        let list = api.get(list).json(200);
        let empty = |value: &Value| value.as_array().is_none_or(Vec::is_empty);
        assert!(list.as_object().unwrap().values().all(empty), "{list:#}");
    }
}
