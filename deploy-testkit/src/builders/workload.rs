//! Workloads with defaults.

use deploy_core::manifest::{ConcurrencyPolicy, EnvValue, EnvVar, Image, Labels, Resources};
use deploy_core::names::{Identity, Namespace, PipelineId, ResourceName, TaskId};
use deploy_core::workload::{Code, Container, Shape, Workload};

use super::parsed;

/// Builds a [`Workload`].
#[derive(Debug, Clone)]
pub struct WorkloadBuilder {
    workload: Workload,
}

impl Default for WorkloadBuilder {
    fn default() -> Self {
        Self {
            workload: Workload {
                task: super::task_id(1),
                identity: parsed("ada@example.com"),
                run: None,
                namespace: parsed("demo"),
                name: parsed("task"),
                labels: Labels::default(),
                container: Container {
                    image: Image::Pulled("registry.example/demo/task:1".to_owned()),
                    pull_policy: None,
                    command: None,
                    env: Vec::new(),
                    resources: Resources::default(),
                },
                code: None,
                shape: Shape::Job {
                    retries: 0,
                    timeout_seconds: None,
                },
            },
        }
    }
}

impl WorkloadBuilder {
    /// The task it belongs to.
    #[must_use]
    pub fn task(mut self, id: TaskId) -> Self {
        self.workload.task = id;
        self
    }

    /// Who asked for it.
    #[must_use]
    #[track_caller]
    pub fn identity(mut self, identity: &str) -> Self {
        self.workload.identity = parsed::<Identity>(identity);
        self
    }

    /// The run whose step it is.
    #[must_use]
    pub fn run(mut self, run: PipelineId) -> Self {
        self.workload.run = Some(run);
        self
    }

    /// Where it runs.
    #[must_use]
    #[track_caller]
    pub fn namespace(mut self, namespace: &str) -> Self {
        self.workload.namespace = parsed::<Namespace>(namespace);
        self
    }

    /// Its name.
    #[must_use]
    #[track_caller]
    pub fn name(mut self, name: &str) -> Self {
        self.workload.name = parsed::<ResourceName>(name);
        self
    }

    /// The image that is pulled.
    #[must_use]
    pub fn image(mut self, reference: &str) -> Self {
        self.workload.container.image = Image::Pulled(reference.to_owned());
        self
    }

    /// The image that is built first.
    #[must_use]
    pub fn image_destination(mut self, reference: &str) -> Self {
        self.workload.container.image = Image::Built(reference.to_owned());
        self
    }

    /// The command.
    #[must_use]
    pub fn command(mut self, command: &[&str]) -> Self {
        self.workload.container.command = Some(command.iter().map(|&part| part.to_owned()).collect());
        self
    }

    /// One more variable of the environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.workload.container.env.push(EnvVar {
            name: name.to_owned(),
            value: EnvValue::Literal(value.to_owned()),
        });
        self
    }

    /// Where its `code/` is: that of [`super::source`].
    #[must_use]
    pub fn code(mut self) -> Self {
        let source = super::source();
        self.workload.code = Some(Code {
            repository: source.repository,
            directory: source.directory,
            commit: source.commit,
        });
        self
    }

    /// A job without retries or a time limit.
    #[must_use]
    pub fn job(self) -> Self {
        self.shape(Shape::Job {
            retries: 0,
            timeout_seconds: None,
        })
    }

    /// A cron job with that schedule, in UTC.
    #[must_use]
    #[track_caller]
    pub fn cronjob(self, schedule: &str) -> Self {
        self.shape(Shape::CronJob {
            schedule: parsed(schedule),
            timezone: parsed("Etc/UTC"),
            concurrency: ConcurrencyPolicy::Forbid,
            retries: 0,
            timeout_seconds: None,
        })
    }

    /// A deployment of one replica.
    #[must_use]
    pub fn deployment(self) -> Self {
        self.shape(Shape::Deployment { replicas: 1 })
    }

    /// A service of one replica on port 8080, not published.
    #[must_use]
    pub fn service(self) -> Self {
        self.shape(Shape::Service {
            replicas: 1,
            port: 8080,
            published: None,
        })
    }

    /// Any shape.
    #[must_use]
    pub fn shape(mut self, shape: Shape) -> Self {
        self.workload.shape = shape;
        self
    }

    /// The workload.
    #[must_use]
    pub fn build(self) -> Workload {
        self.workload
    }
}
