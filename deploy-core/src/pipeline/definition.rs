//! pipeline.json as a type. [`Definition::parse`] is the only way in; it answers every violation at once. It does not look at the
//! manifests that the steps name: those come from git.

use std::collections::BTreeMap;

use serde_json::Value;

use super::graph::{Graph, GraphError, Node};
use crate::manifest::fields::{Fields, Violations, array, quoted, string};
use crate::manifest::nearest::nearest;
use crate::manifest::parse::env;
use crate::manifest::{Document, EnvVar, Violation};
use crate::names::{Directory, PipelineName, RepositoryName, StepName};

/// A pipeline, as its pipeline.json describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Definition {
    /// Its name.
    pub name: PipelineName,
    /// The name of the whole.
    pub original: Option<String>,
    /// Its steps, in the order of the file.
    pub steps: Vec<StepDefinition>,
    /// What depends on what; step i of `steps` is node i.
    pub graph: Graph,
}

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub struct StepDefinition {
    /// Unique in the file.
    pub name: StepName,
    /// Where its manifest is.
    pub repository: RepositoryName,
    /// Where its manifest is.
    pub directory: Directory,
    /// Overrides and adds to the manifest's.
    pub env: Vec<EnvVar>,
    /// Whether it runs even if another step has failed.
    pub run_if_error: bool,
}

impl Definition {
    /// Reads pipeline.json.
    ///
    /// # Errors
    /// Every violation (the first thousand where there are more, and one circle where there are several); never empty.
    pub fn parse(bytes: &[u8]) -> Result<Self, Vec<Violation>> {
        let document = Document::parse(bytes)?;
        let mut out = Violations::default();
        match definition(&document.value, &mut out) {
            Some(definition) if out.is_empty() => Ok(definition),
            _ => Err(out.into_list()),
        }
    }
}

/// Past so many violations none is told what it may have meant.
const MAX_HINTS: usize = 20;

const KEYS: [&str; 3] = ["name", "original", "tasks"];
const TASK_KEYS: [&str; 5] = ["name", "namespacetask", "dependance", "run-if-error", "env"];

/// `None` only where a violation was recorded.
fn definition(value: &Value, out: &mut Violations) -> Option<Definition> {
    let fields = Fields::of(value, "", &KEYS, out)?;
    fields.require("name", "the pipeline's name", out);
    let name = fields.parsed("name", out);
    // As with a manifest's schedule, an empty text is none.
    let has_original = fields
        .get("original")
        .is_some_and(|value| value.as_str() != Some(""));
    let original: Option<PipelineName> = if has_original {
        fields.parsed("original", out)
    } else {
        None
    };
    fields.require("tasks", "an array of tasks", out);
    let tasks = array(
        fields.get("tasks")?,
        &fields.at("tasks"),
        "an array of tasks",
        out,
    )?;
    if !(1..=Graph::MAX).contains(&tasks.len()) {
        let message = format!("found {} tasks, expected 1 to {}", tasks.len(), Graph::MAX);
        out.push(fields.at("tasks"), message);
        return None;
    }

    let read = |(pointer, task): (String, _)| (task_of(task, &pointer, out), pointer);
    let tasks: Vec<_> = tasks.into_iter().map(read).collect();
    let places = places(&tasks, out);
    let nodes = (0..).zip(&tasks).map(|(place, (task, _))| match task {
        Some(task) => Node {
            dependances: dependances(task, place, &places, out),
            run_if_error: task.run_if_error,
        },
        None => Node {
            dependances: Vec::new(),
            run_if_error: false,
        },
    });
    let graph = graph(nodes.collect(), &tasks, out)?;
    let steps: Option<Vec<_>> = tasks.into_iter().map(|(task, _)| step(task?)).collect();
    Some(Definition {
        name: name?,
        original: original.map(String::from),
        steps: steps?,
        graph,
    })
}

/// A task of the file, with `None` for what is absent or wrong.
struct Task<'a> {
    name: Option<StepName>,
    manifest: Option<(RepositoryName, Directory)>,
    dependance: Vec<(String, &'a str)>,
    env: Vec<EnvVar>,
    run_if_error: bool,
}

