//! What every [`TemplateStore`] does.

use deploy_core::names::TemplatePath;
use deploy_core::ports::{TemplateError, TemplateStore};
use deploy_core::work::DocumentKind;

/// The largest template, bytes: what a manifest may have.
pub const LIMIT: u64 = 256 * 1024;

/// Puts templates where the store under test finds them. Panics where it cannot.
pub trait Publisher {
    /// Adds a template or replaces it.
    fn put(&self, kind: DocumentKind, path: &TemplatePath, bytes: &[u8]);
}

/// Checks the whole contract on an empty store.
pub async fn check(store: &dyn TemplateStore, publisher: &dyn Publisher) {
    an_empty_store_lists_nothing(store).await;
    lists_are_sorted_and_paged(store, publisher).await;
    the_kinds_are_apart(store, publisher).await;
    a_template_is_read_as_it_is(store, publisher).await;
    a_large_template_is_refused(store, publisher).await;
}

async fn an_empty_store_lists_nothing(store: &dyn TemplateStore) {
    for kind in [DocumentKind::Task, DocumentKind::Pipeline] {
        assert_eq!(list(store, kind, None, 10).await, [""; 0]);
        let missing = store.read(kind, &path("missing.json")).await;
        assert!(matches!(missing, Err(TemplateError::NotFound)), "{missing:?}");
    }
}

async fn lists_are_sorted_and_paged(store: &dyn TemplateStore, publisher: &dyn Publisher) {
    for name in ["b.json", "python/job.json", "a.json", "python-old.json"] {
        publisher.put(DocumentKind::Task, &path(name), b"{}");
    }
    // '-' sorts before '/': the order is that of the whole path, not folder by folder.
    let all = ["a.json", "b.json", "python-old.json", "python/job.json"];
    assert_eq!(list(store, DocumentKind::Task, None, 10).await, all);
    assert_eq!(list(store, DocumentKind::Task, None, 2).await, all[..2]);
    assert_eq!(
        list(store, DocumentKind::Task, Some("b.json"), 10).await,
        all[2..]
    );
    assert_eq!(
        list(store, DocumentKind::Task, Some("bb.json"), 1).await,
        all[2..3]
    );
    assert_eq!(list(store, DocumentKind::Task, Some(all[3]), 10).await, [""; 0]);
    assert_eq!(list(store, DocumentKind::Task, None, 0).await, [""; 0]);
}

async fn the_kinds_are_apart(store: &dyn TemplateStore, publisher: &dyn Publisher) {
    publisher.put(DocumentKind::Pipeline, &path("etl.json"), b"[]");
    assert_eq!(list(store, DocumentKind::Pipeline, None, 10).await, ["etl.json"]);
    let other = store.read(DocumentKind::Task, &path("etl.json")).await;
    assert!(matches!(other, Err(TemplateError::NotFound)), "{other:?}");
}

async fn a_template_is_read_as_it_is(store: &dyn TemplateStore, publisher: &dyn Publisher) {
    // Not JSON, not even text: reading is not judging.
    let bytes = b"\xff{ \"a\": 1 }\n";
    publisher.put(DocumentKind::Task, &path("deep/er/raw.json"), bytes);
    let read = store.read(DocumentKind::Task, &path("deep/er/raw.json")).await;
    assert!(matches!(&read, Ok(read) if read == bytes), "{read:?}");
    let folder = store.read(DocumentKind::Task, &path("deep/missing.json")).await;
    assert!(matches!(folder, Err(TemplateError::NotFound)), "{folder:?}");
}

async fn a_large_template_is_refused(store: &dyn TemplateStore, publisher: &dyn Publisher) {
    let full = vec![b' '; LIMIT as usize];
    publisher.put(DocumentKind::Pipeline, &path("full.json"), &full);
    let read = store.read(DocumentKind::Pipeline, &path("full.json")).await;
    assert!(matches!(&read, Ok(read) if *read == full), "256 KiB are allowed");

    publisher.put(
        DocumentKind::Pipeline,
        &path("full.json"),
        &[&full[..], b" "].concat(),
    );
    let read = store.read(DocumentKind::Pipeline, &path("full.json")).await;
    assert!(
        matches!(read, Err(TemplateError::TooLarge { limit: LIMIT })),
        "{read:?}"
    );
}

#[allow(clippy::expect_used, reason = "the suite's own constants")]
fn path(text: &str) -> TemplatePath {
    text.parse().expect("a template path")
}

#[allow(clippy::expect_used, reason = "a suite fails by panicking")]
async fn list(
    store: &dyn TemplateStore,
    kind: DocumentKind,
    after: Option<&str>,
    limit: usize,
) -> Vec<String> {
    let after = after.map(path);
    let listed = store.list(kind, after.as_ref(), limit).await;
    let listed = listed.expect("templates are listed");
    listed.into_iter().map(String::from).collect()
}
