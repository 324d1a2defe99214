package fake

import (
	"encoding/json"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/runidentity/runidentity/fake/internal/wire"
)

func executionKind() *runKind {
	return &runKind{plural: "executions", label: "EXECUTION", typ: "Execution"}
}

func executionsOf(job *resource) collectionKey {
	return collectionKey{project: job.key.project, location: job.key.location, parent: job.path(), plural: "executions"}
}

func (c *call) runJob(st *state) ([]byte, error) {
	body, err := c.object()
	if err != nil {
		return nil, err
	}
	overrides, _ := body["overrides"].(wire.Object)
	flag, _ := body["validateOnly"].(bool)
	op, err := c.execute(st, overrides, wire.Text(body, "etag"), flag)
	if err != nil {
		return nil, err
	}
	return op.json(), nil
}

// execute starts an execution of the job that the path names.
func (c *call) execute(st *state, overrides wire.Object, etag string, validateOnly bool) (*operation, error) {
	verb := "run"
	if overrides != nil {
		verb = "runWithOverrides"
	}
	job, err := jobs().existing(c, st, verb)
	if err != nil {
		return nil, err
	}
	o := wire.MustDecode(job.raw)
	if err := c.checkEtag(st, job, o, etag); err != nil {
		return nil, err
	}
	if validateOnly {
		exec := &resource{kind: executionKind(), key: executionsOf(job), id: job.id + "-" + st.suffix(5)}
		return c.newOperation(st, exec, c.newExecution(st, exec, o, overrides)), nil
	}
	op := c.startExecution(st, job, "", o, overrides)
	job.edit(func(o wire.Object) { noteExecution(o, op.resource.id, c.now) })
	return op, nil
}

// noteExecution counts a new execution in its job's JSON.
func noteExecution(job wire.Object, id string, now time.Time) {
	count, _ := job["executionCount"].(json.Number)
	n, _ := count.Int64()
	job["executionCount"] = wire.Number(int(n) + 1)
	job["latestCreatedExecution"] = wire.Object{
		"name": id, "createTime": timestamp(now), "completionStatus": "EXECUTION_RUNNING",
	}
}

// startExecution begins an execution of a job whose JSON is o.
func (c *call) startExecution(st *state, job *resource, token string, o, overrides wire.Object) *operation {
	id := job.id + "-" + token
	if token == "" || st.run.find(executionsOf(job), id) != nil {
		id = job.id + "-" + st.suffix(5)
	}
	exec := &resource{kind: executionKind(), key: executionsOf(job), id: id, knative: job.knative.Below("/spec/template")}
	execution := c.newExecution(st, exec, o, overrides)
	st.run.put(exec)

	ends := c.ends
	op := c.start(st, exec, execution, func(_ *state, o wire.Object, at time.Time) { exec.finish(o, ends, at) })
	op.after = func(o wire.Object, at time.Time) { job.recordCompletion(id, o, at) }
	return op
}

// newExecution returns the JSON of an execution that has started.
func (c *call) newExecution(st *state, exec *resource, job, overrides wire.Object) wire.Object {
	template := wire.Child(wire.Clone(job), "template")
	out := wire.Object{
		"name": exec.name(), "uid": st.newUUID(), "creator": c.caller.email(), "generation": "1",
		"createTime": timestamp(c.now), "startTime": timestamp(c.now), "updateTime": timestamp(c.now),
		"launchStage": job["launchStage"], "job": strings.TrimPrefix(exec.key.parent, "jobs/"),
		"template": wire.Child(template, "template"), "taskCount": template["taskCount"],
		"reconciling": true, "etag": etag(c.now, exec.name()),
		"conditions": []any{
			wire.Object{"type": "Completed", "state": "CONDITION_RECONCILING", "lastTransitionTime": timestamp(c.now)},
			wire.Object{"type": "Started", "state": "CONDITION_SUCCEEDED", "lastTransitionTime": timestamp(c.now)},
		},
	}
	for _, name := range []string{"labels", "annotations", "parallelism"} {
		if value, ok := template[name]; ok {
			out[name] = value
		}
	}
	if count, ok := overrides["taskCount"]; ok {
		out["taskCount"] = count
	}
	task := wire.Child(out, "template")
	if timeout, ok := overrides["timeout"]; ok {
		task["timeout"] = timeout
	}
	overrideContainers(task, overrides)
	out["runningCount"] = out["taskCount"]
	return out
}

