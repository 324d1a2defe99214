package fake

import (
	"fmt"
	"hash/fnv"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/api/iam/v1"

	"github.com/runidentity/runidentity/fake/internal/wire"
)

// account is an IAM service account.
type account struct {
	node
	visibleFrom              time.Time    // everywhere
	reads                    atomic.Int64 // while it was not
	project                  *project
	email, uniqueID          string
	displayName, description string
	disabled, deleted        bool
}

// accountEtag is the etag of every service account: the real one is a
// constant too.
const accountEtag = "MDEwMjE5MjA="

// AddServiceAccount adds a service account. Its Email decides on the project,
// which has to be there, unless ProjectId says otherwise; DisplayName,
// Description, Disabled and UniqueId are taken as they are. Name is not read.
// AddServiceAccount panics if the project is not there or the account is.
func (b *Backend) AddServiceAccount(sa *iam.ServiceAccount) {
	b.write(time.Now(), func(st *state) { st.addServiceAccount(sa) })
}

func (st *state) addServiceAccount(sa *iam.ServiceAccount) {
	id := sa.ProjectId
	if id == "" {
		id = projectOfEmail(sa.Email)
	}
	if id == "" {
		panic(fmt.Sprintf("fake: AddServiceAccount: the address %q does not tell a project; set ProjectId", sa.Email))
	}
	p := st.mustProject("AddServiceAccount", id)
	if a := st.accounts[sa.Email]; a != nil && !a.deleted {
		panic(fmt.Sprintf("fake: AddServiceAccount: %s is there already", sa.Email))
	}
	st.putAccount(p, &account{
		email: sa.Email, uniqueID: sa.UniqueId, displayName: sa.DisplayName,
		description: sa.Description, disabled: sa.Disabled,
	})
}

// projectOfEmail returns the project id in a user-managed account's address, or
// "". A domain-scoped project's is written the other way round.
func projectOfEmail(email string) string {
	_, domain, _ := strings.Cut(email, "@")
	name, ok := strings.CutSuffix(domain, ".iam.gserviceaccount.com")
	if !ok {
		return ""
	}
	if id, scope, ok := strings.Cut(name, "."); ok {
		return scope + ":" + id
	}
	return name
}

func (p *project) accountEmail(accountID string) string {
	name := p.id
	if scope, id, ok := strings.Cut(p.id, ":"); ok {
		name = id + "." + scope
	}
	return accountID + "@" + name + ".iam.gserviceaccount.com"
}

// putAccount stores an account.
func (st *state) putAccount(p *project, a *account) {
	a.project = p
	a.full, a.parent = "//iam.googleapis.com/"+a.resourceName(), &p.node
	st.directoryChanged()
	if a.uniqueID == "" {
		h := fnv.New64a()
		_, _ = fmt.Fprintf(h, "%s %d", a.email, st.newSerial())
		a.uniqueID = fmt.Sprintf("1%020d", h.Sum64()%1e19)
	}
	st.accounts[a.email] = a
	st.accounts[a.uniqueID] = a
}

func (a *account) resourceName() string {
	return "projects/" + a.project.id + "/serviceAccounts/" + a.email
}

func (a *account) json() *iam.ServiceAccount {
	return &iam.ServiceAccount{
		Name: a.resourceName(), ProjectId: a.project.id, UniqueId: a.uniqueID, Email: a.email,
		DisplayName: a.displayName, Description: a.description, Disabled: a.disabled,
		Etag: accountEtag, Oauth2ClientId: a.uniqueID,
	}
}

func iamHandlers() map[string]handler {
	const prefix = "iam.projects.serviceAccounts."
	return map[string]handler{
		prefix + "create":   writes((*call).createAccount),
		prefix + "get":      reads((*call).getAccount),
		prefix + "list":     reads((*call).listAccounts),
		prefix + "patch":    writes((*call).patchAccount),
		prefix + "update":   writes((*call).updateAccount),
		prefix + "delete":   writes((*call).deleteAccount),
		prefix + "undelete": writes((*call).undeleteAccount),
		prefix + "enable":   writes((*call).enableAccount),
		prefix + "disable":  writes((*call).disableAccount),

		prefix + "getIamPolicy":       reads((*call).getAccountPolicy),
		prefix + "setIamPolicy":       writes((*call).setAccountPolicy),
		prefix + "testIamPermissions": reads((*call).testAccountPermissions),
	}
}

// visible reports whether a new account is seen everywhere.
func (a *account) visible(now time.Time) bool { return !now.Before(a.visibleFrom) }

