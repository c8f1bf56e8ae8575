package sqlstore_test

import (
	"context"
	"errors"
	"slices"

	"github.com/posternhq/postern/auth"
)

// listFaults are the ways to get an import wrong.
func listFaults() []fault {
	oneByOne := func(w *wrong, real auth.Store) {
		w.list = func(ctx context.Context, list []auth.Account) error {
			var all auth.ConflictsError
			for i, a := range list {
				var taken *auth.ConflictError
				if err := real.CreateAccount(ctx, a); errors.As(err, &taken) {
					all.Conflicts = append(all.Conflicts, auth.Conflict{Index: i, Field: taken.Field})
				} else if err != nil {
					return err
				}
			}
			if len(all.Conflicts) > 0 {
				return &all
			}
			return nil
		}
	}
	return []fault{
		{"adds what has no conflict", "a list with a conflict is refused", oneByOne},
		{"adds until the caller leaves", "a list that its caller gives up", oneByOne},
		{"lets half of a list win", "of those who race with a list", oneByOne},
		{"names the first conflict alone", "a list with a conflict is refused", func(w *wrong, real auth.Store) {
			w.list = func(ctx context.Context, list []auth.Account) error {
				err := real.CreateAccounts(ctx, list)
				var all *auth.ConflictsError
				if errors.As(err, &all) {
					all.Conflicts = all.Conflicts[:1]
				}
				return err
			}
		}},
		{"adds the first thousand", "a list may be long", func(w *wrong, real auth.Store) {
			w.list = func(ctx context.Context, list []auth.Account) error {
				return real.CreateAccounts(ctx, list[:min(len(list), 1000)])
			}
		}},
		{"forgets who is disabled", "a list of accounts is added whole", func(w *wrong, real auth.Store) {
			w.list = func(ctx context.Context, list []auth.Account) error {
				list = slices.Clone(list)
				for i := range list {
					list[i].Disabled = false
				}
				return real.CreateAccounts(ctx, list)
			}
		}},
	}
}
