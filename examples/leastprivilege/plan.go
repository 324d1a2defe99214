package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/api/option"

	"github.com/runidentity/runidentity/examples/internal/demo"
	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/recommend"
)

// find lists the recommendations, plans them, and applies what is asked for.
func (a *answer) find(ctx context.Context, o options) error {
	var opts []option.ClientOption
	order := recommend.Order{Owner: o.owner, DryRun: o.dryRun}
	if !o.live {
		b := demo.NewBackend()
		defer b.Close()
		opts = b.ClientOptions(demo.Administrator)
		order.Settle = -1 // grants take no time there
	}
	recs, err := recommend.NewClient(ctx, opts...)
	if err != nil {
		return err
	}
	client, err := identity.NewClient(ctx, opts...)
	if err != nil {
		return err
	}
	now, err := client.Get(ctx, o.workload)
	if err != nil {
		return err
	}
	choices := recommend.Choices{Account: o.account, Current: now.ServiceAccount, Remove: o.remove}
	for _, role := range o.grants {
		choices.Grants = append(choices.Grants, recommend.Grant{
			Role: role, Resource: "//cloudresourcemanager.googleapis.com/projects/" + o.workload.Project,
		})
	}
	a.Plans = []recommend.Plan{}
	for rec, err := range recs.For(ctx, o.workload) {
		if err != nil {
			a.Unread = append(a.Unread, err.Error())
			continue
		}
		plan, err := recommend.NewPlan(rec, choices)
		if err != nil {
			a.Unread = append(a.Unread, err.Error())
			continue
		}
		a.Plans = append(a.Plans, plan)
	}
	slices.SortFunc(a.Plans, func(p, q recommend.Plan) int { return strings.Compare(p.Recommendation, q.Recommendation) })
	if o.apply == "" {
		return nil
	}
	i := slices.IndexFunc(a.Plans, func(p recommend.Plan) bool {
		return p.Recommendation == o.apply || strings.HasSuffix(p.Recommendation, "/"+o.apply)
	})
	if i < 0 {
		return fmt.Errorf("no active recommendation for %s has a name that ends in %q", o.workload, o.apply)
	}
	apply := recs.Apply
	if o.takeOver {
		apply = recs.TakeOver
	}
	result, err := apply(ctx, a.Plans[i], order)
	result.Recommendation.Raw = nil
	a.Applied = &result
	return err
}