// findAccount returns the account that params[0] (project, or "-") and
// params[1] (email or unique id) name, if the caller may do what the method
// does.
func (c *call) findAccount(st *state) (*account, error) {
	permission := c.accountPermission()
	a := st.accounts[strings.ToLower(c.params[1])]
	p := st.projects[c.params[0]]
	wildcard := c.params[0] == "-"
	if a == nil || a.deleted || !wildcard && p != a.project {
		// With the wildcard, the real IAM does not tell a missing account from
		// one that may not be read.
		if wildcard || p == nil || p.deleted || !c.may(st, permission, &p.node) {
			return nil, deniedByIAM(permission)
		}
		return nil, wire.NotFound("Unknown service account").WithReason("notFound")
	}
	if !c.may(st, permission, &a.node) {
		return nil, deniedByIAM(permission)
	}
	return a, nil
}

// deniedByIAM returns the refusal of the IAM API.
func deniedByIAM(permission string) *wire.Error {
	e := wire.Denied("Permission '%s' denied on resource (or it may not exist).", permission).WithReason("forbidden")
	e.Details = []any{map[string]any{
		"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "IAM_PERMISSION_DENIED",
		"domain": "iam.googleapis.com", "metadata": map[string]string{"permission": permission},
	}}
	return e
}

// accountPermission returns the IAM permission that the method needs.
func (c *call) accountPermission() string {
	verb := c.method.ID[strings.LastIndexByte(c.method.ID, '.')+1:]
	if verb == "patch" {
		verb = "update"
	}
	return "iam.serviceAccounts." + verb
}

// accountProject returns the project that params[0] names, if the caller may
// do what the method does in it.
func (c *call) accountProject(st *state) (*project, error) {
	p := st.projects[c.params[0]]
	if p == nil || p.deleted || !c.may(st, c.accountPermission(), &p.node) {
		return nil, deniedByIAM(c.accountPermission())
	}
	return p, nil
}

func (c *call) createAccount(st *state) ([]byte, error) {
	var req iam.CreateServiceAccountRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	if !validAccountID(req.AccountId) {
		return nil, wire.Invalid("Invalid account ID %q: it must be 6 to 30 characters of lower-case letters, digits and hyphens, "+
			"begin with a letter and not end with a hyphen.", req.AccountId).WithReason("badRequest")
	}
	p, err := c.accountProject(st)
	if err != nil {
		return nil, err
	}
	email := p.accountEmail(req.AccountId)
	if a := st.accounts[email]; a != nil && !a.deleted {
		return nil, wire.AlreadyExists("Service account %s already exists within project projects/%s.", req.AccountId, p.id).
			WithReason("alreadyExists")
	}
	a := &account{email: email}
	if sa := req.ServiceAccount; sa != nil {
		a.displayName, a.description = sa.DisplayName, sa.Description
	}
	if delay := c.delays.accounts; delay > 0 {
		a.visibleFrom = c.now.Add(delay)
	}
	st.putAccount(p, a)
	return wire.MustEncode(a.json()), nil
}

// validAccountID holds an account id against the rule that
// projects.serviceAccounts.create documents.
func validAccountID(id string) bool {
	if len(id) < 6 || len(id) > 30 || id[0] < 'a' || id[0] > 'z' || id[len(id)-1] == '-' {
		return false
	}
	return !strings.ContainsFunc(id, func(r rune) bool {
		return r != '-' && (r < 'a' || r > 'z') && (r < '0' || r > '9')
	})
}

// getAccount finds a new account, until it is visible everywhere, every other
// time, as it was recorded to be.
func (c *call) getAccount(st *state) ([]byte, error) {
	a, err := c.findAccount(st)
	if err != nil {
		return nil, err
	}
	if !a.visible(c.now) {
		if a.reads.Add(1)%2 == 0 {
			return nil, wire.NotFound("Service account %s does not exist.", a.resourceName()).WithReason("notFound")
		}
	}
	return wire.MustEncode(a.json()), nil
}

func (c *call) listAccounts(st *state) ([]byte, error) {
	p, err := c.accountProject(st)
	if err != nil {
		return nil, err
	}
	var emails []string
	for key, a := range st.accounts {
		if key == a.email && a.project == p && !a.deleted {
			emails = append(emails, key)
		}
	}
	slices.Sort(emails)
	page, next, err := c.page(emails, 20, 100)
	if err != nil {
		return nil, err
	}
	resp := &iam.ListServiceAccountsResponse{NextPageToken: next}
	for _, email := range page {
		resp.Accounts = append(resp.Accounts, st.accounts[email].json())
	}
	return wire.MustEncode(resp), nil
}

