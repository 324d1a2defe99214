package fake_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/iam/v1"

	"github.com/runidentity/runidentity/fake"
)

const conflict = "There were concurrent policy changes. Please retry the whole read-modify-write with exponential backoff."

func TestPolicyReadModifyWrite(t *testing.T) {
	t.Parallel()
	onEachResource(t, func(t *testing.T, b *fake.Backend, a policyAccess) {
		before, err := a.get(3)
		require.NoError(t, err)
		switch a.resource {
		case "projects/web-prod", "organizations/1":
			raw, err := base64.StdEncoding.DecodeString(before.Etag)
			require.NoError(t, err)
			require.Len(t, raw, 8)
			assert.EqualValues(t, 7, raw[0])
		default:
			assert.Equal(t, &iam.Policy{Etag: "ACAB", ServerResponse: before.ServerResponse}, before, "a policy that was never set")
		}

		written, err := a.add(bound("roles/run.invoker", "user:Zoe@Example.com", "group:team@example.com", "user:zoe@example.com", policyRunner))
		require.NoError(t, err)
		read, err := a.get(3)
		require.NoError(t, err)
		assert.Equal(t, written.Bindings, read.Bindings)
		assert.Equal(t, written.Etag, read.Etag)
		assert.EqualValues(t, 1, read.Version, "there are no conditions")
		assert.Contains(t, read.Bindings, bound("roles/run.invoker", "group:team@example.com", policyRunner, "user:zoe@example.com"),
			"addresses in lower case, members sorted, none twice")
		assert.NotEqual(t, before.Etag, read.Etag)

		written, err = a.add(bound("roles/run.invoker", "user:amy@example.com"))
		require.NoError(t, err)
		assert.Contains(t, written.Bindings, bound("roles/run.invoker", "group:team@example.com", policyRunner, "user:amy@example.com", "user:zoe@example.com"),
			"bindings of one role and condition are one")
		assert.Equal(t, written.Bindings, b.Policy(a.resource).Bindings)

		// The same policy again gets a new etag, as each write does.
		again, err := a.set(written, "")
		require.NoError(t, err)
		assert.NotEqual(t, written.Etag, again.Etag)

		empty, err := a.set(&iam.Policy{Etag: again.Etag}, "")
		require.NoError(t, err)
		assert.Empty(t, empty.Bindings)
		assert.NotEqual(t, "ACAB", empty.Etag)
	})
}

func TestPolicyEtags(t *testing.T) {
	t.Parallel()
	onEachResource(t, func(t *testing.T, b *fake.Backend, a policyAccess) {
		stale, err := a.get(3)
		require.NoError(t, err)
		_, err = a.add(bound("roles/run.invoker", "user:first@example.com"))
		require.NoError(t, err)
		stale.Bindings = append(stale.Bindings, bound("roles/run.invoker", "user:second@example.com"))
		_, err = a.set(stale, "")
		refusal(t, err, http.StatusConflict, "ABORTED", "aborted", conflict)
		assert.False(t, holds(b.Policy(a.resource), "roles/run.invoker", "user:second@example.com"))

		never := *stale
		never.Etag = "ACAB"
		_, err = a.set(&never, "")
		assert.Equal(t, http.StatusConflict, googleError(t, err).Code, "it has been set")
		never.Etag = "what is this?"
		_, err = a.set(&never, "")
		assert.Equal(t, http.StatusBadRequest, googleError(t, err).Code)

		// Each spelling of the same bytes is the same etag: gcloud answers with
		// the URL-safe alphabet.
		for _, encoding := range []*base64.Encoding{base64.URLEncoding, base64.RawURLEncoding, base64.RawStdEncoding, base64.StdEncoding} {
			for range 100 {
				p, err := a.get(3)
				require.NoError(t, err)
				raw, err := base64.StdEncoding.DecodeString(p.Etag)
				require.NoError(t, err)
				respelt := encoding.EncodeToString(raw)
				p.Etag = respelt
				_, err = a.set(p, "")
				require.NoError(t, err)
				if respelt != base64.StdEncoding.EncodeToString(raw) {
					break // it was one that differs
				}
			}
		}
	})
}

