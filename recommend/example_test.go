package recommend_test

import (
	"context"
	"fmt"

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
