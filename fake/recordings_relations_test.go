package fake_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/cloudresourcemanager/v3"

	"github.com/runidentity/runidentity/fake"
)

// What the recordings show of times, generations and etags holds too when
// operations take no time and many writes fall on one instant, which is what
// most users of the fake see.
func TestRecordedRelationsHoldAtOneInstant(t *testing.T) {
	t.Parallel()
	bodies := map[string]string{"jobs": recordedJobCreate, "services": recordedServiceCreate}
	for plural, body := range bodies {
		synctest.Test(t, func(t *testing.T) {
			b := fake.Start(t)
			b.AddProject(&cloudresourcemanager.Project{ProjectId: recordedProject})
			b.Grant("projects/"+recordedProject, "roles/owner", "user:deployer@example.com")
			ask := func(method, url, body string) map[string]any {
				x := exchange{method: method, url: url, body: body, status: http.StatusOK}
				got, ok := x.send(t, b, "user:deployer@example.com", &matcher{}).(map[string]any)
				require.True(t, ok)
				m := &matcher{}
				checkEtags(m, "", got)
				assert.Empty(t, m.errs, "%s %s", method, url)
				return got
			}
			write := func(method, url, body string) (started, ended map[string]any) {
				op := ask(method, url, body)
				assert.NotContains(t, op, "done")
				done := ask(http.MethodGet, "https://run.googleapis.com/v2/"+op["name"].(string), "")
				assert.Equal(t, true, done["done"])
				assert.Equal(t, done["metadata"], done["response"])
				return op["metadata"].(map[string]any), done["response"].(map[string]any)
			}
			etags := map[any]bool{}
			for i := range 3 {
				id := fmt.Sprintf("twin-%d", i)
				at := recordedRun + plural + "/" + id

				started, ended := write(http.MethodPost, recordedRun+plural+"?"+strings.TrimSuffix(plural, "s")+"Id="+id, body)
				assert.Equal(t, started["createTime"], started["updateTime"])
				assert.NotContains(t, started, "observedGeneration")
				for _, condition := range conditionsOf(ended) {
					// The fake tells writes of one instant apart by microseconds.
					since := parseTime(t, condition["lastTransitionTime"].(string)).Sub(parseTime(t, ended["createTime"].(string)))
					assert.Greater(t, since, -time.Millisecond, "%v", condition)
				}
				etags[started["etag"]] = true
				assert.Equal(t, started["etag"], ended["etag"])

				started, ended = write(http.MethodPatch, at, merged(body, `{"labels": {"changed": "true"}}`))
				assert.Equal(t, [...]any{"2", "1"}, [...]any{started["generation"], started["observedGeneration"]})
				assert.Equal(t, [...]any{"2", "2"}, [...]any{ended["generation"], ended["observedGeneration"]})
				etags[started["etag"]] = true
				assert.Equal(t, started["etag"], ended["etag"])

				started, ended = write(http.MethodDelete, at, "")
				assert.Equal(t, started["deleteTime"], started["updateTime"])
				deleted, expires := parseTime(t, started["deleteTime"].(string)), parseTime(t, started["expireTime"].(string))
				assert.Equal(t, 30*24*time.Hour, expires.Sub(deleted))
				assert.Equal(t, started["deleteTime"], ended["deleteTime"])
				assert.Equal(t, started["expireTime"], ended["expireTime"])
				assert.Equal(t, [...]any{"3", "2"}, [...]any{started["generation"], started["observedGeneration"]})
				assert.Equal(t, [...]any{"3", "3"}, [...]any{ended["generation"], ended["observedGeneration"]})
				etags[started["etag"]], etags[ended["etag"]] = true, true
				if plural == "services" {
					assert.Equal(t, ended["updateTime"], conditionsOf(ended)[0]["lastTransitionTime"])
				}
			}
			assert.Len(t, etags, 3*4, "no two states have the same etag")
		})
	}
}

// conditionsOf are a resource's conditions, the terminal one first.
func conditionsOf(o map[string]any) []map[string]any {
	all := []map[string]any{o["terminalCondition"].(map[string]any)}
	list, _ := o["conditions"].([]any)
	for _, c := range list {
		all = append(all, c.(map[string]any))
	}
	return all
}