// Without an etag the last writer wins, and the other's change is lost.
func TestPolicyWithoutEtagIsLost(t *testing.T) {
	t.Parallel()
	onEachResource(t, func(t *testing.T, _ *fake.Backend, a policyAccess) {
		first, err := a.get(3)
		require.NoError(t, err)
		second, err := a.get(3)
		require.NoError(t, err)
		first.Etag, second.Etag = "", ""
		first.Bindings = append(first.Bindings, bound("roles/run.invoker", "user:first@example.com"))
		second.Bindings = append(second.Bindings, bound("roles/run.invoker", "user:second@example.com"))
		written, err := a.set(first, "")
		require.NoError(t, err)
		assert.True(t, holds(written, "roles/run.invoker", "user:first@example.com"))
		_, err = a.set(second, "")
		require.NoError(t, err)
		p, err := a.get(3)
		require.NoError(t, err)
		assert.False(t, holds(p, "roles/run.invoker", "user:first@example.com"))
		assert.True(t, holds(p, "roles/run.invoker", "user:second@example.com"))
	})
}

// Of 64 writers at once who use etags, and begin again after a conflict, none
// loses its binding.
func TestPolicyConcurrentWriters(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"project, v1", "project, v3", "service account"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			b := policyCloud(t)
			a := policyClients(t, b, policyAdmin)[kind]
			const writers = 64
			var wg sync.WaitGroup
			failures := make([]error, writers)
			for i := range writers {
				wg.Go(func() {
					for {
						_, err := a.add(bound("roles/run.invoker", fmt.Sprintf("user:writer%d@example.com", i)))
						var g *googleapi.Error
						if errors.As(err, &g) && g.Code == http.StatusConflict {
							time.Sleep(time.Duration(i) * time.Millisecond)
							continue
						}
						failures[i] = err
						return
					}
				})
			}
			wg.Wait()
			p := b.Policy(a.resource)
			for i := range writers {
				require.NoError(t, failures[i])
				assert.True(t, holds(p, "roles/run.invoker", fmt.Sprintf("user:writer%d@example.com", i)), i)
			}
		})
	}
}

func TestPolicyVersions(t *testing.T) {
	t.Parallel()
	onEachResource(t, func(t *testing.T, b *fake.Backend, a policyAccess) {
		until := &iam.Expr{Title: "until", Expression: `request.time < timestamp("2999-01-01T00:00:00Z")`}
		from := &iam.Expr{Title: "from", Expression: `request.time > timestamp("2001-01-01T00:00:00Z")`}
		plain, err := a.get(1)
		require.NoError(t, err)
		conditional := &iam.Binding{Role: "roles/run.invoker", Members: []string{"user:dev@example.com"}, Condition: until}
		for _, version := range []int64{0, 1} {
			p := *plain
			p.Version, p.Bindings = version, append(slices.Clone(plain.Bindings), conditional)
			_, err = a.set(&p, "")
			g := googleError(t, err)
			assert.Equal(t, http.StatusBadRequest, g.Code, "a condition needs version 3")
			assert.Equal(t, "badRequest", g.Errors[0].Reason)
		}
		for _, version := range []int64{2, 4, -1} {
			p := *plain
			p.Version = version
			_, err = a.set(&p, "")
			assert.Equal(t, http.StatusBadRequest, googleError(t, err).Code, version)
			_, err = a.get(version)
			assert.Equal(t, http.StatusBadRequest, googleError(t, err).Code, version)
		}

		for _, binding := range []*iam.Binding{conditional, {Role: "roles/run.invoker", Members: conditional.Members, Condition: from}, bound("roles/run.invoker", "user:dev@example.com")} {
			_, err = a.add(binding)
			require.NoError(t, err)
		}
		full, err := a.get(3)
		require.NoError(t, err)
		assert.EqualValues(t, 3, full.Version)
		assert.Contains(t, full.Bindings, conditional, "one role with different conditions is different bindings")
		assert.True(t, holds(full, "roles/run.invoker", "user:dev@example.com"))

		for _, version := range []int64{0, 1} {
			p, err := a.get(version)
			require.NoError(t, err)
			assert.EqualValues(t, 1, p.Version)
			assert.Equal(t, full.Etag, p.Etag)
			roles := map[string]bool{}
			for _, binding := range p.Bindings {
				assert.Nil(t, binding.Condition)
				if strings.HasPrefix(binding.Role, "roles/run.invoker") {
					roles[binding.Role] = true
				}
			}
			assert.Len(t, roles, 3)
			delete(roles, "roles/run.invoker")
			for role := range roles {
				assert.Regexp(t, `^roles/run\.invoker_withcond_[0-9a-f]{20}$`, role)
			}

			_, err = a.set(p, "")
			refusal(t, err, http.StatusBadRequest, "INVALID_ARGUMENT", "badRequest", "Specified policy version (1) cannot be less than "+
				"the existing policy version (3). For more information, please refer to https://cloud.google.com/iam/docs/policies#versions.")
			p.Version, p.Etag = 1, ""
			_, err = a.set(p, "")
			assert.Contains(t, googleError(t, err).Message, "_withcond_", "such a role can't be written")
		}

		// Without the etag, version 1 takes the conditions away.
		lost, err := a.set(&iam.Policy{Version: 1, Bindings: append(plain.Bindings, bound("roles/run.invoker", "user:x@example.com"))}, "")
		require.NoError(t, err)
		assert.EqualValues(t, 1, lost.Version)
		for _, binding := range b.Policy(a.resource).Bindings {
			assert.Nil(t, binding.Condition)
		}
	})
}

