//! Kubernetes behind the core's ports. [`objects`] turns a workload into objects (pure), [`seen`] keeps what the cluster
//! told us and reads states out of it, [`cluster`] writes. `kube::Error` ends in this folder.

mod marks;
mod objects;
mod review;
mod rules;

pub use rules::{Gateway, Rules};
