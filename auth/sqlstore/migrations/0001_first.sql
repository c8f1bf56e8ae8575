-- One text for SQLite and PostgreSQL: TEXT, BIGINT and BYTEA mean the same to
-- both. Times are milliseconds since 1970 in UTC, 0 for "never"; a yes is 1.

CREATE TABLE accounts (
	id             TEXT   NOT NULL PRIMARY KEY CHECK (id <> ''),
	username       TEXT   NOT NULL,
	email          TEXT   NOT NULL,
	email_verified BIGINT NOT NULL,
	name           TEXT   NOT NULL,
	roles          TEXT   NOT NULL, -- JSON array of strings
	fields         TEXT   NOT NULL, -- JSON object of arrays of strings
	password_hash  TEXT   NOT NULL,
	disabled       BIGINT NOT NULL,
	version        BIGINT NOT NULL,
	created        BIGINT NOT NULL,
	updated        BIGINT NOT NULL
);

-- Every name that finds an account, folded: its id, its username, its e-mail.
-- The primary key is the whole rule that these share one namespace.
CREATE TABLE names (
	name       TEXT NOT NULL PRIMARY KEY,
	account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE
);
CREATE INDEX names_account ON names (account_id);

CREATE TABLE sessions (
	id         TEXT   NOT NULL PRIMARY KEY CHECK (id <> ''),
	account_id TEXT   NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
	counter    BIGINT NOT NULL,
	floor      BIGINT NOT NULL,
	generation BIGINT NOT NULL,
	rotated    BIGINT NOT NULL,
	auth_time  BIGINT NOT NULL,
	address    TEXT   NOT NULL,
	user_agent TEXT   NOT NULL,
	created    BIGINT NOT NULL,
	last_seen  BIGINT NOT NULL,
	revoked    BIGINT NOT NULL
);
CREATE INDEX sessions_account ON sessions (account_id);

CREATE TABLE revocations (
	seq     BIGINT NOT NULL PRIMARY KEY,
	kind    BIGINT NOT NULL,
	subject TEXT   NOT NULL, -- a session or an account, by kind; it may be gone
	version BIGINT NOT NULL,
	until   BIGINT NOT NULL
);

-- The last sequence number given out. A row of its own and no AUTOINCREMENT or
-- SEQUENCE: its lock is held until the commit, so numbers become visible in
-- their order, and a follower that has read up to n never misses a smaller one.
CREATE TABLE feed (last BIGINT NOT NULL);
INSERT INTO feed (last) VALUES (0);

CREATE TABLE keys (
	purpose    TEXT   NOT NULL,
	generation BIGINT NOT NULL,
	id         TEXT   NOT NULL UNIQUE,
	sealed     BYTEA  NOT NULL,
	created    BIGINT NOT NULL,
	retired    BIGINT NOT NULL,
	PRIMARY KEY (purpose, generation)
);
