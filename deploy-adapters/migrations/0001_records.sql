-- What the core records. Written so that SQLite and PostgreSQL both take it: ids are UUIDs as TEXT, times are BIGINT
-- milliseconds since 1970, documents are JSON as TEXT. Columns beside a document are what is looked up and sorted by.
-- What never changes (spec) is kept apart from what changes often (status).
-- An index of few rows begins with the column that makes them few: SQLite takes it for a search, and prefers it.

-- Who leads; one row. Commits of another generation are refused.
CREATE TABLE leader (
    one BIGINT PRIMARY KEY NOT NULL CHECK (one = 1),
    generation BIGINT NOT NULL
);
INSERT INTO leader (one, generation) VALUES (1, 0);

CREATE TABLE run (
    id TEXT PRIMARY KEY NOT NULL,
    namespace TEXT NOT NULL,
    open BOOLEAN NOT NULL,
    spec TEXT NOT NULL,
    status TEXT NOT NULL
);
CREATE INDEX run_of_namespace ON run (namespace, id);
-- Unique, as ids are: so SQLite knows that a run comes once, and sorts its steps and events by their own index.
CREATE UNIQUE INDEX run_open ON run (open, id) WHERE open = TRUE;

CREATE TABLE run_event (
    run_id TEXT NOT NULL REFERENCES run (id),
    seq BIGINT NOT NULL,
    event TEXT NOT NULL,
    PRIMARY KEY (run_id, seq)
);

CREATE TABLE task (
    id TEXT PRIMARY KEY NOT NULL,
    slot TEXT NOT NULL,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    kind BIGINT NOT NULL,
    run_id TEXT,
    step_index BIGINT,
    live BOOLEAN NOT NULL,
    holds BOOLEAN NOT NULL,
    finished_ms BIGINT,
    status TEXT NOT NULL
);
-- At most one task holds a place: a commit that forgets to release it is refused, not believed.
CREATE UNIQUE INDEX task_holder ON task (slot, namespace, name) WHERE holds;
CREATE INDEX task_place ON task (slot, namespace, name);
CREATE INDEX task_list ON task (kind, namespace, name) WHERE holds;
CREATE INDEX task_list_of_namespace ON task (namespace, kind, name) WHERE holds;
CREATE INDEX task_step ON task (run_id, step_index) WHERE run_id IS NOT NULL;
CREATE INDEX task_live ON task (live, id) WHERE live = TRUE;
CREATE INDEX task_finished ON task (kind, finished_ms, id) WHERE holds AND finished_ms IS NOT NULL;

-- A table of its own, so that a change of status never writes a manifest's 256 KiB again.
CREATE TABLE task_spec (
    task_id TEXT PRIMARY KEY NOT NULL REFERENCES task (id) ON DELETE CASCADE,
    spec TEXT NOT NULL
);

CREATE TABLE work (
    id TEXT PRIMARY KEY NOT NULL,
    created_ms BIGINT NOT NULL,
    loading BOOLEAN NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX work_age ON work (created_ms);
CREATE INDEX work_loading ON work (loading, id) WHERE loading = TRUE;
