// Holds deploy/grafana/dashboard.json against Grafana's own schema, strictly: an unknown field, a wrong type
// or a value that isn't allowed fails. Standard input is the dashboard.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

func main() {
	if err := check(os.Stdin); err != nil {
		fmt.Fprintf(os.Stderr, "the dashboard is not one of Grafana's: %v\n", err)
		os.Exit(1)
	}
}

func check(input io.Reader) error {
	plugins.RegisterDefaultPlugins()
	text, err := io.ReadAll(input)
	if err != nil {
		return err
	}
	var board dashboard.Dashboard
	if err := found(board.UnmarshalJSONStrict(text)); err != nil {
		return err
	}
	if err := found(board.Validate()); err != nil {
		return err
	}
	fmt.Printf("%q: %d panels and rows\n", *board.Title, len(board.Panels))
	return nil
}

// The library also returns lists of errors that are empty.
func found(err error) error {
	var list cog.BuildErrors
	if errors.As(err, &list) && len(list) == 0 {
		return nil
	}
	return err
}
