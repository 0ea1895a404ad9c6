//! The builder Job: rootless BuildKit without a daemon, on the code at one commit. Pure, and typed like a task's objects.
//!
//! It is the one exception from the hardening of pods, by what rootless BuildKit needs
//! (<https://github.com/moby/buildkit/blob/master/docs/rootless.md>): seccomp and AppArmor unconfined, to make a user
//! namespace and mount in it; privilege escalation and the default capabilities, for the setuid `newuidmap` that maps it; and
//! no process sandbox, which would need a privileged pod. It has no privilege, no host namespace, no host path, no
//! service-account token, and runs as user 1000.
//!
//! What follows from that: a step of a Dockerfile can see the builder's own processes, and so read the Secrets that the
//! builder has. They are to open no more than those who may deploy may have: one registry path, and reading the code.

use std::time::Duration;

use data_encoding::HEXLOWER;
use deploy_core::workload::Code;
use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::api::core::v1::{
    AppArmorProfile, Container, EmptyDirVolumeSource, EnvVar, EnvVarSource, KeyToPath, PodSpec,
    PodTemplateSpec, SeccompProfile, SecretKeySelector, SecretVolumeSource, SecurityContext, Volume,
    VolumeMount,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use ring::digest::{SHA256, digest};

use super::BuilderConfig;
use crate::kubernetes::marks::Marks;
use crate::kubernetes::objects::resources;

/// The user that BuildKit's rootless image is made for.
const USER: i64 = 1000;
/// Where it keeps its layers; a volume, since an overlay on the container's own overlay does not work.
const STATE: &str = "/home/user/.local/share/buildkit";
/// Where the registry's credentials are.
const DOCKER: &str = "/home/user/.docker";

/// Builds, and leaves the digest alone where the kubelet reads how a container ended: all that BuildKit tells of an image may
/// be longer than the 4,096 bytes that it reads. BuildKit puts its file in place by a rename, which cannot be done to the
/// kubelet's. Nothing of the user's is in here: it comes as arguments. No `$(…)`: Kubernetes has a meaning for it.
const SCRIPT: &str = r#"set -eu
if [ -n "${GIT_PASSWORD:-}" ]; then
  GIT_AUTH_HEADER="basic `printf '%s:%s' "${GIT_USERNAME:-git}" "$GIT_PASSWORD" | base64 | tr -d '\n'`"
  export GIT_AUTH_HEADER
  unset GIT_PASSWORD
  set -- "$@" --secret id=GIT_AUTH_HEADER,env=GIT_AUTH_HEADER
fi
buildctl-daemonless.sh build "$@" --metadata-file /tmp/built.json
sed -n 's/.*"containerimage\.digest": *"\(sha256:[0-9a-f]*\)".*/\1/p' /tmp/built.json > /dev/termination-log
"#;

/// What is to be built.
#[derive(Debug, Clone, Copy)]
pub(super) struct Order<'a> {
    pub(super) code: &'a Code,
    pub(super) destination: &'a str,
    /// git's hash of the code.
    pub(super) tree: &'a str,
}

impl Order<'_> {
    /// The same for the same code at the same destination, from whatever commit. An installation's own: another's Job is
    /// never taken for ours.
    pub(super) fn name(&self, marks: &Marks) -> String {
        let parts = [marks.instance().as_str(), self.tree, self.destination];
        format!("build-{}", hash(&parts))
    }
}

/// How everything is built.
#[derive(Debug, Clone)]
pub(super) struct Recipe {
    config: BuilderConfig,
}

impl Recipe {
    pub(super) const fn new(config: BuilderConfig) -> Self {
        Self { config }
    }

    pub(super) fn job(&self, order: &Order<'_>, marks: &Marks) -> Job {
        let name = order.name(marks);
        let labels = marks.of_build(&name);
        Job {
            metadata: ObjectMeta {
                name: Some(name),
                namespace: Some(self.config.namespace.to_string()),
                labels: Some(labels.clone()),
                ..ObjectMeta::default()
            },
            spec: Some(JobSpec {
                // Tried once: what fails is the user's to mend, or comes back with the next deploy.
                backoff_limit: Some(0),
                completions: Some(1),
                parallelism: Some(1),
                active_deadline_seconds: Some(seconds(self.config.deadline)),
                ttl_seconds_after_finished: Some(
                    i32::try_from(self.config.retention.as_secs()).unwrap_or(i32::MAX),
                ),
                template: PodTemplateSpec {
                    metadata: Some(ObjectMeta {
                        labels: Some(labels),
                        ..ObjectMeta::default()
                    }),
                    spec: Some(self.pod(order)),
                },
                ..JobSpec::default()
            }),
            status: None,
        }
    }