// What a policy may not hold. The refusal leaves it as it was.
func TestPolicyRefusals(t *testing.T) {
	t.Parallel()
	onEachResource(t, func(t *testing.T, b *fake.Backend, a policyAccess) {
		b.AddRole(&iam.Role{Name: "organizations/1/roles/gone", Deleted: true})
		before := b.Policy(a.resource)
		many := make([]string, 1501)
		for i := range many {
			many[i] = fmt.Sprintf("user:u%d@example.com", i)
		}
		held := 0
		for _, binding := range before.Bindings {
			held += len(binding.Members)
		}
		unknown := `Policy members must be of the form "<type>:<value>".`
		if strings.Contains(a.resource, "/serviceAccounts/") || strings.Contains(a.resource, "/jobs/") {
			unknown = "The member dev@example.com is of an unknown type. Please set a valid type prefix for the member."
		}
		tests := map[string]struct {
			binding *iam.Binding
			want    string // "" where the text is the fake's own
		}{
			"missing account":       {bound("roles/run.invoker", "serviceAccount:none@web-prod.iam.gserviceaccount.com"), "Service account none@web-prod.iam.gserviceaccount.com does not exist."},
			"account in no project": {bound("roles/run.invoker", "serviceAccount:a@nowhere.iam.gserviceaccount.com"), "Service account a@nowhere.iam.gserviceaccount.com does not exist."},
			"missing agent":         {bound("roles/run.invoker", "serviceAccount:service-1@serverless-robot-prod.iam.gserviceaccount.com"), "Service account service-1@serverless-robot-prod.iam.gserviceaccount.com does not exist."},
			"missing group":         {bound("roles/run.invoker", "group:none@example.com"), "Group none@example.com does not exist."},
			"no type":               {bound("roles/run.invoker", "dev@example.com"), unknown},
			"unknown type":          {bound("roles/run.invoker", "robot:dev@example.com"), strings.ReplaceAll(unknown, "dev@", "robot:dev@")},
			"no address":            {bound("roles/run.invoker", "user:dev"), ""},
			"principal of v2":       {bound("roles/run.invoker", "principal://goog/subject/dev@example.com"), ""},
			"missing custom role":   {bound("organizations/1/roles/none", "user:dev@example.com"), "Role organizations/1/roles/none is not supported for this resource."},
			"deleted custom role":   {bound("organizations/1/roles/gone", "user:dev@example.com"), "Role organizations/1/roles/gone is not supported for this resource."},
			"no role":               {bound("", "user:dev@example.com"), "Role  is not supported for this resource."},
			"role without prefix":   {bound("run.invoker", "user:dev@example.com"), "Role run.invoker is not supported for this resource."},
			"too many":              {bound("roles/run.invoker", many...), fmt.Sprintf("The number of members in the policy (1,%d) is larger than the maximum allowed size 1,500.", 501+held)},
			"condition of nothing":  {&iam.Binding{Role: "roles/run.invoker", Members: many[:1], Condition: &iam.Expr{Title: "x", Expression: "request.nothing"}}, ""},
			"condition, malformed":  {&iam.Binding{Role: "roles/run.invoker", Members: many[:1], Condition: &iam.Expr{Title: "x", Expression: "("}}, ""},
			"conditional owner":     {&iam.Binding{Role: "roles/owner", Members: many[:1], Condition: &iam.Expr{Title: "x", Expression: "true"}}, ""},
		}
		for name, tt := range tests {
			_, err := a.add(tt.binding)
			require.Error(t, err, name)
			g := googleError(t, err)
			if tt.want == "" {
				tt.want = g.Message
			}
			refusal(t, err, http.StatusBadRequest, "INVALID_ARGUMENT", "badRequest", tt.want)
		}
		assert.Equal(t, before, b.Policy(a.resource))

		for name, body := range map[string]string{
			"nothing": ``, "no policy": `{}`, "null": `{"policy":null}`, "a list": `{"policy":[]}`, "bindings of the wrong type": `{"policy":{"bindings":{}}}`,
			"members of the wrong type": `{"policy":{"bindings":[{"role":"roles/viewer","members":"user:a@example.com"}]}}`,
			"broken":                    `{"policy":`, "a mask of nothing": `{"policy":{},"updateMask":"nothing"}`,
		} {
			b.Grant(a.resource, "organizations/1/roles/policies", "user:dev@example.com")
			status, answer := call(t, b, http.MethodPost, policyURL(a.resource)+":setIamPolicy", body)
			assert.Equal(t, http.StatusBadRequest, status, "%s: %s", name, answer)
		}
	})
}

