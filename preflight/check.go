package preflight

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"google.golang.org/api/iam/v1"

	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/internal/access"
	"github.com/runidentity/runidentity/internal/names"
)

const runAPI = "run.googleapis.com"

// A deploy is a target with what has been found out about it.
type deploy struct {
	r      *reader
	target Target
	who    principal
	needs  []resource // of target.Needs

	workload   resource
	runProject string // the id, or the number if the id isn't known

	sa identity.ServiceAccount
	// project is that of the account as far as it is known: an id if possible.
	project string
	account *iam.ServiceAccount // nil if it can't be read
	readErr error               // why not
	cross   identity.Tristate   // whether the account is of another project
}

// check makes all checks of a target.
func (r *reader) check(ctx context.Context, t Target) (Report, error) {
	report := Report{Target: t}
	d, err := r.newDeploy(t)
	if err != nil {
		return report, fmt.Errorf("check %s: %w", t.Workload.Name(), err)
	}
	report.Deployer = d.who.String()
	d.run(ctx, &report)
	if err := ctx.Err(); err != nil {
		return Report{Target: t}, fmt.Errorf("check %s: %w", t.Workload.Name(), context.Cause(ctx))
	}
	return report, nil
}

// newDeploy validates a target.
func (r *reader) newDeploy(t Target) (*deploy, error) {
	if err := t.Workload.Validate(); err != nil {
		return nil, err
	}
	d := &deploy{r: r, target: t, workload: workloadOf(t.Workload), runProject: t.Workload.Project}
	caller := principal{caller: true}
	if r.c.Caller != "" {
		p, err := parsePrincipal(r.c.Caller)
		if err != nil {
			return nil, fmt.Errorf("the checker's Caller: %w", err)
		}
		caller = p
		caller.caller = true
	}
	d.who = caller
	if t.Deployer != "" {
		p, err := parsePrincipal(t.Deployer)
		if err != nil {
			return nil, err
		}
		if d.who = p; p.member == caller.member {
			d.who = caller
		}
	}
	for i, n := range t.Needs {
		at, err := n.validate()
		if err != nil {
			return nil, fmt.Errorf("need %d: %w", i, err)
		}
		d.needs = append(d.needs, at)
	}
	return d, nil
}

// validate checks a need and reads its resource.
func (n Need) validate() (resource, error) {
	at, err := parseResource(n.Resource)
	if err != nil {
		return resource{}, err
	}
	if len(n.Permissions) == 0 && n.Role == "" {
		return resource{}, errors.New(`it names no permission and no role, such as "storage.objects.get" or "roles/storage.objectViewer"`)
	}
	for _, p := range n.Permissions {
		if strings.Count(p, ".") < 2 || strings.ContainsAny(p, " /*") || strings.Contains(p, "..") || strings.Trim(p, ".") != p {
			return resource{}, fmt.Errorf(`permission %q: it must be SERVICE.RESOURCE.VERB, such as "storage.objects.get"`, p)
		}
	}
	if n.Role != "" && !isRole(n.Role) {
		return resource{}, fmt.Errorf(`role %q: it must be such as "roles/storage.objectViewer", "projects/data-prod/roles/reader" or "organizations/1/roles/reader"`, n.Role)
	}
	return at, nil
}

func isRole(s string) bool {
	parts := strings.Split(s, "/")
	for _, part := range parts {
		if part == "" || strings.ContainsAny(part, " \t\r\n") {
			return false
		}
	}
	return len(parts) == 2 && parts[0] == "roles" ||
		len(parts) == 4 && (parts[0] == "projects" || parts[0] == "organizations") && parts[2] == "roles"
}

// run makes the checks, side by side.
func (d *deploy) run(ctx context.Context, report *Report) {
	r := d.r
	if id, err := r.id(ctx, d.runProject); err == nil {
		d.runProject = id
		d.workload.project = id
	}
	var identityFinding *Finding
	d.sa, identityFinding = d.findIdentity(ctx)

	var deployFindings, accountFindings []Finding
	var api Finding
	var deployAdvice []Advice
	var wg sync.WaitGroup
	wg.Go(func() { deployFindings, deployAdvice = d.checkDeploy(ctx) })
	wg.Go(func() { api = d.checkAPI(ctx) })
	if identityFinding == nil {
		accountFindings = d.checkAccount(ctx)
	} else {
		accountFindings = []Finding{*identityFinding}
	}
	wg.Wait()

	// In the order of the codes: the account and acting as it, deploying, the
	// API, then the service agent and what follows.
	split := 0
	for split < len(accountFindings) && (accountFindings[split].Code == CheckIdentity || accountFindings[split].Code == CheckDeployerActAs) {
		split++
	}
	report.Findings = append(report.Findings, accountFindings[:split]...)
	report.Findings = append(report.Findings, deployFindings...)
	report.Findings = append(report.Findings, api)
	report.Findings = append(report.Findings, accountFindings[split:]...)
	report.Identity, report.IdentityProject = d.sa, d.project
	if number, err := r.number(ctx, d.runProject); err == nil {
		report.ProjectNumber = number
		report.Agent = agentOf(number).Member()
	}
	if r.options.ValidateOnly && identityFinding == nil {
		report.Findings = append(report.Findings, d.checkDryRun(ctx))
	}
	if !r.options.NoAdvice {
		report.Advice = slices.Concat(deployAdvice, d.advise(ctx, report))
	}
}