fn task_of<'a>(value: &'a Value, pointer: &str, out: &mut Violations) -> Option<Task<'a>> {
    let fields = Fields::of(value, pointer, &TASK_KEYS, out)?;
    fields.require("name", "the task's name in this pipeline", out);
    let name = fields.parsed("name", out);
    fields.require("namespacetask", "\"repository/directory\"", out);
    let manifest = manifest_place(&fields, out);
    let elements = fields
        .get("dependance")
        .and_then(|value| array(value, &fields.at("dependance"), "an array of task names", out));
    let names = elements
        .unwrap_or_default()
        .into_iter()
        .filter_map(|(pointer, element)| {
            let name = string(element, &pointer, out)?;
            Some((pointer, name))
        });
    Some(Task {
        name,
        manifest,
        dependance: names.collect(),
        env: env::read(&fields, out),
        run_if_error: fields.bool("run-if-error", out).unwrap_or(false),
    })
}

/// `namespacetask`: the repository ends at the first '/'.
fn manifest_place(fields: &Fields<'_>, out: &mut Violations) -> Option<(RepositoryName, Directory)> {
    const KEY: &str = "namespacetask";
    let text = fields.string(KEY, out)?;
    let Some((repository, directory)) = text.split_once('/') else {
        out.push(fields.at(KEY), "expected \"repository/directory\", found no '/'");
        return None;
    };
    let repository = repository.parse::<RepositoryName>();
    let directory = directory.parse::<Directory>();
    for error in [repository.as_ref().err(), directory.as_ref().err()]
        .into_iter()
        .flatten()
    {
        out.push(fields.at(KEY), error.to_string());
    }
    Some((repository.ok()?, directory.ok()?))
}

type Tasks<'a> = [(Option<Task<'a>>, String)];

/// The place in the file of each name; says which stand there twice.
fn places<'t>(tasks: &'t Tasks<'_>, out: &mut Violations) -> BTreeMap<&'t str, u32> {
    let mut places = BTreeMap::new();
    for (place, (task, pointer)) in (0..).zip(tasks) {
        let Some(name) = task.as_ref().and_then(|task| task.name.as_ref()) else {
            continue;
        };
        if let Some(first) = places.get(name.as_str()) {
            let message = format!("task {first} of the file is called {} too", quoted(name.as_str()));
            out.push(format!("{pointer}/name"), message);
        } else {
            places.insert(name.as_str(), place);
        }
    }
    places
}

/// The places of what a task depends on; says which names are unknown, or its own.
fn dependances(task: &Task<'_>, place: u32, places: &BTreeMap<&str, u32>, out: &mut Violations) -> Vec<u32> {
    let mut found = Vec::with_capacity(task.dependance.len());
    for (pointer, name) in &task.dependance {
        match places.get(name) {
            Some(dependance) if *dependance == place => {
                out.push(pointer, format!("{} depends on itself", quoted(name)));
            }
            Some(dependance) => found.push(*dependance),
            None => {
                // Each search costs as much as the file has names, so a file of mistakes gets no more than this many.
                let known = places.keys().copied().take_while(|_| out.len() < MAX_HINTS);
                let near = nearest(name, known);
                let cure = near.map(|near| format!("; did you mean {}?", quoted(near)));
                let message = format!("there is no task {}{}", quoted(name), cure.unwrap_or_default());
                out.push(pointer, message);
            }
        }
    }
    found
}

fn graph(nodes: Vec<Node>, tasks: &Tasks<'_>, out: &mut Violations) -> Option<Graph> {
    let name_of = |node: &u32| {
        let (task, _) = tasks.get(*node as usize)?;
        task.as_ref()?.name.as_ref().map(|name| quoted(name.as_str()))
    };
    match Graph::new(nodes) {
        Ok(graph) => Some(graph),
        Err(GraphError::Cycle(members)) => {
            let round = members.iter().chain(members.first());
            let names: Vec<_> = round.filter_map(name_of).collect();
            out.push(
                "/tasks",
                format!("these tasks wait for one another: {}", names.join(" → ")),
            );
            None
        }
        Err(error @ (GraphError::Size | GraphError::Unknown(_) | GraphError::OnItself(_))) => {
            out.push("/tasks", error.to_string());
            None
        }
    }
}

fn step(task: Task<'_>) -> Option<StepDefinition> {
    let (repository, directory) = task.manifest?;
    Some(StepDefinition {
        name: task.name?,
        repository,
        directory,
        env: task.env,
        run_if_error: task.run_if_error,
    })
}