// patchAccount answers with the patched fields and the name alone, as the
// real one was recorded to do.
func (c *call) patchAccount(st *state) ([]byte, error) {
	var req iam.PatchServiceAccountRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	in := req.ServiceAccount
	if in == nil {
		in = &iam.ServiceAccount{}
	}
	paths := wire.ParseMask(req.UpdateMask)
	if len(paths) == 0 {
		return nil, wire.Invalid("The update mask is required.").WithReason("badRequest")
	}
	a, err := c.findAccount(st)
	if err != nil {
		return nil, err
	}
	out := &iam.ServiceAccount{Name: a.resourceName()}
	displayName, description := a.displayName, a.description
	for _, path := range paths {
		switch strings.Join(path, ".") {
		case "displayName":
			displayName, out.DisplayName = in.DisplayName, in.DisplayName
		case "description":
			description, out.Description = in.Description, in.Description
		default:
			return nil, wire.Invalid("Invalid update mask path: only display_name and description can be updated, not %q.",
				strings.Join(path, ".")).WithReason("badRequest")
		}
	}
	a.displayName, a.description = displayName, description
	return wire.MustEncode(out), nil
}

func (c *call) updateAccount(st *state) ([]byte, error) {
	var in iam.ServiceAccount
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	a, err := c.findAccount(st)
	if err != nil {
		return nil, err
	}
	a.displayName = in.DisplayName
	return wire.MustEncode(a.json()), nil
}

// deleteAccount also rewrites the policies that name the account.
func (c *call) deleteAccount(st *state) ([]byte, error) {
	return c.changeAccount(st, func(a *account) {
		a.deleted = true
		st.directoryChanged()
		st.rewriteMembers(a.member(), a.deletedMember(), c.now)
	})
}

func (a *account) member() string { return "serviceAccount:" + a.email }

func (a *account) deletedMember() string { return "deleted:" + a.member() + "?uid=" + a.uniqueID }

func (c *call) enableAccount(st *state) ([]byte, error) {
	return c.changeAccount(st, func(a *account) { a.disabled = false })
}

func (c *call) disableAccount(st *state) ([]byte, error) {
	return c.changeAccount(st, func(a *account) { a.disabled = true })
}

func (c *call) changeAccount(st *state, change func(*account)) ([]byte, error) {
	a, err := c.findAccount(st)
	if err != nil {
		return nil, err
	}
	change(a)
	return []byte("{}"), nil
}

// undeleteAccount restores an account by its unique id, unless another one
// has taken its address since.
func (c *call) undeleteAccount(st *state) ([]byte, error) {
	a := st.accounts[c.params[1]]
	if a == nil || a.uniqueID != c.params[1] || c.params[0] != "-" && st.projects[c.params[0]] != a.project {
		// Who may restore accounts is told that there is none.
		if p := st.projects[c.params[0]]; p == nil || !c.may(st, c.accountPermission(), &p.node) {
			return nil, deniedByIAM(c.accountPermission())
		}
		return nil, wire.NotFound("Unknown service account").WithReason("notFound")
	}
	if !c.may(st, c.accountPermission(), &a.project.node) {
		return nil, deniedByIAM(c.accountPermission())
	}
	if holder := st.accounts[a.email]; holder != a && !holder.deleted || !a.deleted {
		return nil, wire.NewError(http.StatusBadRequest, "FAILED_PRECONDITION",
			"Service account %s can't be undeleted: an account of that address exists.", a.email).WithReason("failedPrecondition")
	}
	a.deleted = false
	st.accounts[a.email] = a
	st.directoryChanged()
	st.rewriteMembers(a.deletedMember(), a.member(), c.now)
	return wire.MustEncode(&iam.UndeleteServiceAccountResponse{RestoredAccount: a.json()}), nil
}

func (c *call) getAccountPolicy(st *state) ([]byte, error) {
	a, err := c.findAccount(st)
	if err != nil {
		return nil, err
	}
	return c.getIamPolicy(&a.node)
}

func (c *call) setAccountPolicy(st *state) ([]byte, error) {
	a, err := c.findAccount(st)
	if err != nil {
		return nil, err
	}
	return c.setIamPolicy(st, &a.node)
}

// testAccountPermissions needs no permission. On an account that the caller may
// not see, it answers that the caller has none.
func (c *call) testAccountPermissions(st *state) ([]byte, error) {
	a := st.accounts[strings.ToLower(c.params[1])]
	if a == nil || a.deleted || c.params[0] != "-" && st.projects[c.params[0]] != a.project {
		return nil, wire.NotFound("Unknown service account").WithReason("notFound")
	}
	return c.testIamPermissions(st, &a.node, func(permission string) bool {
		return st.permissionExists(permission) && testableOn(&a.node, permission)
	})
}
