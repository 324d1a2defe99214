package fake_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/runidentity/runidentity/fake"
)

// filteredBackend has recommendations and insights whose ids tell what they
// are: state, subtype, priority or severity, target.
func filteredBackend() *fake.Backend {
	b := newBackend()
	for id, shape := range map[string]string{
		"active-remove-p1-a":   `{"recommenderSubtype":"REMOVE_ROLE","priority":"P1","targetResources":["//a","//x"]}`,
		"active-replace-p2-b":  `{"recommenderSubtype":"REPLACE_ROLE","priority":"P2","targetResources":["//b"]}`,
		"claimed-replace-p1-a": `{"stateInfo":{"state":"CLAIMED"},"recommenderSubtype":"REPLACE_ROLE","priority":"P1","targetResources":["//a"]}`,
		"dismissed-remove-p4":  `{"stateInfo":{"state":"DISMISSED"},"recommenderSubtype":"REMOVE_ROLE","priority":"P4","targetResources":[]}`,
		"succeeded":            `{"stateInfo":{"state":"SUCCEEDED"}}`,
	} {
		b.AddRecommenderJSON(policyRecommender+"/recommendations/"+id, []byte(shape))
	}
	for id, shape := range map[string]string{
		"active-usage-low":    `{"insightSubtype":"PERMISSIONS_USAGE","severity":"LOW","targetResources":["//a"]}`,
		"accepted-usage-high": `{"stateInfo":{"state":"ACCEPTED"},"insightSubtype":"PERMISSIONS_USAGE","severity":"HIGH"}`,
		"dismissed-other":     `{"stateInfo":{"state":"DISMISSED"},"insightSubtype":"OTHER"}`,
	} {
		b.AddRecommenderJSON(policyInsights+"/insights/"+id, []byte(shape))
	}
	return b
}

// filtered returns the ids that a filter lets through, or the refusal.
func filtered(t *testing.T, b *fake.Backend, list, filter string) (ids []string, status int, body string) {
	t.Helper()
	status, body = call(t, b, http.MethodGet, recommenderURL+list+"?filter="+url.QueryEscape(filter), "")
	var answer map[string][]struct{ Name string }
	if status == http.StatusOK {
		require.NoError(t, json.Unmarshal([]byte(body), &answer))
	}
	for _, items := range answer {
		for _, item := range items {
			ids = append(ids, item.Name[strings.LastIndexByte(item.Name, '/')+1:])
		}
	}
	return ids, status, body
}

