//! Adapters that live in memory: scripted, counted, and held to the same contracts as the real ones.

pub mod cluster;
