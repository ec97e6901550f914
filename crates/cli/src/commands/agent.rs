//! `countermand agent`: the agent, as `countermand-agent` is, for trying out.

pub use agent::options::AgentOptions as Agent;
