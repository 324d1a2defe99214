package fake

import (
	"time"

	"google.golang.org/api/run/v2"

	"github.com/runidentity/runidentity/fake/internal/wire"
)

func jobs() *workloadKind {
	return &workloadKind{
		template: []string{"template", "template"},
		runKind:  runKind{plural: "jobs", label: "JOB", typ: "Job", param: "jobId"},
		defaults: defaultJob,
		check: func(_ *state, _ *resource, next wire.Object) error {
			return checkContainers("template.template", wire.Child(next, "template", "template"))
		},
		begin: beginJob,
	}
}

func defaultJob(p *project, job wire.Object) {
	wire.SetDefault(job, "launchStage", "GA")
	execution := wire.Child(job, "template")
	wire.SetDefault(execution, "taskCount", wire.Number(1))
	task := wire.Child(execution, "template")
	wire.SetDefault(task, "maxRetries", wire.Number(3))
	wire.SetDefault(task, "timeout", "600s")
	wire.SetDefault(task, "executionEnvironment", "EXECUTION_ENVIRONMENT_GEN2")
	defaultTemplate(p, task)
	eachContainer(task, func(c wire.Object) {
		if probe, ok := c["startupProbe"].(wire.Object); ok {
			wire.SetDefault(probe, "failureThreshold", wire.Number(3))
			wire.SetDefault(probe, "periodSeconds", wire.Number(10))
			wire.SetDefault(probe, "timeoutSeconds", wire.Number(1))
		}
	})
}

// beginJob also starts the execution that a token asks for.
func beginJob(c *call, st *state, r *resource, _, next wire.Object, _ bool) func(*state, wire.Object, time.Time) {
	wire.SetDefault(next, "latestCreatedExecution", wire.Object{})
	for _, field := range []string{"startExecutionToken", "runExecutionToken"} {
		if token := wire.Text(next, field); token != "" {
			op := c.startExecution(st, r, token, next, nil)
			noteExecution(next, op.resource.id, c.now)
		}
	}
	ends := c.ends
	return func(_ *state, o wire.Object, at time.Time) { ready(o, ends, at, true) }
}

// AddJob adds a job as a finished creation would leave it: what the server
// fills in is filled in, unless it is given. Its Name is the full one
// ("projects/P/locations/L/jobs/J"), in a location of Cloud Run. AddJob panics on
// what [Backend.AddRunJSON] panics on: it needs a container, for example.
func (b *Backend) AddJob(job *run.GoogleCloudRunV2Job) {
	b.AddRunJSON(job.Name, wire.MustEncode(job))
}

// AddService adds a service, as [Backend.AddJob] adds a job.
func (b *Backend) AddService(service *run.GoogleCloudRunV2Service) {
	b.AddRunJSON(service.Name, wire.MustEncode(service))
}

// AddWorkerPool adds a worker pool, as [Backend.AddJob] adds a job.
func (b *Backend) AddWorkerPool(pool *run.GoogleCloudRunV2WorkerPool) {
	b.AddRunJSON(pool.Name, wire.MustEncode(pool))
}
