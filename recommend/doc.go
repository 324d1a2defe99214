// Package recommend joins what Google recommends about a service identity with
// the workload that runs as it, and applies it safely.
//
//	recs, err := recommend.NewClient(ctx)
//	for rec, err := range recs.For(ctx, workload) {
//		…
//		plan, err := recommend.NewPlan(rec, recommend.Choices{})
//		fmt.Print(plan)
//	}
//
// Recommender computes two kinds of recommendations that matter here. Cloud Run's
// ([RunIdentity], in the region) propose an account of its own for a service. No
// public source shows that jobs or worker pools get any. Those of IAM
// ([IAMPolicy], in "global") propose to take a role away that is not used, or to
// replace it with smaller ones: of whatever the workload runs as, and so of jobs
// and worker pools as well. Insights say what they follow from; one of them
// ([AccountUsage]) names accounts that were not used at all.
//
// An empty listing is normal. A new project has none for weeks, and the proposals
// for anything but basic roles need Security Command Center, of a tier that the
// API doesn't tell. An API that is off ([ErrAPIDisabled]) and a missing
// permission ([ErrDenied]) are told apart from it.
//
// # Lenient
//
// Google documents few of the fields of a recommendation's content. What isn't
// understood for certain is [Review], with the reason and the JSON as it came:
// nothing here acts on a guess.
//
// # Applying
//
// A [Plan] is data: steps with their reasons, to show and to decide on. It
// removes nothing that [Choices] don't name. [Client.Apply] claims the
// recommendation, carries the plan out so that the workload never lacks what it
// needs, and marks it succeeded, or undoes what it did and marks it failed. When
// it is cut short, the same owner runs it again and it goes on.
//
// https://cloud.google.com/recommender/docs/key-concepts
package recommend
