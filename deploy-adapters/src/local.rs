//! The embedded cluster for a laptop: tasks are child processes of this server, and everything about them is below one
//! folder. It says what it does not do: it runs no images, isolates nothing, keeps no secrets, publishes nothing, and a
//! process that leaves its process group is out of its reach.
//!
//! What ran when a server died is ended by the next one before anything else: a job is then `lost`, a deployment, a
//! service and a cron job start again.

mod cluster;
mod code;
mod cronjob;
mod deployment;
mod group;
mod inventory;
mod job;
mod keyed;
mod logs;
mod namespaces;
mod node;
mod object;
mod paths;
mod pod;
mod process;
mod record;
mod replica;
mod review;
mod store;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use deploy_core::error::BoxError;
use deploy_core::ports::{Clock, SourceRepository};
use futures::future::join_all;

use code::CodeCache;
use namespaces::NamespaceFile;
use node::{Node, Parts};
use record::Record;
use store::{FolderLock, Store};

/// How a local cluster is set up.
#[derive(Debug, Clone)]
pub struct LocalOptions {
    /// The folder of everything; made if it is not there. One server at a time may use it.
    pub data: PathBuf,
    /// Where commands are looked for: the PATH of every process.
    pub search_path: String,
    /// The LANG of every process.
    pub language: Option<String>,
    /// Between asking a process to end and killing it.
    pub grace: Duration,
}

impl LocalOptions {
    /// Options with the defaults: a grace of 10 s, no LANG, and the search path that POSIX systems begin with.
    #[must_use]
    pub fn new(data: impl Into<PathBuf>) -> Self {
        Self {
            data: data.into(),
            search_path: "/usr/local/bin:/usr/bin:/bin".to_owned(),
            language: None,
            grace: Duration::from_secs(10),
        }
    }
}

/// Why there is no local cluster.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// Another server uses the folder.
    #[error("another server uses {}: stop it, or give this one another --data-dir", path.display())]
    InUse {
        /// The lock.
        path: PathBuf,
    },
    /// A file or folder cannot be used.
    #[error("{} cannot be used", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// What lies below.
        #[source]
        source: io::Error,
    },
    /// A stored file does not read as what it should be.
    #[error("{} is damaged: mend it, or remove it to forget what it describes", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What lies below.
        #[source]
        source: BoxError,
    },
    /// Processes that an earlier server left cannot be found or ended.
    #[error("processes that an earlier server left cannot be ended")]
    Leftovers(#[source] io::Error),
}

/// A cluster of child processes. Cheap to clone; all clones are one cluster. It goes on until
/// [`LocalCluster::shutdown`]: dropping it ends nothing.
#[derive(Clone)]
pub struct LocalCluster {
    node: Arc<Node>,
}

impl LocalCluster {
    /// Opens the cluster on its folder: ends what an earlier server left running, and starts again what has to run.
    ///
    /// # Errors
    /// Another server uses the folder, or it cannot be read; nothing has been started then.
    pub async fn open(
        options: LocalOptions,
        source: Arc<dyn SourceRepository>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, LocalError> {
        let LocalOptions {
            data,
            search_path,
            language,
            grace,
        } = options;
        let opened = tokio::task::spawn_blocking(move || open_folder(data));
        let opened = opened
            .await
            .map_err(|error| LocalError::Leftovers(io::Error::other(error)))??;
        end_leftovers(&opened.records, &*clock, grace).await?;
        let node = Arc::new(Node::new(Parts {
            store: opened.store,
            code: opened.code,
            namespaces: opened.namespaces,
            lock: opened.lock,
            search: search_path,
            source,
            clock,
            language,
            grace,
        }));
        for record in opened.records {
            let path = node.store.folder(&record.workload.slot());
            node::revive(&node, record)
                .await
                .map_err(|source| LocalError::Folder { path, source })?;
        }
        Ok(Self { node })
    }

    /// Stops the cluster: every process is asked to end, and killed after the grace. Jobs that ran are `lost`; the rest
    /// starts again when the folder is opened next. The folder is free when the last clone is dropped. Nothing is
    /// applied, stopped or deleted any more.
    pub async fn shutdown(&self) {
        self.node.closing.cancel();
        // A change under way may bring one more object; it is let in first.
        loop {
            for object in self.node.all() {
                object.halt.cancel();
            }
            self.node.tasks.close();
            tokio::select! {
                () = self.node.tasks.wait() => return,
                () = tokio::time::sleep(Duration::from_millis(50)) => {}
            }
        }
    }
}

struct Opened {
    store: Store,
    code: CodeCache,
    namespaces: NamespaceFile,
    records: Vec<Record>,
    lock: FolderLock,
}

fn open_folder(data: PathBuf) -> Result<Opened, LocalError> {
    let unusable = |path: &PathBuf| {
        let path = path.clone();
        move |source| LocalError::Folder { path, source }
    };
    store::create_private(&data).map_err(unusable(&data))?;
    // Processes run elsewhere, so every path has to be whole.
    let data = data.canonicalize().map_err(unusable(&data))?;
    let root = data.join("local");
    store::create_private(&root).map_err(unusable(&root))?;
    let lock = FolderLock::take(root.join("lock"))?;
    let objects = root.join("objects");
    let store = Store::open(objects.clone()).map_err(unusable(&objects))?;
    let exports = root.join("code");
    Ok(Opened {
        code: CodeCache::open(exports.clone()).map_err(unusable(&exports))?,
        namespaces: NamespaceFile::open(root.join("namespaces.json"))?,
        records: store.load()?,
        store,
        lock,
    })
}

/// Side by side: one that takes its grace must not hold up the others.
async fn end_leftovers(records: &[Record], clock: &dyn Clock, grace: Duration) -> Result<(), LocalError> {
    let pods = records.iter().flat_map(|record| &record.pods);
    let ends = pods.filter_map(|pod| {
        let group = pod.process.as_ref()?;
        Some(async move { (pod, group.end_leftover(clock, grace).await) })
    });
    for (pod, ended) in join_all(ends).await {
        if ended.map_err(LocalError::Leftovers)? {
            tracing::warn!(pod = pod.name, "processes that an earlier server left were ended");
        }
    }
    Ok(())
}
