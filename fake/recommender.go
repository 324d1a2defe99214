package fake

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/runidentity/runidentity/fake/internal/wire"
	"github.com/runidentity/runidentity/internal/discovery"
)

// Recommender: recommendations and the insights that they follow from.
//
// Limits: the fake does not compute recommendations. It has those that were
// seeded, and nothing that happens in the fake makes, changes or ends one, but
// for the methods that change their state. It has Google's published recommenders,
// of which those whose permission isn't known can only be read, and the insight
// types of findRecommender; other insight types are not implemented.
// Those of billing accounts are not, nor the configurations of recommenders.
//
// No recording of the real API is known. Paths, fields, filters, states, etags
// and permissions are as documented; the texts of errors are inferred from
// other Google APIs, and where the documentation does not tell the status, so
// is that.

// recommenderState are all recommendations and insights.
type recommenderState struct {
	byName map[string]*recommenderItem
	// lists are the same by what they are listed under, sorted by id.
	lists map[string][]*recommenderItem
	// insights are the names of the insights that a recommendation, by name,
	// is associated with, on either side.
	insights map[string][]string
}

// recommenderItem is a recommendation or an insight.
type recommenderItem struct {
	name   string // with the project's number
	id     string
	object wire.Object // replaced, never changed
	raw    []byte      // the object encoded
}

func (i *recommenderItem) replace(o wire.Object) { i.object, i.raw = o, wire.MustEncode(o) }

func (i *recommenderItem) state() string { return wire.Text(i.object, "stateInfo", "state") }

// recommenderKind is a recommender or an insight type.
type recommenderKind struct {
	items      string // "recommendations" or "insights"
	permission string // without the verb
	lives      func(location string) bool
}

// findRecommender returns a recommender or insight type by collection and id.
func findRecommender(collection, id string) (recommenderKind, bool) {
	switch collection + "/" + id {
	case "recommenders/google.run.service.IdentityRecommender":
		return recommenderKind{"recommendations", "recommender.runServiceIdentityRecommendations", isRunLocation}, true
	case "insightTypes/google.run.service.IdentityInsight":
		return recommenderKind{"insights", "recommender.runServiceIdentityInsights", isRunLocation}, true
	case "recommenders/google.iam.policy.Recommender":
		return recommenderKind{"recommendations", "recommender.iamPolicyRecommendations", hasPolicies}, true
	case "insightTypes/google.iam.policy.Insight":
		return recommenderKind{"insights", "recommender.iamPolicyInsights", hasPolicies}, true
	case "insightTypes/google.iam.serviceAccount.Insight":
		return recommenderKind{"insights", "recommender.iamServiceAccountInsights", isGlobal}, true
	}
	if permission, ok := publishedRecommenders[id]; ok && collection == "recommenders" {
		return recommenderKind{"recommendations", permission, isLocation}, true
	}
	return recommenderKind{}, false
}

func isGlobal(location string) bool { return location == "global" }

func isRunLocation(location string) bool {
	return slices.Contains(discovery.All()["run:v2"].Locations, location)
}

// hasPolicies reports whether recommendations on allow policies live in a
// location: those of projects, folders and organizations in global, those of
// buckets and datasets where the resource is.
// https://cloud.google.com/policy-intelligence/docs/review-apply-role-recommendations-buckets
func hasPolicies(location string) bool {
	return isGlobal(location) || isRunLocation(location) || slices.Contains([]string{"us", "eu", "asia"}, location)
}

func recommenderHandlers() map[string]handler {
	handlers := make(map[string]handler)
	for _, container := range []string{"projects", "folders", "organizations"} {
		locations := "recommender." + container + ".locations."
		recommendations := locations + "recommenders.recommendations."
		handlers[recommendations+"get"] = reads((*call).getRecommenderItem)
		handlers[recommendations+"list"] = reads((*call).listRecommenderItems)
		handlers[recommendations+"markClaimed"] = writes((*call).markClaimed)
		handlers[recommendations+"markSucceeded"] = writes((*call).markSucceeded)
		handlers[recommendations+"markFailed"] = writes((*call).markFailed)
		handlers[recommendations+"markDismissed"] = writes((*call).markDismissed)
		insights := locations + "insightTypes.insights."
		handlers[insights+"get"] = reads((*call).getRecommenderItem)
		handlers[insights+"list"] = reads((*call).listRecommenderItems)
		handlers[insights+"markAccepted"] = writes((*call).markAccepted)
	}
	return handlers
}

// recommenderContainer finds what recommendations are about: a project, by id
// or number, a folder or an organization.
func (st *state) recommenderContainer(kind, id string) *node {
	if kind != "projects" {
		return st.parentNode(kind + "/" + id)
	}
	if p := st.projects[id]; p != nil && !p.deleted {
		return &p.node
	}
	return nil
}