// findIdentity returns the account that the workload is to run as, or a finding
// that it isn't known.
func (d *deploy) findIdentity(ctx context.Context) (identity.ServiceAccount, *Finding) {
	if sa := d.target.Identity; !sa.IsZero() {
		return sa, nil
	}
	r, w := d.r, d.target.Workload
	attached, err := r.attachment(ctx, w)
	if err != nil && !errors.Is(err, identity.ErrNotFound) {
		return identity.ServiceAccount{}, &Finding{
			Code: CheckIdentity, Resource: d.workload.full,
			Message:  "the identity that the " + w.Kind.String() + " has can't be read; name the one to check",
			Evidence: Evidence{Method: ByRead, Detail: serverText(err)},
			Causes:   []Cause{causeOf("the "+w.Kind.String(), d.workload.full, err, runPermissions(w.Kind)+"get")},
		}
	}
	if sa := attached.ServiceAccount; !sa.IsZero() {
		return sa, nil
	}
	number, err := r.number(ctx, d.runProject)
	if err != nil {
		return identity.ServiceAccount{}, &Finding{
			Code: CheckIdentity, Resource: projectOf(d.runProject).full,
			Message:  "the project's default identity isn't known, since the project's number isn't; name the identity to check",
			Evidence: Evidence{Method: ByRead, Detail: serverText(err)},
			Causes:   []Cause{causeOf("the project's number", projectOf(d.runProject).full, err, "resourcemanager.projects.get", "serviceusage.services.get")},
		}
	}
	return identity.DefaultServiceAccount(mustNumber(number)), nil
}

