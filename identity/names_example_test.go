package identity_test

import (
	"fmt"

	"github.com/runidentity/runidentity/identity"
)

func ExampleParseServiceAccount() {
	for _, s := range []string{
		"serviceAccount:runner@data-prod.iam.gserviceaccount.com",
		"projects/-/serviceAccounts/runner@data.example.com.iam.gserviceaccount.com",
		"service-415104041262@serverless-robot-prod.iam.gserviceaccount.com",
		"dev@example.com",
	} {
		sa, err := identity.ParseServiceAccount(s)
		if err != nil {
			fmt.Println(err)
			continue
		}
		project, ok := sa.Project()
		fmt.Println(sa, sa.Kind(), project, ok)
	}
	// Output:
	// runner@data-prod.iam.gserviceaccount.com user-managed data-prod true
	// runner@data.example.com.iam.gserviceaccount.com user-managed example.com:data true
	// service-415104041262@serverless-robot-prod.iam.gserviceaccount.com service agent  false
	// invalid service account "dev@example.com": the email of a service account ends in .gserviceaccount.com; any other is of a user or a group, which is not a service account; example: "runner@data-prod.iam.gserviceaccount.com"
}

func ExampleRunServiceAgent() {
	fmt.Println(identity.RunServiceAgent(415104041262).Member())
	// Output:
	// serviceAccount:service-415104041262@serverless-robot-prod.iam.gserviceaccount.com
}

func ExampleParseWorkload() {
	w, err := identity.ParseWorkload("//run.googleapis.com/projects/web-prod/locations/europe-west1/jobs/nightly")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(w)
	fmt.Println(w.Kind, w.ID, "in", w.Location)
	fmt.Println(w == identity.Job("web-prod", "europe-west1", "nightly"))
	// Output:
	// projects/web-prod/locations/europe-west1/jobs/nightly
	// job nightly in europe-west1
	// true
}

func ExampleWorkload_Validate() {
	fmt.Println(identity.Job("web-prod", "europe-west1", "nightly").Validate())
	fmt.Println(identity.Job("web-prod", "-", "nightly").Validate())
	// Output:
	// <nil>
	// invalid workload "projects/web-prod/locations/-/jobs/nightly": location "-" stands for all of them, and a workload has one; example: "projects/web-prod/locations/europe-west1/jobs/nightly"
}
