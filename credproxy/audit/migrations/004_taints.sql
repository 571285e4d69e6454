-- Which hosts' answers, that may hold anybody's words, a task was given.
CREATE INDEX noted_by_task ON entries (task_id) WHERE note <> '' AND kind = 'begin';
