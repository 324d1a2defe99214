package fake

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"regexp"
	"slices"
	"sort"
	"strings"
	"time"

	"google.golang.org/api/recommender/v1"

	"github.com/runidentity/runidentity/fake/internal/wire"
	"github.com/runidentity/runidentity/internal/discovery"
)

// AddRecommendation adds a recommendation of a project, folder or organization.
// r.Name is the full name, with the project's id or number:
// "projects/web-prod/locations/global/recommenders/google.iam.policy.Recommender/recommendations/ID".
// A missing state becomes ACTIVE; a missing etag and a missing time of the last
// refresh are filled in. The fake computes no recommendations of its own.
//
// AddRecommendation panics if the recommendation exists already, if the fake
// doesn't have the recommender or the recommender doesn't live in the location,
// and on values that the API does not know.
func (b *Backend) AddRecommendation(r *recommender.GoogleCloudRecommenderV1Recommendation) {
	b.addRecommenderValue("AddRecommendation", "recommendations", r.Name, r)
}

// AddInsight adds an insight, as [Backend.AddRecommendation] adds a
// recommendation:
// "projects/web-prod/locations/global/insightTypes/google.iam.policy.Insight/insights/ID".
// The recommendations that it names in AssociatedRecommendations, or whose
// AssociatedInsights name it, may be added earlier or later.
func (b *Backend) AddInsight(i *recommender.GoogleCloudRecommenderV1Insight) {
	b.addRecommenderValue("AddInsight", "insights", i.Name, i)
}

// AddRecommenderJSON adds a recommendation or an insight from its JSON. Fields,
// subtypes and states that the generated types do not know stay as they are. The
// name is the full one and wins over one in the JSON. What is missing is filled
// in as by [Backend.AddRecommendation].
func (b *Backend) AddRecommenderJSON(name string, raw []byte) {
	o, err := wire.Decode(raw)
	if err != nil {
		panic(fmt.Sprintf("fake: AddRecommenderJSON %q: %v", name, err))
	}
	b.addRecommenderItem("AddRecommenderJSON", "", name, o)
}

func (b *Backend) addRecommenderValue(seeder, items, name string, v any) {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("fake: %s %q: %v", seeder, name, err))
	}
	o := wire.MustDecode(raw)
	// The copy is checked, since what is normalized loses zero values.
	schema := map[string]string{"recommendations": "Recommendation", "insights": "Insight"}[items]
	check := wire.Checker{Schemas: discovery.All()["recommender:v1"].Schemas}
	if err := check.Normalize("GoogleCloudRecommenderV1"+schema, wire.Clone(o), ""); err != nil {
		panic(fmt.Sprintf("fake: %s %q: %v", seeder, name, err))
	}
	b.read(time.Now(), func(st *state) { st.numberReferences(o) })
	b.addRecommenderItem(seeder, items, name, o)
}

var recommenderID = regexp.MustCompile(`^[a-zA-Z0-9_.-]+$`)

// addRecommenderItem stores an item and fills in what it misses.
func (b *Backend) addRecommenderItem(seeder, items, name string, o wire.Object) {
	b.write(time.Now(), func(st *state) {
		refuse := func(format string, args ...any) {
			panic(fmt.Sprintf("fake: %s %q: %s", seeder, name, fmt.Sprintf(format, args...)))
		}
		list, kind, id, err := st.parseRecommenderName(name)
		if err != nil {
			refuse("%v", err)
		}
		if items != "" && kind.items != items {
			refuse("this is a name of %s", kind.items)
		}
		item := &recommenderItem{name: list + "/" + id, id: id}
		s := &st.recommender
		if s.byName[item.name] != nil {
			refuse("it is there already")
		}
		o["name"] = item.name
		wire.SetDefault(o, "etag", st.recommenderEtag(item.name))
		wire.SetDefault(o, "lastRefreshTime", timestamp(time.Now()))
		wire.SetDefault(o, "stateInfo", wire.Object{})
		if info, ok := o["stateInfo"].(wire.Object); ok {
			wire.SetDefault(info, "state", "ACTIVE")
		}
		item.replace(o)
		if s.byName == nil {
			s.byName, s.lists = make(map[string]*recommenderItem), make(map[string][]*recommenderItem)
		}
		s.byName[item.name] = item
		at := sort.Search(len(s.lists[list]), func(i int) bool { return s.lists[list][i].id > id })
		s.lists[list] = slices.Insert(s.lists[list], at, item)
		st.associate(item)
	})
}

