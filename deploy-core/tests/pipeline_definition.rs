//! pipeline.json: what is accepted and as what, and what is refused and in which words.

use deploy_core::manifest::Violation;
use deploy_core::pipeline::definition::Definition;
use serde_json::{Value, json};

const EXAMPLE: &str = r#"{
  "name": "my_pipeline",
  "original": "pipeline_example",
  "tasks": [
    {"name": "create", "namespacetask": "etl/create_cluster"},
    {"name": "load",   "namespacetask": "etl/load", "dependance": ["create"], "env": [{"name": "DAY", "value": "monday"}]},
    {"name": "delete", "namespacetask": "etl/delete_cluster", "dependance": ["load"], "run-if-error": true}
  ]
}"#;

/// A pipeline from `"a b>a c>a,b"`: each task, and behind the '>' what it depends on.
fn pipeline(tasks: &str) -> Value {
    let task = |text: &str| {
        let (name, dependance) = text.split_once('>').unwrap_or((text, ""));
        let dependance: Vec<_> = dependance.split(',').filter(|name| !name.is_empty()).collect();
        json!({"name": name, "namespacetask": "etl/x", "dependance": dependance})
    };
    json!({"name": "p", "tasks": tasks.split_whitespace().map(task).collect::<Vec<_>>()})
}

fn parse(document: &Value) -> Result<Definition, Vec<Violation>> {
    Definition::parse(document.to_string().as_bytes())
}

/// Every violation, as `pointer: message`.
fn violations(document: &Value) -> Vec<String> {
    let line = |v: Violation| format!("{}: {}", v.pointer, v.message);
    parse(document)
        .err()
        .unwrap_or_default()
        .into_iter()
        .map(line)
        .collect()
}

#[test]
fn the_example_is_read_as_it_is_meant() {
    let definition = Definition::parse(EXAMPLE.as_bytes()).unwrap();
    assert_eq!(definition.name.as_str(), "my_pipeline");
    assert_eq!(definition.original.as_deref(), Some("pipeline_example"));
    let steps: Vec<_> = definition
        .steps
        .iter()
        .map(|step| {
            let directory = step.directory.as_str();
            (
                step.name.as_str(),
                step.repository.as_str(),
                directory,
                step.env.len(),
                step.run_if_error,
            )
        })
        .collect();
    assert_eq!(
        steps,
        [
            ("create", "etl", "create_cluster", 0, false),
            ("load", "etl", "load", 1, false),
            ("delete", "etl", "delete_cluster", 0, true),
        ]
    );
    assert_eq!(definition.graph.dependances(1), [0]);
    assert_eq!(definition.graph.dependants(1), [2]);
    assert!(definition.graph.runs_if_error(2));
}

#[test]
fn the_repository_ends_at_the_first_slash() {
    let document = json!({"name": "p", "tasks": [{"name": "a", "namespacetask": "my.repo/deep/er/x"}]});
    let step = parse(&document).unwrap().steps.remove(0);
    assert_eq!(
        (step.repository.as_str(), step.directory.as_str()),
        ("my.repo", "deep/er/x")
    );
}

#[test]
fn what_the_format_allows_is_accepted() {
    for document in [
        pipeline("a"),
        // A task may stand before what it depends on, and name it twice.
        pipeline("c>a,b,a b>a a"),
        json!({"name": "p", "original": "", "tasks": [{"name": "größe 1", "namespacetask": "r/d", "env": []}]}),
    ] {
        assert_eq!(violations(&document), [""; 0], "{document}");
    }
}

