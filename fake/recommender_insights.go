package fake

import (
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/runidentity/runidentity/fake/internal/wire"
)

// The states of recommendations and insights, and what one does to the other.

func (c *call) markClaimed(st *state) ([]byte, error) {
	// The descriptions of the states SUCCEEDED and FAILED don't name CLAIMED, the
	// method's own description allows it from both: what one of two pages allows
	// is not refused.
	return c.markRecommendation(st, "CLAIMED", "ACTIVE", "CLAIMED", "SUCCEEDED", "FAILED")
}

func (c *call) markSucceeded(st *state) ([]byte, error) {
	return c.markRecommendation(st, "SUCCEEDED", "ACTIVE", "CLAIMED", "SUCCEEDED", "FAILED")
}

func (c *call) markFailed(st *state) ([]byte, error) {
	return c.markRecommendation(st, "FAILED", "ACTIVE", "CLAIMED", "SUCCEEDED", "FAILED")
}

// markRecommendation also accepts the insights that led to the recommendation.
// That this needs no permission on them is inferred.
func (c *call) markRecommendation(st *state, state string, from ...string) ([]byte, error) {
	return c.markRecommenderItem(st, recommenderMark{state: state, from: from, needsEtag: true}, func(item *recommenderItem) {
		st.acceptInsights(item.name)
	})
}

// markDismissed leads to a state that nothing ends: it can be marked ACTIVE by
// the documentation, but no method of v1 does that.
func (c *call) markDismissed(st *state) ([]byte, error) {
	return c.markRecommenderItem(st, recommenderMark{state: "DISMISSED", from: []string{"ACTIVE"}}, nil)
}

// markAccepted takes insights that are accepted already, whose metadata it
// replaces.
func (c *call) markAccepted(st *state) ([]byte, error) {
	mark := recommenderMark{state: "ACCEPTED", from: []string{"ACTIVE", "ACCEPTED"}, needsEtag: true}
	return c.markRecommenderItem(st, mark, nil)
}

// recommenderMark is a change of state.
type recommenderMark struct {
	state     string
	from      []string
	needsEtag bool
}

// markRecommenderItem changes an item's state. The request's metadata replaces
// what was there, also if it has none; that markDismissed, which takes none,
// does so too is inferred.
func (c *call) markRecommenderItem(st *state, mark recommenderMark, then func(*recommenderItem)) ([]byte, error) {
	req, err := c.object()
	if err != nil {
		return nil, err
	}
	item, err := c.findRecommenderItem(st)
	if err != nil {
		return nil, err
	}
	metadata, _ := req["stateMetadata"].(wire.Object) // the schema was checked; absent is nil
	if err := checkStateMetadata(metadata); err != nil {
		return nil, err
	}
	switch given := wire.Text(req, "etag"); {
	case given == "" && mark.needsEtag:
		return nil, wire.Invalid("The etag is required.")
	case given != "" && given != wire.Text(item.object, "etag"):
		// Status as https://google.aip.dev/154 asks for.
		return nil, wire.Aborted("The etag does not match the current one. Read %s again and retry.", item.name)
	case !slices.Contains(mark.from, item.state()):
		return nil, wire.NewError(http.StatusBadRequest, "FAILED_PRECONDITION",
			"%s is %s and can't be marked %s: only what is %s can.", item.name, item.state(), mark.state, strings.Join(mark.from, ", "))
	}
	st.putState(item, mark.state, metadata)
	if then != nil {
		then(item)
	}
	return item.raw, nil
}

// putState gives an item a state with its metadata, and a new etag.
func (st *state) putState(item *recommenderItem, state string, metadata wire.Object) {
	o := wire.Clone(item.object)
	info := wire.Child(o, "stateInfo")
	info["state"] = state
	delete(info, "stateMetadata")
	if len(metadata) > 0 {
		info["stateMetadata"] = metadata
	}
	o["etag"] = st.recommenderEtag(item.name)
	item.replace(o)
}

// What the documentation allows as metadata. It prints the keys' rule as
// /^a-z0-9{0,62}$/, which is no rule that any key of use follows; keys with
// underscores have been seen.
var (
	stateMetadataKey   = regexp.MustCompile(`^[a-z0-9][a-z0-9_.-]{0,62}$`)
	stateMetadataValue = regexp.MustCompile(`^[a-zA-Z0-9_./-]{0,255}$`)
)

// checkStateMetadata refuses keys and values that break the rules. For
// insights none are documented; that they are the same is inferred.
func checkStateMetadata(metadata wire.Object) error {
	for key, value := range metadata {
		s, _ := value.(string) // the schema was checked
		switch {
		case !stateMetadataKey.MatchString(key):
			return wire.Invalid("Invalid state_metadata key %q: it must match %s.", key, stateMetadataKey)
		case !stateMetadataValue.MatchString(s):
			return wire.Invalid("Invalid state_metadata value %q of key %q: it must match %s.", s, key, stateMetadataValue)
		}
	}
	return nil
}

// acceptInsights marks the insights of a recommendation ACCEPTED.
func (st *state) acceptInsights(recommendation string) {
	for _, name := range st.recommender.insights[recommendation] {
		if insight := st.recommender.byName[name]; insight != nil && insight.state() != "ACCEPTED" {
			st.putState(insight, "ACCEPTED", nil)
		}
	}
}
