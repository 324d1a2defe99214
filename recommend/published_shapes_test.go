package recommend_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/runidentity/runidentity/recommend"
)

// Recommendations in shapes that people have published: of other resources than
// projects, and with operations that come in another order or without an overview.
func TestPublishedShapes(t *testing.T) {
	t.Parallel()
	const (
		dataset      = "//bigquery.googleapis.com/projects/web-prod/datasets/logs"
		organization = "//cloudresourcemanager.googleapis.com/organizations/1"
	)
	me := "serviceAccount:" + runner
	turned := replacement(me, webProject, "roles/editor", "roles/run.viewer")
	add, rm := addOp(me, webProject, "roles/run.viewer"), removeOp(me, webProject, "roles/editor")
	turned = strings.Replace(turned, add+","+rm, rm+","+add, 1)
	require.Contains(t, turned, rm+","+add)
	withoutOverview := strings.Replace(replacement(me, webProject, "roles/editor", "roles/run.viewer"), `"overview"`, `"other"`, 1)
	for name, tt := range map[string]struct {
		name, text, remove string
		want               recommend.Action
		resource           string
		addRoles           []string
		gcloud             string // "" for a plan that can't be applied
	}{
		// Editors of the project, as the dataset's access list names them: the
		// project's own policy has nothing to do with it.
		"convenience members of a dataset": {
			"projects/123456789012/locations/us/recommenders/google.iam.policy.Recommender/recommendations/x",
			strings.NewReplacer("REMOVE_ROLE", "REMOVE_ROLE_BIGQUERY_DATASET", "cloudresourcemanager.googleapis.com/Project", "bigquery.googleapis.com/Dataset").
				Replace(removal("projectEditor:web-prod", dataset, "roles/bigquery.dataEditor")),
			"roles/bigquery.dataEditor", recommend.ActionRemoveRole, dataset, nil, "",
		},
		"removal before addition": {
			webPolicy + "x", turned, "roles/editor", recommend.ActionReplaceRole, webProject, []string{"roles/run.viewer"},
			"gcloud projects add-iam-policy-binding 123456789012",
		},
		"customizable, without an overview": {
			webPolicy + "x", strings.Replace(withoutOverview, "REPLACE_ROLE", "REPLACE_ROLE_CUSTOMIZABLE", 1), "roles/editor",
			recommend.ActionReplaceRole, webProject, []string{"roles/run.viewer"}, "gcloud projects add-iam-policy-binding 123456789012",
		},
		// What it is to do is told by its operations in full.
		"longer subtype": {
			webPolicy + "x", strings.Replace(turned, "REPLACE_ROLE", "REPLACE_ROLE_WITH_POLICY", 1), "roles/editor", recommend.ActionReplaceRole, webProject,
			[]string{"roles/run.viewer"}, "gcloud projects add-iam-policy-binding 123456789012",
		},
		"organization": {
			"organizations/1/locations/global/recommenders/google.iam.policy.Recommender/recommendations/x",
			strings.Replace(removal(me, organization, "roles/viewer"), "/Project", "/Organization", 1), "roles/viewer",
			recommend.ActionRemoveRole, organization, nil, "gcloud organizations remove-iam-policy-binding 1 ",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := decode(t, tt.name, tt.text)
			assert.Equal(t, tt.want, r.Action, r.Why)
			assert.Equal(t, tt.resource, r.Resource)
			assert.Equal(t, tt.addRoles, r.AddRoles)
			p, err := recommend.NewPlan(r, &recommend.PlanOptions{Remove: []string{tt.remove}})
			require.NoError(t, err)
			if tt.gcloud == "" {
				require.ErrorIs(t, p.Err(), recommend.ErrBlocked)
				assert.Empty(t, p.Gcloud())
				return
			}
			require.NoError(t, p.Err())
			assert.Contains(t, p.Gcloud(), tt.gcloud)
		})
	}
}

// A script may have marked a recommendation succeeded, with metadata of its own: it
// isn't applied again, neither by a new plan nor by one that was made before.
func TestSucceededElsewhereIsNotAppliedAgain(t *testing.T) {
	t.Parallel()
	b := newCloud(t)
	c := newClient(t, b)
	earlier := replacePlan(t, c)
	claimed, err := c.Claim(t.Context(), get(t, c, webPolicy+"replace"), map[string]string{"applied_by": "bulk_apply-2026-08-11"})
	require.NoError(t, err)
	_, err = c.Succeed(t.Context(), claimed, map[string]string{"applied_by": "bulk_apply-2026-08-11"})
	require.NoError(t, err)

	now := get(t, c, webPolicy+"replace")
	assert.Equal(t, recommend.StateSucceeded, now.State)
	assert.Equal(t, map[string]string{"applied_by": "bulk_apply-2026-08-11"}, now.Metadata)
	later := replacePlan(t, c)
	for _, p := range []recommend.Plan{earlier, later} {
		_, err := c.Apply(t.Context(), p, owner, order)
		require.ErrorIs(t, err, recommend.ErrBlocked)
	}
	assert.Equal(t, []string{"roles/editor"}, bindings(b, "serviceAccount:"+runner))
}