func TestPolicyLimitCountsEachOccurrence(t *testing.T) {
	t.Parallel()
	b := policyCloud(t)
	a := policyClients(t, b, policyAdmin)["service account"]
	p := &iam.Policy{}
	for i := range 1500 {
		p.Bindings = append(p.Bindings, bound(fmt.Sprintf("roles/role%d", i), "user:dev@example.com"))
	}
	_, err := a.set(p, "")
	require.NoError(t, err)
	_, err = a.add(bound("roles/run.invoker", "user:dev@example.com"))
	refusal(t, err, http.StatusBadRequest, "INVALID_ARGUMENT", "badRequest",
		"The number of members in the policy (1,501) is larger than the maximum allowed size 1,500.")
}

// Projects take no allUsers, other resources do.
func TestPolicyPublicMembers(t *testing.T) {
	t.Parallel()
	onEachResource(t, func(t *testing.T, b *fake.Backend, a policyAccess) {
		for _, member := range []string{"allUsers", "allAuthenticatedUsers"} {
			_, err := a.add(bound("roles/run.invoker", member))
			if a.resource != "projects/web-prod" {
				require.NoError(t, err)
				continue
			}
			refusal(t, err, http.StatusBadRequest, "INVALID_ARGUMENT", "badRequest", `Policy members must be of the form "<type>:<value>".`)
			assert.JSONEq(t, `[
				{"@type":"type.googleapis.com/google.rpc.BadRequest","fieldViolations":[{"field":"policy.bindings.member","description":
					"Policy members must be prefixed of the form '<type>:<value>', where <type> is 'domain', 'group', 'serviceAccount', or 'user'."}]},
				{"@type":"type.googleapis.com/google.rpc.ErrorInfo","domain":"cloudresourcemanager.googleapis.com","reason":"PROJECT_SET_IAM_DISALLOWED_MEMBER_TYPE"},
				{"@type":"type.googleapis.com/google.rpc.ResourceInfo","resourceName":"projects/web-prod"}]`,
				hierarchyJSON(t, field(parse(t, []byte(googleError(t, err).Body)), "error.details")))
			assert.Panics(t, func() { b.Grant(a.resource, "roles/run.invoker", member) })
		}
	})
}

