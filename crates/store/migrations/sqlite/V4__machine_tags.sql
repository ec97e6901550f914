-- What people call a machine, as a JSON list of texts in the order in which they were given.
ALTER TABLE machines ADD COLUMN tags TEXT NOT NULL DEFAULT '[]' CHECK (json_type(tags) = 'array');
