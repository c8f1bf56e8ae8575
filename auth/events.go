package auth

import "context"

// The names of audit events that this package tells of. The list is closed:
// people write alerts on these words.
const (
	EventLogin           = "login"            // a password was right, a session began
	EventLoginFailed     = "login_failed"     // unknown, wrong or disabled: Detail says which
	EventLocked          = "locked"           // a login refused for too many failed ones
	EventRefresh         = "refresh"          // a refresh token was spent; Detail "repeat": within the grace
	EventRefreshFailed   = "refresh_failed"   // Detail: invalid, expired, disabled, or reused: of a session that refresh_reused has ended
	EventRefreshReused   = "refresh_reused"   // a spent one came back: the session has ended
	EventLogout          = "logout"           // a session ended by its owner; Detail "all": every one
	EventSessionRevoked  = "session_revoked"  // a session ended by choice from a list, or by somebody else
	EventPasswordChanged = "password_changed" // the other sessions have ended
	EventRoleChanged     = "role_changed"     // Detail: the roles before and after
	EventProfileChanged  = "profile_changed"  // Detail: which parts: name, email, fields.NAME
	EventUserCreated     = "user_created"
	EventRegisterRefused = "register_refused" // Detail: which name is taken, or that there were too many
	EventUserMigrated    = "user_migrated"    // brought along by a first login; Detail: the roles
	EventMigrateFailed   = "migrate_failed"   // the old application could not be asked; Detail: why
	EventUserDisabled    = "user_disabled"
	EventUserEnabled     = "user_enabled"
	EventUserDeleted     = "user_deleted"
	EventUserUnlocked    = "user_unlocked"    // its failed logins are forgotten; Detail: those of an address instead
	EventUserProvisioned = "user_provisioned" // put into the outbox for the upstreams; no user: all accounts. Detail: how many events
	EventProvisionBegun  = "provision_begun"  // an upstream is told of accounts from now on; Detail: which
	EventProvisionEnded  = "provision_ended"  // and is not any more; Detail: which, and how much it was not told
	EventKeyCreated      = "key_created"      // the first of a use; Detail: the use and the kid
	EventKeyRotated      = "key_rotated"      // the next of a use; Detail: the use and the new kid
	EventStoreRestored   = "store_restored"   // a backup took the store's place; Detail: what became of the sessions
)

// tell hands an event to the audit log.
func (s *Service) tell(ctx context.Context, e Event) {
	if s.audit != nil {
		s.audit(ctx, e)
	}
}
