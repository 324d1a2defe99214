// Command gen writes apis.json from the discovery documents of the
// google.golang.org/api module that go.mod names.
package main

import (
	"context"
	"log"
	"os"

	"github.com/runidentity/runidentity/internal/discovery/compact"
)

func main() {
	out, err := compact.FromModule(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile("apis.json", out, 0o600); err != nil {
		log.Fatal(err)
	}
}
