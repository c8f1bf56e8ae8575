package main

import (
	"fmt"
	"net/http"

	"github.com/spf13/cobra"
)

// healthcheckCommand asks the running gateway's admin listener, for images
// without a shell.
func healthcheckCommand(sys *system) *cobra.Command {
	return &cobra.Command{
		Use:   "healthcheck",
		Short: "Ask the gateway that runs here whether it is ready (for container images)",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			file, err := loadConfig(sys, cmd)
			if err != nil {
				return err
			}
			client, base, err := adminClient(file.Admin.Listen)
			if err != nil {
				return err
			}
			resp, err := client.Get(base + "/readyz")
			if err != nil {
				return fmt.Errorf("not ready: %w", err)
			}
			defer resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				return fmt.Errorf("not ready: %s", resp.Status)
			}
			_, err = fmt.Fprintln(sys.stdout, "ready")
			return err
		},
	}
}
