//! Bad input over every route, as data: what is sent is in the JSON files beside these tests, where it is sent is read
//! from the route table. The real edge answers, in this process, over adapters in memory that count what they are asked;
//! where bytes on a wire are the point, behind the real listener.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "a test fails by panicking, and says how much it has sent; some of what is here is used by tests/canaries.rs"
)]

#[path = "hostile/corpus.rs"]
mod corpus;
#[path = "hostile/edge_properties.rs"]
mod edge_properties;
#[path = "hostile/forms.rs"]
mod forms;
#[path = "hostile/headers.rs"]
mod headers;
#[path = "hostile/identity.rs"]
mod identity;
#[path = "hostile/judge.rs"]
mod judge;
#[path = "hostile/properties.rs"]
mod properties;
#[path = "hostile/raw.rs"]
mod raw;
#[path = "hostile/report.rs"]
mod report;
#[path = "hostile/requests.rs"]
mod requests;
#[path = "hostile/server.rs"]
mod server;
#[path = "hostile/values.rs"]
mod values;
#[path = "hostile/variants.rs"]
mod variants;
