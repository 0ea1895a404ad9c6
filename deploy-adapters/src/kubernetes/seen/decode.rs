//! Lists and watch events, decoded and pruned in one go. An object that does not decode is kept with what can be read of
//! its metadata, and stops nothing.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::http::Trouble;
use super::kind::{Watched, Wire};
use super::meta::{Meta, Pruner, WireMeta};

/// One page of a list.
pub(super) struct Page<T> {
    pub objects: Vec<T>,
    /// The version of the list, to watch from.
    pub version: String,
    /// What gives the next page; `None` = this was the last.
    pub next: Option<String>,
}

/// What a line of a watch says.
pub(super) enum Heard<T> {
    /// An object as it is now, and the version to go on from.
    Put(T, Option<String>),
    /// An object that is gone, or no longer ours.
    Gone(Meta, Option<String>),
    /// Nothing changed up to that version.
    Bookmark(Option<String>),
    /// The watch is over.
    Over(Trouble),
    /// Nothing that can be used.
    Nothing,
}

#[derive(Deserialize)]
struct WirePage<W> {
    metadata: WireListMeta,
    items: Option<Vec<W>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireListMeta {
    resource_version: Option<String>,
    r#continue: Option<String>,
}

#[derive(Deserialize)]
struct WireEvent<W> {
    r#type: String,
    object: W,
}

/// An object by itself, as a read or a write is answered.
pub(super) fn object<T: Watched>(pruner: &Pruner, json: &[u8]) -> Result<T, serde_json::Error> {
    let object = match serde_json::from_slice::<T::Wire>(json) {
        Ok(mut wire) => {
            let meta = wire.take_meta();
            usable::<T>(pruner, meta, wire, false)
        }
        Err(_) => salvage::<T>(pruner, serde_json::from_slice(json)?),
    };
    object.ok_or_else(|| serde::de::Error::custom("an object without name or uid"))
}

pub(super) fn page<T: Watched>(pruner: &Pruner, json: &[u8]) -> Result<Page<T>, Trouble> {
    let (metadata, objects) = match serde_json::from_slice::<WirePage<T::Wire>>(json) {
        Ok(page) => {
            let wires = page.items.unwrap_or_default().into_iter();
            let objects = wires.filter_map(|mut wire| {
                let meta = wire.take_meta();
                usable::<T>(pruner, meta, wire, false)
            });
            (page.metadata, objects.collect())
        }
        // One of its objects does not decode: one by one then.
        Err(_) => {
            let page: WirePage<Value> = serde_json::from_slice(json).map_err(Trouble::Unreadable)?;
            let values = page.items.unwrap_or_default().into_iter();
            let objects = values.filter_map(|value| salvage::<T>(pruner, value));
            (page.metadata, objects.collect())
        }
    };
    Ok(Page {
        objects,
        version: metadata.resource_version.unwrap_or_default(),
        next: metadata.r#continue.filter(|token| !token.is_empty()),
    })
}

pub(super) fn event<T: Watched>(pruner: &Pruner, line: &[u8]) -> Heard<T> {
    if let Some(WireEvent { r#type, mut object }) = read::<WireEvent<T::Wire>>(line)
        && r#type != "ERROR"
    {
        let meta = object.take_meta();
        let version = meta.version().map(str::to_owned);
        if r#type == "BOOKMARK" {
            return Heard::Bookmark(version);
        }
        return heard(&r#type, version, usable::<T>(pruner, meta, object, false));
    }
    let Some(WireEvent { r#type, object }) = read::<WireEvent<Value>>(line) else {
        tracing::warn!(kind = T::PATH, "a line of a watch is no event; it is passed over");
        return Heard::Nothing;
    };
    let version = object["metadata"]["resourceVersion"].as_str().map(str::to_owned);
    match &*r#type {
        "ERROR" => Heard::Over(trouble(&object)),
        "BOOKMARK" => Heard::Bookmark(version),
        _ => heard(&r#type, version, salvage::<T>(pruner, object)),
    }
}

fn read<W: DeserializeOwned>(line: &[u8]) -> Option<W> {
    serde_json::from_slice(line).ok()
}

fn heard<T: Watched>(event: &str, version: Option<String>, object: Option<T>) -> Heard<T> {
    let Some(object) = object else {
        return Heard::Nothing;
    };
    match event {
        "ADDED" | "MODIFIED" => Heard::Put(object, version),
        "DELETED" => Heard::Gone(object.meta().clone(), version),
        _ => Heard::Nothing,
    }
}

fn salvage<T: Watched>(pruner: &Pruner, value: Value) -> Option<T> {
    let meta = WireMeta::salvaged(&value);
    match serde_json::from_value::<T::Wire>(value) {
        Ok(mut wire) => {
            let meta = wire.take_meta();
            usable::<T>(pruner, meta, wire, false)
        }
        Err(_) => usable::<T>(pruner, meta, T::Wire::default(), true),
    }
}

fn usable<T: Watched>(pruner: &Pruner, meta: WireMeta, wire: T::Wire, is_broken: bool) -> Option<T> {
    if !meta.is_usable() {
        tracing::warn!(kind = T::PATH, "an object without name or uid is passed over");
        return None;
    }
    Some(T::prune(pruner.meta(meta, is_broken), wire, pruner))
}

/// The Status of an ERROR event.
fn trouble(status: &Value) -> Trouble {
    let code = status["code"].as_u64().and_then(|code| u16::try_from(code).ok());
    if code == Some(410) || matches!(status["reason"].as_str(), Some("Expired" | "Gone")) {
        return Trouble::Expired;
    }
    Trouble::Refused {
        status: code.unwrap_or(500),
        message: status["message"].as_str().unwrap_or_default().to_owned(),
        retry_after: status["details"]["retryAfterSeconds"]
            .as_u64()
            .map(std::time::Duration::from_secs),
    }
}
