package outage_test

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/iam/v1"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/internal/outage"
)

const accounts = "https://iam.googleapis.com/v1/projects/web-prod/serviceAccounts"

// under is a cloud with a project under some weather.
func under(strikes ...outage.Strike) (*fake.Backend, *outage.Weather) {
	b := cloud()
	w := outage.New(strikes...)
	b.Use(w.Over)
	return b, w
}

// create makes an account with one call and returns what the caller sees of it.
func create(ctx context.Context, b *fake.Backend, id string) (status int, body string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, accounts, strings.NewReader(`{"accountId": "`+id+`"}`))
	if err != nil {
		return 0, "", err
	}
	res, err := b.HTTPClient(fake.Admin).Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	return res.StatusCode, string(raw), err
}

// exists reports whether an account is there.
func exists(t *testing.T, b *fake.Backend, id string) bool {
	t.Helper()
	svc, err := iam.NewService(t.Context(), b.ClientOptions(fake.Admin)...)
	require.NoError(t, err)
	list, err := svc.Projects.ServiceAccounts.List("projects/web-prod").Do()
	require.NoError(t, err)
	for _, a := range list.Accounts {
		if strings.HasPrefix(a.Email, id+"@") {
			return true
		}
	}
	return false
}

// A read that is behind shows what the first one did, and the next is not.
func TestBehind(t *testing.T) {
	t.Parallel()
	b, w := under(outage.Strike{Call: 3, Fault: outage.Behind()}, outage.Strike{Call: 5, Fault: outage.Behind()})
	assert.False(t, exists(t, b, "walker"))
	status, _, err := create(t.Context(), b, "walker")
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, status)
	assert.False(t, exists(t, b, "walker"), "it is behind")
	assert.True(t, exists(t, b, "walker"))
	status, _, err = create(t.Context(), b, "another")
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, status, "a write passes")
	assert.Len(t, w.Calls(), 5)
}

// Each fault does to a call what its name says, once and then no more.
func TestFaults(t *testing.T) {
	t.Parallel()
	names := make(map[string]bool)
	for _, f := range outage.Faults() {
		assert.False(t, names[f.Name], "two faults are named %q", f.Name)
		names[f.Name] = true
		synctest.Test(t, func(t *testing.T) {
			b, w := under(outage.Strike{Call: 1, Fault: f})
			parent, stop := context.WithTimeout(t.Context(), time.Minute)
			defer stop()
			ctx, cancel := w.Begin(parent)
			defer cancel()
			began := time.Now()
			status, body, err := create(ctx, b, "walker")
			took := time.Since(began)
			now := exists(t, b, "walker")
			w.Close()
			assert.Equal(t, f.CarriesOut(), exists(t, b, "walker"), "%s: carried out", f)
			assert.Equal(t, f.CarriesOut() && !strings.Contains(f.Name, "later"), now, "%s: carried out at once", f)
			assert.Equal(t, f.CarriesOut(), w.Calls()[0].CarriedOut, "%s: noted", f)
			switch {
			case strings.HasPrefix(f.Name, "drop"):
				require.ErrorIs(t, err, io.ErrUnexpectedEOF, f.Name)
			case strings.HasPrefix(f.Name, "hang"):
				require.ErrorIs(t, err, context.DeadlineExceeded, f.Name)
				assert.Equal(t, time.Minute, took, f.Name)
			case strings.HasPrefix(f.Name, "kill"):
				require.ErrorIs(t, err, context.Canceled, f.Name)
				assert.False(t, f.Lasts())
			case f.Name == "truncate":
				require.ErrorIs(t, err, io.ErrUnexpectedEOF, f.Name)
				assert.NotEmpty(t, body)
			case f.Name == "garble":
				require.NoError(t, err, f.Name)
				assert.Contains(t, body, "</html>{")
			case f.Name == "behind": // which concerns reads
				require.NoError(t, err, f.Name)
				assert.Equal(t, http.StatusOK, status)
			case strings.HasPrefix(f.Name, "slow"):
				require.NoError(t, err, f.Name)
				assert.Equal(t, http.StatusOK, status)
				assert.Greater(t, took, time.Second)
			default:
				require.NoError(t, err, f.Name)
				assert.Equal(t, f.Name[:3], strconv.Itoa(status))
				assert.NotContains(t, body, "walker@", "%s: the backend's answer", f)
			}
			status, _, err = create(t.Context(), b, "another")
			require.NoError(t, err, "%s: the call after it", f)
			assert.Equal(t, http.StatusOK, status)
		})
	}
	assert.Greater(t, len(names), 45)
	assert.Len(t, outage.Representatives(), 21)
}

