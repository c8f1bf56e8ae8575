package auth_test

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/posternhq/postern/auth"
)

// TestEveryVerbOfTheStoreIsMeasured: one call tells once, under a word of the
// closed list. On a closed store every verb is a fault.
func TestEveryVerbOfTheStoreIsMeasured(t *testing.T) {
	store := openStore(t, t.TempDir()+"/postern.db")
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	var calls []auth.StoreCall
	measured := reflect.ValueOf(auth.Measured(store, func(c auth.StoreCall) { calls = append(calls, c) }))
	verbs, seen := reflect.TypeFor[auth.Store](), map[string]bool{}
	for i := range verbs.NumMethod() {
		verb := verbs.Method(i)
		if verb.Name == "Close" {
			continue
		}
		args := []reflect.Value{reflect.ValueOf(t.Context())}
		for j := 1; j < verb.Type.NumIn(); j++ {
			args = append(args, reflect.Zero(verb.Type.In(j)))
		}
		if verb.Name == "CreateAccounts" || verb.Name == "DeleteKeys" { // nothing to do is done without the store
			args[1] = reflect.MakeSlice(verb.Type.In(1), 1, 1)
		}
		calls = nil
		measured.MethodByName(verb.Name).Call(args)
		switch {
		case len(calls) != 1:
			t.Errorf("%s tells %d times: give it to MeasuredStore", verb.Name, len(calls))
		case !calls[0].Fault || calls[0].Took < 0 || calls[0].Took > time.Minute || !slices.Contains(auth.StoreOperations(), calls[0].Operation):
			t.Errorf("%s: %+v", verb.Name, calls[0])
		default:
			seen[calls[0].Operation] = true
		}
	}
	if len(seen) != len(auth.StoreOperations()) {
		t.Errorf("of %v only %v are told", auth.StoreOperations(), seen)
	}
}

func TestAMeasuredStoreAnswersAsTheStoreDoes(t *testing.T) {
	r := newRig(t)
	faults := 0
	told := map[string]int{}
	r.opts.Store = auth.Measured(r.store, func(c auth.StoreCall) {
		told[c.Operation]++
		if c.Fault {
			faults++
		}
	})
	r.svc = r.restart()
	g := r.refresh(r.login().RefreshToken)
	r.verify(g.AccessToken, nil)
	if _, err := r.svc.Login(t.Context(), auth.Credentials{Username: "nobody", Password: password}, home()); err == nil {
		t.Error("nobody logs in")
	}
	wantError(t, r.svc.Logout(t.Context(), g.Session, home()), nil)
	for _, operation := range []string{"account_read", "session_write", "rotate", "feed", "throttle", "keys"} {
		if told[operation] == 0 {
			t.Errorf("%s was not told: %v", operation, told)
		}
	}
	if faults > 0 { // nobody is not found, and that is no fault
		t.Errorf("%d faults", faults)
	}
}