/// Each row breaks one rule.
#[test]
fn a_broken_rule_is_answered_with_its_place_and_cure() {
    let one = |task: Value| json!({"name": "p", "tasks": [task]});
    let task = |key: &str, value: Value| {
        let mut task = json!({"name": "a", "namespacetask": "r/d"});
        task[key] = value;
        json!({"name": "p", "tasks": [task]})
    };
    let rows = [
        (json!([]), ": found an array, expected an object"),
        (
            json!({"tasks": pipeline("a")["tasks"]}),
            "/name: missing: expected the pipeline's name",
        ),
        (
            json!({"name": "", "tasks": pipeline("a")["tasks"]}),
            "/name: not a pipeline name",
        ),
        (
            json!({"name": "p", "original": 1, "tasks": pipeline("a")["tasks"]}),
            "/original: found a number",
        ),
        (
            json!({"name": "p", "original": "a\n", "tasks": pipeline("a")["tasks"]}),
            "/original: not a pipeline name",
        ),
        (
            json!({"name": "p"}),
            "/tasks: missing: expected an array of tasks",
        ),
        (
            json!({"name": "p", "tasks": {}}),
            "/tasks: found an object, expected an array of tasks",
        ),
        (
            json!({"name": "p", "tasks": []}),
            "/tasks: found 0 tasks, expected 1 to 1000",
        ),
        (
            json!({"name": "p", "task": 1, "tasks": pipeline("a")["tasks"]}),
            "/task: unknown key \"task\"; the nearest known one is \"tasks\"",
        ),
        (one(json!("a")), "/tasks/0: found a string, expected an object"),
        (one(json!({"namespacetask": "r/d"})), "/tasks/0/name: missing"),
        (task("name", json!(" a")), "/tasks/0/name: not a step name"),
        (
            one(json!({"name": "a"})),
            "/tasks/0/namespacetask: missing: expected \"repository/directory\"",
        ),
        (
            task("namespacetask", json!("etl")),
            "/tasks/0/namespacetask: expected \"repository/directory\", found no '/'",
        ),
        (
            task("namespacetask", json!("../x")),
            "/tasks/0/namespacetask: not a repository",
        ),
        (
            task("namespacetask", json!("etl/")),
            "/tasks/0/namespacetask: not a directory",
        ),
        (
            task("namespacetask", json!("etl/../x")),
            "/tasks/0/namespacetask: not a directory",
        ),
        (
            task("namespacetask", json!(1)),
            "/tasks/0/namespacetask: found a number, expected a string",
        ),
        (
            task("dependance", json!("b")),
            "/tasks/0/dependance: found a string, expected an array of task names",
        ),
        (
            task("dependance", json!([1])),
            "/tasks/0/dependance/0: found a number, expected a string",
        ),
        (
            task("run-if-error", json!("true")),
            "/tasks/0/run-if-error: found a string, expected true or false",
        ),
        (
            task("run_if_error", json!(true)),
            "/tasks/0/run_if_error: unknown key \"run_if_error\"; the nearest known one is \"run-if-error\"",
        ),
        (
            task("dependence", json!([])),
            "/tasks/0/dependence: unknown key \"dependence\"; the nearest known one is \"dependance\"",
        ),
        (
            task("env", json!([{"name": "A"}])),
            "/tasks/0/env/0/value: missing",
        ),
        (
            pipeline("load b>laod"),
            "/tasks/1/dependance/0: there is no task \"laod\"; did you mean \"load\"?",
        ),
        (
            pipeline("a b>zzzzzz"),
            "/tasks/1/dependance/0: there is no task \"zzzzzz\"",
        ),
        (
            pipeline("a b a"),
            "/tasks/2/name: task 0 of the file is called \"a\" too",
        ),
        (pipeline("a>a"), "/tasks/0/dependance/0: \"a\" depends on itself"),
        (
            pipeline("a>b b>a"),
            "/tasks: these tasks wait for one another: \"a\" → \"b\" → \"a\"",
        ),
        (
            pipeline("out>x x>z y>x z>y free"),
            "/tasks: these tasks wait for one another: \"x\" → \"z\" → \"y\" → \"x\"",
        ),
    ];
    for (document, expected) in rows {
        let found = violations(&document);
        assert_eq!(found.len(), 1, "{document}: {found:#?}");
        assert!(found[0].starts_with(expected), "{document}: {found:#?}");
    }
}

#[test]
fn every_violation_is_answered_at_once() {
    let mut document = pipeline("a>b,nobody b>a c>c a");
    document["nmae"] = json!(1);
    document["tasks"][2]["run-if-error"] = json!(0);
    let pointers = parse(&document).unwrap_err().into_iter().map(|v| v.pointer);
    let expected = [
        "/nmae",
        "/tasks/2/run-if-error",
        "/tasks/3/name",
        "/tasks/0/dependance/1",
        "/tasks/2/dependance/0",
        "/tasks",
    ];
    assert_eq!(pointers.collect::<Vec<_>>(), expected);
}

/// Names short enough that the document stays within its limit of bytes: the number of tasks is what is refused.
#[test]
fn a_thousand_tasks_are_accepted_and_one_more_is_not() {
    let chain = |count: usize| {
        let task = |n: usize| match n.checked_sub(1) {
            Some(before) => format!("{n}>{before}"),
            None => n.to_string(),
        };
        pipeline(&(0..count).map(task).collect::<Vec<_>>().join(" "))
    };
    assert_eq!(parse(&chain(1000)).unwrap().graph.len(), 1000);
    assert_eq!(
        violations(&chain(1001)),
        ["/tasks: found 1001 tasks, expected 1 to 1000"]
    );
    let circle = {
        let mut document = chain(1000);
        document["tasks"][0]["dependance"] = json!(["999"]);
        document
    };
    assert!(violations(&circle)[0].contains("\"0\" → \"999\" → \"998\""));
    assert_eq!(violations(&chain(10_000)), [": larger than 256 KiB"]);
    let short = json!({"name": "p", "tasks": vec![json!({}); 10_000]});
    assert_eq!(
        violations(&short),
        ["/tasks: found 10000 tasks, expected 1 to 1000"]
    );
}

/// Whoever looked for the nearest name each time would compare 300,000 pairs of names here.
#[test]
fn a_file_full_of_mistakes_costs_no_more_than_its_size() {
    let names = |end: &str| {
        (0..100)
            .map(|n| format!("{}{n:02}{end}", "a".repeat(28)))
            .collect::<Vec<_>>()
    };
    let mut document = pipeline(&names("").join(" "));
    for task in document["tasks"].as_array_mut().unwrap() {
        task["dependance"] = json!(names("bb")[..30]);
    }
    let found = violations(&document);
    assert_eq!(found.len(), 1001);
    assert!(found[0].contains("did you mean"), "{}", found[0]);
    assert!(found[1000].contains("more than these 1000"), "{}", found[1000]);
}

#[test]
fn no_env_value_is_repeated_in_a_message() {
    let mut document = pipeline("a");
    document["tasks"][0]["env"] =
        json!([{"name": "A", "value": "S3CRET\0"}, {"name": "S3CRET!", "value": ["S3CRET"]}]);
    let found = violations(&document);
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(!found.concat().contains("S3CRET"), "{found:?}");
}