func TestPolicyUpdateMask(t *testing.T) {
	t.Parallel()
	onEachResource(t, func(t *testing.T, _ *fake.Backend, a policyAccess) {
		audit := []*iam.AuditConfig{{Service: "allServices", AuditLogConfigs: []*iam.AuditLogConfig{{LogType: "DATA_READ"}}}}
		p, err := a.get(3)
		require.NoError(t, err)
		bindings := append(slices.Clone(p.Bindings), bound("roles/run.invoker", "user:dev@example.com"))
		written, err := a.set(&iam.Policy{Bindings: bindings, AuditConfigs: audit, Etag: p.Etag}, "")
		require.NoError(t, err)
		assert.Empty(t, written.AuditConfigs, "the mask is bindings and etag, unless the caller says")
		had := written.Bindings

		written, err = a.set(&iam.Policy{AuditConfigs: audit, Etag: written.Etag}, "audit_configs,etag")
		require.NoError(t, err)
		assert.Equal(t, audit, written.AuditConfigs)
		assert.Equal(t, had, written.Bindings, "they are not in the mask")

		written, err = a.set(&iam.Policy{Bindings: bindings[:len(bindings)-1], Etag: written.Etag}, "bindings")
		require.NoError(t, err)
		assert.Equal(t, audit, written.AuditConfigs)
		assert.False(t, holds(written, "roles/run.invoker", "user:dev@example.com"))

		_, err = a.set(&iam.Policy{Etag: "BwAAAAAAAAA="}, "auditConfigs,etag")
		assert.Equal(t, http.StatusConflict, googleError(t, err).Code)
	})
}

// A deleted account stays in policies by its unique id, in all of them, and
// comes back with the account.
func TestPolicyDeletedMembers(t *testing.T) {
	t.Parallel()
	onEachResource(t, func(t *testing.T, b *fake.Backend, a policyAccess) {
		b.AddServiceAccount(&iam.ServiceAccount{Email: "gone@data-prod.iam.gserviceaccount.com", UniqueId: "111111111111111111111"})
		const member = "serviceAccount:gone@data-prod.iam.gserviceaccount.com"
		const deleted = "deleted:" + member + "?uid=111111111111111111111"
		_, err := a.add(bound("roles/run.invoker", "serviceAccount:Gone@data-prod.iam.gserviceaccount.com", "user:dev@example.com"))
		require.NoError(t, err)
		withCondition := &iam.Binding{
			Role: "roles/run.viewer", Members: []string{member}, Condition: &iam.Expr{Title: "always", Expression: "true"},
		}
		written, err := a.add(withCondition)
		require.NoError(t, err)

		svc, err := iam.NewService(t.Context(), b.ClientOptions(fake.Admin)...)
		require.NoError(t, err)
		_, err = svc.Projects.ServiceAccounts.Delete("projects/data-prod/serviceAccounts/gone@data-prod.iam.gserviceaccount.com").Do()
		require.NoError(t, err)
		p, err := a.get(3)
		require.NoError(t, err)
		assert.Contains(t, p.Bindings, bound("roles/run.invoker", deleted, "user:dev@example.com"))
		assert.Contains(t, p.Bindings, &iam.Binding{Role: "roles/run.viewer", Members: []string{deleted}, Condition: withCondition.Condition})
		assert.NotEqual(t, written.Etag, p.Etag)

		// Who read before the deletion conflicts; without the etag, the member
		// is missing.
		_, err = a.set(written, "")
		assert.Equal(t, http.StatusConflict, googleError(t, err).Code)
		written.Etag = ""
		_, err = a.set(written, "")
		refusal(t, err, http.StatusBadRequest, "INVALID_ARGUMENT", "badRequest", "Service account gone@data-prod.iam.gserviceaccount.com does not exist.")
		// What was read now may be written.
		_, err = a.set(p, "")
		require.NoError(t, err)

		// A new account of that address is another one.
		b.AddServiceAccount(&iam.ServiceAccount{Email: "gone@data-prod.iam.gserviceaccount.com", UniqueId: "222222222222222222222"})
		can, err := policyClients(t, b, member)[policyKind(a)].test(policyPermission(a))
		require.NoError(t, err)
		assert.False(t, can, "it has not inherited the grant")
		_, err = svc.Projects.ServiceAccounts.Delete("projects/data-prod/serviceAccounts/222222222222222222222").Do()
		require.NoError(t, err)

		_, err = svc.Projects.ServiceAccounts.Undelete("projects/data-prod/serviceAccounts/111111111111111111111", &iam.UndeleteServiceAccountRequest{}).Do()
		require.NoError(t, err)
		p, err = a.get(3)
		require.NoError(t, err)
		assert.Contains(t, p.Bindings, bound("roles/run.invoker", member, "user:dev@example.com"))
		assert.Contains(t, p.Bindings, withCondition)
	})
}

