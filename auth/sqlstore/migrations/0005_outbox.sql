-- Who is told of what becomes of accounts. A change of an account looks here,
-- inside its own transaction, and so whoever makes it need not know.
CREATE TABLE subscribers (
	name   TEXT NOT NULL PRIMARY KEY, -- an upstream's
	events TEXT NOT NULL              -- JSON array of words
);

-- What is still to be told. A row that was sent once is never changed: the
-- receiver may have it. Those after it are merged, so that an account has few.
CREATE TABLE outbox (
	subscriber TEXT   NOT NULL REFERENCES subscribers (name) ON DELETE CASCADE,
	account_id TEXT   NOT NULL, -- it may be gone
	seq        BIGINT NOT NULL, -- the order within an account
	id         TEXT   NOT NULL UNIQUE,
	event      TEXT   NOT NULL,
	birth      BIGINT NOT NULL, -- before it the subscriber cannot know the account
	data       TEXT   NOT NULL, -- JSON, as it is sent
	happened   BIGINT NOT NULL,
	tries      BIGINT NOT NULL,
	due        BIGINT NOT NULL,
	taken      BIGINT NOT NULL, -- until when it is somebody's who sends it
	PRIMARY KEY (subscriber, account_id, seq)
);
CREATE INDEX outbox_due ON outbox (subscriber, due);
