//! A Service in front of a Deployment's pods: on port 80 and on the container's own.

use std::collections::BTreeMap;

use deploy_core::workload::{SlotKind, Uid, Workload};
use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::Translator;
use crate::kubernetes::marks;

/// The port that every service listens on, and routes lead to.
pub(super) const PORT: u16 = 80;

impl Translator {
    pub(super) fn service_on(&self, workload: &Workload, container_port: u16, owner: &Uid) -> Service {
        let mut ports = vec![port("http", PORT, container_port)];
        if container_port != PORT {
            ports.push(port("container", container_port, container_port));
        }
        Service {
            metadata: self.owned_metadata(workload, owner, BTreeMap::new()),
            spec: Some(ServiceSpec {
                type_: Some("ClusterIP".to_owned()),
                selector: Some(marks::pods_of(SlotKind::Deployment, &workload.name)),
                ports: Some(ports),
                ..ServiceSpec::default()
            }),
            status: None,
        }
    }
}

fn port(name: &str, port: u16, target: u16) -> ServicePort {
    ServicePort {
        name: Some(name.to_owned()),
        port: i32::from(port),
        target_port: Some(IntOrString::Int(i32::from(target))),
        // Told, not left to the default: server-side apply knows a port by both.
        protocol: Some("TCP".to_owned()),
        ..ServicePort::default()
    }
}
