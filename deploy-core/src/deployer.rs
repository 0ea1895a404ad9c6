//! The core as a library: ports in, use cases out. The use cases themselves are in [`crate::usecase`].

use std::sync::Arc;

use crate::authz::Policy;
pub use crate::authz::{Caller, Reader};
use crate::changes::Changes;
use crate::engine::{Engine, Inbox, Settings};
use crate::ports::{
    Clock, Cluster, Ids, ImageBuilder, Inventory, Journal, Logs, Namespaces, Runs, SourceRepository, Tasks,
    TemplateStore, Works,
};
pub use crate::usecase::deploy_task::{DeployConfiguration, DeployTask};
pub use crate::usecase::load_configuration::LoadConfiguration;
pub use crate::usecase::read::{RunView, TaskView};
pub use crate::usecase::run_pipeline::{RunConfiguration, RunPipeline};

/// The use cases. Cheap to clone.
#[derive(Clone)]
pub struct Deployer {
    pub(crate) ports: Ports,
    pub(crate) inbox: Inbox,
    pub(crate) policy: Arc<Policy>,
    changes: Changes,
}

impl Deployer {
    /// Takes the ports, and gives the use cases and the engine behind them.
    #[must_use]
    pub fn builder() -> DeployerBuilder {
        DeployerBuilder::default()
    }

    /// Tells when the record of a task, run or work changes.
    #[must_use]
    pub const fn changes(&self) -> &Changes {
        &self.changes
    }
}

/// A port that was not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the port `{0}` was not given to Deployer::builder()")]
pub struct MissingPort(pub &'static str);

macro_rules! ports {
    ($($(#[$doc:meta])* $name:ident: $port:ident,)+) => {
        /// Everything the core needs of the world.
        #[derive(Clone)]
        pub(crate) struct Ports {
            $(pub(crate) $name: Arc<dyn $port>,)+
            pub(crate) image_builder: Option<Arc<dyn ImageBuilder>>,
        }

        /// Collects the ports.
        #[derive(Default)]
        pub struct DeployerBuilder {
            $($name: Option<Arc<dyn $port>>,)+
            image_builder: Option<Arc<dyn ImageBuilder>>,
            policy: Policy,
            settings: Settings,
        }

        impl DeployerBuilder {
            $($(#[$doc])*
            #[must_use]
            pub fn $name(mut self, port: Arc<dyn $port>) -> Self {
                self.$name = Some(port);
                self
            })+

            /// The use cases, and the engine that is to be spawned beside them.
            ///
            /// # Errors
            /// The first port that was not given.
            pub fn build(self) -> Result<(Deployer, Engine), MissingPort> {
                let ports = Ports {
                    $($name: self.$name.ok_or(MissingPort(stringify!($name)))?,)+
                    image_builder: self.image_builder,
                };
                let changes = Changes::default();
                let policy = Arc::new(self.policy);
                let (engine, inbox) =
                    Engine::new(ports.clone(), Arc::clone(&policy), self.settings, changes.clone());
                Ok((Deployer { ports, inbox, policy, changes }, engine))
            }
        }
    };
}

ports! {
    /// Where workloads run.
    cluster: Cluster,
    /// Where they may.
    namespaces: Namespaces,
    /// Lists of what runs.
    inventory: Inventory,
    /// What it wrote.
    logs: Logs,
    /// Where tasks are kept.
    source: SourceRepository,
    /// Where everything is recorded.
    journal: Journal,
    /// Reads what the journal recorded of tasks.
    tasks: Tasks,
    /// Reads what the journal recorded of runs.
    runs: Runs,
    /// Reads what the journal recorded of works.
    works: Works,
    /// Templates.
    templates: TemplateStore,
    /// Time.
    clock: Clock,
    /// New ids.
    ids: Ids,
}

impl DeployerBuilder {
    /// Builds images. Without one, a task whose image has to be built is refused where the cluster runs images.
    #[must_use]
    pub fn image_builder(mut self, builder: Arc<dyn ImageBuilder>) -> Self {
        self.image_builder = Some(builder);
        self
    }

    /// Who may do what. Without one, anyone may do anything outside the reserved namespaces.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// How the engine behaves over time.
    #[must_use]
    pub const fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }
}
