package fake_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/cloudresourcemanager/v3"
	"google.golang.org/api/iam/v1"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/identity"
)

// How the cloud behaves may be set while calls are under way, and by who observes
// them.
func TestSettingsWhileCallsRun(t *testing.T) {
	t.Parallel()
	b := fake.Start(t)
	b.AddProject(&cloudresourcemanager.Project{ProjectId: "web-prod"})
	for _, e := range []string{"one-account", "two-account"} {
		b.AddServiceAccount(&iam.ServiceAccount{Email: e + "@web-prod.iam.gserviceaccount.com"})
	}
	name := "projects/web-prod/locations/europe-west1/jobs/nightly"
	b.AddRunJSON(name, []byte(`{"template":{"template":{"containers":[{"image":"x"}]}}}`))
	c, err := identity.NewClient(t.Context(), b.ClientOptions(fake.Admin)...)
	require.NoError(t, err)
	var all sync.WaitGroup
	done := make(chan struct{})
	all.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			b.EnforceEtags()
			b.SetCrossProjectText("no %s")
			b.ObserveCalls(func(fake.Call) {
				b.Calls()
				b.EnforceEtags()
				b.SetCrossProjectText("")
				b.ObserveCalls(nil)
				b.ResetCalls()
			})
			b.SetLatency(0)
			b.ResetCalls()
			assert.NoError(t, b.Dump(io.Discard))
		}
	})
	var calls sync.WaitGroup
	for _, e := range []string{"one-account", "two-account"} {
		calls.Go(func() {
			sa, _ := identity.ParseServiceAccount(e + "@web-prod.iam.gserviceaccount.com")
			for range 20 {
				_, _ = c.Attach(context.WithoutCancel(t.Context()), identity.MustParseWorkload("projects/web-prod/locations/europe-west1/jobs/nightly"), sa, nil)
				r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://iam.googleapis.com/v1/projects/web-prod/serviceAccounts/"+sa.Email()+":getIamPolicy", strings.NewReader("{}"))
				answer, err := b.HTTPClient(fake.Admin).Do(r)
				if assert.NoError(t, err) {
					_ = answer.Body.Close()
				}
			}
		})
	}
	calls.Wait()
	close(done)
	all.Wait()
}