// overrideContainers applies containerOverrides: arguments replace, variables
// merge.
func overrideContainers(task, overrides wire.Object) {
	list, _ := overrides["containerOverrides"].([]any)
	for _, item := range list {
		override, _ := item.(wire.Object)
		eachContainer(task, func(c wire.Object) {
			if name := wire.Text(override, "name"); name != "" && name != wire.Text(c, "name") {
				return
			}
			if none, _ := override["clearArgs"].(bool); none {
				delete(c, "args")
			}
			if args, ok := override["args"]; ok {
				c["args"] = args
			}
			env, _ := override["env"].([]any)
			c["env"] = mergeEnv(c["env"], env)
			if c["env"] == nil {
				delete(c, "env")
			}
		})
	}
}

func mergeEnv(had any, more []any) any {
	list, _ := had.([]any)
	for _, item := range more {
		v, _ := item.(wire.Object)
		replaced := false
		for i, old := range list {
			if o, _ := old.(wire.Object); wire.Text(o, "name") == wire.Text(v, "name") {
				list[i], replaced = v, true
			}
		}
		if !replaced {
			list = append(list, v)
		}
	}
	if len(list) == 0 {
		return nil
	}
	return list
}

// finish ends an execution, well unless a fault says otherwise.
func (r *resource) finish(o, ends wire.Object, at time.Time) {
	completed := wire.Object{"type": "Completed", "state": "CONDITION_SUCCEEDED", "lastTransitionTime": timestamp(at)}
	maps.Copy(completed, ends)
	conditions, _ := o["conditions"].([]any)
	for i, c := range conditions {
		if c, _ := c.(wire.Object); wire.Text(c, "type") == "Completed" {
			conditions[i] = completed
		}
	}
	count := o["taskCount"]
	delete(o, "runningCount")
	delete(o, "reconciling")
	o["observedGeneration"] = o["generation"]
	o["completionTime"] = timestamp(at)
	o["updateTime"] = timestamp(at)
	o["etag"] = etag(at, r.name())
	outcome := "succeededCount"
	if completed["state"] != "CONDITION_SUCCEEDED" {
		outcome = "failedCount"
		if wire.Text(completed, "executionReason") == "CANCELLED" {
			outcome = "cancelledCount"
		}
	}
	o[outcome] = count
}

// recordCompletion notes in the job how its latest execution ended.
func (r *resource) recordCompletion(id string, execution wire.Object, at time.Time) {
	status := "EXECUTION_SUCCEEDED"
	switch {
	case execution["cancelledCount"] != nil:
		status = "EXECUTION_CANCELLED"
	case execution["failedCount"] != nil:
		status = "EXECUTION_FAILED"
	}
	r.edit(func(o wire.Object) {
		latest, _ := o["latestCreatedExecution"].(wire.Object)
		if wire.Text(latest, "name") == id {
			latest["completionTime"] = timestamp(at)
			latest["completionStatus"] = status
		}
	})
}

// cancelExecution ends an execution that is still running.
func (c *call) cancelExecution(st *state) ([]byte, error) {
	op, err := c.cancel(st)
	if err != nil {
		return nil, err
	}
	return op.json(), nil
}

// cancel ends the execution that the path names.
func (c *call) cancel(st *state) (*operation, error) {
	exec, err := executionKind().existing(c, st, "cancel")
	if err != nil {
		return nil, err
	}
	o := wire.MustDecode(exec.raw)
	if exec.pending == nil {
		return nil, wire.NewError(http.StatusBadRequest, "FAILED_PRECONDITION", "Execution '%s' is already completed.", exec.id)
	}
	generation, _ := strconv.ParseInt(wire.Text(o, "generation"), 10, 64)
	o["generation"] = strconv.FormatInt(generation+1, 10)
	key := exec.key
	_, id, _ := strings.Cut(key.parent, "/")
	job := st.run.find(collectionKey{project: key.project, location: key.location, plural: "jobs"}, id)
	running := exec.pending
	op := c.start(st, exec, o, func(_ *state, o wire.Object, at time.Time) {
		exec.finish(o, wire.Object{
			"state": "CONDITION_FAILED", "executionReason": "CANCELLED", "message": "The execution was cancelled by the user.",
		}, at)
	})
	op.after = func(o wire.Object, at time.Time) {
		running.final = exec.raw // what ran ends as it was cancelled
		if job != nil {
			job.recordCompletion(exec.id, o, at)
		}
	}
	return op, nil
}