    fn pod(&self, order: &Order<'_>) -> PodSpec {
        let push = self.config.push_secret.as_ref();
        let mut volumes = vec![Volume {
            name: "state".to_owned(),
            empty_dir: Some(EmptyDirVolumeSource::default()),
            ..Volume::default()
        }];
        volumes.extend(push.map(|secret| Volume {
            name: "docker".to_owned(),
            secret: Some(SecretVolumeSource {
                secret_name: Some(secret.to_string()),
                items: Some(vec![KeyToPath {
                    key: ".dockerconfigjson".to_owned(),
                    path: "config.json".to_owned(),
                    mode: None,
                }]),
                ..SecretVolumeSource::default()
            }),
            ..Volume::default()
        }));
        PodSpec {
            containers: vec![self.container(order)],
            restart_policy: Some("Never".to_owned()),
            termination_grace_period_seconds: Some(10),
            automount_service_account_token: Some(false),
            enable_service_links: Some(false),
            volumes: Some(volumes),
            ..PodSpec::default()
        }
    }

    fn container(&self, order: &Order<'_>) -> Container {
        let mount = |name: &str, path: &str, read_only: bool| VolumeMount {
            name: name.to_owned(),
            mount_path: path.to_owned(),
            read_only: read_only.then_some(true),
            ..VolumeMount::default()
        };
        let mut mounts = vec![mount("state", STATE, false)];
        mounts.extend(
            self.config
                .push_secret
                .as_ref()
                .map(|_| mount("docker", DOCKER, true)),
        );
        Container {
            name: "build".to_owned(),
            image: Some(self.config.image.clone()),
            command: Some(["sh", "-c", SCRIPT, "build"].map(str::to_owned).to_vec()),
            args: Some(self.arguments(order)),
            env: Some(self.environment()),
            resources: Some(resources(&self.config.resources)),
            security_context: Some(SecurityContext {
                run_as_user: Some(USER),
                run_as_group: Some(USER),
                run_as_non_root: Some(true),
                seccomp_profile: Some(SeccompProfile {
                    type_: "Unconfined".to_owned(),
                    localhost_profile: None,
                }),
                app_armor_profile: Some(AppArmorProfile {
                    type_: "Unconfined".to_owned(),
                    localhost_profile: None,
                }),
                ..SecurityContext::default()
            }),
            termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
            volume_mounts: Some(mounts),
            ..Container::default()
        }
    }

    fn arguments(&self, order: &Order<'_>) -> Vec<String> {
        let Order {
            code, destination, ..
        } = order;
        let base = self.config.git_base_url.trim_end_matches('/');
        let Code {
            repository,
            directory,
            commit,
        } = code;
        let mut arguments = vec![
            "--progress=plain".to_owned(),
            "--frontend=dockerfile.v0".to_owned(),
            format!("--opt=context={base}/{repository}.git#{commit}:{directory}/code"),
            format!("--output=type=image,name={destination},push=true"),
        ];
        if let Some(cache) = &self.config.cache {
            // A tag's characters are fewer than a directory's.
            let tag = hash(&[repository.as_str(), directory.as_str()]);
            arguments.push(format!("--import-cache=type=registry,ref={cache}:{tag}"));
            arguments.push(format!("--export-cache=type=registry,ref={cache}:{tag},mode=max"));
        }
        arguments
    }

    fn environment(&self) -> Vec<EnvVar> {
        let told = |name: &str, value: &str| EnvVar {
            name: name.to_owned(),
            value: Some(value.to_owned()),
            value_from: None,
        };
        let mut all = vec![
            told("BUILDKITD_FLAGS", "--oci-worker-no-process-sandbox"),
            told("DOCKER_CONFIG", DOCKER),
        ];
        if let Some(secret) = &self.config.git_secret {
            for (name, key) in [("GIT_USERNAME", "username"), ("GIT_PASSWORD", "password")] {
                let key = SecretKeySelector {
                    name: secret.to_string(),
                    key: key.to_owned(),
                    optional: None,
                };
                all.push(EnvVar {
                    name: name.to_owned(),
                    value: None,
                    value_from: Some(EnvVarSource {
                        secret_key_ref: Some(key),
                        ..EnvVarSource::default()
                    }),
                });
            }
        }
        all
    }
}

/// Whether a destination can stand among BuildKit's comma-separated options, and have a digest put behind it. Manifests
/// have no other; records may be older than a rule.
pub(super) fn is_plain(destination: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b':' | b'/');
    !destination.is_empty() && destination.bytes().all(plain)
}

