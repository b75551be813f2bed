//! Development only: a whole single-node Kubernetes, and what the operator's story on it needs.
//!
//! A [`Sandbox`] is a set of namespaces (mounts, network, processes) in which a program runs as root and from which
//! nothing comes out: its end takes along every process, mount, interface and netns. Inside, a [`Node`] joins a
//! control plane: containerd, kubelet, a scheduler and a pod network, all from Debian's packages and pinned Go
//! modules, without a container engine or a registry. What the sandbox can't hide, cgroups and one temporary folder,
//! it removes; [`Traces`] shows that nothing is left. The library knows nothing of the operator; the program `node-test`
//! is its story on such a node.

mod command;
mod containerd;
mod image;
mod kubectl;
mod kubelet;
mod machine;
mod network;
mod node;
mod sandbox;
mod traces;

pub use command::run;
pub use containerd::PAUSE;
pub use image::Images;
pub use kubectl::Kubectl;
pub use machine::missing;
pub use network::{API, HOST};
pub use node::{NAME, Node};
pub use sandbox::Sandbox;
pub use traces::Traces;