// The caller needs the permission of the resource's own kind.
func TestPolicyNeedsPermission(t *testing.T) {
	t.Parallel()
	onEachResource(t, func(t *testing.T, b *fake.Backend, a policyAccess) {
		verbs := map[string]string{
			"service account": "iam.serviceAccounts.", "job": "run.jobs.", "project, v3": "resourcemanager.projects.",
			"folder": "resourcemanager.folders.", "organization, v3": "resourcemanager.organizations.",
		}
		permission := verbs[policyKind(a)]
		reader := policyClients(t, b, "user:reader@example.com")[policyKind(a)]
		_, err := reader.get(3)
		assert.Equal(t, http.StatusForbidden, googleError(t, err).Code)
		assert.Contains(t, googleError(t, err).Message, permission+"getIamPolicy")

		b.AddRole(&iam.Role{Name: "organizations/1/roles/reader", IncludedPermissions: []string{permission + "getIamPolicy"}})
		b.Grant(a.resource, "organizations/1/roles/reader", "user:reader@example.com")
		p, err := reader.get(3)
		require.NoError(t, err)
		_, err = reader.set(p, "")
		assert.Equal(t, http.StatusForbidden, googleError(t, err).Code)
		assert.Contains(t, googleError(t, err).Message, permission+"setIamPolicy")
		can, err := reader.test(permission + "getIamPolicy")
		require.NoError(t, err)
		assert.True(t, can)
		can, err = reader.test(permission + "setIamPolicy")
		require.NoError(t, err)
		assert.False(t, can)
	})
}

// What is written is in force at once, on the resource and below, and what is
// taken away is not.
func TestPolicyIsInForce(t *testing.T) {
	t.Parallel()
	onEachResource(t, func(t *testing.T, b *fake.Backend, a policyAccess) {
		member, permission, role := "user:dev@example.com", policyPermission(a), "roles/run.viewer"
		if a.resource == policyAccount {
			role = "roles/iam.serviceAccountUser"
		}
		dev := policyClients(t, b, member)[policyKind(a)]
		check := func(want bool, why string) {
			t.Helper()
			can, err := dev.test(permission)
			require.NoError(t, err)
			assert.Equal(t, want, can, why)
		}
		check(false, "not granted yet")
		p, err := a.get(3)
		require.NoError(t, err)
		for _, tt := range []struct {
			condition string
			want      bool
		}{{"", true}, {`request.time < timestamp("2001-01-01T00:00:00Z")`, false}, {`request.time > timestamp("2001-01-01T00:00:00Z")`, true}} {
			binding := bound(role, member)
			if tt.condition != "" {
				binding.Condition = &iam.Expr{Title: "when", Expression: tt.condition}
			}
			_, err = a.set(&iam.Policy{Version: 3, Bindings: append(slices.Clone(p.Bindings), binding)}, "")
			require.NoError(t, err)
			check(tt.want, tt.condition)
		}
		_, err = a.set(&iam.Policy{Version: 3, Bindings: p.Bindings}, "")
		require.NoError(t, err)
		check(false, "taken away")
	})
}

func TestPolicyPropagation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := policyCloud(t)
		b.SetPropagation(0, time.Minute)
		a := policyClients(t, b, policyAdmin)["service account"]
		dev := policyClients(t, b, "user:dev@example.com")["service account"]
		check := func(want bool, why string) {
			t.Helper()
			can, err := dev.test("iam.serviceAccounts.actAs")
			require.NoError(t, err)
			assert.Equal(t, want, can, why)
		}
		_, err := a.add(bound("roles/iam.serviceAccountUser", "user:dev@example.com", "serviceAccount:223456789012-compute@developer.gserviceaccount.com"))
		require.NoError(t, err)
		p, err := a.get(3)
		require.NoError(t, err)
		assert.True(t, holds(p, "roles/iam.serviceAccountUser", "user:dev@example.com"), "a read sees it at once")
		check(false, "not yet")
		time.Sleep(30 * time.Second)
		// Another account's deletion rewrites the policy, and hastens nothing.
		svc, err := iam.NewService(t.Context(), b.ClientOptions(fake.Admin)...)
		require.NoError(t, err)
		_, err = svc.Projects.ServiceAccounts.Delete("projects/data-prod/serviceAccounts/223456789012-compute@developer.gserviceaccount.com").Do()
		require.NoError(t, err)
		check(false, "half the time")
		time.Sleep(29 * time.Second)
		check(false, "a second before")
		time.Sleep(time.Second)
		check(true, "a minute after")

		_, err = a.set(&iam.Policy{}, "")
		require.NoError(t, err)
		check(true, "the removal takes its time too")
		time.Sleep(time.Minute)
		check(false, "removed")
	})
}