// parseRecommenderName reads the full name of an item. list is the name of
// what it is listed under, with the project's number.
func (st *state) parseRecommenderName(name string) (list string, kind recommenderKind, id string, err error) {
	parts := strings.Split(name, "/")
	if len(parts) != 8 || parts[2] != "locations" || !recommenderID.MatchString(parts[7]) {
		return "", kind, "", fmt.Errorf("the name is not of the form %q",
			"projects/P/locations/L/recommenders/R/recommendations/ID")
	}
	kind, ok := findRecommender(parts[4], parts[5])
	switch {
	case !ok:
		return "", kind, "", fmt.Errorf("the fake has no %s %q", parts[4], parts[5])
	case parts[6] != kind.items:
		return "", kind, "", fmt.Errorf("%s have %s, not %s", parts[4], kind.items, parts[6])
	case !kind.lives(parts[3]):
		return "", kind, "", fmt.Errorf("%s does not live in location %q", parts[5], parts[3])
	}
	n := st.recommenderContainer(parts[0], parts[1])
	if n == nil {
		return "", kind, "", fmt.Errorf("there is no %s/%s; add it first", parts[0], parts[1])
	}
	return recommenderListName(n, parts[3], parts[4], parts[5], kind), kind, parts[7], nil
}

// recommenderEtag makes an etag like no other, with quotes inside, as the
// documented ones have.
func (st *state) recommenderEtag(name string) string {
	h := fnv.New64a()
	_, _ = fmt.Fprintf(h, "%s %d", name, st.newSerial())
	return fmt.Sprintf(`"%016x"`, h.Sum64())
}

// associate notes which insights and recommendations belong together.
func (st *state) associate(item *recommenderItem) {
	s := &st.recommender
	if s.insights == nil {
		s.insights = make(map[string][]string)
	}
	for _, reference := range references(item.object, "associatedInsights", "insight") {
		if name := st.numbered(wire.Text(reference, "insight")); name != "" {
			s.insights[item.name] = append(s.insights[item.name], name)
		}
	}
	for _, reference := range references(item.object, "associatedRecommendations", "recommendation") {
		if name := st.numbered(wire.Text(reference, "recommendation")); name != "" {
			s.insights[name] = append(s.insights[name], item.name)
		}
	}
}

// numberReferences makes the names that an item refers to have the project's
// number, as the API's own have.
func (st *state) numberReferences(o wire.Object) {
	for list, field := range map[string]string{"associatedInsights": "insight", "associatedRecommendations": "recommendation"} {
		for _, reference := range references(o, list, field) {
			if name := st.numbered(wire.Text(reference, field)); name != "" {
				reference[field] = name
			}
		}
	}
}

// numbered returns a name with the project's number, or "" for the name of
// something that the fake can't have.
func (st *state) numbered(name string) string {
	list, _, id, err := st.parseRecommenderName(name)
	if err != nil {
		return ""
	}
	return list + "/" + id
}

// references returns the objects of a list that have a field. Seeded JSON may
// have any shape.
func references(o wire.Object, list, field string) (found []wire.Object) {
	all, _ := o[list].([]any)
	for _, v := range all {
		if reference, ok := v.(wire.Object); ok && wire.Text(reference, field) != "" {
			found = append(found, reference)
		}
	}
	return found
}
