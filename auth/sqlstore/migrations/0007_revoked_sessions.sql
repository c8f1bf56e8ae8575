-- The sessions that have ended are few beside those that live, and those that
-- live are counted for a metric: all of them less these.

CREATE INDEX sessions_revoked ON sessions (revoked) WHERE revoked <> 0;
