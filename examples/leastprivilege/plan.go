package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/api/option"

	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/recommend"
)

// A program has what it takes to do what the command line says.
type program struct {
	options
	runClient *identity.Client
	recs      *recommend.Client
}

func newProgram(ctx context.Context, o options, inMemory []option.ClientOption) (*program, error) {
	opts := inMemory
	if o.live {
		opts = nil
	}
	p := &program{options: o}
	var err error
	if p.runClient, err = identity.NewClient(ctx, opts...); err != nil {
		return nil, err
	}
	p.recs, err = recommend.NewClient(ctx, opts...)
	return p, err
}

// do shows the plans, or applies one.
func (p *program) do(ctx context.Context, a *answer) error {
	if p.resume != "" {
		plan, err := load(p.resume)
		if err != nil {
			return err
		}
		return p.carryOut(ctx, plan, p.resume, a)
	}
	if err := p.find(ctx, a); err != nil || p.apply == "" {
		return err
	}
	i := slices.IndexFunc(a.Plans, func(plan recommend.Plan) bool {
		return plan.Recommendation == p.apply || strings.HasSuffix(plan.Recommendation, "/"+p.apply)
	})
	if i < 0 {
		return fmt.Errorf("no active recommendation for %s has a name that ends in %q (-resume goes on with what was begun)", p.workload, p.apply)
	}
	plan := a.Plans[i]
	if err := plan.Err(); err != nil {
		return fmt.Errorf("apply %s: %w", plan.Recommendation, err)
	}
	if p.save != "" {
		if err := save(p.save, plan); err != nil {
			return fmt.Errorf("nothing was changed: %w", err)
		}
	}
	return p.carryOut(ctx, plan, p.save, a)
}

// find lists the recommendations and plans them.
func (p *program) find(ctx context.Context, a *answer) error {
	now, err := p.runClient.Get(ctx, p.workload, nil)
	if err != nil {
		return err
	}
	choices := recommend.PlanOptions{Account: p.account, Current: now.ServiceAccount, Remove: p.remove}
	for _, role := range p.grants {
		choices.Grants = append(choices.Grants, recommend.Grant{
			Role: role, Resource: "//cloudresourcemanager.googleapis.com/projects/" + p.workload.Project,
		})
	}
	a.Plans = []recommend.Plan{}
	for rec, err := range p.recs.For(ctx, p.workload, nil) {
		if err != nil {
			a.Unread = append(a.Unread, err.Error())
			continue
		}
		plan, err := recommend.NewPlan(rec, &choices)
		if err != nil {
			a.Unread = append(a.Unread, err.Error())
			continue
		}
		a.Plans = append(a.Plans, plan)
	}
	slices.SortFunc(a.Plans, func(p, q recommend.Plan) int { return strings.Compare(p.Recommendation, q.Recommendation) })
	return nil
}