// recommenderList finds what params[0] to params[2] name, if the caller may do
// there what the method does. name is what answers say.
func (c *call) recommenderList(st *state) (kind recommenderKind, name string, err error) {
	method := strings.Split(c.method.ID, ".") // recommender.projects.locations.recommenders.recommendations.list
	container, collection, verb := method[1], method[3], method[5]
	id, location, which := c.params[0], c.params[1], c.params[2]
	kind, known := findRecommender(collection, which)
	if !known {
		return kind, "", c.unknownRecommender(collection, which)
	}
	if verb != "get" && verb != "list" {
		verb = "update"
	}
	permission := kind.permission + "." + verb
	switch {
	case kind.permission != "":
	case verb == "update":
		return kind, "", c.notImplemented("of " + which)
	default:
		permission = readsAnyRecommender
	}
	n := st.recommenderContainer(container, id)
	if n == nil {
		return kind, "", deniedByRecommender(permission, container+"/"+id)
	}
	// For a folder or an organization, the real API looks at the project that
	// the caller is billed to, which the fake does not know.
	if container == "projects" {
		if err := c.checkEnabled(st, st.projects[id]); err != nil {
			return kind, "", err
		}
	}
	if !c.may(st, permission, n) {
		return kind, "", deniedByRecommender(permission, container+"/"+id)
	}
	if !kind.lives(location) {
		return kind, "", invalidRecommender()
	}
	return kind, recommenderListName(n, location, collection, which, kind), nil
}

func recommenderListName(n *node, location, collection, which string, kind recommenderKind) string {
	return strings.TrimPrefix(n.full, resourceManager) + "/locations/" + location + "/" + collection + "/" + which + "/" + kind.items
}

// invalidRecommender is what the API has been reported to answer for a
// recommender that does not exist
// (https://github.com/cloud-custodian/cloud-custodian/pull/10903). That it says
// the same of one that does not live in the location is inferred.
func invalidRecommender() *wire.Error { return wire.Invalid("Request contains an invalid argument.") }

// unknownRecommender tells insight types of Google's that the fake does not have,
// which fails the test, from those, and from recommenders, that nobody has.
func (c *call) unknownRecommender(collection, id string) error {
	if collection == "insightTypes" && strings.HasPrefix(id, "google.") {
		return c.notImplemented("of " + id)
	}
	return invalidRecommender()
}

// deniedByRecommender has the form that most of Google's APIs share. That
// Recommender does is inferred, and so is that it says so of a project that
// does not exist.
func deniedByRecommender(permission, resource string) *wire.Error {
	e := wire.Denied("Permission '%s' denied on resource (or it may not exist).", permission)
	e.Details = []any{map[string]any{
		"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "IAM_PERMISSION_DENIED", "domain": "iam.googleapis.com",
		"metadata": map[string]string{"permission": permission, "resource": resource},
	}}
	return e
}

// findRecommenderItem returns what params[0] to params[3] name.
func (c *call) findRecommenderItem(st *state) (*recommenderItem, error) {
	_, list, err := c.recommenderList(st)
	if err != nil {
		return nil, err
	}
	item := st.recommender.byName[list+"/"+c.params[3]]
	if item == nil {
		return nil, wire.NotFound("Requested entity was not found.")
	}
	return item, nil
}

func (c *call) getRecommenderItem(st *state) ([]byte, error) {
	item, err := c.findRecommenderItem(st)
	if err != nil {
		return nil, err
	}
	return item.raw, nil
}

// listRecommenderItems answers a page, in the order of ids. Without a filter
// it has items of all states: the documentation names no default, and users
// report that all come (https://github.com/flexera-public/policy_templates/pull/3734).
// A page costs what it has to pass over, so that all pages together cost one
// walk.
func (c *call) listRecommenderItems(st *state) ([]byte, error) {
	kind, name, err := c.recommenderList(st)
	if err != nil {
		return nil, err
	}
	matches, err := parseRecommenderFilter(c.query.Get("filter"), recommenderFields(c.api.Schemas, kind.items))
	if err != nil {
		return nil, err
	}
	size, after, err := c.recommenderPage()
	if err != nil {
		return nil, err
	}
	list := st.recommender.lists[name]
	start := sort.Search(len(list), func(i int) bool { return list[i].id > after })
	out := wire.Object{}
	page := make([]json.RawMessage, 0, min(size, len(list)-start))
	last := ""
	for _, item := range list[start:] {
		if !matches(item.object) {
			continue
		}
		if len(page) == size {
			out["nextPageToken"] = base64.RawURLEncoding.EncodeToString([]byte(last))
			break
		}
		page = append(page, item.raw)
		last = item.id
	}
	if len(page) > 0 {
		out[kind.items] = page
	}
	return wire.MustEncode(out), nil
}

// recommenderPage reads how many items a page shall have and after which id it
// begins. Sizes that are not positive are ignored, as documented; the server's
// own sizes are not known, those here are chosen.
func (c *call) recommenderPage() (size int, after string, err error) {
	const usual, most = 100, 1000
	size = usual
	if s := c.query.Get("pageSize"); s != "" {
		n, err := strconv.ParseInt(s, 10, 32)
		if err != nil {
			return 0, "", wire.Invalid("Invalid value at 'page_size' (TYPE_INT32), %q", s)
		}
		if n > 0 {
			size = int(min(n, most))
		}
	}
	if token := c.query.Get("pageToken"); token != "" {
		last, err := base64.RawURLEncoding.DecodeString(token)
		if err != nil || len(last) == 0 {
			return 0, "", wire.Invalid("The page token is invalid.")
		}
		after = string(last)
	}
	return size, after, nil
}
