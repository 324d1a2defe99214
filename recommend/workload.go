package recommend

import (
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
	// workload's account has roles.
	Projects []string
}

// For lists the active recommendations about a workload, each joined with its
// insights:
//
//   - those of Cloud Run about the workload, if it is a service;
//   - those of IAM about the account that the workload runs as;
//   - as [ActionUnusedAccount], the insight that this account isn't used.
//
// IAM's recommendations live in the project of the grant. For looks at the
// workload's project, at the account's and at [ForOptions].Projects. If a listing
// fails, For yields a [*ListError] and goes on with the others.
//
// No public source shows that Cloud Run makes recommendations about jobs or
// worker pools. For these, For lists what IAM says about their account.
func (c *Client) For(ctx context.Context, w identity.Workload, opts *ForOptions) iter.Seq2[Recommendation, error] {
	return func(yield func(Recommendation, error) bool) {
		fail := func(err error) { yield(Recommendation{}, fmt.Errorf("recommendations for %s: %w", w, err)) }
		if err := w.Validate(); err != nil {
			fail(err)
			return
		}
		known := []string{w.Project}
		if opts == nil {
			opts = new(ForOptions)
		}
		for _, p := range opts.Projects {
			if p == "" || strings.ContainsAny(p, "/?#% ") {
				fail(fmt.Errorf("project %q: it must be an id or a number, such as %q", p, "data-prod"))
				return
			}
			if !slices.Contains(known, p) {
				known = append(known, p)
			}
		}
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		// Who it runs as is read while the listings that don't depend on it are.
		who := make(chan struct{})
		var account identity.ServiceAccount
		var whoErr error
		var reading sync.WaitGroup
		reading.Go(func() {
			defer close(who)
			account, whoErr = c.accountOf(ctx, w)
		})
		defer reading.Wait()
		defer cancel()

		jobs := []func(context.Context, func(Recommendation, error) bool){
			func(ctx context.Context, send func(Recommendation, error) bool) {
				// A project that only the account tells.
				<-who
				if whoErr != nil {
					send(Recommendation{}, whoErr)
					return
				}
				if own, ok := account.Project(); ok && !slices.Contains(known, own) && account.Kind() != identity.AccountComputeDefault {
					c.forAccount(ctx, own, who, &account, send)
				}
			},
		}
		for _, project := range known {
			jobs = append(jobs, func(ctx context.Context, send func(Recommendation, error) bool) {
				c.forAccount(ctx, project, who, &account, send)
			})
		}
		if w.Kind == identity.KindService {
			jobs = append(jobs, func(ctx context.Context, send func(Recommendation, error) bool) {
				l := listing{w.Project, w.Location, "recommenders", RecommenderRunIdentity, "recommendations"}
				c.list(ctx, query{withInsights: true}, l, func(r Recommendation, err error) bool {
					if err == nil && r.Service.ID != w.ID {
						return true
					}
					if err == nil {
						r.Service = w
					}
					return send(r, err)
				})
			})
		}
		// A project may be given by its id and by its number.
		seen := make(map[string]bool)
		gather(ctx, jobs, func(r Recommendation, err error) bool {
			if err == nil && r.Name != "" && seen[r.Name] {
				return true
			}
			seen[r.Name] = err == nil
			return yield(r, err)
		})
	}
}

// accountOf returns the account that a workload runs as.
func (c *Client) accountOf(ctx context.Context, w identity.Workload) (identity.ServiceAccount, error) {
	a, err := c.identity.Get(ctx, w, nil)
	if err != nil {
		return identity.ServiceAccount{}, err
	}
	if a.ServiceAccount.IsZero() {
		return identity.ServiceAccount{}, errors.New("it names no account, and so runs as the project's default one, whose address takes the project's number: " +
			"list the recommendations of the project")
	}
	return a.ServiceAccount, nil
}

// forAccount lists what is said about an account in a project: the
// recommendations with their insights, and that it isn't used. What comes waits
// for who the account is.
func (c *Client) forAccount(ctx context.Context, project string, who <-chan struct{}, account *identity.ServiceAccount, send func(Recommendation, error) bool) {
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
			<-who
			if err == nil && !isAbout(r, *account) {
				return true
			}
			return ordered(r, err)
		})
	})
	both.Go(func() {
		l := listing{project, "global", "insightTypes", InsightTypeServiceAccount, "insights"}
		err := c.pages(ctx, l, query{}.filter(l.items), func(raw json.RawMessage) bool {
			i, err := DecodeInsight(raw)
			<-who
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
		Name: i.Name, Recommender: i.Type, Subtype: i.Subtype, Description: i.Description, State: State(i.State), LastRefresh: i.LastRefresh,
		Action: ActionUnusedAccount, Member: "serviceAccount:" + i.Account, Observed: i.Observed, Insights: []Insight{i}, Raw: i.Raw,
	}
	if i.Subtype != accountUnused {
		r.Action, r.Why = ActionReview, fmt.Sprintf("the insight's subtype %q isn't known", i.Subtype)
	}
	return r
}
