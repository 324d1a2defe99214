package fake

import (
	"slices"
	"strings"

	"github.com/runidentity/runidentity/internal/discovery"
)

// publishedRecommenders are the recommenders in Google's published list, with their
// permission (without the verb), or "" where none of the roles that the fake knows
// has it. The fake knows nothing of what they recommend: unless it is seeded, a
// listing of theirs is empty, as it is for most projects. Google publishes no such
// list of insight types that is whole.
//
// https://docs.cloud.google.com/recommender/docs/recommenders, as of 2026-04-08
var publishedRecommenders = map[string]string{
	"google.bigquery.capacityCommitments.Recommender":            "",
	"google.bigquery.table.PartitionClusterRecommender":          "",
	"google.cloud.RecentChangeRecommender":                       "",
	"google.cloud.deprecation.GeneralRecommender":                "",
	"google.cloud.security.GeneralRecommender":                   "",
	"google.clouderrorreporting.Recommender":                     "",
	"google.cloudfunctions.PerformanceRecommender":               "",
	"google.cloudsql.instance.IdleRecommender":                   "",
	"google.cloudsql.instance.OutOfDiskRecommender":              "",
	"google.cloudsql.instance.OverprovisionedRecommender":        "",
	"google.cloudsql.instance.PerformanceRecommender":            "",
	"google.cloudsql.instance.ReliabilityRecommender":            "",
	"google.cloudsql.instance.SecurityRecommender":               "",
	"google.cloudsql.instance.UnderprovisionedRecommender":       "",
	"google.compute.IdleResourceRecommender":                     "",
	"google.compute.RightSizeResourceRecommender":                "",
	"google.compute.address.IdleResourceRecommender":             "",
	"google.compute.commitment.UsageCommitmentRecommender":       "",
	"google.compute.disk.IdleResourceRecommender":                "",
	"google.compute.image.IdleResourceRecommender":               "",
	"google.compute.instance.IdleResourceRecommender":            "",
	"google.compute.instance.MachineTypeRecommender":             "",
	"google.compute.instanceGroupManager.MachineTypeRecommender": "",
	"google.container.DiagnosisRecommender":                      "",
	"google.firestore.database.FirebaseRulesRecommender":         "",
	"google.firestore.database.ReliabilityRecommender":           "",
	"google.gmp.project.ManagementRecommender":                   "",
	"google.iam.policy.ChangeRiskRecommender":                    "recommender.iamPolicyChangeRiskRecommendations",
	"google.iam.serviceAccount.ChangeRiskRecommender":            "recommender.iamServiceAccountChangeRiskRecommendations",
	"google.logging.productSuggestion.ContainerRecommender":      "",
	"google.resourcemanager.project.ChangeRiskRecommender":       "",
	"google.resourcemanager.projectUtilization.Recommender":      "",
	"google.resourcemanager.serviceLimit.Recommender":            "",
	"google.run.service.CostRecommender":                         "recommender.runServiceCostRecommendations",
	"google.run.service.SecurityRecommender":                     "recommender.runServiceSecurityRecommendations",
	"google.storage.bucket.AnywhereCacheRecommender":             "",
	"google.storage.bucket.SoftDeleteRecommender":                "",
}

// readsAnyRecommender stands for a permission that isn't known: each role for a
// recommender has it.
const readsAnyRecommender = "recommender.locations.list"

// isLocation reports whether a location is one at all: which of them a recommender
// lives in isn't published. Zones are those of Cloud Run's regions.
func isLocation(location string) bool {
	region, zone := location, ""
	if i := strings.LastIndexByte(location, '-'); i > 0 {
		region, zone = location[:i], location[i+1:]
	}
	return hasPolicies(location) || len(zone) == 1 && zone >= "a" && zone <= "z" && slices.Contains(discovery.All()["run:v2"].Locations, region)
}
