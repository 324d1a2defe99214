package identity_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/iam/v1"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/identity"
)

// attached is what became of one writer's Attach.
type attached struct {
	account identity.ServiceAccount
	change  identity.Change
	err     error
}

// attachers let that many attach an account each, at nearly the same time, while
// others write labels of their own.
func attachers(t *testing.T, b *fake.Backend, attachers, labellers int) []attached {
	t.Helper()
	b.SetLatency(20*time.Millisecond, getJob, patchJob)
	all := make([]attached, attachers)
	var running sync.WaitGroup
	for i := range all {
		email := fmt.Sprintf("writer-%02d@web-prod.iam.gserviceaccount.com", i)
		b.AddServiceAccount(&iam.ServiceAccount{Email: email})
		sa, err := identity.ParseServiceAccount(email)
		require.NoError(t, err)
		c := newClient(t, b)
		running.Go(func() {
			time.Sleep(time.Duration(i*7%64) * time.Millisecond)
			change, err := c.Attach(t.Context(), nightly, sa, nil)
			all[i] = attached{sa, change, err}
		})
	}
	labelled := make([]error, labellers)
	for i := range labellers {
		running.Go(func() {
			time.Sleep(time.Duration(i*11%64) * time.Millisecond)
			labelled[i] = addLabel(t, b, fmt.Sprintf("writer-%02d", i))
		})
	}
	running.Wait()
	require.NoError(t, errors.Join(labelled...))
	return all
}

// addLabel reads the job and writes it back with a label, until nobody else wrote
// in between.
func addLabel(t *testing.T, b *fake.Backend, label string) error {
	t.Helper()
	call := func(verb string, body []byte) (status int, answer []byte, err error) {
		req, err := http.NewRequestWithContext(t.Context(), verb, "https://run.googleapis.com/v2/"+nightly.Name(), bytes.NewReader(body))
		if err != nil {
			return 0, nil, err
		}
		res, err := b.HTTPClient(fake.Admin).Do(req)
		if err != nil {
			return 0, nil, err
		}
		answer, err = io.ReadAll(res.Body)
		return res.StatusCode, answer, errors.Join(err, res.Body.Close())
	}
	for {
		_, raw, err := call(http.MethodGet, nil)
		if err != nil {
			return err
		}
		var o map[string]any
		if err := json.Unmarshal(raw, &o); err != nil {
			return err
		}
		labels, _ := o["labels"].(map[string]any)
		if labels == nil {
			labels = make(map[string]any)
		}
		labels[label] = "there"
		o["labels"] = labels
		body, err := json.Marshal(o)
		if err != nil {
			return err
		}
		status, _, err := call(http.MethodPatch, body)
		switch {
		case err != nil || status == http.StatusOK:
			return err
		case status != http.StatusConflict:
			return fmt.Errorf("status %d", status)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func etagOf(t *testing.T, d identity.Document) string {
	t.Helper()
	var told struct {
		Etag string `json:"etag"`
	}
	require.NoError(t, json.Unmarshal(d, &told))
	require.NotEmpty(t, told.Etag)
	return told.Etag
}

// With enforced etags nothing that any of 64 writers wrote is lost.
func TestManyWritersWithEnforcedEtags(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newCloud(t)
		b.EnforceEtags()
		all := attachers(t, b, 32, 32)

		job := decoded(t, b.RunJSON(nightly.Name()))
		labels, _ := job["labels"].(map[string]any)
		for i := range 32 {
			assert.Equal(t, "there", labels[fmt.Sprintf("writer-%02d", i)], "the label of writer %d is lost", i)
		}
		var written []attached
		for _, a := range all {
			assert.Nil(t, a.change.Interleaved)
			if a.change.Written {
				written = append(written, a)
			} else {
				require.ErrorIs(t, a.err, identity.ErrConflict, "a writer that saw another account than it had read keeps off")
			}
		}
		require.NotEmpty(t, written)
		slices.SortFunc(written, func(a, b attached) int { return int(a.change.NewGeneration - b.change.NewGeneration) })
		runs := other
		for _, a := range written {
			assert.Equal(t, runs, a.change.Old, "it replaced what it had read, and nothing else")
			runs = a.account
		}
		assert.True(t, runsAs(t, b, runs.Email()))
	})
}

// Without, each of 64 writers that wrote over someone's change says so.
func TestManyWritersWithoutEtags(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newCloud(t)
		before := etagOf(t, b.RunJSON(nightly.Name()))
		all := attachers(t, b, 64, 0)

		// The state that each generation left, by who wrote it: an etag is of one
		// state only.
		left := map[int64]string{1: before}
		writer := make(map[string]int)
		for _, c := range b.Calls() {
			if c.Method == patchJob {
				writer[decoded(t, c.Body)["template"].(map[string]any)["template"].(map[string]any)["serviceAccount"].(string)]++
			}
		}
		for _, a := range all {
			require.True(t, a.change.Written)
			assert.Equal(t, 1, writer[a.account.Email()], "each wrote once")
			assert.NotContains(t, left, a.change.NewGeneration)
			left[a.change.NewGeneration] = etagOf(t, a.change.After)
		}
		assert.Len(t, left, 65)
		overwritten := 0
		for _, a := range all {
			lost := left[a.change.NewGeneration-1] != etagOf(t, a.change.Before)
			_, told := errors.AsType[*identity.InterleavedError](a.err)
			assert.Equal(t, lost, told, "%v", a.err)
			assert.Equal(t, lost, a.change.Interleaved != nil)
			if lost {
				overwritten++
			}
		}
		assert.Greater(t, overwritten, 32, "most had read before someone else wrote")
	})
}
