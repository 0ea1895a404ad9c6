//! What an installation decides about every pod, whatever a manifest says.

use deploy_core::names::{Namespace, ResourceName};

/// How `published` becomes a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gateway {
    /// Where the Gateway is.
    pub namespace: Namespace,
    /// Its name.
    pub name: ResourceName,
    /// The prefix that this server itself is served under, without a slash at its end: no route may lead there, or whoever
    /// publishes would be handed the tokens of its users.
    pub own_prefix: String,
    /// What enforces `published.access`; without it, an application that names a group is refused.
    pub auth: Option<String>,
}

/// Rules for pods and routes.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// The Secret, in the task's namespace, that images are pulled with.
    pub image_pull_secret: Option<ResourceName>,
    /// Every container has to run as another user than root, whether or not its namespace asks for it.
    pub require_non_root: bool,
    /// Where `published` services are exposed; `None` = nowhere.
    pub gateway: Option<Gateway>,
}
