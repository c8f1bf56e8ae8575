package e2e

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// witnesses are the test functions of the whole project, by the folder and the
// name (auth/web.FuzzRd), with the text of their file.
func witnesses(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(root(t), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, "_test.go") || strings.Contains(path, "node_modules") {
			return err
		}
		return addWitnesses(found, root(t), path)
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// addWitnesses adds those of one file.
func addWitnesses(found map[string]string, root, path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	file, err := parser.ParseFile(token.NewFileSet(), path, text, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	dir, err := filepath.Rel(root, filepath.Dir(path))
	if err != nil {
		return err
	}
	for _, decl := range file.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if ok && fn.Recv == nil && (strings.HasPrefix(fn.Name.Name, "Test") || strings.HasPrefix(fn.Name.Name, "Fuzz")) {
			found[filepath.ToSlash(dir)+"."+fn.Name.Name] = string(text)
		}
	}
	return nil
}

// played says of each case of the corpus that is steps which tests walk them.
// A word after the name must stand in its file: there the case is one of a
// table. Where a case asks for what Postern does not have, its reason stands in
// the place of a test, after a dash.
func played() map[string][]string {
	return map[string][]string{
		"PC-108": {"e2e.TestHTTP2 PC-108"},
		"HS-059": {"e2e.TestHS059RoleNamesCannotBeSplit", "gateway.TestAValueThatWouldNotArriveAsItIsIsAbsent_HS059", "cmd/postern.TestHS059RoleNamesOnTheCommandLineCannotBeSplit"},
		"HS-061": {"e2e.TestHS061NoRolesMeansNone", "gateway.TestAUserWithoutRolesHasNoRolesHeader_HS061"},
		"HS-063": {"e2e.TestHS063UpstreamCannotPlayTheGateway", "gateway.TestAnUpstreamCannotSpeakForTheGateway_HS063_IL14"},
		"SM-060": {"e2e.TestHTTP2 SM-060"},
		"SM-061": {"e2e.TestHTTP2 SM-061"},
		"SM-064": {"e2e.TestHTTP2 SM-064"},
		"SM-067": {"e2e.TestHTTP2 SM-067"},
		"SM-068": {"e2e.TestHTTP2 SM-068"},
		"SM-071": {"e2e.TestHTTP2 SM-071"},
		"SM-072": {"e2e.TestHTTP2 SM-072"},
		"SM-074": {"e2e.TestHTTP2 SM-074"},
		"TK-42":  {"e2e.TestRefreshTakesNoOrders TK-42", "auth.TestTK42AnAccessTokenDoesNotRefresh"},
		"TK-71":  {"auth.TestTK71Wycheproof"},
		"TK-72":  {"- no JWK is ever read: keys are made by Postern and lie sealed in its store; the key set is published, and read back by an independent library", "auth.TestTK71Wycheproof", "e2e.TestEveryAlgorithmIsVerifiedByAnIndependentLibrary"},
		"TK-73":  {"auth.FuzzVerify", "auth.FuzzUnambiguous"},
		"SE-01":  {"e2e.TestSE01ReplayAfterRotationEndsTheSession"},
		"SE-02":  {"e2e.TestSE02ParallelRefreshHasOneSuccessor"},
		"SE-03":  {"auth/web.TestSE03ARetryAfterALostAnswerGetsTheSameSuccessor", "auth.TestSE03ALostAnswerIsGivenAgainByteForByte"},
		"SE-04":  {"e2e.TestSessionEnds SE-04", "auth.TestSE04SE05ALogoutEndsBothTokensAtOnce"},
		"SE-05":  {"e2e.TestSessionEnds SE-05", "auth.TestSE04SE05ALogoutEndsBothTokensAtOnce"},
		"SE-06":  {"e2e.TestSE06LogoutWithAnExpiredToken", "auth/web.TestSE06AnExpiredAccessTokenOrTheRefreshTokenIsEnough"},
		"SE-13":  {"e2e.TestSessionEnds SE-13"},
		"SE-14":  {"auth.TestSE14SessionsHaveUnguessableNames"},
		"SE-15":  {"e2e.TestSE15StoreHoldsNoToken"},
		"SE-18":  {"e2e.TestRefreshTakesNoOrders SE-18"},
		"SE-19":  {"e2e.TestRefreshTakesNoOrders SE-19"},
		"SE-20":  {"e2e.TestRefreshTakesNoOrders SE-20"},
		"SE-21":  {"e2e.TestRefreshTakesNoOrders SE-21", "auth/web.TestSE21AGETWithoutRdRefreshesNothing"},
		"SE-22":  {"e2e.TestSE22RestartKeepsWhatWasSaid"},
		"SE-25":  {"e2e.TestSE25NobodyGetsAnothersIdentity", "auth/web.TestSE25NoTwoNamesAndPasswordsMeanTheSame"},
		"LG-02":  {"auth.TestLG02TheDummyHashHasTheParametersOfARealOne", "e2e.TestLoginSaysTheSameToEverybody"},
		"LG-05":  {"e2e.TestLG05LockoutOfOneIsNotLockoutOfAll", "e2e.TestLG05WhoIsKnownSomewhereIsNotShutOutThere"},
		"LG-06":  {"e2e.TestLG06SprayingEndsInALock"},
		"LG-10":  {"auth/sqlstore.TestLG10AFloodOfNamesTakesBoundedRoomAndUnlocksNothing"},
		"LG-12":  {"e2e.TestPasswordsAreTakenWhole LG-12", "auth.TestLG12BcryptIsNeverGivenMoreThan72Bytes"},
		"LG-13":  {"auth/web.TestLG13LG14PasswordsAreTakenAsTheyAre", "auth.TestLG13LG14PasswordsAreComparedWhole"},
		"LG-14":  {"e2e.TestPasswordsAreTakenWhole LG-14"},
		"LG-15":  {"e2e.TestLoginBodies LG-15"},
		"LG-17":  {"e2e.TestLoginBodies LG-17"},
		"LG-19":  {"e2e.TestLoginBodies LG-19"},
		"LG-57":  {"e2e.TestLG57NoTokenInAURL"},
		"LG-58":  {"e2e.TestLG58LoginPageEscapes"},
		"LG-59":  {"- there is no second factor yet: a policy that asks for one does not load", "policy.TestFaultsSayWhatToDo mfa"},
		"LG-60":  {"e2e.TestLG60CookieAttributes", "e2e.TestCookieRules"},
		"RS-02":  {"e2e.TestRS02SlowBodyOfADeniedRequest"},
		"RS-11":  {"e2e.TestLoginBodies RS-11"},
		"RS-12":  {"e2e.TestLoginBodies RS-12"},
		"RS-13":  {"e2e.TestFloodsOfHTTP2 RS-13"},
		"RS-14":  {"e2e.TestFloodsOfHTTP2 RS-14"},
		"RS-18":  {"e2e.TestRS18UpstreamThatBreaksOff"},
		"RS-20":  {"e2e.TestRS20LoginsAreBounded"},
		"CF-02":  {"e2e.TestReloadTakesEffectOrNothingDoes CF-02"},
		"CF-03":  {"e2e.TestCF03NoRoutesNobodyPasses"},
		"CF-04":  {"e2e.TestBadConfigurationIsRefused CF-04"},
		"CF-07":  {"e2e.TestBadConfigurationIsRefused CF-07"},
		"CF-08":  {"e2e.TestBadConfigurationIsRefused CF-08"},
		"CF-09":  {"e2e.TestBadConfigurationIsRefused CF-09"},
		"CF-12":  {"e2e.TestCF12FirstStart"},
		"CF-15":  {"e2e.TestCF15TrustInEverybodyIsWarnedOf"},
		"CF-16":  {"gateway.TestForwardingHeadersOfTrustedProxiesAreBelieved CF-16", "gateway.TestTrustIsInNetworksNotInSpellings"},
		"CF-18":  {"- no test may set the machine's clock: the one clock of the service and the store is moved in its place", "auth/sqlstore.TestEverythingGoesByTheStoresClock", "auth.TestRefreshKeepsTheHonestAndEndsTheReplayed"},
		"IL-01":  {"e2e.TestCorpus"},
		"IL-03":  {"e2e.TestIL03OneEventIsOneLine"},
		"IL-07":  {"e2e.TestIL07MeTellsNoSecret"},
		"IL-09":  {"e2e.TestIL09TokensAreNotStored"},
		"IL-11":  {"e2e.TestIL09TokensAreNotStored IL-11"},
		"IL-13":  {"- no page of an error is asked for elsewhere: every one is the gateway's own, and it has no key for another", "gateway/problem.TestAProblemHasNoPlaceForAnInternalError"},
		"IL-14":  {"e2e.TestHS063UpstreamCannotPlayTheGateway IL-14"},
		"IL-15":  {"- a decision asks no store for the id of the path, so that there is nothing to measure", "e2e.TestPolicyIsAFunctionOfItsInput"},
	}
}

// TestEveryCaseOfTheCorpusIsPlayed: the raw requests are sent by TestCorpus;
// this holds that each of the others is code that exists.
func TestEveryCaseOfTheCorpusIsPlayed(t *testing.T) {
	t.Parallel()
	tests, ledger := witnesses(t), played()
	for _, a := range wholeCorpus(t) {
		if a.Request != "" {
			continue
		}
		t.Run(a.name(), func(t *testing.T) {
			where := ledger[a.ID]
			delete(ledger, a.ID)
			if !slices.ContainsFunc(where, func(w string) bool { return !strings.HasPrefix(w, "- ") }) {
				t.Fatalf("no test plays %s (%s)", a.ID, a.Title)
			}
			for _, w := range where {
				if reason, skipped := strings.CutPrefix(w, "- "); skipped {
					t.Log(reason)
					continue
				}
				name, word, _ := strings.Cut(w, " ")
				source, exists := tests[name]
				if !exists || !strings.Contains(source, word) {
					t.Errorf("there is no test %s that says %q", name, word)
				}
			}
		})
	}
	for id := range ledger {
		t.Errorf("%s is not in the corpus", id)
	}
}