func TestForeverAndClear(t *testing.T) {
	t.Parallel()
	b, w := under(
		outage.Strike{Call: 2, Fault: outage.Answer("busy", http.StatusServiceUnavailable, ""), Forever: true},
		outage.Strike{Call: 4, Fault: outage.Answer("never", http.StatusTeapot, "")},
	)
	var got []int
	for _, id := range []string{"runner-1", "runner-2", "runner-3", "runner-4"} {
		status, _, err := create(t.Context(), b, id)
		require.NoError(t, err)
		got = append(got, status)
	}
	w.Clear()
	status, _, err := create(t.Context(), b, "runner-5")
	require.NoError(t, err)
	assert.Equal(t, []int{200, 503, 503, 503, 200}, append(got, status), "of two faults the first counts")
	calls := w.Calls()
	require.Len(t, calls, 5)
	assert.Equal(t, outage.Call{
		Number: 2, Verb: http.MethodPost, Host: "iam.googleapis.com", Path: "/v1/projects/web-prod/serviceAccounts", Fault: "busy",
	}, calls[1])
	assert.Equal(t, "2 POST iam.googleapis.com/v1/projects/web-prod/serviceAccounts (busy)", calls[1].String())
	assert.Equal(t, "5 POST iam.googleapis.com/v1/projects/web-prod/serviceAccounts -> 200", calls[4].String())
}

// Several faults at once: an effect that comes late, and a kill after it.
func TestPair(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, w := under(outage.Strike{Call: 1, Fault: outage.DropLate(time.Hour)}, outage.Strike{Call: 2, Fault: outage.KillAfter()})
		ctx, cancel := w.Begin(t.Context())
		defer cancel()
		_, _, err := create(ctx, b, "walker")
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		_, _, err = create(ctx, b, "another")
		require.ErrorIs(t, err, context.Canceled)
		require.Error(t, ctx.Err())
		assert.False(t, exists(t, b, "walker"))
		assert.True(t, exists(t, b, "another"))
		began := time.Now()
		w.Close()
		assert.Equal(t, time.Hour, time.Since(began), "it lands although the caller is gone")
		assert.True(t, exists(t, b, "walker"))
		assert.Equal(t, http.StatusOK, w.Calls()[0].Status)
	})
}

func TestWrites(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		verb, path string
		want       bool
	}{
		{"GET", "/v2/projects/p/locations/l/jobs/j", false},
		{"PATCH", "/v2/projects/p/locations/l/jobs/j", true},
		{"POST", "/v2/projects/p/locations/l/jobs", true},
		{"POST", "/v2/projects/p/locations/l/jobs/j:run", true},
		{"POST", "/v2/projects/p/locations/l/operations/o:wait", false},
		{"POST", "/v1/projects/p/serviceAccounts/e:getIamPolicy", false},
		{"POST", "/v1/projects/p/serviceAccounts/e:setIamPolicy", true},
		{"POST", "/v1/projects/p/serviceAccounts/e:testIamPermissions", false},
		{"POST", "/v1/projects/p/serviceAccounts/e:enable", true},
	} {
		assert.Equal(t, tt.want, outage.Call{Verb: tt.verb, Path: tt.path}.Writes(), "%s %s", tt.verb, tt.path)
	}
}
