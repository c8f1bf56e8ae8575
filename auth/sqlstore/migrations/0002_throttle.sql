-- Failed logins, counted. A row whose end has come counts for nothing and is
-- deleted at leisure.
CREATE TABLE failures (
	name    TEXT   NOT NULL, -- keyed digest of an account's id, or of a name that is nobody's; '': the network alone
	network TEXT   NOT NULL, -- an address, for IPv6 a /64; '-': not known; '': the name alone, from wherever
	failed  BIGINT NOT NULL,
	locked  BIGINT NOT NULL,
	ends    BIGINT NOT NULL, -- the lock, or else the window in which failures add up
	PRIMARY KEY (name, network)
);

-- Where an account has logged in from: these are not shut out for what
-- strangers do.
CREATE TABLE known_networks (
	account_id TEXT   NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
	network    TEXT   NOT NULL,
	seen       BIGINT NOT NULL, -- the last login, to the day or so
	PRIMARY KEY (account_id, network)
);
