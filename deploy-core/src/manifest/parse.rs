//! manifest.json to a [`Manifest`], by an allow-list: what is not read here reaches no pod. Every violation is answered at
//! once. It never repairs a value, and it does not judge what depends on where a task is deployed.

pub(crate) mod env;
mod image;
mod published;

use serde_json::Value;

use super::fields::{Fields, Violations, array, string};
use super::{
    ConcurrencyPolicy, Document, Labels, Manifest, ManifestKind, PullPolicy, Quantity, Resources, Schedule,
    Violation,
};
use crate::names::ResourceName;
use crate::workload::Kind;

impl Manifest {
    /// Reads manifest.json.
    ///
    /// # Errors
    /// Every violation (the first thousand where there are more); never empty.
    pub fn parse(bytes: &[u8]) -> Result<Self, Vec<Violation>> {
        let document = Document::parse(bytes)?;
        let mut out = Violations::default();
        match manifest(&document.value, &mut out) {
            Some(manifest) if out.is_empty() => Ok(manifest),
            _ => Err(out.into_list()),
        }
    }
}

/// The longest that a job may run or a rollout take: a year.
const MAX_TIMEOUT_SECONDS: u32 = 31_536_000;

const KEYS: [&str; 20] = [
    "name",
    "type",
    "labels",
    "image",
    "image-destination",
    "image-pull-policy",
    "cmd",
    "env",
    "cpu-request",
    "cpu-limit",
    "memory-request",
    "memory-limit",
    "schedule",
    "timezone",
    "concurrency-policy",
    "retries",
    "timeout-seconds",
    "replicas",
    "container-port",
    "published",
];

/// The values of `type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Job,
    Deployment,
    Service,
}

const TYPES: [(&str, Type); 3] = [
    ("job", Type::Job),
    ("deployment", Type::Deployment),
    ("service", Type::Service),
];

/// The keys that not every type takes.
const TAKEN_BY: [(&str, &[Type]); 7] = [
    ("schedule", &[Type::Job]),
    ("timezone", &[Type::Job]),
    ("concurrency-policy", &[Type::Job]),
    ("retries", &[Type::Job]),
    ("replicas", &[Type::Deployment, Type::Service]),
    ("container-port", &[Type::Service]),
    ("published", &[Type::Service]),
];

/// `None` only where a violation was recorded.
fn manifest(value: &Value, out: &mut Violations) -> Option<Manifest> {
    let fields = Fields::of(value, "", &KEYS, out)?;
    fields.require("name", "the name to deploy under", out);
    let name: Option<ResourceName> = fields.parsed("name", out);
    fields.require("type", "\"job\", \"deployment\" or \"service\"", out);
    let kind = fields.choice("type", &TYPES, out);
    if let Some(kind) = kind {
        refuse_keys_of_other_types(&fields, kind, out);
    }
    let labels = fields
        .get("labels")
        .map(|value| Labels::read(value, &fields.at("labels"), out));
    let image = image::read(&fields, out);
    let pull_policy = fields.choice("image-pull-policy", &PULL_POLICIES, out);
    let command = command(&fields, out);
    let env = env::read(&fields, out);
    let resources = resources(&fields, out);
    if let (Some(name), Some(kind)) = (&name, kind)
        && let Err(rule) = object_kind(&fields, kind).accepts_name(name)
    {
        out.push(fields.at("name"), rule);
    }
    let kind = manifest_kind(&fields, kind, out);
    let name = name?;
    Some(Manifest {
        labels: labels
            .filter(|labels| !labels.is_empty())
            .unwrap_or_else(|| Labels::of_app(&name)),
        name,
        kind: kind?,
        image: image?,
        pull_policy,
        command,
        env,
        resources,
    })
}

const PULL_POLICIES: [(&str, PullPolicy); 3] = [
    ("Always", PullPolicy::Always),
    ("IfNotPresent", PullPolicy::IfNotPresent),
    ("Never", PullPolicy::Never),
];

const CONCURRENCY_POLICIES: [(&str, ConcurrencyPolicy); 3] = [
    ("Allow", ConcurrencyPolicy::Allow),
    ("Forbid", ConcurrencyPolicy::Forbid),
    ("Replace", ConcurrencyPolicy::Replace),
];

fn refuse_keys_of_other_types(fields: &Fields<'_>, kind: Type, out: &mut Violations) {
    let word = |wanted: &Type| {
        TYPES
            .iter()
            .find(|(_, kind)| kind == wanted)
            .map_or("", |(word, _)| word)
    };
    for (key, takers) in TAKEN_BY {
        if takes(Some(kind), key) || fields.get(key).is_none_or(|value| says_none(key, value)) {
            continue;
        }
        let takers: Vec<_> = takers.iter().map(word).collect();
        let (kind, takers) = (word(&kind), takers.join(" or "));
        out.push(
            fields.at(key),
            format!("not for a {kind}: only a {takers} takes \"{key}\""),
        );
    }
}