/// 40 hexadecimal digits, as a name or a tag has room for.
fn hash(parts: &[&str]) -> String {
    let mut hex = HEXLOWER.encode(digest(&SHA256, parts.join("\0").as_bytes()).as_ref());
    hex.truncate(40);
    hex
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use deploy_core::manifest;

    use super::*;

    fn code(commit: &str) -> Code {
        Code {
            repository: "etl".parse().unwrap(),
            directory: "jobs/fibonacci".parse().unwrap(),
            commit: commit.repeat(40).parse().unwrap(),
        }
    }

    fn marks(instance: &str) -> Marks {
        Marks::new(instance.parse().unwrap())
    }

    fn config() -> BuilderConfig {
        BuilderConfig {
            push_secret: Some("push".parse().unwrap()),
            git_secret: Some("git".parse().unwrap()),
            cache: Some("registry.example/cache".to_owned()),
            resources: manifest::Resources {
                memory_limit: Some("4Gi".parse().unwrap()),
                ..manifest::Resources::default()
            },
            ..BuilderConfig::new("builds".parse().unwrap(), "https://git.example/team/")
        }
    }

    fn job(config: BuilderConfig) -> Job {
        let code = code("a");
        let order = Order {
            code: &code,
            destination: "registry.example:5000/demo/fibonacci:0.1",
            tree: "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
        };
        Recipe::new(config).job(&order, &marks("default"))
    }

    #[test]
    fn a_builder_job_to_the_letter() {
        insta::assert_json_snapshot!("builder_job", job(config()));
    }

    /// The script, in the local shell, with a builder that writes down what it was given. Tells that, and the message.
    #[cfg(unix)]
    fn run(password: &str) -> (String, String) {
        use std::os::unix::fs::PermissionsExt as _;

        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        let builder = format!(
            "#!/bin/sh\nprintf '%s\\n' \"$@\" \"${{GIT_AUTH_HEADER:-none}}\" \"${{GIT_PASSWORD:-none}}\" > {}\nprintf '{{\\n  \
             \"containerimage.config.digest\": \"sha256:01\",\\n  \"containerimage.digest\": \"sha256:02\",\\n  \
             \"image.name\": \"x\"\\n}}' > {}\n",
            at("given"),
            at("built.json"),
        );
        std::fs::write(at("buildctl-daemonless.sh"), builder).unwrap();
        let executable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(at("buildctl-daemonless.sh"), executable).unwrap();
        let script = SCRIPT
            .replace("/tmp/built.json", &at("built.json"))
            .replace("/dev/termination-log", &at("message"));
        let status = std::process::Command::new("sh")
            .args(["-c", &script, "build", "--opt=context=a b", "$(x)"])
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", folder.path().display()))
            .env("GIT_USERNAME", "me")
            .env("GIT_PASSWORD", password)
            .status()
            .unwrap();
        assert!(status.success());
        let read = |name: &str| std::fs::read_to_string(at(name)).unwrap();
        (read("given"), read("message"))
    }

    #[cfg(unix)]
    #[test]
    fn the_script_hands_its_arguments_on_as_they_are_and_leaves_the_digest_alone() {
        let (given, message) = run("");
        let given: Vec<&str> = given.lines().collect();
        assert_eq!(given[..3], ["build", "--opt=context=a b", "$(x)"]);
        assert!(
            given[3] == "--metadata-file" && given[5..] == ["none", "none"],
            "{given:?}"
        );
        assert_eq!(message, "sha256:02\n");
    }

    #[cfg(unix)]
    #[test]
    fn a_password_for_git_becomes_the_header_that_buildkit_sends() {
        let (given, _) = run("p\"a s$s");
        let given: Vec<&str> = given.lines().collect();
        assert_eq!(
            given[3..5],
            ["--secret", "id=GIT_AUTH_HEADER,env=GIT_AUTH_HEADER"]
        );
        assert_eq!(given[7..], ["basic bWU6cCJhIHMkcw==", "none"]);
    }

    #[test]
    fn without_secrets_it_has_none_and_without_a_cache_it_names_none() {
        let plain = BuilderConfig::new("builds".parse().unwrap(), "https://git.example/team");
        let text = serde_json::to_string(&job(plain)).unwrap();
        for absent in ["secretKeyRef", "\"secret\":", "-cache=", "privileged", "hostPath"] {
            assert!(!text.contains(absent), "{absent} in {text}");
        }
        assert!(text.contains("https://git.example/team/etl.git#aaaa"), "{text}");
    }

    #[test]
    fn the_same_code_at_the_same_destination_has_one_name_and_nothing_else_has_it() {
        let (here, later) = (code("a"), code("b"));
        let name = |code: &Code, destination, tree, instance| {
            let order = Order {
                code,
                destination,
                tree,
            };
            order.name(&marks(instance))
        };
        let first = name(&here, "r/x:1", "t1", "default");
        assert_eq!(first, name(&later, "r/x:1", "t1", "default"));
        assert!(first.len() <= 63, "{first}");
        let others = [
            name(&here, "r/x:2", "t1", "default"),
            name(&here, "r/x:1", "t2", "default"),
            name(&here, "r/x:1", "t1", "other"),
        ];
        assert!(!others.contains(&first));
    }

    #[test]
    fn a_destination_brings_no_option_with_it() {
        for good in ["x", "registry.example:5000/a/b_c:1.0-x"] {
            assert!(is_plain(good), "{good}");
        }
        for bad in ["", "x,push=false", "x\"", "x y", "x@sha256:00", "x\n", "x=1"] {
            assert!(!is_plain(bad), "{bad}");
        }
    }
}
