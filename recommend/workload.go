package recommend

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"

	"github.com/runidentity/runidentity/identity"
)

// ForOptions change how [Client.For] works. Nil means the zero value.
type ForOptions struct {
	// Projects are more projects to look at, by id or number: those where the
	// workload's account has roles. For one that doesn't exist, For yields a
	// [*ListError].
	Projects []string
}

// For lists the active recommendations about a workload, each joined with its
// insights:
//
//   - those of Cloud Run about the workload, if it is a service, and those that
//     name it and aren't understood;
//   - those of IAM about the account that the workload runs as;
//   - as [ActionUnusedAccount], the insight that this account isn't used.
//
// IAM's recommendations live in the project of the grant. For looks at the
// workload's project, at the account's and at [ForOptions].Projects. If a listing
// fails, For yields a [*ListError] and goes on with the others. If the workload
// can't be read, For yields that error, which wraps [identity.ErrNotFound] if there
// is no such workload. If the workload names no account, For yields an error that
// says so. Cloud Run's recommendations about a service are listed in each case.
//
// What is claimed isn't active, and isn't listed: read it with [Client.Get].
//
// No public source shows that Cloud Run makes recommendations about jobs or
// worker pools. For these, For lists what IAM says about their account.
func (c *Client) For(ctx context.Context, w identity.Workload, opts *ForOptions) iter.Seq2[Recommendation, error] {
	return func(yield func(Recommendation, error) bool) {
		projects, err := projectsOf(w, opts)
		if err != nil {
			yield(Recommendation{}, fmt.Errorf("recommendations for %s: %w", w, err))
			return
		}
		ctx, cancel := context.WithCancel(ctx)
		// Who it runs as is read while the listings that don't depend on it are.
		who := c.findOut(ctx, w)
		defer who.reading.Wait()
		defer cancel()

		var jobs []job
		for _, project := range projects {
			jobs = append(jobs, c.aboutAccount(project, who))
		}
		jobs = append(jobs, c.inAccountsProject(projects, who))
		if w.Kind == identity.KindService {
			jobs = append(jobs, c.aboutService(w))
		}
		gather(ctx, jobs, once(yield))
	}
}

// projectsOf returns the projects in which recommendations for a workload are
// looked for.
func projectsOf(w identity.Workload, opts *ForOptions) ([]string, error) {
	if err := w.Validate(); err != nil {
		return nil, err
	}
	if opts == nil {
		opts = new(ForOptions)
	}
	all := []string{w.Project}
	for _, p := range opts.Projects {
		if p == "" || strings.ContainsAny(p, "/?#% ") {
			return nil, fmt.Errorf("project %q: it must be an id or a number, such as %q", p, "data-prod")
		}
		if !slices.Contains(all, p) {
			all = append(all, p)
		}
	}
	return all, nil
}

// once yields each recommendation once: a project may be given by its id and by
// its number.
func once(yield func(Recommendation, error) bool) func(Recommendation, error) bool {
	seen := make(map[string]bool)
	return func(r Recommendation, err error) bool {
		if err == nil && r.Name != "" && seen[r.Name] {
			return true
		}
		seen[r.Name] = err == nil
		return yield(r, err)
	}
}

// who is the account that a workload runs as, once it was found out.
type who struct {
	reading sync.WaitGroup
	account identity.ServiceAccount
	err     error
}

// findOut reads the account that a workload runs as.
func (c *Client) findOut(ctx context.Context, w identity.Workload) *who {
	var found who
	found.reading.Go(func() {
		a, err := c.identity.Get(ctx, w, nil)
		switch {
		case err != nil:
		case a.WorkloadIdentity != nil && a.WorkloadIdentity.IdentityType == "IDENTITY_TYPE_AGENT_IDENTITY":
			a.ServiceAccount, err = identity.ServiceAccount{}, identity.ErrAgentIdentity
		case a.ServiceAccount.IsZero():
			err = errors.New("it names no account, and so runs as the project's default one, whose address takes the project's number: " +
				"list the recommendations of the project")
		}
		found.account, found.err = a.ServiceAccount, err
	})
	return &found
}

// get waits for the account. It is zero if it can't be found out.
func (w *who) get() (identity.ServiceAccount, error) {
	w.reading.Wait()
	return w.account, w.err
}

