package outage_test

import (
	"bytes"
	"regexp"
	"strings"

	"google.golang.org/api/cloudresourcemanager/v3"
	"google.golang.org/api/iam/v1"

	"github.com/runidentity/runidentity/fake"
	"github.com/runidentity/runidentity/identity"
)

const (
	jobName  = "projects/web-prod/locations/europe-west1/jobs/nightly"
	newJob   = "projects/web-prod/locations/europe-west1/jobs/weekly"
	shopName = "projects/web-prod/locations/europe-west1/services/shop"
	poolName = "projects/web-prod/locations/europe-west1/workerPools/queue"
	number   = 123456789012
)

var (
	runner = identity.MustParseServiceAccount("runner@web-prod.iam.gserviceaccount.com")
	before = identity.MustParseServiceAccount("before@web-prod.iam.gserviceaccount.com")
	added  = identity.MustParseServiceAccount("added-later@web-prod.iam.gserviceaccount.com")
)

// cloud is a project with a few accounts.
func cloud() *fake.Backend {
	b := fake.NewBackend()
	b.AddProject(&cloudresourcemanager.Project{ProjectId: "web-prod", Name: "projects/123456789012"})
	for _, sa := range []identity.ServiceAccount{runner, before} {
		b.AddServiceAccount(&iam.ServiceAccount{Email: sa.Email()})
	}
	return b
}

// accountFull is the full resource name of an account.
func accountFull(sa identity.ServiceAccount) string {
	return "//iam.googleapis.com/projects/web-prod/serviceAccounts/" + sa.Email()
}

const container = `{"image": "image", "env": [{"name": "MODE", "value": "fast"}]}`

func addJob(b *fake.Backend, sa identity.ServiceAccount) {
	b.AddRunJSON(jobName, []byte(`{"labels": {"team": "web"}, "template": {"template": {"maxRetries": 0, "serviceAccount": "`+sa.Email()+`", "containers": [`+container+`]}}}`))
}

func addService(b *fake.Backend, sa identity.ServiceAccount) {
	b.AddRunJSON(shopName, []byte(`{"labels": {"team": "web"}, "template": {"serviceAccount": "`+sa.Email()+`", "containers": [`+container+`]}}`))
}

// withJob, withService and withPool seed a workload that runs as an account.
func withJob(sa identity.ServiceAccount) func(*world) {
	return func(b *world) { addJob(b.Backend, sa) }
}

func withService(sa identity.ServiceAccount) func(*world) {
	return func(b *world) { addService(b.Backend, sa) }
}

func withPool(sa identity.ServiceAccount) func(*world) {
	return func(b *world) { addPool(b.Backend, sa) }
}

func addPool(b *fake.Backend, sa identity.ServiceAccount) {
	b.AddRunJSON(poolName, []byte(`{"template": {"revision": "queue-named", "serviceAccount": "`+sa.Email()+`", "containers": [`+container+`]}}`))
}

// volatile are the fields that differ between two clouds to which the same was
// done: times, and ids that are made up. The generation is not among them: it
// tells that something was written twice.
func volatile(field []byte) bool {
	switch string(field) {
	case "etag", "updateTime", "createTime", "completionTime", "startTime", "uid", "uniqueId", "lastTransitionTime", "logUri",
		"run.googleapis.com/operation-id", "run":
		return true
	}
	return false
}

// suffixes are made up behind the names of revisions and executions.
var suffixes = regexp.MustCompile(`(-0000\d-|executions/[a-z]+-)[a-z0-9]+`)

// stateOf is all that a cloud holds, without what is volatile.
func stateOf(b *fake.Backend) string {
	var buf bytes.Buffer
	if err := b.Dump(&buf); err != nil {
		return err.Error()
	}
	var out strings.Builder
	for line := range bytes.Lines(buf.Bytes()) {
		field := bytes.TrimLeft(line, " ")
		if name, ok := bytes.CutPrefix(field, []byte(`"`)); ok {
			if i := bytes.IndexByte(name, '"'); i >= 0 && volatile(name[:i]) {
				continue
			}
			if bytes.HasPrefix(name, []byte(`steps"`)) {
				// A plan notes whether it did a step or, after a lost answer, likely did.
				line = bytes.ReplaceAll(line, []byte("l"), []byte("d"))
			}
			if bytes.Contains(field, []byte("-0000")) || bytes.Contains(field, []byte("executions/")) {
				line = suffixes.ReplaceAll(line, []byte("$1…"))
			}
		}
		out.Write(line)
	}
	return out.String()
}

// difference is the first line in which two states differ, from either.
func difference(a, b string) string {
	linesA, linesB := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(linesA), len(linesB)) {
		if linesA[i] != linesB[i] {
			return strings.TrimSpace(linesA[i]) + " against " + strings.TrimSpace(linesB[i])
		}
	}
	return "their length"
}
