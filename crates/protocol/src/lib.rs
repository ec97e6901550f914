//! The words on the wire, and their conversions from and to the domain, which happen here and can fail only here.
//!
//! [`defender`] is the JSON that API clients know, spelled exactly as there. [`agent`] is what server and agent say to
//! each other. Knows nothing about sockets, HTTP servers, SQL or executors.

pub mod agent;
pub mod defender;
