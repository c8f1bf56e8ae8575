-- The terms that a session was begun on. Those that were there before have the
-- configuration's: a refresh token that rotates, and no end of their own.

ALTER TABLE sessions ADD COLUMN refresh    BIGINT NOT NULL DEFAULT 0;  -- 0 rotates, 1 stays the same, 2 there is none
ALTER TABLE sessions ADD COLUMN access_ttl BIGINT NOT NULL DEFAULT 0;  -- milliseconds; 0: as the configuration says
ALTER TABLE sessions ADD COLUMN ends       BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN claims     TEXT   NOT NULL DEFAULT ''; -- JSON array of what is added to its tokens
