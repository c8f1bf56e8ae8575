// Package sqlstore keeps accounts, sessions, revocations, sealed keys and other
// sealed secrets, and what applications are still to be told of accounts, in a
// SQL database. It implements auth.Store and auth.SecretStore:
//
//	store, err := sqlstore.Open(ctx, "postern.db")
//	if err != nil {
//		return err // the message says what to do
//	}
//	defer store.Close()
//
// # Why it is like this
//
// One SQL text. PostgreSQL will join SQLite, so the statements here are those
// that both understand: $1 placeholders, ON CONFLICT, RETURNING, integers for
// times (milliseconds) and booleans. What is SQLite's alone has files of its own:
// opening and error codes (sqlite.go), the lock on the file (inuse.go), the
// schema's version (migrate.go), backup.go and restore.go.
//
// Two pools. SQLite has one writer at a time, so there is one connection that
// writes. It takes the lock when a transaction begins (_txlock=immediate): a
// transaction that reads first and then wants to write is not waited for by
// SQLite but refused. The readers work in the write-ahead log beside it and
// cannot write (query_only).
//
// synchronous=FULL. A logout, a password change or a rotation that was
// answered survives a power cut; on macOS that takes fullfsync as well, without
// which the disk has it in its cache. What that costs comes back by committing
// concurrent writes together, see group: on a busy machine with two cores 16
// rotations at once were 3.3 times as fast as with a transaction each, 64 at
// once 4.8 to 7.6 times, and one alone the same (BenchmarkRotate).
//
// A lock file. SQLite lets a file be replaced under whoever has it open, and what
// they write afterwards is lost. So everybody who opens a store shares a lock on
// the -lock beside it, and Restore, which replaces the file, wants it alone.
//
// An outbox. What applications are to be told of an account is written by the
// transaction that changes it, for the subscribers that the store itself knows:
// no crash comes between the two, and a command that changes accounts need not
// know what the gateway was told to tell. A row that was sent once never changes,
// since the receiver may have it under its id; what follows it is merged. An
// account that came and went unsent leaves nothing, which only its birth can
// prove: one that was introduced again may be known.
//
// Own migrations. The usual library has no lock for SQLite, so that two
// processes that start at once would run the same step twice, and brings 95
// modules into go.sum; migrate.go is shorter than its set-up. The version is
// SQLite's user_version, which stands in the file's header and can be read
// without opening the database.
package sqlstore
