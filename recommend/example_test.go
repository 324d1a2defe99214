package recommend_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"google.golang.org/api/cloudresourcemanager/v3"
	"google.golang.org/api/iam/v1"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/recommend"
)

func ExampleClient_For() {
	ctx := context.Background()
	b := fake.NewBackend()
	defer b.Close()
	b.AddProject(&cloudresourcemanager.Project{ProjectId: "web-prod", Name: "projects/123456789012"})
	const runner = "runner@web-prod.iam.gserviceaccount.com"
	b.AddServiceAccount(&iam.ServiceAccount{Email: runner})
	b.AddRunJSON("projects/web-prod/locations/europe-west1/jobs/nightly",
		[]byte(`{"template": {"template": {"containers": [{"image": "job"}], "serviceAccount": "`+runner+`"}}}`))
	b.Grant("projects/web-prod", "roles/editor", "serviceAccount:"+runner)
	b.AddRecommenderJSON("projects/123456789012/locations/global/recommenders/google.iam.policy.Recommender/recommendations/r1",
		[]byte(replacement("serviceAccount:"+runner, "//cloudresourcemanager.googleapis.com/projects/123456789012", "roles/editor", "roles/run.invoker")))
	b.Grant("projects/web-prod", "roles/owner", "user:dev@example.com")

	recs, err := recommend.NewClient(ctx, b.ClientOptions("user:dev@example.com")...)
	if err != nil {
		fmt.Println(err)
		return
	}
	for rec, err := range recs.For(ctx, identity.Job("web-prod", "europe-west1", "nightly"), nil) {
		if err != nil {
			fmt.Println(err)
			return
		}
		plan, err := recommend.NewPlan(rec, &recommend.PlanOptions{Remove: []string{"roles/editor"}})
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, step := range plan.Steps {
			fmt.Println(step)
		}
		result, err := recs.Apply(ctx, plan, "deploy-bot", &recommend.ApplyOptions{Settle: -1}) // the fake needs no time
		fmt.Println(result.Recommendation.State, err)
	}
	// Output:
	// grant roles/run.invoker to serviceAccount:runner@web-prod.iam.gserviceaccount.com on projects/123456789012
	// take roles/editor from serviceAccount:runner@web-prod.iam.gserviceaccount.com on projects/123456789012
	// SUCCEEDED <nil>
}

// A plan takes away only the roles that the options name, and says what speaks
// against it. It is text for people, commands for a shell and JSON to store.
func ExampleNewPlan() {
	rec, err := recommend.DecodeRecommendation([]byte(`{
		"name": "projects/123456789012/locations/global/recommenders/google.iam.policy.Recommender/recommendations/r1",
		"recommenderSubtype": "REMOVE_ROLE", "lastRefreshTime": "2026-11-02T08:00:00Z", "etag": "\"e1\"", "stateInfo": {"state": "ACTIVE"},
		"content": {
			"overview": {
				"member": "serviceAccount:runner@web-prod.iam.gserviceaccount.com", "removedRole": "roles/editor",
				"resource": "//cloudresourcemanager.googleapis.com/projects/123456789012", "minimumObservationPeriodInDays": "90"
			},
			"operationGroups": [{"operations": [{
				"action": "remove", "path": "/iamPolicy/bindings/*/members/*",
				"resource": "//cloudresourcemanager.googleapis.com/projects/123456789012", "resourceType": "cloudresourcemanager.googleapis.com/Project",
				"pathFilters": {
					"/iamPolicy/bindings/*/condition/expression": "", "/iamPolicy/bindings/*/role": "roles/editor",
					"/iamPolicy/bindings/*/members/*": "serviceAccount:runner@web-prod.iam.gserviceaccount.com"
				}
			}]}]
		}}`))
	if err != nil {
		log.Fatal(err)
	}
	today := time.Date(2026, time.November, 25, 8, 0, 0, 0, time.UTC)

	plan, err := recommend.NewPlan(rec, &recommend.PlanOptions{Now: today})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("named no role:", len(plan.Steps), "steps,", len(plan.Kept), "kept")

	plan, err = recommend.NewPlan(rec, &recommend.PlanOptions{Remove: []string{"roles/editor"}, Now: today})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(plan)
	// Output:
	// named no role: 0 steps, 1 kept
	// plan for projects/123456789012/locations/global/recommenders/google.iam.policy.Recommender/recommendations/r1
	//   remove-role
	//   1. take roles/editor from serviceAccount:runner@web-prod.iam.gserviceaccount.com on projects/123456789012
	//      not used
	//      gcloud projects remove-iam-policy-binding 123456789012 --member=serviceAccount:runner@web-prod.iam.gserviceaccount.com --role=roles/editor --condition=None
	//   careful: it was computed 23 days ago: what was used since isn't in it
}

// Apply grants, attaches and removes in this order, and notes in the recommendation
// how far it got. A dry run tells what it would do.
func ExampleClient_Apply() {
	ctx := context.Background()
	b := fake.NewBackend()
	b.AddProject(&cloudresourcemanager.Project{ProjectId: "web-prod", Name: "projects/123456789012"})
	const runner = "serviceAccount:runner@web-prod.iam.gserviceaccount.com"
	b.AddServiceAccount(&iam.ServiceAccount{Email: "runner@web-prod.iam.gserviceaccount.com"})
	b.Grant("projects/web-prod", "roles/editor", runner)
	name := "projects/123456789012/locations/global/recommenders/google.iam.policy.Recommender/recommendations/r1"
	b.AddRecommenderJSON(name, []byte(replacement(runner, "//cloudresourcemanager.googleapis.com/projects/123456789012", "roles/editor", "roles/run.invoker")))
	b.Grant("projects/web-prod", "roles/recommender.iamAdmin", "user:bot@example.com")
	b.Grant("projects/web-prod", "roles/resourcemanager.projectIamAdmin", "user:bot@example.com")

	recs, err := recommend.NewClient(ctx, b.ClientOptions("user:bot@example.com")...)
	if err != nil {
		log.Fatal(err)
	}
	rec, err := recs.Get(ctx, name)
	if err != nil {
		log.Fatal(err)
	}
	plan, err := recommend.NewPlan(rec, &recommend.PlanOptions{Remove: []string{"roles/editor"}})
	if err != nil {
		log.Fatal(err)
	}
	options := recommend.ApplyOptions{Settle: -1} // the fake needs no time; leave it out on a real cloud

	options.DryRun = true
	result, err := recs.Apply(ctx, plan, "deploy-bot/nightly", &options)
	show(result, err)
	options.DryRun = false
	result, err = recs.Apply(ctx, plan, "deploy-bot/nightly", &options)
	show(result, err)
	_, err = recs.Apply(ctx, plan, "deploy-bot/weekly", &options)
	fmt.Println("for another owner there is nothing to apply:", errors.Is(err, recommend.ErrBlocked))
	// Output:
	// ACTIVE <nil>
	//   would: grant-role roles/run.invoker
	//   would: remove-role roles/editor
	// SUCCEEDED <nil>
	//   done: grant-role roles/run.invoker
	//   done: remove-role roles/editor
	// for another owner there is nothing to apply: true
}

func show(result recommend.Result, err error) {
	fmt.Println(result.Recommendation.State, err)
	for _, step := range result.Steps {
		fmt.Println("  "+string(step.Outcome)+":", step.Step.Kind, step.Step.Role)
	}
}
