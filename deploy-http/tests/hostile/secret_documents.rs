//! Manifests and pipelines with a secret in them, where it belongs and where it does not.

use serde_json::{Value, json};

use crate::CANARY;

/// Documents with a secret in them, and what is wrong with each.
pub fn documents() -> Vec<String> {
    let secret = |place: &str| format!("{CANARY}-{place}");
    let manifest = |change: Value| {
        let mut document = json!({"name": "x", "type": "job", "image": "registry.example/x:1"});
        document
            .as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        document.to_string()
    };
    let env = |value: Value| manifest(json!({"env": value}));
    let step = |env: Value, more: Value| {
        let mut task = json!({"name": "a", "namespacetask": "demo/ok", "env": env});
        task.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json!({"name": "p", "tasks": [task]}).to_string()
    };
    let good = env(json!([{"name": "PASSWORD", "value": secret("env")}]));
    vec![
        // Accepted: it is stored and run, and shown nowhere.
        good.clone(),
        manifest(json!({"cmd": ["run", secret("argument")], "env": [{"name": "A", "value": secret("env")}]})),
        step(json!([{"name": "PASSWORD", "value": secret("step")}]), json!({})),
        // Refused for something beside the secret.
        manifest(json!({"type": "pod", "env": [{"name": "A", "value": secret("beside")}]})),
        manifest(json!({"cmd": ["run", secret("argument"), 7]})),
        step(
            json!([{"name": "A", "value": secret("step")}]),
            json!({"run-if-error": "yes"}),
        ),
        step(
            json!([{"name": "A", "value": secret("step")}]),
            json!({"dependance": ["nobody"]}),
        ),
        step(
            json!([{"name": "A", "value": secret("step")}]),
            json!({"namespacetask": "demo/absent"}),
        ),
        // Refused for the secret itself, or for where it stands.
        env(json!([{"name": "A", "value": format!("{}\0", secret("nul"))}])),
        env(json!([{"name": "A", "value": {"password": secret("object")}}])),
        env(json!([{"name": "A", "value": [secret("array")]}])),
        env(json!([{"name": format!("A={}", secret("assignment")), "value": "v"}])),
        env(json!({"PASSWORD": secret("map")})),
        env(json!([secret("string")])),
        env(json!(secret("text"))),
        env(json!([{"name": "A", "secret": secret("reference")}])),
        env(json!([{"name": "A", "secret": {"name": secret("Upper"), "key": "k"}}])),
        manifest(json!({"image": format!("https://ada:{}@registry.example/x", secret("image"))})),
        manifest(json!({"schedule": secret("schedule")})),
        manifest(json!({"timezone": secret("timezone")})),
        manifest(json!({"memory-limit": secret("quantity")})),
        manifest(json!({"published": {"prefix": secret("prefix")}})),
        manifest(json!({"name": format!("{}_", secret("name"))})),
        manifest(json!({"type": secret("type")})),
        manifest(json!({"replicas": secret("replicas")})),
        manifest(json!({"password": secret("unknown")})),
        step(
            json!([]),
            json!({"namespacetask": format!("https://ada:{}@git.example/x", secret("repository"))}),
        ),
        step(json!([]), json!({"password": secret("unknown")})),
        json!({"name": format!("{}\n", secret("pipeline")), "tasks": []}).to_string(),
        // No document at all.
        good.replace('}', ""),
        good.replacen("\"name\"", "name", 1),
        good.replacen("\"value\":", "\"value\":\"x\",\"value\":", 1),
        format!("{good}{good}"),
        format!("\u{feff}{good}"),
        format!("PASSWORD={}", secret("dotenv")),
        format!("\"{}\\ud800\"", secret("surrogate")),
        secret("alone"),
        format!("[{}{}", "[".repeat(40), secret("deep")),
    ]
}
