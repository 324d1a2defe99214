package fake

import (
	"time"

	"google.golang.org/api/run/v2"
)

func jobs() *workloadKind {
	return &workloadKind{
		template: []string{"template", "template"},
		runKind:  runKind{plural: "jobs", label: "JOB", typ: "Job", param: "jobId"},
		defaults: defaultJob,
		check: func(_ *call, _ *state, _ *resource, next object) error {
			return checkContainers("template.template", child(next, "template", "template"))
		},
		begin: beginJob,
	}
}

func defaultJob(p *project, job object) {
	setDefault(job, "launchStage", "GA")
	execution := child(job, "template")
	setDefault(execution, "taskCount", number(1))
	task := child(execution, "template")
	setDefault(task, "maxRetries", number(3))
	setDefault(task, "timeout", "600s")
	setDefault(task, "executionEnvironment", "EXECUTION_ENVIRONMENT_GEN2")
	defaultTemplate(p, task)
	eachContainer(task, func(c object) {
		if probe, ok := c["startupProbe"].(object); ok {
			setDefault(probe, "failureThreshold", number(3))
			setDefault(probe, "periodSeconds", number(10))
			setDefault(probe, "timeoutSeconds", number(1))
		}
	})
}

// beginJob also starts the execution that a token asks for.
func beginJob(c *call, st *state, r *resource, _, next object, _ bool) func(*state, object, time.Time) {
	setDefault(next, "latestCreatedExecution", object{})
	for _, field := range []string{"startExecutionToken", "runExecutionToken"} {
		if token := text(next, field); token != "" {
			op := c.startExecution(st, r, token, next, nil)
			noteExecution(next, op.resource.id, c.now)
		}
	}
	ends := c.ends
	return func(_ *state, o object, at time.Time) { ready(o, ends, at, true) }
}

// AddJob adds a job as a finished creation would leave it: what the server
// fills in is filled in, unless it is given. Its Name is the full one
// ("projects/P/locations/L/jobs/J"). AddJob panics if the project or location
// is not there, or the job is.
func (b *Backend) AddJob(job *run.GoogleCloudRunV2Job) {
	b.AddJSON(job.Name, mustEncode(job))
}

// AddService adds a service, see [Backend.AddJob].
func (b *Backend) AddService(service *run.GoogleCloudRunV2Service) {
	b.AddJSON(service.Name, mustEncode(service))
}

// AddWorkerPool adds a worker pool, see [Backend.AddJob].
func (b *Backend) AddWorkerPool(pool *run.GoogleCloudRunV2WorkerPool) {
	b.AddJSON(pool.Name, mustEncode(pool))
}
