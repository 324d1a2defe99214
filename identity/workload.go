package identity

import (
	"errors"
	"fmt"
	"strings"
)

const (
	exampleWorkload = "projects/web-prod/locations/europe-west1/jobs/nightly"

	// runHost is before the names of Cloud Run's resources in full resource names.
	runHost = "//run.googleapis.com/"
)

// Workload names a Cloud Run job, service or worker pool. It can be the key of a
// map.
//
// Two Workloads are == if their texts are. A project has an id and a number, and
// the API accepts both: Workloads that differ in which one they use are
// different, even if Cloud Run knows them as one.
//
// The zero Workload names nothing. A Workload from a constructor, or put together
// from its fields, may be invalid. What takes a Workload validates it before it
// calls an API, and returns the error of [Workload.Validate].
type Workload struct {
	// Kind is the kind of resource.
	Kind Kind

	// Project is a project id, a domain-scoped one (example.com:web-prod), or a
	// project number.
	//
	// https://cloud.google.com/resource-manager/docs/creating-managing-projects
	Project string

	// Location is a region, such as europe-west1.
	//
	// https://cloud.google.com/run/docs/locations
	Location string

	// ID is the last part of the name. It has at most 63 lower-case letters,
	// digits and hyphens, begins with a letter and does not end in a hyphen.
	ID string
}

// Job returns the job with this id. It doesn't check its arguments: see
// [Workload.Validate].
func Job(project, location, id string) Workload {
	return Workload{Kind: KindJob, Project: project, Location: location, ID: id}
}

// Service returns the service with this id. It doesn't check its arguments: see
// [Workload.Validate].
func Service(project, location, id string) Workload {
	return Workload{Kind: KindService, Project: project, Location: location, ID: id}
}

// WorkerPool returns the worker pool with this id. It doesn't check its
// arguments: see [Workload.Validate].
func WorkerPool(project, location, id string) Workload {
	return Workload{Kind: KindWorkerPool, Project: project, Location: location, ID: id}
}

// ParseWorkload parses the name of a workload in version 2 of the Cloud Run API,
// or its full resource name, which has //run.googleapis.com/ before it:
//
//	projects/web-prod/locations/europe-west1/jobs/nightly
//	projects/web-prod/locations/europe-west1/services/shop
//	projects/web-prod/locations/europe-west1/workerPools/mailer
//
// The fields of [Workload] say what is valid in each place. ParseWorkload refuses
// the wildcard location -, names of version 1 (namespaces/...), executions,
// revisions, and instances, the API's fourth kind, which this library doesn't
// handle.
//
// https://cloud.google.com/run/docs/reference/rest
func ParseWorkload(s string) (Workload, error) {
	w, err := parseWorkload(s)
	if err != nil {
		return Workload{}, invalidWorkload(s, err)
	}
	return w, nil
}

// MustParseWorkload is [ParseWorkload] for names written in the program: it
// accepts constants only, and panics if s is invalid.
func MustParseWorkload(s constant) Workload {
	w, err := ParseWorkload(string(s))
	if err != nil {
		panic(err)
	}
	return w
}

// Validate returns nil if w is what [ParseWorkload] can return. Otherwise it
// returns the error that [ParseWorkload] has for w's name. The zero Workload is
// invalid.
func (w Workload) Validate() error {
	if w != (Workload{}) && w.Kind.collection() == "" {
		return invalidWorkload(w.String(),
			fmt.Errorf("must be a job, a service or a worker pool, but its kind is %v", w.Kind))
	}
	// No field of a valid name holds a slash, so only the fields that a name was
	// made of can be parsed from it.
	_, err := ParseWorkload(w.Name())
	return err
}

// Name returns the name that version 2 of the Cloud Run API has for w, such as
// projects/web-prod/locations/europe-west1/jobs/nightly. It returns "" if the
// kind is unknown. If w is invalid in another way, so is the name.
func (w Workload) Name() string {
	collection := w.Kind.collection()
	if collection == "" {
		return ""
	}
	return "projects/" + w.Project + "/locations/" + w.Location + "/" + collection + "/" + w.ID
}

// String returns what [Workload.Name] does. If the kind is unknown, it returns a
// text for people, which is not a name of anything.
func (w Workload) String() string {
	if w == (Workload{}) {
		return "no workload"
	}
	if w.Kind.collection() == "" {
		return fmt.Sprintf("projects/%s/locations/%s/(%v)/%s", w.Project, w.Location, w.Kind, w.ID)
	}
	return w.Name()
}

