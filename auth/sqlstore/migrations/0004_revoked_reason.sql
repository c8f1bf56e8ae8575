-- Why a session was revoked: '' by choice, 'reused' when a spent refresh token
-- came back. The owner of such a session is told so, and not only the thief.
-- A session revoked before this step was kept without its reason.
ALTER TABLE sessions ADD COLUMN revoked_reason TEXT NOT NULL DEFAULT '';
