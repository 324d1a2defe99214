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
// Description, Disabled and UniqueId are taken as they are. AddServiceAccount
// panics if the account is there already.
func (b *Backend) AddServiceAccount(sa *iam.ServiceAccount) {
	b.mu.Lock()
	defer b.mu.Unlock()
	id := sa.ProjectId
	if id == "" {
		id = projectOfEmail(sa.Email)
	}
	if id == "" {
		panic(fmt.Sprintf("fake: AddServiceAccount: the address %q does not tell a project; set ProjectId", sa.Email))
	}
	p := b.mustProject("AddServiceAccount", id)
	if a := b.accounts[sa.Email]; a != nil && !a.deleted {
		panic(fmt.Sprintf("fake: AddServiceAccount: %s is there already", sa.Email))
	}
	b.putAccount(p, &account{
		email: sa.Email, uniqueID: sa.UniqueId, displayName: sa.DisplayName,
		description: sa.Description, disabled: sa.Disabled,
	})
}

// projectOfEmail is the project id that a user-managed account's address
// tells, or "". A domain-scoped project's is written the other way round.
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

// putAccount stores an account. The backend is locked.
func (b *Backend) putAccount(p *project, a *account) {
	a.project = p
	a.full, a.parent = "//iam.googleapis.com/"+a.resourceName(), &p.node
	b.directoryChanged()
	if a.uniqueID == "" {
		h := fnv.New64a()
		_, _ = fmt.Fprintf(h, "%s %d", a.email, b.newSerial())
		a.uniqueID = fmt.Sprintf("1%020d", h.Sum64()%1e19)
	}
	b.accounts[a.email] = a
	b.accounts[a.uniqueID] = a
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
		prefix + "create":   (*call).createAccount,
		prefix + "get":      (*call).getAccount,
		prefix + "list":     (*call).listAccounts,
		prefix + "patch":    (*call).patchAccount,
		prefix + "update":   (*call).updateAccount,
		prefix + "delete":   (*call).deleteAccount,
		prefix + "undelete": (*call).undeleteAccount,
		prefix + "enable":   (*call).enableAccount,
		prefix + "disable":  (*call).disableAccount,

		prefix + "getIamPolicy":       (*call).getAccountPolicy,
		prefix + "setIamPolicy":       (*call).setAccountPolicy,
		prefix + "testIamPermissions": (*call).testAccountPermissions,
	}
}

// visible says whether a new account is seen everywhere.
func (a *account) visible(now time.Time) bool { return !now.Before(a.visibleFrom) }

// findAccount returns the account that params[0] (project, or "-") and
// params[1] (email or unique id) name, if the caller may do what the method
// does. The backend is locked.
func (c *call) findAccount() (*account, error) {
	permission := c.accountPermission()
	a := c.b.accounts[strings.ToLower(c.params[1])]
	p := c.b.projects[c.params[0]]
	wildcard := c.params[0] == "-"
	if a == nil || a.deleted || !wildcard && p != a.project {
		// With the wildcard, the real IAM does not tell a missing account from
		// one that may not be read.
		if wildcard || p == nil || p.deleted || !c.may(permission, &p.node) {
			return nil, deniedByIAM(permission)
		}
		return nil, notFound("Unknown service account").withReason("notFound")
	}
	if !c.may(permission, &a.node) {
		return nil, deniedByIAM(permission)
	}
	return a, nil
}

// deniedByIAM is the refusal of the IAM API.
func deniedByIAM(permission string) *statusError {
	e := denied("Permission '%s' denied on resource (or it may not exist).", permission).withReason("forbidden")
	e.details = []any{map[string]any{
		"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "IAM_PERMISSION_DENIED",
		"domain": "iam.googleapis.com", "metadata": map[string]string{"permission": permission},
	}}
	return e
}

// accountPermission is the IAM permission that the method needs.
func (c *call) accountPermission() string {
	verb := c.method.ID[strings.LastIndexByte(c.method.ID, '.')+1:]
	if verb == "patch" {
		verb = "update"
	}
	return "iam.serviceAccounts." + verb
}

// accountProject returns the project that params[0] names, if the caller may
// do what the method does in it. The backend is locked.
func (c *call) accountProject() (*project, error) {
	p := c.b.projects[c.params[0]]
	if p == nil || p.deleted || !c.may(c.accountPermission(), &p.node) {
		return nil, deniedByIAM(c.accountPermission())
	}
	return p, nil
}

