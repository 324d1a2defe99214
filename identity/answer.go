package identity

import (
	"encoding/json"
	"fmt"
	"strings"

	"google.golang.org/api/iam/v1"

	"github.com/runidentity/runidentity/internal/names"
	"github.com/runidentity/runidentity/internal/rest"
	"github.com/runidentity/runidentity/internal/retry"
)

// An answer is checked to be what was asked for before anything is concluded
// from it: what is between here and Google may answer, too, and an object that
// lacks everything looks like a workload that has the default identity. Each
// resource and each operation of Cloud Run was seen to tell its name.

// unmarshal reads an answer.
func unmarshal(raw []byte, v any) error {
	if err := json.Unmarshal(raw, v); err != nil {
		return fmt.Errorf("%w: %w", retry.ErrGarbled, err)
	}
	return nil
}

// checkName refuses JSON that isn't the resource of that name.
func checkName(raw []byte, name string) error {
	var told struct {
		Name string `json:"name"`
	}
	if err := unmarshal(raw, &told); err != nil {
		return err
	}
	if !names.Same(told.Name, name) {
		return misdirected(told.Name, name)
	}
	return nil
}

// misdirected is the error about an answer that is of something else.
func misdirected(told, asked string) error {
	if told == "" {
		return fmt.Errorf("%w: it doesn't say that it is about %s", retry.ErrGarbled, asked)
	}
	return fmt.Errorf("%w: it is about %q, not %s", retry.ErrGarbled, rest.Harmless(told), asked)
}

// checkOperation refuses the name of an operation that can't be one of the
// workload's project. Which location it is in was seen for regions only.
func checkOperation(name string, w Workload) error {
	parts := strings.Split(name, "/")
	if len(parts) == 6 && parts[3] != "" && parts[5] != "" &&
		names.Same(name, "projects/"+w.Project+"/locations/"+parts[3]+"/operations/"+parts[5]) {
		return nil
	}
	return misdirected(name, "an operation of project "+w.Project)
}

// checkAccount refuses an answer about another account.
func checkAccount(a *iam.ServiceAccount, sa ServiceAccount) error {
	if a.Email != sa.Email() {
		return misdirected(a.Email, sa.Email())
	}
	return nil
}