// The Google-managed default account, once it is deleted, is missing as any
// other is.
func TestPolicyDeletedDefaultAccount(t *testing.T) {
	t.Parallel()
	b := policyCloud(t)
	a := policyClients(t, b, policyAdmin)["service account"]
	const email = "223456789012-compute@developer.gserviceaccount.com"
	_, err := a.add(bound("roles/iam.serviceAccountUser", "serviceAccount:"+email))
	require.NoError(t, err)
	svc, err := iam.NewService(t.Context(), b.ClientOptions(fake.Admin)...)
	require.NoError(t, err)
	_, err = svc.Projects.ServiceAccounts.Delete("projects/data-prod/serviceAccounts/" + email).Do()
	require.NoError(t, err)
	_, err = a.add(bound("roles/iam.serviceAccountTokenCreator", "serviceAccount:"+email))
	refusal(t, err, http.StatusBadRequest, "INVALID_ARGUMENT", "badRequest", "Service account "+email+" does not exist.")
}

// Over JSON: an int32 may be written as a string, and gcloud posts an empty
// body with the version in the query.
func TestPolicyRequestForms(t *testing.T) {
	t.Parallel()
	b := policyCloud(t)
	b.GrantIf(policyAccount, "roles/run.viewer", "user:x@example.com", "true")
	b.GrantIf("projects/web-prod", "roles/run.viewer", "user:x@example.com", "true")
	b.Grant("organizations/1", "organizations/1/roles/policies", "user:dev@example.com")
	for name, tt := range map[string]struct{ url, body, version string }{
		"project, number":       {policyURL("projects/web-prod") + ":getIamPolicy", `{"options":{"requestedPolicyVersion":3}}`, "3"},
		"project, string":       {policyURL("projects/web-prod") + ":getIamPolicy", `{"options":{"requestedPolicyVersion":"3"}}`, "3"},
		"project, no body":      {policyURL("projects/web-prod") + ":getIamPolicy", "", "1"},
		"project, empty":        {policyURL("projects/web-prod") + ":getIamPolicy", "{}", "1"},
		"account, in the query": {policyURL(policyAccount) + ":getIamPolicy?options.requestedPolicyVersion=3&alt=json", "", "3"},
		"account, nothing":      {policyURL(policyAccount) + ":getIamPolicy", "", "1"},
	} {
		status, body := call(t, b, http.MethodPost, tt.url, tt.body)
		require.Equal(t, http.StatusOK, status, body)
		assert.Equal(t, json.Number(tt.version), parse(t, []byte(body))["version"], name)
	}
	for _, body := range []string{"[", "[]", `{"options":3}`, `{"options":{"requestedPolicyVersion":"three"}}`, `{"options":{"requestedPolicyVersion":2}}`} {
		status, answer := call(t, b, http.MethodPost, policyURL("projects/web-prod")+":getIamPolicy", body)
		assert.Equal(t, http.StatusBadRequest, status, "%s: %s", body, answer)
	}
}

// A policy may keep a binding whose role has been deleted since; a new one of
// that role is refused.
func TestBindingOfADeletedRoleMayStay(t *testing.T) {
	t.Parallel()
	b := newBackend()
	defer b.Close()
	b.AddRole(&iam.Role{Name: "projects/web-prod/roles/gone", IncludedPermissions: []string{"run.jobs.get"}})
	b.Grant("projects/web-prod", "projects/web-prod/roles/gone", "user:ann@example.com")
	svc, err := iam.NewService(t.Context(), b.ClientOptions(fake.Admin)...)
	require.NoError(t, err)
	_, err = svc.Projects.Roles.Delete("projects/web-prod/roles/gone").Do()
	require.NoError(t, err)
	b.Grant("projects/web-prod", "roles/run.viewer", "user:bob@example.com")
	assert.Contains(t, b.Explain("user:ann@example.com", "run.jobs.get", "projects/web-prod"), "denied: ")
	assert.Panics(t, func() {
		b.Grant("projects/-/serviceAccounts/x@web-prod.iam.gserviceaccount.com", "projects/web-prod/roles/gone", "user:ann@example.com")
	})
}
