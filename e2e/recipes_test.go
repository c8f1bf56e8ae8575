package e2e

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// recipe is a file of deploy/recipes as it stands there, but for the ports and
// paths that a test has to change: pairs of what stands there and what is meant.
func recipe(t *testing.T, name string, pairs ...string) string {
	t.Helper()
	text := read(t, "deploy/recipes/"+name)
	for i := 0; i+1 < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			t.Fatalf("deploy/recipes/%s has no %q", name, pairs[i])
		}
		text = strings.ReplaceAll(text, pairs[i], pairs[i+1])
	}
	return text
}

// prepareRecipe makes a gateway of a recipe's gateway.yaml. Where it listens
// comes from the environment, which goes before the file.
func prepareRecipe(t *testing.T, name string, pairs ...string) *gateway {
	t.Helper()
	g := prepare(t, recipe(t, name+"/gateway.yaml", pairs...))
	g.env = []string{"POSTERN_LISTEN=" + g.addr, "POSTERN_ADMIN_LISTEN=" + g.admin, "POSTERN_LOG_FORMAT=json"}
	return g
}

// TestEveryRecipeIsAGoodConfiguration: as it stands, with the tests of its
// policy, which each of them has.
func TestEveryRecipeIsAGoodConfiguration(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(root(t), "deploy", "recipes", "*", "gateway.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("recipes: %v, %v", files, err)
	}
	for _, file := range files {
		for _, args := range [][]string{{"config", "check", file}, {"policy", "test", "--config", file}} {
			cmd := exec.Command(postern(t), args...)
			cmd.Dir, cmd.Env = t.TempDir(), cleanEnv()
			var said bytes.Buffer
			cmd.Stdout, cmd.Stderr = &said, &said
			if err := cmd.Run(); err != nil || strings.Contains(said.String(), "warning") {
				t.Errorf("postern %s: %v\n%s", strings.Join(args, " "), err, said.String())
			}
		}
	}
}