func TestRecommendationFilters(t *testing.T) {
	t.Parallel()
	b := filteredBackend()
	t.Cleanup(b.Close)
	const (
		remove1, replace2, claimed = "active-remove-p1-a", "active-replace-p2-b", "claimed-replace-p1-a"
		dismissed, succeeded       = "dismissed-remove-p4", "succeeded"
	)
	all := []string{remove1, replace2, claimed, dismissed, succeeded}
	tests := map[string][]string{
		``:   all, // no state is left out by default
		`  `: all,
		// The examples of the discovery document.
		`stateInfo.state = ACTIVE OR stateInfo.state = DISMISSED`:                 {remove1, replace2, dismissed},
		`recommenderSubtype = REMOVE_ROLE OR recommenderSubtype = REPLACE_ROLE`:   {remove1, replace2, claimed, dismissed},
		`priority = P1 OR priority = P2`:                                          {remove1, replace2, claimed},
		`targetResources : //a`:                                                   {remove1, claimed},
		`stateInfo.state = ACTIVE AND (priority = P1 OR priority = P2)`:           {remove1, replace2},
		`state_info.state = CLAIMED`:                                              {claimed},
		`state_info.state:"DISMISSED" or state_info.state:"FAILED"`:               {dismissed},
		`stateInfo.state=ACTIVE`:                                                  {remove1, replace2},
		`stateInfo.state:ACTIVE`:                                                  {remove1, replace2},
		`stateInfo.state = "ACTIVE"`:                                              {remove1, replace2},
		`stateInfo.state = 'ACTIVE'`:                                              {remove1, replace2},
		`stateInfo.state != ACTIVE`:                                               {claimed, dismissed, succeeded},
		`NOT stateInfo.state = ACTIVE`:                                            {claimed, dismissed, succeeded},
		`-stateInfo.state = ACTIVE`:                                               {claimed, dismissed, succeeded},
		`NOT (stateInfo.state = ACTIVE OR priority = P1)`:                         {dismissed, succeeded},
		`NOT(priority = P1)`:                                                      {replace2, dismissed, succeeded},
		`NOT priority = P1 OR stateInfo.state = CLAIMED`:                          {replace2, claimed, dismissed, succeeded},
		`priority = P1 AND stateInfo.state = CLAIMED OR stateInfo.state = ACTIVE`: {remove1, claimed}, // OR binds closer
		`stateInfo.state = CLAIMED OR stateInfo.state = ACTIVE AND priority = P1`: {remove1, claimed},
		`(priority = P1 AND stateInfo.state = CLAIMED) OR priority = P4`:          {claimed, dismissed},
		`priority = P1 stateInfo.state = CLAIMED`:                                 {claimed}, // AND left out
		`((((priority = P4))))`:                                                   {dismissed},
		`priority = PRIORITY_UNSPECIFIED`:                                         {succeeded},
		`priority:*`:                                                              {remove1, replace2, claimed, dismissed},
		`NOT targetResources:*`:                                                   {dismissed, succeeded},
		`targetResources : "//x"`:                                                 {remove1},
		`targetResources : //`:                                                    nil,
		`recommenderSubtype = NOTHING_KNOWN`:                                      nil,
		`recommenderSubtype = "RE\MOVE_ROLE"`:                                     {remove1, dismissed},
		`recommenderSubtype = ""`:                                                 {succeeded},
		`targetResources : -x`:                                                    nil,
	}
	for filter, want := range tests {
		got, status, body := filtered(t, b, policyRecommender+"/recommendations", filter)
		assert.Equal(t, http.StatusOK, status, "%s: %s", filter, body)
		assert.Equal(t, want, got, filter)
	}
}

func TestInsightFilters(t *testing.T) {
	t.Parallel()
	b := filteredBackend()
	t.Cleanup(b.Close)
	tests := map[string][]string{
		``:                                       {"accepted-usage-high", "active-usage-low", "dismissed-other"},
		`insightSubtype = PERMISSIONS_USAGE`:     {"accepted-usage-high", "active-usage-low"},
		`severity = CRITICAL OR severity = HIGH`: {"accepted-usage-high"},
		`stateInfo.state = ACTIVE OR stateInfo.state = DISMISSED`:                 {"active-usage-low", "dismissed-other"},
		`stateInfo.state = ACCEPTED AND (severity = CRITICAL OR severity = HIGH)`: {"accepted-usage-high"},
		`targetResources : //a`: {"active-usage-low"},
		`severity = SEVERITY_UNSPECIFIED AND NOT insightSubtype = PERMISSIONS_USAGE`: {"dismissed-other"},
	}
	for filter, want := range tests {
		got, status, body := filtered(t, b, policyInsights+"/insights", filter)
		assert.Equal(t, http.StatusOK, status, "%s: %s", filter, body)
		assert.Equal(t, want, got, filter)
	}
	for _, filter := range []string{`priority = P1`, `recommenderSubtype = X`, `stateInfo.state = CLAIMED`} {
		_, status, _ := filtered(t, b, policyInsights+"/insights", filter)
		assert.Equal(t, http.StatusBadRequest, status, "%s is for recommendations", filter)
	}
}

