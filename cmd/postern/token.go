package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// maxTokenInput bounds what is read from standard input as a token.
const maxTokenInput = 16 << 10

// tokenCommand gathers what is done with a token in the hand.
func tokenCommand(sys *system) *cobra.Command {
	cmd := &cobra.Command{Use: "token", Short: "The access tokens: verify"}
	cmd.AddCommand(tokenVerifyCommand(sys))
	return group(cmd)
}

// tokenVerifyCommand judges a token as the gateway would: signature, times, and
// what the store says was revoked. It prints claims of good tokens alone, so
// that nobody takes the claims of a refused one for true.
func tokenVerifyCommand(sys *system) *cobra.Command {
	return &cobra.Command{
		Use:   "verify TOKEN",
		Short: "Verify an access token and print its claims; - reads it from standard input",
		Args:  oneArg,
		RunE: withDesk(sys, openExistingStore, func(d *desk, _ *cobra.Command, args []string) error {
			token := args[0]
			if token == "-" {
				text, err := io.ReadAll(io.LimitReader(sys.stdin, maxTokenInput))
				if err != nil {
					return fmt.Errorf("read the token: %w", err)
				}
				token = strings.TrimSpace(string(text))
			}
			if _, err := d.Verify(token); err != nil {
				return fmt.Errorf("refused: %w", err)
			}
			return printClaims(sys.stdout, token)
		}),
	}
}

// printClaims prints the payload of a token that has been verified.
func printClaims(w io.Writer, token string) error {
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		return fmt.Errorf("decode the claims: %w", err)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, payload, "", "  "); err != nil {
		return fmt.Errorf("decode the claims: %w", err)
	}
	_, err = fmt.Fprintln(w, out.String())
	return err
}
