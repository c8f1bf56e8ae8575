-- What a part of the gateway keeps beside accounts and sessions, sealed with the
-- master key: the keys and certificates that ACME fetched.

CREATE TABLE secrets (
	name    TEXT   NOT NULL PRIMARY KEY,
	sealed  BYTEA  NOT NULL,
	changed BIGINT NOT NULL -- when it was put there, for a person who looks
);
