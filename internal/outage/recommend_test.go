package outage_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/internal/outage"
	"github.com/runidentity/runidentity/recommend"
)

const (
	policyRecommender = "projects/123456789012/locations/global/recommenders/google.iam.policy.Recommender/recommendations/"
	webProject        = "//cloudresourcemanager.googleapis.com/projects/123456789012"
	owner             = "bot/1"
)

// less seeds an account that has a larger role than it uses, and the
// recommendation that says so.
func less(b *world) {
	member := runner.Member()
	b.Grant("projects/web-prod", "roles/editor", member)
	op := func(action, rest string) string {
		return fmt.Sprintf(`{"action": %q, "resource": %q, "resourceType": "cloudresourcemanager.googleapis.com/Project", %s}`, action, webProject, rest)
	}
	const path = `"path": "/iamPolicy/bindings/*/members/`
	b.AddRecommenderJSON(policyRecommender+"less", fmt.Appendf(nil, `{"recommenderSubtype": "REPLACE_ROLE", "priority": "P4", "lastRefreshTime": %q,
		"content": {"overview": {"resource": %q, "member": %q, "removedRole": "roles/editor", "addedRoles": ["roles/run.viewer"], "minimumObservationPeriodInDays": "90"},
			"operationGroups": [{"operations": [%s, %s]}]}}`, time.Now().UTC().Format(time.RFC3339), webProject, member,
		op("add", path+`-", "value": "`+member+`", "pathFilters": {"/iamPolicy/bindings/*/condition/expression": "", "/iamPolicy/bindings/*/role": "roles/run.viewer"}`),
		op("remove", path+`*", "pathFilters": {"/iamPolicy/bindings/*/condition/expression": "", "/iamPolicy/bindings/*/members/*": "`+member+`", "/iamPolicy/bindings/*/role": "roles/editor"}`)))
}

// planned seeds the same with a plan.
func planned(b *world) {
	less(b)
	ctx := context.Background()
	client, err := recommend.NewClient(ctx, b.ClientOptions(fake.Admin)...)
	if err != nil {
		panic(err)
	}
	r, err := client.Get(ctx, policyRecommender+"less")
	if err != nil {
		panic(err)
	}
	if b.plan, err = recommend.NewPlan(r, &recommend.PlanOptions{Remove: []string{"roles/editor"}}); err != nil {
		panic(err)
	}
}

// applyPlan applies it. What may be done of it, and said, is for the tests of its
// package: here, that it ends in time and can be gone on with.
func applyPlan(ctx context.Context, b *world) outcome {
	client, err := recommend.NewClient(ctx, b.ClientOptions(fake.Admin)...)
	if err != nil {
		return outcome{claim: notDone, err: err}
	}
	result, err := client.Apply(ctx, b.plan, owner, &recommend.ApplyOptions{Settle: -1})
	o := outcome{claim: partly, err: err}
	if err == nil {
		o.claim, o.value = done, string(result.Recommendation.State)
	}
	return o
}

// refused reports whether an error ended the plan for good: it was undone.
func refused(err error) bool {
	return err != nil && !strings.Contains(err.Error(), "apply the plan again")
}

type marking func(context.Context, *recommend.Client, recommend.Recommendation) (recommend.Recommendation, error)

// mark reads the recommendation and changes its state.
func mark(change marking) action {
	return func(ctx context.Context, b *world) outcome {
		client, err := recommend.NewClient(ctx, b.ClientOptions(fake.Admin)...)
		if err != nil {
			return outcome{claim: notDone, err: err}
		}
		r, err := client.Get(ctx, policyRecommender+"less")
		if err != nil {
			return outcome{claim: notDone, err: err}
		}
		r, err = change(ctx, client, r)
		return outcome{claim: claimOf(err), value: fmt.Sprint(r.State, r.Metadata), err: err}
	}
}

func claimIt(ctx context.Context, c *recommend.Client, r recommend.Recommendation) (recommend.Recommendation, error) {
	return c.Claim(ctx, r, map[string]string{"owner": owner})
}

func succeed(ctx context.Context, c *recommend.Client, r recommend.Recommendation) (recommend.Recommendation, error) {
	return c.Succeed(ctx, r, map[string]string{"owner": owner})
}

func failIt(ctx context.Context, c *recommend.Client, r recommend.Recommendation) (recommend.Recommendation, error) {
	return c.Fail(ctx, r, map[string]string{"owner": owner})
}

func dismiss(ctx context.Context, c *recommend.Client, r recommend.Recommendation) (recommend.Recommendation, error) {
	return c.Dismiss(ctx, r)
}

// dismissAgain dismisses what may be dismissed already, which the API refuses.
func dismissAgain(ctx context.Context, b *world) outcome {
	o := mark(dismiss)(ctx, b)
	if o.err != nil && strings.Contains(o.err.Error(), "is DISMISSED") {
		o.err = nil
	}
	return o
}

func listFor(ctx context.Context, b *world) outcome {
	client, err := recommend.NewClient(ctx, b.ClientOptions(fake.Admin)...)
	if err != nil {
		return outcome{claim: notDone, err: err}
	}
	var names []string
	for r, err := range client.List(ctx, []string{"123456789012"}, nil) {
		if err != nil {
			return outcome{claim: notDone, err: err}
		}
		names = append(names, r.Name)
	}
	return outcome{value: strings.Join(names, " ")}
}

func foreignRecommendations() []outage.Fault {
	const other = `{"name": "projects/987654321098/locations/global/recommenders/google.iam.policy.Recommender/recommendations/other", "etag": "\"theirs\"",
		"recommenderSubtype": "REMOVE_ROLE", "stateInfo": {"state": "CLAIMED", "stateMetadata": {"owner": "bot/1"}},
		"content": {"overview": {"resource": "//cloudresourcemanager.googleapis.com/projects/987654321098", "member": "user:them@example.com", "removedRole": "roles/owner"}}}`
	return []outage.Fault{
		outage.Answer("another's recommendation", http.StatusOK, other),
		outage.AnswerAfter("another's recommendation, after", http.StatusOK, other),
	}
}

func recommendOperations() []*operation {
	foreign := foreignRecommendations()
	never := func(*world, outcome) error { return nil }
	claimed := func(b *world) {
		less(b)
		o := mark(claimIt)(context.Background(), b)
		if o.err != nil {
			panic(errors.Join(errors.New("seed"), o.err))
		}
	}
	return []*operation{
		{name: "apply plan", seed: planned, run: applyPlan, between: never, ended: refused, foreign: append(foreignIAM(), foreign...)},
		{name: "claim", seed: less, run: mark(claimIt), foreign: foreign},
		{name: "succeed", seed: claimed, run: mark(succeed), foreign: foreign},
		{name: "fail", seed: claimed, run: mark(failIt), foreign: foreign},
		{name: "dismiss", seed: less, run: mark(dismiss), again: dismissAgain, foreign: foreign},
		// A listing without items is an empty object.
		{name: "list recommendations", seed: less, run: listFor, foreign: foreign, believes: []string{"200 {}"}},
	}
}