// mustNumber returns a project's number, 0 if it is too long for one.
func mustNumber(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func agentOf(number string) identity.ServiceAccount {
	return identity.RunServiceAgent(mustNumber(number))
}

// checkAccount makes the checks that depend on where the account is. The email
// tells; if IAM says otherwise, they are made again.
func (d *deploy) checkAccount(ctx context.Context) []Finding {
	d.project = d.projectOfEmail(ctx)
	for {
		findings := d.checkAccountIn(ctx)
		if d.account == nil || d.account.ProjectId == "" || d.account.ProjectId == d.project {
			return findings
		}
		d.project = d.account.ProjectId
	}
}

// projectOfEmail returns the project that an account's email names, by its id if
// that can be found out, or "".
func (d *deploy) projectOfEmail(ctx context.Context) string {
	project, ok := d.sa.Project()
	if !ok {
		return ""
	}
	if !names.IsNumber(project) {
		return project
	}
	if number, err := d.r.number(ctx, d.runProject); err == nil && number == project {
		return d.runProject
	}
	if id, err := d.r.id(ctx, project); err == nil {
		return id
	}
	return project
}

// isCross reports whether the account is of another project than the workload.
func (d *deploy) isCross(ctx context.Context) identity.Tristate {
	switch {
	case d.project == "":
		return identity.Unknown
	case d.project == d.runProject:
		return identity.No
	case names.IsNumber(d.project) == names.IsNumber(d.runProject):
		return identity.Yes
	}
	number, name := d.project, d.runProject
	if names.IsNumber(name) {
		number, name = name, number
	}
	got, err := d.r.number(ctx, name)
	switch {
	case err != nil:
		return identity.Unknown
	case got == number:
		return identity.No
	}
	return identity.Yes
}

func (d *deploy) checkAccountIn(ctx context.Context) []Finding {
	project := d.project
	if project == "" {
		project = "-"
	}
	at := accountIn(project, d.sa)
	d.account, d.readErr = nil, nil
	var wg sync.WaitGroup
	read := make(chan struct{})
	wg.Go(func() {
		defer close(read)
		d.account, d.readErr = d.r.account(ctx, project, d.sa)
	})
	d.cross = d.isCross(ctx)

	findings := make([]Finding, 3, 4)
	if d.cross != identity.No {
		findings = findings[:4]
		wg.Go(func() {
			if d.cross == identity.Unknown {
				<-read // it says why
			}
			findings[3] = d.checkOrgPolicy(ctx)
		})
	}
	needs := make([][]Finding, len(d.needs))
	wg.Go(func() { findings[1] = d.checkActAs(ctx, at) })
	wg.Go(func() { findings[2] = d.checkAgent(ctx, at) })
	wg.Go(func() {
		sideBySide(len(d.needs), func(i int) { needs[i] = d.checkNeed(ctx, d.target.Needs[i], d.needs[i]) })
	})
	wg.Wait()
	findings[0] = d.checkIdentity(at, findings[1])
	for _, n := range needs {
		findings = append(findings, n...)
	}
	return findings
}

// subjectOf returns the identity as a principal.
func (d *deploy) subjectOf() principal {
	p := withProject(principal{member: access.ServiceAccount(d.sa.Email())})
	if d.project != "" {
		p.project = d.project
	}
	p.caller = d.r.c.Caller != "" && d.r.c.Caller == d.sa.Member()
	return p
}

// accessFinding returns the finding that a decision makes. For a Fail without a
// deny rule it has the fix that is given.
func accessFinding(code Code, who principal, permission string, at resource, d decision, fix *Fix) Finding {
	f := Finding{
		Code: code, Verdict: d.verdict(), Resource: at.full, Principal: who.String(), Permission: permission,
		Evidence: d.evidence, Causes: d.causes,
	}
	on := permission + " on " + shortName(at.full)
	switch {
	case f.Verdict == Pass && d.evidence.Grant != nil:
		g := d.evidence.Grant
		f.Message = who.words() + " has " + on + ", by " + g.Role + " there"
		if g.Resource != at.full {
			f.Message = who.words() + " has " + on + ", by " + g.Role + " on " + shortName(g.Resource)
		}
		if !g.Expires.IsZero() {
			f.Message += ", until " + g.Expires.UTC().Format("2006-01-02 15:04:05 MST")
		}
	case f.Verdict == Pass:
		f.Message = who.words() + " has " + on
	case f.Verdict == Fail && d.evidence.Denial != nil:
		n := d.evidence.Denial
		f.Message = fmt.Sprintf("%s lacks %s: rule %d of the deny policy %s on %s denies it", who.words(), on, n.Rule, names.Last(n.Policy), shortName(n.Resource))
		f.Fix = exemptionOf(n, permission, who)
	case f.Verdict == Fail && d.byDeny:
		f.Message = who.words() + " lacks " + on + ": a deny policy denies it, which can't be read"
	case f.Verdict == Fail:
		f.Message = who.words() + " lacks " + on
		if fix != nil {
			own := *fix // a finding shares nothing with another
			f.Fix = &own
		}
	default:
		f.Message = "whether " + who.words() + " has " + on + " can't be told" + because(d.causes)
	}
	return f
}

// grantOf returns the fix that grants a role.
func grantOf(role string, who principal, at resource) *Fix {
	return &Fix{Kind: FixGrantRole, Resource: at.full, Role: role, Member: who.String()}
}

// exemptionOf returns the fix that exempts from the rule that denies a permission.
func exemptionOf(n *Denial, permission string, who principal) *Fix {
	return &Fix{Kind: FixExemptFromDeny, Policy: n.Policy, Rule: n.Rule, Permission: permission, Principal: n.Principal, Member: who.String()}
}

// because names the first causes, and what would help.
func because(causes []Cause) string {
	if len(causes) == 0 {
		return ""
	}
	text := ": " + strings.TrimSuffix(causes[0].Message, ".") // a server's is a sentence
	if more := len(causes) - 1; more > 0 {
		text += fmt.Sprintf(" (and %d more)", more)
	}
	if p := permissionsOf(causes); len(p) > 0 {
		text += "; to know, the caller needs " + strings.Join(p, ", ")
	}
	return text
}

// shortName returns a resource's relative name, of an account its email.
func shortName(full string) string {
	if rest, ok := strings.CutPrefix(full, "//"); ok {
		if _, name, ok := strings.Cut(rest, "/"); ok {
			full = name
		}
	}
	if _, email, ok := strings.Cut(full, "/serviceAccounts/"); ok {
		return email
	}
	return full
}