/// Whether a type takes a key; where the type is not known, each is read.
fn takes(kind: Option<Type>, key: &str) -> bool {
    let takers = TAKEN_BY
        .iter()
        .find(|(taken, _)| *taken == key)
        .map(|(_, takers)| takers);
    match (kind, takers) {
        (Some(kind), Some(takers)) => takers.contains(&kind),
        _ => true,
    }
}

/// Files in use write `"schedule": ""` and `"published": {}` for "none", whatever the type: that asks for nothing.
fn says_none(key: &str, value: &Value) -> bool {
    match key {
        "schedule" => value.as_str().is_some_and(str::is_empty),
        "published" => published::is_empty_object(value),
        _ => false,
    }
}

fn manifest_kind(fields: &Fields<'_>, kind: Option<Type>, out: &mut Violations) -> Option<ManifestKind> {
    let given = |key| takes(kind, key) && fields.has(key);
    let schedule = match fields.get("schedule") {
        Some(value) if given("schedule") && !says_none("schedule", value) => {
            fields.parsed::<Schedule>("schedule", out)
        }
        _ => None,
    };
    let timezone = if given("timezone") {
        timezone(fields, out)
    } else {
        None
    };
    let concurrency = if given("concurrency-policy") {
        fields.choice("concurrency-policy", &CONCURRENCY_POLICIES, out)
    } else {
        None
    };
    let retries = if given("retries") {
        fields.integer("retries", 0..=10, out)
    } else {
        None
    };
    let replicas = if given("replicas") {
        fields.integer("replicas", 0..=100, out)
    } else {
        None
    };
    let port = if given("container-port") {
        fields.integer("container-port", 1..=u16::MAX, out)
    } else {
        None
    };
    let published = match fields.get("published") {
        Some(value) if given("published") => published::read(value, &fields.at("published"), out),
        _ => None,
    };
    let timeout_seconds = fields.integer("timeout-seconds", 1..=MAX_TIMEOUT_SECONDS, out);
    Some(match kind? {
        Type::Job => ManifestKind::Job {
            schedule,
            timezone: timezone.unwrap_or(chrono_tz::Etc::UTC),
            concurrency: concurrency.unwrap_or_default(),
            retries: retries.unwrap_or(0),
            timeout_seconds,
        },
        Type::Deployment => ManifestKind::Deployment {
            replicas: replicas.unwrap_or(1),
            timeout_seconds,
        },
        Type::Service => {
            fields.require("container-port", "the port that the container listens on", out);
            ManifestKind::Service {
                replicas: replicas.unwrap_or(1),
                port: port?,
                published,
                timeout_seconds,
            }
        }
    })
}

fn timezone(fields: &Fields<'_>, out: &mut Violations) -> Option<chrono_tz::Tz> {
    let text = fields.string("timezone", out)?;
    let timezone = text.parse().ok();
    if timezone.is_none() {
        out.push(
            fields.at("timezone"),
            "not a time zone: expected an IANA name, such as \"Europe/Paris\"",
        );
    }
    timezone
}

/// What the manifest becomes when the request gives no schedule of its own.
fn object_kind(fields: &Fields<'_>, kind: Type) -> Kind {
    let has_schedule = fields
        .get("schedule")
        .is_some_and(|value| !says_none("schedule", value));
    match kind {
        Type::Job if has_schedule => Kind::CronJob,
        Type::Job => Kind::Job,
        Type::Deployment => Kind::Deployment,
        Type::Service => Kind::Service,
    }
}

fn command(fields: &Fields<'_>, out: &mut Violations) -> Option<Vec<String>> {
    let value = fields.get("cmd")?;
    let elements = array(value, &fields.at("cmd"), "an array of strings", out)?;
    if elements.is_empty() {
        out.push(
            fields.at("cmd"),
            "empty: leave \"cmd\" out to run the image's own command",
        );
    }
    let mut command = Vec::with_capacity(elements.len());
    for (pointer, element) in elements {
        let Some(text) = string(element, &pointer, out) else {
            continue;
        };
        if text.contains('\0') {
            out.push(pointer, "no argument holds a NUL character");
        } else if text.is_empty() && command.is_empty() {
            out.push(pointer, "empty: expected the program to run");
        }
        command.push(text.to_owned());
    }
    Some(command)
}

fn resources(fields: &Fields<'_>, out: &mut Violations) -> Resources {
    let resources = Resources {
        cpu_request: fields.parsed("cpu-request", out),
        cpu_limit: fields.parsed("cpu-limit", out),
        memory_request: fields.parsed("memory-request", out),
        memory_limit: fields.parsed("memory-limit", out),
    };
    let mut hold_against =
        |key: &str, request: &Option<Quantity>, limit_key: &str, limit: &Option<Quantity>| {
            if let (Some(request), Some(limit)) = (request, limit)
                && request.nano() > limit.nano()
            {
                out.push(
                    fields.at(key),
                    format!("more than \"{limit_key}\": a request is at most its limit"),
                );
            }
        };
    hold_against(
        "cpu-request",
        &resources.cpu_request,
        "cpu-limit",
        &resources.cpu_limit,
    );
    hold_against(
        "memory-request",
        &resources.memory_request,
        "memory-limit",
        &resources.memory_limit,
    );
    resources
}
