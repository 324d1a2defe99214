package identity_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/option"
	"google.golang.org/api/run/v2"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/identity"
)

// meddler does something before the first PATCH goes out.
type meddler struct {
	http.RoundTripper
	once   sync.Once
	meddle func()
}

func (m *meddler) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodPatch {
		m.once.Do(m.meddle)
	}
	return m.RoundTripper.RoundTrip(r)
}

// meddledClient is a client before whose first PATCH someone else changes the
// workload's JSON.
func meddledClient(t *testing.T, b *fake.Backend, w identity.Workload, query string, change func(o map[string]any)) *identity.Client {
	t.Helper()
	admin := b.HTTPClient(fake.Admin)
	c, err := identity.NewClient(t.Context(), option.WithHTTPClient(&http.Client{Transport: &meddler{
		RoundTripper: b.HTTPClient("user:dev@example.com").Transport,
		meddle: func() {
			var o map[string]any
			require.NoError(t, json.Unmarshal(b.RunJSON(w.Name()), &o))
			change(o)
			body, err := json.Marshal(o)
			require.NoError(t, err)
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPatch,
				"https://run.googleapis.com/v2/"+w.Name()+query, bytes.NewReader(body))
			require.NoError(t, err)
			res, err := admin.Do(req)
			require.NoError(t, err)
			require.NoError(t, res.Body.Close())
			require.Equal(t, http.StatusOK, res.StatusCode)
		},
	}}))
	require.NoError(t, err)
	return c
}

func relabel(o map[string]any) { o["labels"] = map[string]any{"written": "in between"} }

func rerun(o map[string]any) { setTaskAccount(o, defaultEmail) }

func TestSomeoneElseWritesAJobInBetween(t *testing.T) {
	t.Parallel()
	t.Run("etags not enforced", func(t *testing.T) {
		t.Parallel()
		b := newCloud(t)
		c := meddledClient(t, b, nightly, "", relabel)

		change, err := c.Attach(t.Context(), nightly, runner, nil)

		lost := asError[*identity.InterleavedError](t, err)
		assert.Equal(t, change.Interleaved, lost)
		assert.Equal(t, [2]int64{1, 3}, [2]int64{lost.Read, lost.Answered})
		assert.NotContains(t, string(change.Before), "in between")
		assert.Contains(t, string(change.After), runnerEmail)
		require.ErrorContains(t, err, "what they wrote is lost and can't be recovered")
		assert.True(t, change.Done)
		assert.NotContains(t, string(b.RunJSON(nightly.Name())), "in between")
		logged, err := json.Marshal(change)
		require.NoError(t, err)
		assert.NotContains(t, string(logged), "sidecar", "a logged change holds no template")
	})
	t.Run("etags enforced", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := newCloud(t)
			b.EnforceEtags()
			c := meddledClient(t, b, nightly, "", relabel)

			change, err := c.Attach(t.Context(), nightly, runner, nil)

			require.NoError(t, err)
			assert.Nil(t, change.Interleaved)
			assert.Equal(t, 3, countCalls(b, patchJob), "theirs, the one refused, and the next")
			assert.Contains(t, string(b.RunJSON(nightly.Name())), "in between", "nothing is lost")
			assert.Equal(t, [2]int64{2, 3}, [2]int64{change.OldGeneration, change.NewGeneration})
		})
	})
	t.Run("etags enforced, the identity itself", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := newCloud(t)
			b.EnforceEtags()
			c := meddledClient(t, b, nightly, "", rerun)

			_, err := c.Attach(t.Context(), nightly, runner, nil)

			require.ErrorIs(t, err, identity.ErrConflict)
			require.ErrorContains(t, err, "it ran as "+other.Email()+", and runs as "+defaultEmail+" now")
			assert.Equal(t, 2, countCalls(b, patchJob))
		})
	})
	t.Run("their write came while the answer got lost", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := newCloud(t)
			c := meddledClient(t, b, nightly, "", relabel)
			b.Inject(patchJob, fake.Fault{Skip: 1, Times: 1, DropAfter: true})

			change, err := c.Attach(t.Context(), nightly, runner, nil)

			lost := asError[*identity.InterleavedError](t, err)
			assert.Equal(t, [2]int64{1, 3}, [2]int64{lost.Read, lost.Answered})
			assert.True(t, change.Done)
		})
	})
}

func TestSomeoneElseWritesAServiceInBetween(t *testing.T) {
	t.Parallel()
	w := identity.Service("web-prod", "europe-west1", "shop")
	for name, enforced := range map[string]bool{"etags not enforced": false, "etags enforced": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newCloud(t)
				if enforced {
					b.EnforceEtags()
				}
				b.AddService(&run.GoogleCloudRunV2Service{
					Name:     w.Name(),
					Template: &run.GoogleCloudRunV2RevisionTemplate{Containers: []*run.GoogleCloudRunV2Container{{Image: "i"}}},
				})
				c := meddledClient(t, b, w, "?updateMask=labels", relabel)

				change, err := c.Attach(t.Context(), w, runner, nil)

				require.NoError(t, err)
				assert.Equal(t, !enforced, change.Interleaved != nil)
				if change.Interleaved != nil {
					require.ErrorContains(t, change.Interleaved, "the rest of their change stands")
				}
				assert.Contains(t, string(b.RunJSON(w.Name())), "in between", "only the identity was written")
				assert.Contains(t, string(b.RunJSON(w.Name())), runnerEmail)
			})
		})
	}
}

func TestSomeoneElseWritesAfterwards(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	b.Inject(waitMethod, fake.Fault{Status: 501})
	c, err := identity.NewClient(t.Context(), option.WithHTTPClient(&http.Client{Transport: afterwards{
		b.HTTPClient("user:dev@example.com").Transport, func() {
			_, err := newClient(t, b).Attach(t.Context(), nightly, other, &identity.AttachOptions{NoWait: true})
			require.NoError(t, err)
		},
	}}))
	require.NoError(t, err)

	change, err := c.Attach(t.Context(), nightly, runner, nil)

	require.ErrorIs(t, err, identity.ErrConflict)
	require.ErrorContains(t, err, "it runs as "+other.Email()+" now")
	assert.Equal(t, other, change.New)
}

// afterwards does something when a wait has been asked for.
type afterwards struct {
	http.RoundTripper
	do func()
}

func (a afterwards) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := a.RoundTripper.RoundTrip(r)
	if r.Method == http.MethodPost {
		a.do()
	}
	return res, err
}
