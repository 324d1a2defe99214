package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/runidentity/runidentity/recommend"
)

// recommend asks what less would do for what was just deployed. That it can't be
// told is no reason for the deploy to fail.
func (r *result) recommend(ctx context.Context, c *cloud, o options) {
	for rec, err := range c.recommender.For(ctx, o.workload, nil) {
		if err != nil {
			r.Unlisted = append(r.Unlisted, err.Error())
			continue
		}
		rec.Raw = nil
		for i := range rec.Insights {
			rec.Insights[i].Raw = nil
		}
		r.Recommendations = append(r.Recommendations, rec)
	}
}

// where is the resource of a recommendation, without its service.
func where(rec recommend.Recommendation) string {
	_, name, _ := strings.Cut(strings.TrimPrefix(rec.Resource, "//"), "/")
	return name
}

// printRecommendations writes what less would do, for people.
func (r *result) printRecommendations(w io.Writer) {
	if len(r.Recommendations) > 0 {
		fmt.Fprint(w, "\nLess access would do, says Recommender (examples/leastprivilege applies it)\n")
	}
	for _, rec := range r.Recommendations {
		switch rec.Action {
		case recommend.ActionRemoveRole:
			fmt.Fprintf(w, "  %s on %s isn't used\n", rec.Role, where(rec))
		case recommend.ActionReplaceRole:
			fmt.Fprintf(w, "  %s on %s; enough would be\n    %s\n", rec.Role, where(rec), strings.Join(rec.AddRoles, ", "))
		case recommend.ActionNewIdentity:
			fmt.Fprint(w, "  an account of its own\n")
		case recommend.ActionUnusedAccount:
			fmt.Fprint(w, "  the account isn't used\n")
		default:
			fmt.Fprintf(w, "  %s (takes a person)\n", rec.Description)
		}
	}
	for _, why := range r.Unlisted {
		fmt.Fprintf(w, "\nRecommendations that can't be read: %s\n", why)
	}
}
