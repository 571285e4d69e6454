-- Shared folders.

-- name: space_marks
-- What is known of a space's files.
SELECT path, mark FROM space_files WHERE space = :space;

-- name: space_file
-- One file as it is known.
SELECT digest FROM space_files WHERE space = :space AND path = :path;

-- name: set_space_file
-- A file as it is now.
INSERT INTO space_files (space, path, mark, digest, size_bytes, look_id)
VALUES (:space, :path, :mark, :digest, :size_bytes, :look_id)
ON CONFLICT (space, path) DO UPDATE SET mark = excluded.mark, digest = excluded.digest,
    size_bytes = excluded.size_bytes, look_id = excluded.look_id;

-- name: set_space_mark
-- A file that says what it said.
UPDATE space_files SET mark = :mark WHERE space = :space AND path = :path;

-- name: drop_space_file
-- A file is not there any more.
DELETE FROM space_files WHERE space = :space AND path = :path;

-- name: insert_space_look
-- Somebody looked, and something was not as it was.
INSERT INTO space_looks (look_id, space, looked_at) VALUES (:look_id, :space, :looked_at);

-- name: insert_space_look_task
-- Who could have written it.
INSERT INTO space_look_tasks (look_id, task_id) VALUES (:look_id, :task_id);

-- name: insert_space_change
-- What was not as it was.
INSERT INTO space_changes (look_id, path, kind, digest, size_bytes)
VALUES (:look_id, :path, :kind, :digest, :size_bytes);

-- name: enter_space
-- Tools of a task may look into a space from now on.
INSERT INTO space_tasks (space, task_id, may_write) VALUES (:space, :task_id, :may_write) ON CONFLICT DO NOTHING;

-- name: leave_space
-- None of its tools runs any more.
DELETE FROM space_tasks WHERE space = :space AND task_id = :task_id;

-- name: tasks_in_space
-- Who is at work in a space.
SELECT task_id, may_write FROM space_tasks WHERE space = :space ORDER BY task_id;

-- name: space_stays
-- Who is at work in which space, and whether its task still runs.
SELECT s.space, s.task_id, s.may_write, coalesce(t.state = 'running', 0) AS is_running
FROM space_tasks AS s LEFT JOIN tasks AS t USING (task_id) ORDER BY s.task_id, s.space;

-- name: insert_space_look_taint
-- What somebody had read who could have written it.
INSERT INTO space_look_taints (look_id, source, origin) VALUES (:look_id, :source, :origin) ON CONFLICT DO NOTHING;

-- name: space_taints
-- Whose text may stand in what a space holds now.
SELECT DISTINCT t.source, t.origin FROM space_look_taints AS t
WHERE t.look_id IN (SELECT f.look_id FROM space_files AS f WHERE f.space = :space) ORDER BY t.source, t.origin;

-- name: space_held
-- How much a space is known to hold.
SELECT count(*) AS files, coalesce(sum(size_bytes), 0) AS size_bytes FROM space_files WHERE space = :space;

-- name: known_spaces
-- The spaces of which something is known.
SELECT DISTINCT space FROM space_looks UNION SELECT DISTINCT space FROM space_files ORDER BY space;

-- name: space_log
-- The newest changes of a space, or of one path or task in it.
SELECT c.change_id, c.look_id, c.path, c.kind, c.digest, c.size_bytes, l.looked_at FROM space_changes AS c
JOIN space_looks AS l USING (look_id)
WHERE l.space = :space AND (:path = '' OR c.path = :path OR substr(c.path, 1, length(:path) + 1) = :path || '/') AND (:task_id = '' OR EXISTS (
    SELECT 1 FROM space_look_tasks AS w WHERE w.look_id = c.look_id AND w.task_id = :task_id))
ORDER BY c.change_id DESC LIMIT :limit;

-- name: space_look_tasks
-- Who could have written what a look found.
SELECT w.task_id, t.group_id, t.submitter FROM space_look_tasks AS w LEFT JOIN tasks AS t USING (task_id)
WHERE w.look_id = :look_id ORDER BY w.task_id;

-- name: space_changes_of_task
-- In which spaces a task could have changed how many files.
SELECT l.space, count(DISTINCT c.path) AS files, max((
    SELECT count(*) FROM space_look_tasks AS n WHERE n.look_id = l.look_id)) AS writers
FROM space_look_tasks AS w JOIN space_looks AS l USING (look_id) JOIN space_changes AS c USING (look_id)
WHERE w.task_id = :task_id GROUP BY l.space ORDER BY l.space;

-- name: space_files_of_task
-- What of a task's may still be in spaces.
SELECT f.space, f.path FROM space_look_tasks AS w JOIN space_files AS f USING (look_id)
WHERE w.task_id = :task_id ORDER BY f.space, f.path;

-- name: blank_space_changes
-- A forgotten person's files lose their names here.
UPDATE space_changes SET path = '' WHERE path <> '' AND look_id IN (
    SELECT w.look_id FROM space_look_tasks AS w WHERE w.task_id = :task_id);

-- name: blank_old_space_changes
-- Names that are not kept so long.
UPDATE space_changes SET path = '' WHERE change_id IN (
    SELECT c.change_id FROM space_changes AS c JOIN space_looks AS l USING (look_id)
    WHERE l.looked_at < :before AND c.path <> '' LIMIT :limit);

-- name: drop_space_files
-- A space is removed: nothing is known of its files any more.
DELETE FROM space_files WHERE space = :space;
