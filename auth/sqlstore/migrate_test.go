package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
)

// released makes a store as the first release left it: its one step of the
// schema, an account with its names, a live session, a revoked one with its
// entry in the feed, and a key.
func released(t *testing.T, path string) {
	t.Helper()
	first, err := files.ReadFile("migrations/0001_first.sql")
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", source(path, time.Second))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, statement := range []string{
		string(first),
		`INSERT INTO accounts VALUES ('id-1', 'Alice', 'alice@example.com', 1, 'Alice', '["user","admin"]', '{"phone":["1"]}', '$argon2id$', 0, 7, 1000, 2000)`,
		`INSERT INTO names VALUES ('id-1', 'id-1'), ('alice', 'id-1'), ('alice@example.com', 'id-1')`,
		`INSERT INTO sessions VALUES ('live', 'id-1', 9, 3, 1, 4000, 3000, '198.51.100.7', 'a browser', 3000, 4000, 0)`,
		`INSERT INTO sessions VALUES ('over', 'id-1', 2, 1, 1, 4000, 3000, '', '', 3000, 4000, 5000)`,
		`INSERT INTO revocations VALUES (1, 1, 'over', 0, 9000000000000)`,
		`UPDATE feed SET last = 1`,
		`INSERT INTO keys VALUES ('refresh', 1, 'k', X'00ff', 1000, 0)`,
		fmt.Sprintf(`PRAGMA application_id = %d`, applicationID),
		`PRAGMA user_version = 1`,
	} {
		if _, err := db.Exec(statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// contents is every row of the tables and columns that wanted has; of all the
// tables there are, when wanted is nil.
func contents(t *testing.T, path string, wanted map[string]string) (columns, rows map[string]string) {
	t.Helper()
	db, err := sql.Open("sqlite", source(path, time.Second))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if wanted == nil {
		wanted = map[string]string{}
		found, err := db.Query(`SELECT t.name, group_concat('quote(' || c.name || ')', '||'' ''||') FROM sqlite_schema t JOIN pragma_table_info(t.name) c WHERE t.type = 'table' GROUP BY t.name`)
		if err != nil {
			t.Fatal(err)
		}
		defer found.Close()
		for found.Next() {
			var table, list string
			if err := found.Scan(&table, &list); err != nil {
				t.Fatal(err)
			}
			wanted[table] = list
		}
		if err := found.Err(); err != nil {
			t.Fatal(err)
		}
	}
	rows = map[string]string{}
	for table, list := range wanted {
		var text sql.NullString
		if err := db.QueryRow(`SELECT group_concat(line, char(10)) FROM (SELECT ` + list + ` AS line FROM ` + table + ` ORDER BY 1)`).Scan(&text); err != nil {
			t.Fatalf("%s: %v", table, err)
		}
		rows[table] = text.String
	}
	return wanted, rows
}

// Whatever steps the schema has by now: what the first release wrote is there
// afterwards, value for value, and means what it meant.
func TestAStoreOfTheFirstReleaseMigratesWithoutLoss(t *testing.T) {
	path := filepath.Join(t.TempDir(), "postern.db")
	released(t, path)
	columns, before := contents(t, path, nil)
	if len(columns) != 6 || !strings.Contains(before["sessions"], "'live'") {
		t.Fatalf("the old store holds %v", before)
	}
	s := openImpatient(t, path)
	if _, after := contents(t, path, columns); !maps.Equal(before, after) {
		t.Errorf("before %v\nafter %v", before, after)
	}
	ctx := context.Background()
	live, err := s.Session(ctx, "live")
	if err != nil || live.Counter != 9 || live.Floor != 3 || !live.Revoked.IsZero() || live.UserAgent != "a browser" {
		t.Errorf("the live session is %+v, %v", live, err)
	}
	if live.Refresh != auth.RefreshRotates || live.AccessTTL != 0 || !live.Ends.IsZero() || live.Claims != nil {
		t.Errorf("the live session got terms: %+v", live)
	}
	over, err := s.Session(ctx, "over")
	if err != nil || over.Revoked.IsZero() || over.RevokedFor != auth.RevokedByChoice {
		t.Errorf("the revoked session is %+v, %v", over, err)
	}
	if a, err := s.FindAccount(ctx, "ALICE"); err != nil || a.Version != 7 || len(a.Roles) != 2 || !a.EmailVerified {
		t.Errorf("the account is %+v, %v", a, err)
	}
	if feed, err := s.Revocations(ctx, 0); err != nil || len(feed) != 1 {
		t.Errorf("the feed is %v, %v", feed, err)
	}
}
