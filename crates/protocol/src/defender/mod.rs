//! The JSON of Microsoft Defender for Endpoint's machine actions API. Names are spelled exactly as there; nowhere else.

pub mod action;
pub mod error;
pub mod extension;
pub mod library;
pub mod machine;
pub mod odata;
pub mod request;
pub mod time;

use serde::{Deserialize, Serialize};

/// A list, as OData has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collection<T> {
    /// What the list is of.
    #[serde(rename = "@odata.context")]
    pub context: String,
    /// How many match, where `$count=true` asked for it.
    #[serde(rename = "@odata.count", skip_serializing_if = "Option::is_none", default)]
    pub count: Option<u64>,
    /// The items.
    pub value: Vec<T>,
    /// Where the next page is, if there is one.
    #[serde(rename = "@odata.nextLink", skip_serializing_if = "Option::is_none", default)]
    pub next_link: Option<String>,
}

/// One item, with what it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entity<T> {
    /// What it is.
    #[serde(rename = "@odata.context")]
    pub context: String,
    /// The item.
    #[serde(flatten)]
    pub item: T,
}

/// A bare value, such as a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Value<T> {
    /// What it is.
    #[serde(rename = "@odata.context")]
    pub context: String,
    /// The value.
    pub value: T,
}
