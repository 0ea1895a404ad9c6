//! That the thread that speaks to a silent server ends in time, though its caller has left before.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use deploy_adapters::git::{GitAccess, GitBase, GitConfig, GitLimits, GitRepositories};
use deploy_core::ports::{SourceError, SourceRepository};
use deploy_testkit::fixture::git_http::{Behaviour, GitHttp};

#[tokio::test]
async fn the_only_connection_is_free_again_after_a_server_that_stays_silent() {
    is_let_go(Behaviour::Silent).await;
}

#[tokio::test]
async fn the_only_connection_is_free_again_after_a_server_that_drips() {
    is_let_go(Behaviour::Drip).await;
}

async fn is_let_go(behaviour: Behaviour) {
    let folder = tempfile::tempdir().unwrap();
    let server = GitHttp::serve(folder.path()).await.unwrap();
    server.behave(behaviour);
    let config = GitConfig {
        base: GitBase::parse(&server.url(), false).unwrap(),
        access: GitAccess::default(),
        default_branch: "master".parse().unwrap(),
        cache: folder.path().join("cache"),
        limits: GitLimits {
            timeout: Duration::from_millis(300),
            connections: 1,
            ..GitLimits::default()
        },
    };
    let git = GitRepositories::new(config).unwrap();
    let mut asked = 0;
    // A later repository is asked for only once the thread of the one before has ended, though its caller left first.
    while server.requests().len() < 3 {
        let answer = git.resolve(&format!("r{asked}").parse().unwrap(), None).await;
        assert!(matches!(answer, Err(SourceError::Timeout)), "{answer:?}");
        asked += 1;
        assert!(asked < 50, "the connection is never let go");
    }
}
