package main

import (
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"
)

// healthcheckCommand asks the running gateway's admin listener, for images
// without a shell.
func healthcheckCommand(sys *system) *cobra.Command {
	return &cobra.Command{
		Use:   "healthcheck",
		Short: "Ask the gateway that runs here whether it is ready (for container images)",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			file, err := loadConfig(sys, cmd)
			if err != nil {
				return err
			}
			host, port, err := net.SplitHostPort(file.Admin.Listen)
			if err != nil {
				return usagef("admin.listen %q: no address to ask", file.Admin.Listen)
			}
			if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
				host = "127.0.0.1"
			}
			client := http.Client{Timeout: 5 * time.Second}
			resp, err := client.Get("http://" + net.JoinHostPort(host, port) + "/readyz")
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
