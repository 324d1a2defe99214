package identity_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/iam/v1"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/identity"
)

const (
	getAccount    = "iam.projects.serviceAccounts.get"
	createAccount = "iam.projects.serviceAccounts.create"
)

var newAccount = identity.MustParseServiceAccount("nightly-runner@web-prod.iam.gserviceaccount.com")

// invisible is what a read of a new account was recorded to answer.
func invisible() fake.Fault {
	return fake.Fault{Status: 404, Times: 1, Body: fmt.Sprintf(`{"error":{"code":404,"status":"NOT_FOUND",
		"message":"Service account projects/web-prod/serviceAccounts/%s does not exist."}}`, newAccount)}
}

func TestEnsureServiceAccount(t *testing.T) {
	t.Parallel()
	skip := func(n int, f fake.Fault) fake.Fault { f.Skip = n; return f }
	tests := map[string]struct {
		cloud   func(*fake.Backend)
		created bool
		calls   []string
	}{
		"missing": {
			cloud:   func(*fake.Backend) {},
			created: true,
			calls:   []string{"get", "create", "get", "get", "get"},
		},
		"there": {
			cloud: func(b *fake.Backend) { b.AddServiceAccount(&iam.ServiceAccount{Email: newAccount.Email()}) },
			calls: []string{"get", "get", "get"},
		},
		"reads flap after the creation, as recorded": {
			cloud: func(b *fake.Backend) {
				// 404 (before), create, then 200, 404, 200, 404, and 200 from then on.
				b.Inject(getAccount, skip(2, invisible()))
				b.Inject(getAccount, skip(3, invisible()))
			},
			created: true,
			calls:   []string{"get", "create", "get", "get", "get", "get", "get", "get", "get"},
		},
		"403 instead of 404 after the creation": {
			cloud: func(b *fake.Backend) {
				b.Inject(getAccount, fake.Fault{Skip: 1, Times: 1, Status: 403})
			},
			created: true,
			calls:   []string{"get", "create", "get", "get", "get", "get"},
		},
		"there, but not seen at first": {
			cloud: func(b *fake.Backend) {
				b.AddServiceAccount(&iam.ServiceAccount{Email: newAccount.Email()})
				b.Inject(getAccount, invisible())
			},
			calls: []string{"get", "create", "get", "get", "get", "get"},
		},
		"the answer to the creation got lost": {
			cloud:   func(b *fake.Backend) { b.Inject(createAccount, fake.Fault{DropAfter: true, Times: 1}) },
			created: true,
			calls:   []string{"get", "create", "create", "get", "get", "get", "get"},
		},
		"the same, and it is someone else's of that display name": {
			cloud: func(b *fake.Backend) {
				b.AddServiceAccount(&iam.ServiceAccount{Email: newAccount.Email(), DisplayName: "Nightly", Description: "Theirs"})
				b.Inject(getAccount, invisible())
				b.Inject(createAccount, fake.Fault{DropBefore: true, Times: 1})
			},
			calls: []string{"get", "create", "create", "get", "get", "get", "get"},
		},
		"the same, and it is someone else's of that description": {
			cloud: func(b *fake.Backend) {
				b.AddServiceAccount(&iam.ServiceAccount{Email: newAccount.Email(), DisplayName: "Theirs", Description: "Runs the nightly job"})
				b.Inject(getAccount, invisible())
				b.Inject(createAccount, fake.Fault{DropBefore: true, Times: 1})
			},
			calls: []string{"get", "create", "create", "get", "get", "get", "get"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newCloud(t)
				tt.cloud(b)

				a, err := newClient(t, b).EnsureServiceAccount(bounded(t, time.Hour), newAccount, &identity.EnsureServiceAccountOptions{DisplayName: "Nightly", Description: "Runs the nightly job"})

				require.NoError(t, err)
				assert.Equal(t, tt.calls, methods(b))
				assert.Len(t, a.UniqueID, 21)
				a.UniqueID = ""
				assert.Equal(t, identity.Account{ServiceAccount: newAccount, Created: tt.created, Project: "web-prod"}, a)
				if tt.created {
					assert.JSONEq(t, `{"accountId":"nightly-runner","serviceAccount":{"displayName":"Nightly","description":"Runs the nightly job"}}`,
						string(b.Calls()[1].Body))
				}
			})
		})
	}
}

func TestEnsureServiceAccountRefusals(t *testing.T) {
	t.Parallel()
	t.Run("disabled", func(t *testing.T) {
		t.Parallel()
		b := newCloud(t)
		b.AddServiceAccount(&iam.ServiceAccount{Email: newAccount.Email(), Disabled: true})
		_, err := newClient(t, b).EnsureServiceAccount(t.Context(), newAccount, nil)
		require.ErrorIs(t, err, identity.ErrAccountDisabled)
		for _, c := range b.Calls() {
			assert.Equal(t, getAccount, c.Method, "it is not touched")
		}
	})
	t.Run("never visible", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			b := newCloud(t)
			forever := invisible()
			forever.Times = 0
			b.Inject(getAccount, forever)
			began := time.Now()
			_, err := newClient(t, b).EnsureServiceAccount(t.Context(), newAccount, nil)
			require.ErrorContains(t, err, "not reliably visible after ")
			assert.LessOrEqual(t, time.Since(began), 2*time.Minute)
		})
	})
	t.Run("may not be read", func(t *testing.T) {
		t.Parallel()
		b := newCloud(t)
		b.Inject(getAccount, fake.Fault{Status: 403})
		_, err := newClient(t, b).EnsureServiceAccount(t.Context(), newAccount, nil)
		require.ErrorContains(t, err, "Error 403")
		assert.Equal(t, []string{"get"}, methods(b), "nothing is created where nothing is known")
	})
}