func TestMalformedRecommenderFilters(t *testing.T) {
	t.Parallel()
	b := filteredBackend()
	t.Cleanup(b.Close)
	longest := `priority = P4` + strings.Repeat(" ", 487)
	got, status, _ := filtered(t, b, policyRecommender+"/recommendations", longest)
	assert.Equal(t, http.StatusOK, status)
	assert.Equal(t, []string{"dismissed-remove-p4"}, got)
	tests := map[string]string{
		longest + " ":                        "longer than 500 characters",
		`name = x`:                           `\"name\" is not a field`,
		`stateInfo = ACTIVE`:                 `\"stateInfo\" is not a field`,
		`severity = HIGH`:                    `\"severity\" is not a field`,
		`ACTIVE`:                             `\"ACTIVE\" is not a field`,
		`"ACTIVE"`:                           "is unexpected",
		`priority`:                           "it ends where more is expected",
		`priority =`:                         "it ends where more is expected",
		`priority P1`:                        "is unexpected",
		`priority = = P1`:                    "is unexpected",
		`priority = (P1 OR P2)`:              "is unexpected",
		`priority = P9`:                      `\"P9\" is not a value`,
		`priority = p1`:                      `\"p1\" is not a value`,
		`stateInfo.state = ACCEPTED`:         `\"ACCEPTED\" is not a value`,
		`priority > P2`:                      "does not apply",
		`priority <= P2`:                     "does not apply",
		`priority ! P2`:                      "does not apply",
		`targetResources = //a`:              "does not apply",
		`targetResources : //a*`:             "wildcards",
		`recommenderSubtype = REMOVE*`:       "wildcards",
		`recommenderSubtype = "*"`:           "wildcards",
		`(priority = P1`:                     "it ends where more is expected",
		`priority = P1)`:                     "is unexpected",
		`()`:                                 "is unexpected",
		`priority = P1 AND`:                  "it ends where more is expected",
		`priority = P1 OR`:                   "it ends where more is expected",
		`AND priority = P1`:                  "is not a field",
		`NOT`:                                "it ends where more is expected",
		`priority = "P1`:                     "does not end",
		`priority = P1 and priority = P2`:    `\"and\" is not a field`,
		strings.Repeat("(", 500):             "it ends where more is expected",
		strings.Repeat("-", 500):             "is unexpected",
		`priority = P1 OR AND priority = P2`: "is not a field",
		"priority = \xff":                    "is not a value",
		`stateInfo.state.more = ACTIVE`:      "is not a field",
		`targetResources : projects/a.b:c-d`: "is unexpected",
	}
	for filter, want := range tests {
		_, status, body := filtered(t, b, policyRecommender+"/recommendations", filter)
		assert.Equal(t, http.StatusBadRequest, status, "%s: %s", filter, body)
		assert.Contains(t, body, want, filter)
		assert.Contains(t, body, "INVALID_ARGUMENT", filter)
	}
}

// FuzzRecommenderFilter: whatever the filter, the answer is a list or 400; and
// a filter with NOT lets exactly the others through.
func FuzzRecommenderFilter(f *testing.F) {
	for _, filter := range []string{
		`stateInfo.state = ACTIVE AND (priority = P1 OR priority = P2)`,
		`state_info.state:"DISMISSED" or state_info.state:"FAILED"`,
		`-targetResources : //a OR NOT (recommenderSubtype != 'REMOVE_ROLE')`,
		`priority:* stateInfo.state = "ACT\IVE"`,
		`((((`, `"`, `priority = (`, `= = =`, "\\", "é=\x00",
	} {
		f.Add(filter)
	}
	b := filteredBackend()
	f.Cleanup(b.Close)
	f.Fuzz(func(t *testing.T, filter string) {
		all, _, _ := filtered(t, b, policyRecommender+"/recommendations", "")
		in, status, body := filtered(t, b, policyRecommender+"/recommendations", filter)
		if status != http.StatusOK {
			require.Equal(t, http.StatusBadRequest, status, body)
			require.Contains(t, body, "INVALID_ARGUMENT")
			return
		}
		require.Subset(t, all, in)
		if strings.TrimSpace(filter) == "" || len(filter) > 490 {
			return
		}
		out, status, body := filtered(t, b, policyRecommender+"/recommendations", "NOT ("+filter+")")
		require.Equal(t, http.StatusOK, status, body)
		both := append(slices.Clone(in), out...)
		slices.Sort(both)
		require.Equal(t, all, both)
	})
}