// inAccountsProject lists what is said about an account in its own project, unless
// that is among others that are looked at. It tells why the account is not known.
func (c *Client) inAccountsProject(others []string, who *who) job {
	return func(ctx context.Context, send func(Recommendation, error) bool) {
		account, err := who.get()
		if err != nil {
			send(Recommendation{}, err)
			return
		}
		if own, ok := account.Project(); ok && !slices.Contains(others, own) && account.Kind() != identity.AccountComputeDefault {
			c.aboutAccount(own, who)(ctx, send)
		}
	}
}

// aboutService lists Cloud Run's recommendations about a service.
func (c *Client) aboutService(w identity.Workload) job {
	return func(ctx context.Context, send func(Recommendation, error) bool) {
		l := listing{w.Project, w.Location, "recommenders", RecommenderRunIdentity, "recommendations"}
		c.list(ctx, query{withInsights: true}, l, func(r Recommendation, err error) bool {
			switch {
			case err != nil:
				return send(r, err)
			case r.Service.ID == w.ID:
				r.Service = w
			case r.Service != (identity.Workload{}) || !mayName(r.Raw, w.ID):
				return true
			}
			return send(r, nil)
		})
	}
}

// mayName reports whether JSON that isn't understood may be about a service: a text in
// it is the service's id, or the end of its name.
func mayName(raw json.RawMessage, id string) bool {
	return bytes.Contains(raw, []byte(`"`+id+`"`)) || bytes.Contains(raw, []byte("/services/"+id+`"`))
}

// aboutAccount lists what is said about an account in a project: the
// recommendations with their insights, and that it isn't used. What comes waits
// for who the account is.
func (c *Client) aboutAccount(project string, who *who) job {
	return func(ctx context.Context, send func(Recommendation, error) bool) {
		var both sync.WaitGroup
		var one sync.Mutex // send is not for two at a time
		ordered := func(r Recommendation, err error) bool {
			one.Lock()
			defer one.Unlock()
			return send(r, err)
		}
		both.Go(func() {
			l := listing{project, "global", "recommenders", RecommenderIAMPolicy, "recommendations"}
			c.list(ctx, query{withInsights: true}, l, func(r Recommendation, err error) bool {
				account, _ := who.get()
				if err == nil && !isAbout(r, account) {
					return true
				}
				return ordered(r, err)
			})
		})
		both.Go(func() {
			l := listing{project, "global", "insightTypes", InsightTypeServiceAccount, "insights"}
			err := c.pages(ctx, l, query{}.filter(l.items), func(raw json.RawMessage) bool {
				i, err := DecodeInsight(raw)
				account, _ := who.get()
				if err != nil || account.IsZero() || !strings.EqualFold(i.Account, account.Email()) {
					return true
				}
				return ordered(unused(i), nil)
			})
			if err != nil {
				ordered(Recommendation{}, err)
			}
		})
		both.Wait()
	}
}

// isAbout reports whether a recommendation is about an account. Of one that isn't
// understood, it is enough that it names it.
func isAbout(r Recommendation, account identity.ServiceAccount) bool {
	switch {
	case account.IsZero():
		return false
	case r.Member == "" && r.Action == ActionReview:
		return strings.Contains(strings.ToLower(string(r.Raw)), strings.ToLower(account.Email()))
	}
	return strings.EqualFold(r.Member, account.Member())
}

// accountUnused is the subtype of an insight that an account isn't used.
const accountUnused = "SERVICE_ACCOUNT_USAGE"

// unused is what an insight says of an account that isn't used.
func unused(i Insight) Recommendation {
	r := Recommendation{
		Name: i.Name, Recommender: i.Type, Subtype: i.Subtype, Description: i.Description, State: i.State, LastRefresh: i.LastRefresh,
		Action: ActionUnusedAccount, Member: "serviceAccount:" + i.Account, Observed: i.Observed, Insights: []Insight{i}, Raw: i.Raw,
	}
	if i.Subtype != accountUnused {
		r.Action, r.Why = ActionReview, fmt.Sprintf("the insight's subtype %q isn't known", i.Subtype)
	}
	return r
}