func (c *call) createAccount() ([]byte, error) {
	var req iam.CreateServiceAccountRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	if !validAccountID(req.AccountId) {
		return nil, invalid("Invalid account ID %q: it must be 6 to 30 characters of lower-case letters, digits and hyphens, "+
			"begin with a letter and not end with a hyphen.", req.AccountId).withReason("badRequest")
	}
	b := c.b
	b.mu.Lock()
	defer b.mu.Unlock()
	p, err := c.accountProject()
	if err != nil {
		return nil, err
	}
	email := p.accountEmail(req.AccountId)
	if a := b.accounts[email]; a != nil && !a.deleted {
		return nil, alreadyExists("Service account %s already exists within project projects/%s.", req.AccountId, p.id).
			withReason("alreadyExists")
	}
	a := &account{email: email}
	if sa := req.ServiceAccount; sa != nil {
		a.displayName, a.description = sa.DisplayName, sa.Description
	}
	if delay := b.weather.accounts; delay > 0 {
		a.visibleFrom = c.now.Add(delay)
	}
	b.putAccount(p, a)
	return mustEncode(a.json()), nil
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
func (c *call) getAccount() ([]byte, error) {
	c.b.mu.RLock()
	defer c.b.mu.RUnlock()
	a, err := c.findAccount()
	if err != nil {
		return nil, err
	}
	if !a.visible(c.now) {
		if a.reads.Add(1)%2 == 0 {
			return nil, notFound("Service account %s does not exist.", a.resourceName()).withReason("notFound")
		}
	}
	return mustEncode(a.json()), nil
}

func (c *call) listAccounts() ([]byte, error) {
	c.b.mu.RLock()
	defer c.b.mu.RUnlock()
	p, err := c.accountProject()
	if err != nil {
		return nil, err
	}
	var emails []string
	for key, a := range c.b.accounts {
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
		resp.Accounts = append(resp.Accounts, c.b.accounts[email].json())
	}
	return mustEncode(resp), nil
}

// patchAccount answers with the patched fields and the name alone, as the
// real one was recorded to do.
func (c *call) patchAccount() ([]byte, error) {
	var req iam.PatchServiceAccountRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	in := req.ServiceAccount
	if in == nil {
		in = &iam.ServiceAccount{}
	}
	paths := parseMask(req.UpdateMask)
	if len(paths) == 0 {
		return nil, invalid("The update mask is required.").withReason("badRequest")
	}
	c.b.mu.Lock()
	defer c.b.mu.Unlock()
	a, err := c.findAccount()
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
			return nil, invalid("Invalid update mask path: only display_name and description can be updated, not %q.",
				strings.Join(path, ".")).withReason("badRequest")
		}
	}
	a.displayName, a.description = displayName, description
	return mustEncode(out), nil
}

func (c *call) updateAccount() ([]byte, error) {
	var in iam.ServiceAccount
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	c.b.mu.Lock()
	defer c.b.mu.Unlock()
	a, err := c.findAccount()
	if err != nil {
		return nil, err
	}
	a.displayName = in.DisplayName
	return mustEncode(a.json()), nil
}

// deleteAccount also rewrites the policies that name the account.
func (c *call) deleteAccount() ([]byte, error) {
	return c.changeAccount(func(a *account) {
		a.deleted = true
		c.b.directoryChanged()
		c.b.rewriteMembers(a.member(), a.deletedMember(), c.now)
	})
}

func (a *account) member() string { return "serviceAccount:" + a.email }

func (a *account) deletedMember() string { return "deleted:" + a.member() + "?uid=" + a.uniqueID }

func (c *call) enableAccount() ([]byte, error) {
	return c.changeAccount(func(a *account) { a.disabled = false })
}

func (c *call) disableAccount() ([]byte, error) {
	return c.changeAccount(func(a *account) { a.disabled = true })
}

func (c *call) changeAccount(change func(*account)) ([]byte, error) {
	c.b.mu.Lock()
	defer c.b.mu.Unlock()
	a, err := c.findAccount()
	if err != nil {
		return nil, err
	}
	change(a)
	return []byte("{}"), nil
}

// undeleteAccount restores an account by its unique id, unless another one
// has taken its address since.
func (c *call) undeleteAccount() ([]byte, error) {
	c.b.mu.Lock()
	defer c.b.mu.Unlock()
	a := c.b.accounts[c.params[1]]
	if a == nil || a.uniqueID != c.params[1] || c.params[0] != "-" && c.b.projects[c.params[0]] != a.project {
		// Who may restore accounts is told that there is none.
		if p := c.b.projects[c.params[0]]; p == nil || !c.may(c.accountPermission(), &p.node) {
			return nil, deniedByIAM(c.accountPermission())
		}
		return nil, notFound("Unknown service account").withReason("notFound")
	}
	if !c.may(c.accountPermission(), &a.project.node) {
		return nil, deniedByIAM(c.accountPermission())
	}
	if holder := c.b.accounts[a.email]; holder != a && !holder.deleted || !a.deleted {
		return nil, newError(http.StatusBadRequest, "FAILED_PRECONDITION",
			"Service account %s can't be undeleted: an account of that address exists.", a.email).withReason("failedPrecondition")
	}
	a.deleted = false
	c.b.accounts[a.email] = a
	c.b.directoryChanged()
	c.b.rewriteMembers(a.deletedMember(), a.member(), c.now)
	return mustEncode(&iam.UndeleteServiceAccountResponse{RestoredAccount: a.json()}), nil
}

func (c *call) getAccountPolicy() ([]byte, error) {
	c.b.mu.RLock()
	defer c.b.mu.RUnlock()
	a, err := c.findAccount()
	if err != nil {
		return nil, err
	}
	return c.getIamPolicy(&a.node)
}

func (c *call) setAccountPolicy() ([]byte, error) {
	c.b.mu.Lock()
	defer c.b.mu.Unlock()
	a, err := c.findAccount()
	if err != nil {
		return nil, err
	}
	return c.setIamPolicy(&a.node)
}

// testAccountPermissions needs no permission. What may not be seen has no
// permissions that the caller could have.
func (c *call) testAccountPermissions() ([]byte, error) {
	c.b.mu.RLock()
	defer c.b.mu.RUnlock()
	a := c.b.accounts[strings.ToLower(c.params[1])]
	if a == nil || a.deleted || c.params[0] != "-" && c.b.projects[c.params[0]] != a.project {
		return nil, notFound("Unknown service account").withReason("notFound")
	}
	return c.testIamPermissions(&a.node, func(permission string) bool {
		return c.b.permissionExists(permission) && testableOn(&a.node, permission)
	})
}