// FullName returns the full resource name, by which other services such as Cloud
// Asset Inventory know w: //run.googleapis.com/ and the [Workload.Name]. It
// returns "" if the kind is unknown.
//
// https://cloud.google.com/iam/docs/full-resource-names
func (w Workload) FullName() string {
	if name := w.Name(); name != "" {
		return runHost + name
	}
	return ""
}

// MarshalText implements [encoding.TextMarshaler]. The text is the name, or empty
// for the zero Workload. For any other invalid Workload, MarshalText returns the
// error of [Workload.Validate].
func (w Workload) MarshalText() ([]byte, error) {
	if w == (Workload{}) {
		return []byte{}, nil
	}
	if err := w.Validate(); err != nil {
		return nil, err
	}
	return []byte(w.Name()), nil
}

// UnmarshalText implements [encoding.TextUnmarshaler]. It accepts what
// [ParseWorkload] accepts, and empty text for the zero Workload. If it returns an
// error, w is unchanged.
func (w *Workload) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*w = Workload{}
		return nil
	}
	parsed, err := ParseWorkload(string(text))
	if err != nil {
		return err
	}
	*w = parsed
	return nil
}

// invalidWorkload is the error for value, which has this flaw.
func invalidWorkload(value string, flaw error) error {
	return fmt.Errorf("invalid workload %s: %w; example: %q", quote(value), flaw, exampleWorkload)
}

func parseWorkload(s string) (Workload, error) {
	if err := checkText(s); err != nil {
		return Workload{}, err
	}
	name, full := strings.CutPrefix(s, runHost)
	switch {
	case !full && strings.HasPrefix(s, "//"):
		return Workload{}, fmt.Errorf("a full name in Cloud Run begins with %s", runHost)
	case strings.HasPrefix(name, "namespaces/"):
		return Workload{}, errors.New("is a name of the v1 API, which lacks the location: give the v2 name")
	}
	rest, hasProject := strings.CutPrefix(name, "projects/")
	project, rest, hasLocation := strings.Cut(rest, "/locations/")
	location, rest, hasCollection := strings.Cut(rest, "/")
	collection, id, hasID := strings.Cut(rest, "/")
	if !hasProject || !hasLocation || !hasCollection || !hasID {
		return Workload{}, fmt.Errorf("must be projects/PROJECT/locations/LOCATION/COLLECTION/ID, with or without %s before it, "+
			"where COLLECTION is jobs, services or workerPools", runHost)
	}
	w := Workload{Kind: kindOf(collection), Project: project, Location: location, ID: id}
	switch {
	case collection == "instances":
		return Workload{}, errors.New("is an instance: of Cloud Run's resources, only jobs, services and " +
			"worker pools are supported")
	case w.Kind == KindUnknown:
		return Workload{}, fmt.Errorf("collection %s must be jobs, services or workerPools", quote(collection))
	}
	if err := checkProject(project); err != nil {
		return Workload{}, err
	}
	if location == "-" {
		return Workload{}, errors.New(`location "-" stands for all of them, and a workload has one`)
	}
	if !isName(location, maxLabel) {
		return Workload{}, fmt.Errorf("location %s must be a region such as europe-west1: at most %d lower-case letters, "+
			"digits and hyphens; begins with a letter, doesn't end in a hyphen", quote(location), maxLabel)
	}
	if err := checkWorkloadID(id); err != nil {
		return Workload{}, err
	}
	return w, nil
}

// checkWorkloadID refuses what can't be the id of a workload. Given all that
// follows the collection in a name, it tells what is too much.
func checkWorkloadID(id string) error {
	own, below, deeper := strings.Cut(id, "/")
	child, _, _ := strings.Cut(below, "/")
	switch {
	case deeper && below == "":
		return errors.New("must not end in a slash")
	case deeper && (child == "executions" || child == "revisions"):
		return fmt.Errorf("is in the %s of a workload: give the workload's own name, which ends with %s", child, quote(own))
	case deeper:
		return fmt.Errorf("must end with the id, but %s follows", quote("/"+below))
	case !isName(id, maxLabel):
		return fmt.Errorf("id %s must be at most %d lower-case letters, digits and hyphens; "+
			"begins with a letter, doesn't end in a hyphen", quote(id), maxLabel)
	}
	return nil
}
